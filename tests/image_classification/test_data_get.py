"""`cnn data get` against a server of our own: what is fetched, verified, repaired and refused."""

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from cnn_core.cli import main
from cnn_core.errors import DataError
from image_classification import data, download
from image_classification.data import load_set

MEMBERS = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


def get_data(name: str, *, data_root: Path) -> str:
    return data.DATA_SETS[name].fetch(data_root=data_root)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


class Server:
    """Serves `files`, and remembers what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                body = server.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def mnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Torchvision's table points to the server, which has a small MNIST; the first mirror is empty."""
    resources = []
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", np.full((20, 28, 28), 7)), ("labels-idx1", np.arange(20) % 10)):
            body = gzip.compress(idx(array.astype(np.uint8)))
            name = f"{part}-{kind}-ubyte.gz"
            server.files[f"/second/{name}"] = body
            resources.append((name, hashlib.md5(body).hexdigest()))
    monkeypatch.setattr(
        torchvision.datasets.MNIST, "mirrors", [f"{server.address}/first/", f"{server.address}/second/"]
    )
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    return server


@pytest.fixture
def cifar(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in MEMBERS:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            body = b"".join(bytes([n]) + bytes(3072) for n in range(10))
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    body = stream.getvalue()
    server.files["/~kriz/cifar-10-binary.tar.gz"] = body
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"{server.address}/~kriz/cifar-10-python.tar.gz")
    monkeypatch.setattr(download, "CIFAR_BINARY", ("cifar-10-binary.tar.gz", hashlib.md5(body).hexdigest()))
    return server


@pytest.fixture
def clothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The publisher's archive, with six photos."""
    stream, photo = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (30, 40), (90, 60, 200)).save(photo, "JPEG")
    with zipfile.ZipFile(stream, "w") as archive:
        for part in ("train", "validation", "test"):
            for label in ("hat", "shoes"):
                archive.writestr(f"clothing-dataset-small-master/{part}/{label}/1.jpg", photo.getvalue())
    server.files["/small.zip"] = stream.getvalue()
    monkeypatch.setattr(download, "CLOTHING", f"{server.address}/small.zip")
    return server


def test_photos_of_clothes_are_unpacked_and_read_as_they_are_divided(clothing, tmp_path):
    assert get_data("clothing", data_root=tmp_path).startswith(
        "clothing: 2 training, 2 validation and 2 test photos in "
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "clothing", "clothing-dataset-small.zip"]
    loaded = load_set("clothing", split="val", size=16, data_root=tmp_path)
    assert (loaded.labels, loaded.targets.tolist()) == (("hat", "shoes"), [0, 1])
    assert tuple(loaded.images.shape) == (2, 3, 16, 16)
    get_data("clothing", data_root=tmp_path)
    assert clothing.asked == ["/small.zip"]


@pytest.mark.parametrize("broken", ["cut", "other"])
def test_a_wrong_archive_of_clothes_is_removed(clothing, tmp_path, broken):
    whole = clothing.files["/small.zip"]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("elsewhere/readme.txt", "no photos")
    clothing.files["/small.zip"] = whole[:-40] if broken == "cut" else stream.getvalue()
    with pytest.raises(DataError):
        get_data("clothing", data_root=tmp_path)
    assert not (tmp_path / "clothing").exists() and not (tmp_path / "clothing-dataset-small.zip").exists()
    with pytest.raises(DataError, match="get it with `cnn data get clothing`"):
        load_set("clothing", split="val", data_root=tmp_path)


def test_mnist_comes_from_the_first_mirror_that_has_it(mnist, tmp_path):
    sentence = get_data("mnist", data_root=tmp_path)
    assert "20 training and 20 test" in sentence
    assert str(tmp_path) in sentence
    assert mnist.asked[:2] == ["/first/train-images-idx3-ubyte.gz", "/second/train-images-idx3-ubyte.gz"]
    assert load_set("mnist", split="test", data_root=tmp_path).images.unique().tolist() == [7]
    assert (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").stat().st_size == 16 + 20 * 784
    torchvision.datasets.MNIST(tmp_path, download=False)  # finds its files


@pytest.mark.parametrize("quiet", [False, True])
def test_the_command_shows_the_size_of_every_file_or_is_quiet(mnist, tmp_path, monkeypatch, capsys, quiet):
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    assert main(["data", "get", "mnist", *(["--quiet"] if quiet else [])]) == 0
    answer = capsys.readouterr()
    assert answer.out == f"mnist: 20 training and 20 test pictures in {tmp_path / 'MNIST' / 'raw'}\n"
    for name, _ in torchvision.datasets.MNIST.resources:
        size = len(mnist.files[f"/second/{name}"])
        assert (f"{name}  {size}.0B of {size}.0B  " in answer.err) is not quiet


def test_what_is_there_is_not_fetched_again(mnist, tmp_path, monkeypatch):
    get_data("mnist", data_root=tmp_path)
    mnist.asked.clear()
    get_data("mnist", data_root=tmp_path)  # not the official counts, so it looks again; the hashes are right
    assert mnist.asked == []
    monkeypatch.setitem(
        data.DATA_SETS, "mnist", data.replace(data.DATA_SETS["mnist"], official="20 training and 20 test pictures")
    )
    for packed in (tmp_path / "MNIST" / "raw").glob("*.gz"):
        packed.unlink()
    assert "is there already" in get_data("mnist", data_root=tmp_path)
    assert mnist.asked == []


def test_a_damaged_file_is_replaced(mnist, tmp_path):
    get_data("mnist", data_root=tmp_path)
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="incomplete"):
        load_set("mnist", split="train", data_root=tmp_path)
    get_data("mnist", data_root=tmp_path)
    assert len(load_set("mnist", split="train+val", data_root=tmp_path)) == 20


def test_a_download_with_another_hash_is_refused(mnist, tmp_path):
    mnist.files["/second/train-labels-idx1-ubyte.gz"] += b"x"
    with pytest.raises(DataError, match="hash"):
        get_data("mnist", data_root=tmp_path)
    assert not (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz").exists()


def test_cifar_binary_is_unpacked(cifar, tmp_path):
    assert "50 training and 10 test" in get_data("cifar10", data_root=tmp_path)
    assert cifar.asked == ["/~kriz/cifar-10-binary.tar.gz"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "cifar-10-batches-bin", "cifar-10-binary.tar.gz"]
    (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").write_bytes(b"short")
    get_data("cifar10", data_root=tmp_path)
    assert len(load_set("cifar10", split="train+val", data_root=tmp_path)) == 50
    assert len(cifar.asked) == 1  # repaired from the archive that is there


def test_offline_says_what_to_do(server, tmp_path, monkeypatch):
    server.http.shutdown()
    server.http.server_close()
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"{server.address}/cifar-10-python.tar.gz")
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz.*check the network"):
        get_data("cifar10", data_root=tmp_path)
    assert not (tmp_path / "cifar-10-batches-bin").exists()


def test_embedded_and_unknown_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "nothing to get" in get_data("digits", data_root=tmp_path)
    assert main(["data", "get", "fashion-minst"]) == 1
    assert "did you mean fashion_mnist" in capsys.readouterr().err
