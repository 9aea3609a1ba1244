"""The classic sets: official layouts, splits, and what is said when something is missing or damaged."""

import gzip
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from cnn_core.errors import DataError, UnknownNameError
from image_classification.data import DATA_SETS, few_of_each, load_data, load_set
from image_classification.image_set import ImageSet
from image_classification.readers import read_cifar, read_idx


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(root: Path, *, folder: str = "MNIST", zipped: bool = False, count: int = 40) -> dict[str, np.ndarray]:
    """Write a set in torchvision's layout: picture n is filled with n, its label is n % 10."""
    arrays = {}
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = np.repeat(np.arange(count, dtype=np.uint8), 28 * 28).reshape(count, 28, 28)
        for kind, array in (("images-idx3", images), ("labels-idx1", (np.arange(count) % 10).astype(np.uint8))):
            name = f"{part}-{kind}-ubyte"
            arrays[name] = array
            data = idx(array)
            (raw / (name + ".gz" * zipped)).write_bytes(gzip.compress(data) if zipped else data)
    return arrays


def write_cifar(root: Path, *, count: int = 30) -> None:
    """Write the binary layout: record n has the label n % 10 and planes of n, n + 1, n + 2."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        records = [bytes([n % 10]) + b"".join(bytes([n + c]) * 1024 for c in range(3)) for n in range(count)]
        (folder / name).write_bytes(b"".join(records))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("fashion-mnist", "FashionMNIST")]
)
def test_idx_layout(tmp_path, zipped, name, folder):
    write_mnist(tmp_path, folder=folder, zipped=zipped)
    images = load_set(name, split="train+val", data_root=tmp_path)
    assert (len(images), images.channels, images.size, images.num_classes) == (40, 1, (28, 28), 10)
    assert images.images[17].unique().tolist() == [17]
    assert images.targets[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert images.images.dtype == torch.uint8
    assert images.targets.dtype == torch.int64


def test_cifar_layout(tmp_path):
    write_cifar(tmp_path)
    images = load_set("cifar10", split="train+val", data_root=tmp_path)
    assert images.images.shape == (150, 3, 32, 32)
    assert images.images[31, :, 0, 0].tolist() == [1, 2, 3]  # the second batch's second record
    assert images.labels[images.targets[38]] == "ship"
    assert len(load_set("cifar10", split="test", data_root=tmp_path)) == 30


def test_train_and_val_divide_the_official_training_set(tmp_path):
    write_mnist(tmp_path, count=200)
    train, val, whole = (load_set("mnist", split=s, data_root=tmp_path) for s in ("train", "val", "train+val"))
    pixels = [set(s.images[:, 0, 0, 0].tolist()) for s in (train, val, whole)]
    assert pixels[0] | pixels[1] == pixels[2]
    assert not pixels[0] & pixels[1]
    assert torch.bincount(val.targets).tolist() == [2] * 10  # a tenth of the 20 of each class
    again = load_data("mnist", splits=("val", "train"), data_root=tmp_path).sets
    assert torch.equal(again["val"].images, val.images)
    assert torch.equal(again["train"].images, train.images)


def test_few_of_each_class_are_chosen_by_the_seed():
    targets = np.array([0, 1] * 20 + [2])
    few = few_of_each(targets, 3, seed=0)
    assert np.bincount(targets[few]).tolist() == [3, 3, 1]  # of the third class there is one
    assert few.tolist() == sorted(set(few.tolist())) == few_of_each(targets, 3, seed=0).tolist()
    assert few.tolist() != few_of_each(targets, 3, seed=1).tolist()


def test_digits_are_those_of_scikit_learn():
    bunch = load_digits()
    parts = [load_set("digits", split=split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [1078, 120, 599]
    pixels = torch.cat([part.images for part in parts])
    assert pixels.max() == 255
    sums = sorted((pixels.double() / 255 * 16).round().sum((1, 2, 3)).tolist())
    assert sums == sorted(bunch.images.sum((1, 2)).tolist())
    # A third of every class: 178, 182, 177, ... of 1,797.
    assert torch.bincount(parts[2].targets).tolist() == [round(n / 3) for n in np.bincount(bunch.target).tolist()]


def test_size_and_channels():
    small = load_set("digits", split="val")
    large = load_set("digits", split="val", size=16, channels=3)
    assert large.images.shape == (120, 3, 16, 16)
    assert torch.equal(large.targets, small.targets)
    assert torch.equal(large.images[:, 0], large.images[:, 2])
    assert (large.images.double().mean((1, 2, 3)) - small.images.double().mean((1, 2, 3))).abs().max() < 6
    with pytest.raises(DataError, match="size"):
        load_set("digits", split="val", size=0)
    with pytest.raises(DataError, match="channels"):
        load_set("digits", split="val", channels=2)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_a_missing_set_says_where_it_was_looked_for_and_how_to_get_it(tmp_path, name):
    with pytest.raises(DataError) as caught:
        load_set(name, split="test", data_root=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert f"cnn data get {name}" in str(caught.value)


def test_data_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    write_mnist(tmp_path)
    assert len(load_set("mnist", split="test")) == 40


def test_one_missing_file_of_a_set(tmp_path):
    write_cifar(tmp_path)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    assert len(load_set("cifar10", split="test", data_root=tmp_path)) == 30
    with pytest.raises(DataError, match=r"data_batch_3\.bin"):
        load_set("cifar10", split="train", data_root=tmp_path)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean mnist"):
        load_set("mnits", split="test")
    with pytest.raises(UnknownNameError, match="split"):
        load_set("digits", split="training")
    with pytest.raises(DataError, match="there is no folder"):
        load_set("./no/such/folder", split="test")
    with pytest.raises(DataError, match="there is no folder ~nobody-here/photos"):
        load_set("~nobody-here/photos", split="test")


DAMAGE = {
    "shorter": (lambda data: data[:-5], "incomplete"),
    "longer": (lambda data: data + b"x", "incomplete"),
    "other magic": (lambda data: b"\x00\x00\x0d\x03" + data[4:], "not an IDX file"),
    "empty": (lambda data: b"", "nothing"),
    "header only": (lambda data: data[:6], "not an IDX file"),
    "huge": (lambda data: data[:4] + struct.pack(">3I", 2**31, 2**20, 2**20) + data[16:], "no set of this kind"),
    "zero": (lambda data: data[:4] + struct.pack(">3I", 0, 28, 28), "no set of this kind"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("zipped", [False, True])
def test_damaged_idx_is_refused(tmp_path, damage, zipped):
    change, words = DAMAGE[damage]
    data = change(idx(np.zeros((4, 28, 28), dtype=np.uint8)))
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(DataError, match=words) as caught:
        read_idx(path, ndim=3)
    assert str(path) in str(caught.value)


def test_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "images.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(idx(np.zeros((2, 28, 28), dtype=np.uint8)))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    with pytest.raises(DataError, match="holds more"):
        read_idx(path, ndim=3)


def test_broken_gzip(tmp_path):
    path = tmp_path / "images.gz"
    data = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)))
    for broken in (data[:-20], b"no gzip at all", data[:30] + bytes(20) + data[50:]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="delete it and get"):
            read_idx(path, ndim=3)


def test_labels_that_do_not_fit(tmp_path):
    arrays = write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    labels = arrays["t10k-labels-idx1-ubyte"].copy()
    labels[3] = 10
    path.write_bytes(idx(labels))
    with pytest.raises(DataError, match="record 3 has the label 10"):
        load_set("mnist", split="test", data_root=tmp_path)
    path.write_bytes(idx(labels[:-1]))
    with pytest.raises(DataError, match="39 labels"):
        load_set("mnist", split="test", data_root=tmp_path)


def test_damaged_cifar_is_refused(tmp_path):
    path = tmp_path / "test_batch.bin"
    record = bytes([3]) + bytes(3072)
    for content, words in (
        (b"", "got 0 bytes"),
        (record[:-1], "3,072 bytes"),
        (record + bytes([10]) + bytes(3072), "record 1"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=words):
            read_cifar(path)


def test_image_set_checks_itself():
    images, targets = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
    assert ImageSet("a", "test", ("x", "y"), images, targets).subset(np.array([1])).targets.tolist() == [1]
    for wrong in ((images.float(), targets), (images, targets.int()), (images, targets[:1]), (images, targets + 1)):
        with pytest.raises(DataError):
            ImageSet("a", "test", ("x", "y"), *wrong)


def test_table_is_complete():
    for name, line in DATA_SETS.items():
        assert name == line.name
        assert line.description
        assert line.licence
        assert line.how_to_get
        assert len(set(line.labels)) == len(line.labels) >= 2


OFFICIAL = {  # counts, and the first labels as published
    "mnist": ((60_000, [5, 0, 4, 1, 9]), (10_000, [7, 2, 1, 0, 4])),
    "fashion_mnist": ((60_000, [9, 0, 0, 3, 0]), (10_000, [9, 2, 1, 1, 6])),
    "cifar10": ((50_000, None), (10_000, None)),  # copies in another order exist
}


@pytest.mark.skipif(
    "CNN_DATA_DIR" not in os.environ, reason="CNN_DATA_DIR, the folder with the official sets, is not set"
)
@pytest.mark.parametrize("name", OFFICIAL)
def test_official_sets(name):
    folder = Path(os.environ["CNN_DATA_DIR"]) / DATA_SETS[name].folder
    if not folder.is_dir():
        pytest.skip(f"CNN_DATA_DIR holds no {name}")
    for split, (count, first) in zip(("train+val", "test"), OFFICIAL[name], strict=True):
        images = load_set(name, split=split)
        assert len(images) == count
        if first:
            assert images.targets[:5].tolist() == first
        else:
            assert torch.bincount(images.targets).tolist() == [count // 10] * 10
    if name == "mnist":
        started = time.process_time()
        load_set(name, split="train+val")
        assert time.process_time() - started < 0.5


def test_pictures_are_grey_or_in_colour():
    pictures = ImageSet("two", "test", ("a",), torch.zeros(1, 2, 4, 4, dtype=torch.uint8), torch.zeros(1).long())
    with pytest.raises(DataError, match="two: expected pictures with 1 or 3 channels, got 2"):
        _ = pictures.channels


def test_the_smallest_size_is_one_pixel() -> None:
    assert load_set("digits", split="test", size=1).size == (1, 1)
    with pytest.raises(DataError, match=r"size must be in 1\.\.4096 pixels, got 4097"):
        load_set("digits", split="test", size=4097)
