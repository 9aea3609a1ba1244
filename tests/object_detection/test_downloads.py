"""BCCD: a tiny archive as GitHub packs it, served from this machine."""

import io
import zipfile
from pathlib import Path

import pytest
from loopback import served
from PIL import Image

from cnn_core.cli import main
from cnn_core.data.published import contents_sha256
from cnn_core.errors import DataError
from object_detection import DATA_SETS, download
from object_detection.data import load_sets

XML = """<annotation><filename>{0}.jpg</filename><size><width>40</width><height>30</height><depth>3</depth></size>
<object><name>RBC</name><bndbox><xmin>3</xmin><ymin>5</ymin><xmax>12</xmax><ymax>14</ymax></bndbox></object>
</annotation>"""
LISTS = {"train": (1, 2, 3), "val": (4,), "trainval": (1, 2, 3, 4), "test": (5, 6)}


def bccd_archive(path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 90, 120)).save(picture, "JPEG")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        root = "BCCD_Dataset-d272fb14/"
        archive.writestr(f"{root}LICENSE", "MIT")
        archive.writestr(f"{root}dataset/elsewhere.txt", "not BCCD")
        for number in range(1, 7):
            name = f"BloodImage_{number:05d}"
            archive.writestr(f"{root}BCCD/JPEGImages/{name}.jpg", picture.getvalue())
            archive.writestr(f"{root}BCCD/Annotations/{name}.xml", XML.format(name))
        for part, numbers in LISTS.items():
            lines = "\n".join(f"BloodImage_{number:05d}" for number in numbers)
            archive.writestr(f"{root}BCCD/ImageSets/Main/{part}.txt", lines + "\n")


def test_bccd_is_fetched_verified_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web, data = tmp_path / "web", tmp_path / "data"
    bccd_archive(web / "d272fb14.zip")
    monkeypatch.setenv("CNN_DATA_DIR", str(data))
    with served(web) as address:
        monkeypatch.setattr(download, "BCCD_URL", f"{address}/d272fb14.zip")
        assert main(["data", "get", "bccd", "--quiet"]) == 1  # not the 364 published pictures
        assert "got 16 files" in capsys.readouterr().err
        assert not (data / "BCCD").exists() and not list(data.glob("*.zip"))
        with zipfile.ZipFile(web / "d272fb14.zip") as archive:
            archive.extractall(tmp_path / "same")
        (inside,) = (tmp_path / "same").glob("*/BCCD")
        monkeypatch.setattr(download, "BCCD_SHA256", contents_sha256(inside, *download.BCCD_PARTS)[0])
        assert main(["data", "get", "bccd", "--quiet"]) == 0
        assert capsys.readouterr().out == f"bccd: 3 + 1 + 2 pictures in {data / 'BCCD'}\n"
    assert sorted(entry.name for entry in (data / "BCCD").iterdir()) == ["Annotations", "ImageSets", "JPEGImages"]
    sets, _ = load_sets("bccd", splits=("train", "val", "test"))
    assert {split: len(part) for split, part in sets.items()} == {"train": 3, "val": 1, "test": 2}
    assert sets["test"].truths[0].boxes.tolist() == [[2, 4, 12, 14]]
    assert DATA_SETS["bccd"].how_to_get == "cnn data get bccd"


def test_a_damaged_archive_is_refused_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bccd_archive(tmp_path / "web" / "a.zip")
    whole = (tmp_path / "web" / "a.zip").read_bytes()
    (tmp_path / "web" / "a.zip").write_bytes(whole[:-200])
    with served(tmp_path / "web") as address:
        monkeypatch.setattr(download, "BCCD_URL", f"{address}/a.zip")
        with pytest.raises(DataError, match="damaged"):
            DATA_SETS["bccd"].fetch(data_root=tmp_path / "data")
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [".lock"]
