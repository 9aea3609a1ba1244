"""Lungs and nodules: tiny archives of the official forms, converted and read; a set that nobody publishes."""

import csv
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from loopback import served
from PIL import Image

from cnn_core.cli import main
from cnn_core.errors import DataError
from medical_segmentation import DATA_SETS, conversion, download
from medical_segmentation.data import load_set
from medical_segmentation.nodules import NoduleContract, load_nodules

EDGE = 8


def encoded(array: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return stream.getvalue()


def lung_slice(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Body at 0 with air in its upper left, padding, and one pixel above; the mask is 0 or 255, as on Kaggle."""
    image = np.zeros((EDGE, EDGE), np.int32)
    image[:4, :4] = -900 - number
    image[6:, 6:] = -2619
    image[0, 7] = 5000
    mask = np.zeros((EDGE, EDGE), np.uint8)
    mask[:4, :4] = 255
    mask[4, :3] = 255  # 2 of 4 pixels are set, then 1 of 4
    return image, mask


def lung_files(count: int) -> dict[str, bytes]:
    files = {}
    for number in range(count):
        image, mask = lung_slice(number)
        name = f"ID_{number:04d}_Z_{60 + number:04d}.tif"
        files |= {f"2d_images/{name}": encoded(image, "TIFF"), f"2d_masks/{name}": encoded(mask, "TIFF")}
    return files


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def lungs(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root, with the numbers of a set of 6 slices."""
    monkeypatch.setattr(conversion, "SLICE", EDGE)
    monkeypatch.setattr(conversion, "LUNG_CASES", 6)
    splits = {"train": range(3), "test": range(3, 5), "val": range(5, 6)}
    monkeypatch.setattr(conversion, "LUNG_SPLITS", splits)
    monkeypatch.setattr(conversion, "PRONE", (4,))
    return data


def test_the_splits_and_names_of_the_whole_sets() -> None:
    assert {part: len(numbers) for part, numbers in conversion.LUNG_SPLITS.items()} == {
        "train": 187, "test": 53, "val": 27,
    }  # fmt: skip
    assert [conversion.EXAMS.count(sign) for sign in ".vt"] == [346, 74, 74]
    with conversion.CUBE_TABLE.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [sum(row["split"] == part for row in rows) for part in ("train", "val", "test")] == [94, 20, 20]
    assert [sum(row["malignancy"] == str(k) for row in rows) for k in range(1, 6)] == [2, 24, 41, 39, 28]


def test_without_kaggles_archive_it_is_said_what_to_click_and_where_to_put_it(
    lungs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lungs / "2d_images.zip").write_bytes(b"its masks are missing")
    assert main(["data", "get", "lung_ct"]) == 1
    said = capsys.readouterr().err
    for words in (
        "https://www.kaggle.com/datasets/kmader/finding-lungs-in-ct-data", "sign in", "click Download",
        f"put the file as {lungs / 'finding-lungs-in-ct-data.zip'}", "repeat `cnn data get lung_ct`",
        "2d_images.zip and 2d_masks.zip",
    ):  # fmt: skip
        assert words in said
    assert not (lungs / "LungCT2D").exists()


@pytest.mark.parametrize("form", ["whole", "twice in a folder", "parts", "archives in an archive"])
def test_kaggles_archive_becomes_slices_in_hounsfield_units(
    lungs: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = lung_files(6)
    parts = {kind: {n: b for n, b in files.items() if n.startswith(kind)} for kind in ("2d_images", "2d_masks")}
    whole = lungs / "finding-lungs-in-ct-data.zip"
    if form == "parts":
        for kind, some in parts.items():
            zipped(lungs / f"{kind}.zip", {Path(name).name: body for name, body in some.items()})
    elif form == "archives in an archive":
        packed = {kind: zipped(lungs.parent / f"{kind}.zip", some) for kind, some in parts.items()}
        zipped(whole, {f"{kind}.zip": file.read_bytes() for kind, file in packed.items()})
    else:
        twice = form != "whole"
        zipped(
            whole, {f"{n.split('/')[0]}/{n}" if twice else n: b for n, b in files.items()} | {"lung_stats.csv": b"x"}
        )
    assert main(["data", "get", "lung_ct", "--quiet"]) == 0
    assert capsys.readouterr().out == f"lung_ct: 3 + 1 + 2 scans in {lungs / 'LungCT2D'}\n"
    folder = lungs / "LungCT2D"
    assert sorted(entry.name for entry in folder.iterdir()) == ["dataset.json", "imagesTr", "labelsTr", "splits.json"]
    found = load_set("lung_ct")
    assert {part: found.splits[part] for part in ("train", "val", "test")} == {
        "train": ("lung_000", "lung_001", "lung_002"), "val": ("lung_005",), "test": ("lung_003", "lung_004"),
    }  # fmt: skip
    assert found.labels == ("background", "lung")
    upright, prone = (nib.load(folder / "imagesTr" / f"lung_00{k}.nii.gz") for k in (3, 4))
    # rows front to back and columns from the patient's right become RAS: the air is front (last Y), right (last X)
    image = np.asarray(upright.dataobj)[..., 0]
    assert image.shape == (4, 4) and image.dtype == np.int16 and np.array_equal(upright.affine, np.eye(4))
    assert image[3, 3] == round(1.2 * -903 + 120) == -964
    assert image[0, 0] == round(1.2 * -1000 + 120) == -1080  # padding is clipped
    assert image[0, 3] == round(1.2 * 768 + 120) == 1042  # a quarter of 3071 is 767.75
    assert image[1, 1] == 120
    label = np.asarray(nib.load(folder / "labelsTr" / "lung_003.nii.gz").dataobj)[..., 0]
    assert label[::-1, ::-1].T.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert np.asarray(prone.dataobj)[0, 0, 0] == round(1.2 * -904 + 120)


def test_archives_of_kaggle_that_are_damaged_or_lack_slices_are_refused_and_stay(lungs: Path) -> None:
    archive = zipped(lungs / "finding-lungs-in-ct-data.zip", lung_files(5))
    with pytest.raises(DataError, match=r"1 of them are missing \(ID_0005"):
        DATA_SETS["lung_ct"].fetch()
    files = lung_files(6)
    zipped(archive, files | {"2d_masks/ID_0002_Z_0062.tif": b"no picture"})
    with pytest.raises(DataError, match=r"2d_masks/ID_0002_Z_0062\.tif is missing or damaged"):
        DATA_SETS["lung_ct"].fetch()
    zipped(archive, files | {"2d_images/ID_0002_Z_0062.tif": encoded(np.zeros((4, 4), np.int32), "TIFF")})
    with pytest.raises(DataError, match="expected 8 x 8 pixels"):
        DATA_SETS["lung_ct"].fetch()
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(DataError, match="damaged"):
        DATA_SETS["lung_ct"].fetch()
    assert sorted(entry.name for entry in lungs.iterdir()) == [".lock", archive.name]


# ---- nodules on GitHub


def array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


CASES = ("0_nod1_ann0", "2_nod3_ann0", "3_nod1_ann0", "5_nod2_ann0", "9_nod2_ann0", "12_nod2_ann0")


def cube_files() -> dict[str, bytes]:
    files = {"README.md": b"x", "ground_truth.xls": b"x", "2D_segmentation.py": b"x"}
    for number, case in enumerate(CASES):
        image = np.full((5, 5, 5), 0.25)
        image[0, 1, 2] = 1 - number / 1600
        mask = np.zeros((5, 5, 5))
        mask[2, 2, : 1 + number % 3] = 1.0
        files |= {f"images/{case}.npy": array(image), f"masks/{case}.npy": array(mask)}
    return {f"Pulmonary-nodules-analysis-0c693b4/{name}": body for name, body in files.items()}


@pytest.fixture
def cubes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(conversion, "CUBE", (5, 5, 5))
    table = tmp_path / "table.csv"
    rows = [f"{case},{'train' if k < 2 else 'val' if k < 4 else 'test'},{2 + 2 * (k % 2)},5,5,5,3,3,3"
            for k, case in enumerate(CASES)]  # fmt: skip
    head = "case,split,malignancy,texture,subtlety,sphericity,margin,lobulation,spiculation"
    table.write_text("\n".join([head, *rows]) + "\n")
    monkeypatch.setattr(conversion, "CUBE_TABLE", table)
    return data


WEB = "franciscapessanha/Pulmonary-nodules-analysis/archive/0c693b4.zip"


def test_nodule_cubes_are_fetched_and_become_scans_and_a_table(
    cubes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped(tmp_path / "web" / WEB, cube_files())
    with served(tmp_path / "web") as address:
        monkeypatch.setattr(download, "CUBES", f"{address}/{WEB}")
        assert DATA_SETS["lidc_nodule"].fetch() == f"lidc_nodule: 2 + 2 + 2 scans in {cubes / 'LIDCNodule'}"
    found = load_set("lidc_nodule")
    assert found.splits["test"] == CASES[4:] and found.labels == ("background", "nodule")
    voxels = np.asarray(nib.load(cubes / "LIDCNodule" / "imagesTr" / f"{CASES[1]}.nii.gz").dataobj)
    assert voxels.dtype == np.int16 and voxels[0, 0, 0] == 400 - 1200
    assert voxels[4 - 1, 4 - 0, 4 - 2] == 1599 - 1200  # row 0, column 1, slice 2
    with (cubes / "LIDCNodule" / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class3"] for row in rows[:2]] == ["benign", "malignant"]
    assert [row["mask_voxels"] for row in rows[:4]] == ["1", "2", "3", "1"] and rows[1]["patient_index"] == "2"
    contract = NoduleContract(3, (4, 4, 4), low=-1200.0, high=400.0, mean=0.0, std=1.0)
    assert load_nodules("lidc_nodule", contract, splits=["test"])["test"].targets.tolist() == [0, 1]


def test_cubes_of_another_form_are_refused_and_the_original_is_named(
    cubes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"Pulmonary-nodules-analysis-0c693b4/images/{CASES[1]}.npy"
    objects = io.BytesIO()
    np.save(objects, np.array([{}] * 125, dtype=object).reshape(5, 5, 5), allow_pickle=True)
    for body, words in (
        (array(np.zeros((5, 5))), r"expected numbers \[5, 5, 5\]"),
        (array(np.full((5, 5, 5), 2.0)), "values from 0 to 1"),
        (objects.getvalue(), "damaged"), (b"", "damaged"),
    ):  # fmt: skip
        zipped(tmp_path / "web" / WEB, cube_files() | {name: body})
        with served(tmp_path / "web") as address:
            monkeypatch.setattr(download, "CUBES", f"{address}/{WEB}")
            with pytest.raises(DataError, match=rf"{words}.*10\.7937/K9/TCIA\.2015\.LO9QL9SX \(Download"):
                DATA_SETS["lidc_nodule"].fetch()
        assert [entry.name for entry in cubes.iterdir()] == [".lock"]  # the archive is gone, too


NODULES = (("aa1", "8", 2), ("aa1", "Nodule 001", 5), ("bb2", "0", 1), ("cc3", "IL057_1", 4), ("cc3", "1", 1),
           ("dd4", "2", 4), ("dd4", "3", 2))  # fmt: skip


def slice_files(*, edge: int = 64) -> dict[str, bytes]:
    lines = ["exam_id,nodule_id,energy_N,diameter_mm,malignancy,class"]
    files = {"code/main.py": b"x"}
    for k, (exam, nodule, rating) in enumerate(NODULES):
        kind = "maligno" if rating > 3 else "benigno"
        lines.append(f"{exam},{nodule},0.5,{5 + k},{rating},{'MALIGNANT' if rating > 3 else 'BENIGN'}")
        for number in (0, 1, 10):
            picture = encoded(np.full((edge, edge), 10 * k + number, np.uint8), "PNG")
            files[f"data/images/{kind}/{exam}/{nodule}/{number}.png"] = picture
    files["data/features/radiomics/solidNodules.csv"] = "\n".join(lines).encode()
    return {f"pulmonary-nodule-classification-12e9a26/{name}": body for name, body in files.items()}


SLICES_WEB = "MaximoDouglas/pulmonary-nodule-classification/archive/12e9a26.zip"


def test_nodule_slices_are_fetched_divided_by_exam_and_refused_where_some_are_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("EXAMS", ".vt."), ("NODULES", 7), ("NODULE_SLICES", 21)):
        monkeypatch.setattr(conversion, name, value)
    archive = tmp_path / "web" / SLICES_WEB
    with served(tmp_path / "web") as address:
        monkeypatch.setattr(download, "SLICES", f"{address}/{SLICES_WEB}")
        files = slice_files()
        lost = next(name for name in files if name.endswith("10.png"))
        zipped(archive, {name: body for name, body in files.items() if name != lost})
        with pytest.raises(DataError, match="expected 21 slices of 7 nodules in data/images, got 20"):
            DATA_SETS["nodule_slices"].fetch()
        zipped(archive, slice_files(edge=32))
        with pytest.raises(DataError, match="expected 64 x 64 pixels"):
            DATA_SETS["nodule_slices"].fetch()
        zipped(archive, files)
        folder = data / "LIDCNoduleSlices"
        assert DATA_SETS["nodule_slices"].fetch() == (
            f"nodule_slices: 12 + 3 + 6 slices of 7 nodules in {folder}"
        )  # fmt: skip
    with (folder / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["slice"] for row in rows[:3]] == ["0", "1", "10"]  # as numbers
    assert rows[3]["file"] == "train/malignant/aa1_Nodule 001_0.png" and rows[3]["diameter_mm"] == "6"
    contract = NoduleContract(2, (64, 64), low=0.0, high=255.0, mean=0.0, std=1.0)
    sets = load_nodules("nodule_slices", contract, splits=["train", "test"])
    assert sets["train"].exams == ("aa1", "aa1", "dd4", "dd4") and sets["train"].targets.tolist() == [0, 1, 1, 0]
    assert sets["test"].pictures[:, 0, 0, 0].tolist() == [30, 31, 40, 40, 41, 50]
    (folder / rows[0]["file"]).unlink()
    with pytest.raises(DataError, match=r"1 of 21 slices of index\.csv are missing"):
        DATA_SETS["nodule_slices"].count(folder)


def test_a_set_that_is_not_published_says_why_and_what_there_is(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "get", "thorax-slices"]) == 1
    said = capsys.readouterr().err
    for words in ("are not published", "https://www.kaggle.com/datasets/kmader/siim-medical-images", "dicom_dir",
                  "`cnn train lung-ct`", str(data / "ThoraxSlices")):  # fmt: skip
        assert words in said
    with pytest.raises(DataError, match="are not published"):
        load_set("thorax_slices")
    assert DATA_SETS["thorax_slices"].how_to_get == "not published; cnn data get thorax_slices says why"


@pytest.mark.parametrize("whole", [True, False])
def test_a_task_of_the_decathlon_is_fetched_checked_and_unpacked(
    whole: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official archives have one folder of the task's name, and leave hidden files of a Mac beside its files."""
    apps = pytest.importorskip("monai.apps")
    (tmp_path / "web").mkdir()
    with tarfile.open(tmp_path / "web" / "task.tar", "w") as archive:
        names = ("dataset.json",) if whole else ()
        for name in (*names, "imagesTr/spleen_2.nii.gz", "imagesTr/._spleen_2.nii.gz"):
            entry = tarfile.TarInfo(f"Task09_Spleen/{name}")
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"{}"))
    digest = hashlib.md5((tmp_path / "web" / "task.tar").read_bytes(), usedforsecurity=False).hexdigest()
    folder = data / "Task09_Spleen"
    with served(tmp_path / "web") as address:
        monkeypatch.setitem(apps.DecathlonDataset.resource, "Task09_Spleen", f"{address}/task.tar")
        monkeypatch.setitem(apps.DecathlonDataset.md5, "Task09_Spleen", digest)
        if whole:
            download.get_task(folder)
            assert (folder / "imagesTr" / "spleen_2.nii.gz").read_bytes() == b"{}"
        else:
            with pytest.raises(
                DataError, match=r"holds no Task09_Spleen/dataset.json; delete it and get the set again"
            ):
                download.get_task(folder)
            assert not folder.exists()
