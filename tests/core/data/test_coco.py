"""COCO from a server of our own: parts that are fetched once, verified, unpacked, and refused when they are others."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from loopback import served
from PIL import Image

from cnn_core.data import coco
from cnn_core.errors import DataError
from image_captioning.data import DATA_SETS, load_sets


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny archives in the official layout, whose sums are put into the table."""
    root, parts = tmp_path / "server", {}
    Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "a.jpg")
    names = {"train2017": "000000000001.jpg", "val2017": "000000000002.jpg"}
    for part, (path, _) in coco.PARTS.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            if part == "annotations":
                for split, name in names.items():
                    listed = {"images": [{"id": 1, "file_name": name}]}
                    listed["annotations"] = [{"id": 7, "image_id": 1, "caption": "A red wall."}]
                    archive.writestr(f"annotations/captions_{split}.json", json.dumps(listed))
            else:
                archive.write(tmp_path / "a.jpg", f"{part}/{names[part]}")
        parts[part] = (path, hashlib.md5(file.read_bytes()).hexdigest())
    monkeypatch.setattr(coco, "PARTS", parts)
    return root


def test_all_parts_come_once_in_their_layout(archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(archives) as address:
        monkeypatch.setattr(coco, "ADDRESS", address)
        coco.get_coco(tmp_path / "data" / "coco")
    folder = tmp_path / "data" / "coco"
    assert sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")) == [
        "annotations", "train2017", "val2017",
    ]  # fmt: skip
    coco.get_coco(folder)  # the server is gone: nothing is asked for
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    tested = load_sets("coco_captions", splits=("test",), size=(16, 16))["test"]
    assert tested.captions == ((("a", "red", "wall"),),)
    assert DATA_SETS["coco_captions"].how_to_get == "cnn data get coco_captions"


def test_another_archive_is_refused_and_nothing_stays(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archives / coco.PARTS["annotations"][0]).write_bytes(b"something else")
    with served(archives) as address, pytest.raises(DataError, match=r"annotations_trainval2017\.zip"):
        monkeypatch.setattr(coco, "ADDRESS", address)
        coco.get_coco(tmp_path / "coco")
    assert not (tmp_path / "coco" / "annotations").exists()


def test_an_archive_without_its_folder_is_refused(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = coco.PARTS["val2017"]
    with zipfile.ZipFile(archives / path, "w") as archive:
        archive.writestr("elsewhere/a.txt", "x")
    sums = {**coco.PARTS, "val2017": (path, hashlib.md5((archives / path).read_bytes()).hexdigest())}
    monkeypatch.setattr(coco, "PARTS", sums)
    with served(archives) as address, pytest.raises(DataError, match="holds no folder val2017"):
        monkeypatch.setattr(coco, "ADDRESS", address)
        coco.get_coco(tmp_path / "coco")
    assert (tmp_path / "coco" / "annotations").is_dir() and not (tmp_path / "coco" / "val2017").exists()
