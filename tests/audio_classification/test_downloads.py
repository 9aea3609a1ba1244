"""Speech Commands and ESC-50: tiny archives of the official form, served from this machine."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from loopback import served

from audio_classification import DATA_SETS, download
from audio_classification.data import COMMANDS, ESC_CLASSES, load_sets
from cnn_core.cli import main
from cnn_core.data.published import contents_sha256
from cnn_core.errors import DataError


def wav(rate: int) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.full(rate // 100, 0.1), rate, format="WAV")
    return stream.getvalue()


def commands_archive(path: Path) -> None:
    """Members begin with ./ and lie in no common folder, as in the official archive."""
    files = {f"./{word}/{speaker}_nohash_0.wav": wav(16_000) for word in COMMANDS[:3] for speaker in ("a1", "b2", "c3")}
    files |= {
        "./validation_list.txt": b"bed/b2_nohash_0.wav\n",
        "./testing_list.txt": b"bed/c3_nohash_0.wav\nbird/c3_nohash_0.wav\n",
        "./_background_noise_/pink_noise.wav": wav(16_000),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def esc_archive(path: Path) -> None:
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(10):
            rows.append(f"{1 + i % 5}-{i}-A-{i % 2}.wav,{1 + i % 5},{i % 2},{ESC_CLASSES[i % 2]},False,{i},A")
            archive.writestr(f"ESC-50-master/audio/{rows[-1].split(',')[0]}", wav(44_100))
        archive.writestr("ESC-50-master/meta/esc50.csv", "\n".join(rows))


def digest(path: Path, kind: str) -> str:
    return hashlib.new(kind, path.read_bytes()).hexdigest()


def test_speech_commands_are_fetched_verified_and_divided_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "web" / "speech_commands_v0.02.tar.gz"
    archive.parent.mkdir()
    commands_archive(archive)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    with served(archive.parent) as address:
        monkeypatch.setattr(download, "COMMANDS_URL", f"{address}/{archive.name}")
        with pytest.raises(DataError, match="has another hash"):
            DATA_SETS["speech_commands"].fetch()
        assert not (tmp_path / "data" / "speech_commands_v0.02").exists()
        monkeypatch.setattr(download, "COMMANDS_SHA256", digest(archive, "sha256"))
        assert main(["data", "get", "speech_commands", "--quiet"]) == 0
    assert "speech_commands: 7 + 2 sounds in" in capsys.readouterr().out
    sets = load_sets("speech_commands", splits=["train", "val", "test"])
    assert {name: len(part) for name, part in sets.items()} == {"train": 6, "val": 1, "test": 2}
    assert sets["test"].files == ("bed/c3_nohash_0.wav", "bird/c3_nohash_0.wav")
    assert sets["val"].groups == ("b2",)  # speakers
    assert not list((tmp_path / "data").glob("*.gz"))


def test_esc50_comes_from_the_second_address_where_the_first_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = tmp_path / "web"
    web.mkdir()
    esc_archive(web / "good.zip")
    (web / "changed.zip").write_bytes(b"PK another archive")
    with served(web) as address:
        monkeypatch.setattr(download, "ESC_URLS", (f"{address}/changed.zip", f"{address}/good.zip"))
        monkeypatch.setattr(download, "ESC_MD5", digest(web / "good.zip", "md5"))
        said = DATA_SETS["esc50"].fetch(data_root=tmp_path / "data")
    assert "esc50: 8 + 2 sounds" in said
    for fold in range(5):
        sets = load_sets("esc50", splits=["train+val", "test"], fold=fold, data_root=tmp_path / "data")
        assert [name.split("-")[0] for name in sets["test"].files] == [f"audio/{fold + 1}"] * 2
        assert (len(sets["train+val"]), sets["test"].rate) == (8, 44_100)


def test_an_archive_of_another_form_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web").mkdir()
    with zipfile.ZipFile(tmp_path / "web" / "a.zip", "w") as archive:
        archive.writestr("other/x.txt", "x")
    with served(tmp_path / "web") as address:
        monkeypatch.setattr(download, "ESC_URLS", (f"{address}/a.zip",))
        monkeypatch.setattr(download, "ESC_MD5", digest(tmp_path / "web" / "a.zip", "md5"))
        with pytest.raises(DataError, match="holds no folder ESC-50-master"):
            DATA_SETS["esc50"].fetch(data_root=tmp_path / "data")
    assert not (tmp_path / "data" / "ESC-50").exists()


def digits_archive(path: Path, *, indices: range = range(7)) -> None:
    """A release as GitHub packs it: everything is in a folder with the name and version of the repository."""
    files = {f"recordings/{d}_{s}_{i}.wav": wav(8000) for d in (3, 7) for s in ("jackson", "theo") for i in indices}
    files |= {"README.md": b"# FSDD", "utils/trimmer.py": b"pass"}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"free-spoken-digit-dataset-1.0.10/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_spoken_digits_are_fetched_and_their_recordings_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web, data = tmp_path / "web", tmp_path / "data"
    web.mkdir()
    digits_archive(web / "v1.0.10.tar.gz")
    monkeypatch.setenv("CNN_DATA_DIR", str(data))
    with served(web) as address:
        monkeypatch.setattr(download, "DIGITS_URL", f"{address}/v1.0.10.tar.gz")
        assert main(["data", "get", "fsdd", "--quiet"]) == 1  # not the 3,000 published recordings
        assert "expected recordings/*.wav with the contents" in capsys.readouterr().err
        assert not (data / "fsdd").exists() and not list(data.glob("*.gz"))
        digits_archive(tmp_path / "same.tar.gz")
        with tarfile.open(tmp_path / "same.tar.gz") as archive:
            archive.extractall(tmp_path / "same", filter="data")
        (inside,) = (tmp_path / "same").iterdir()
        monkeypatch.setattr(download, "DIGITS_SHA256", contents_sha256(inside, "recordings/*.wav")[0])
        assert main(["data", "get", "fsdd", "--quiet"]) == 0
        assert capsys.readouterr().out == f"fsdd: 8 + 20 sounds in {data / 'fsdd'}\n"
        sets = load_sets("fsdd", splits=["train+val", "test"])
        assert {name: len(part) for name, part in sets.items()} == {"train+val": 8, "test": 20}
        assert sets["test"].rate == 8000 and set(sets["test"].groups) == {"jackson", "theo"}
        whole = (web / "v1.0.10.tar.gz").read_bytes()
        (web / "v1.0.10.tar.gz").write_bytes(whole[: len(whole) // 2])
        next(data.glob("*.tar.gz")).unlink()
        with pytest.raises(DataError, match="damaged"):
            DATA_SETS["fsdd"].fetch()
    assert len(load_sets("fsdd", splits=["test"])["test"]) == 20  # what was there stays
