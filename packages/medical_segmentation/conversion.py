"""Sets of others in the layouts that are read here: TIFF slices, NumPy cubes and PNG slices of nodules.

What the sources do not document was inferred, and every description written here says so: their scales in Hounsfield
units, spacings of 1 mm, and axes.
"""

import csv
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cnn_core.data.tables import csv_text
from cnn_core.errors import DataError
from cnn_core.storage import write_text

SLICE = 512  # pixels along an edge, of which 2 x 2 become one
LUNG_CASES = 267
LUNG_SPLITS = {"train": range(187), "test": range(187, 240), "val": range(240, LUNG_CASES)}  # numbers of series
PRONE = (45, 49, 52, 66, 200, 214)  # series scanned face down: they are turned by half a turn
CUBE = (51, 51, 51)
CUBE_TABLE = Path(__file__).with_name("lidc_nodule.csv")  # nodule, split, ratings 1 to 5 of one radiologist
CUBE_UNITS = 1600  # HU of the window from -1200 to 400, which the source has as 0 to 1
NODULE_EDGE = 64  # pixels
NODULE_SLICES, NODULES = 5043, 882
# Of the exams in the order of their names: training, v validation, t test.
EXAMS = (
    "..t.t...v..v...v.....vt....t...tt...........vt.t.vv...t......v...t.....v.t....v.....v.......v...v.."
    "..t.v..tvv.v.vv.t.v..t...vt.v...t....t....t.v....t.v.v..tv..v.v...vt.t...t.....vv..vv......v..t.t.v"
    "tt.t....tv..t.....t.t.......v.....tt..v..t.t..v.....v.v....v......t.t....vv....t...vtvt..v..v......"
    "v......v......t.....v.t..vt.t..............tv.v.t.t.t.t..v.....vv.....vt...t....tt.......v.v..vv.vt"
    "..t..t............t..v...........vt.vt.tv..v...t....t.t....t.v.v.v.v.t..tt.....tt..v.tt......v...t"
)
PARTS = {".": "train", "v": "val", "t": "test"}
COLUMNS = ("file", "row", "exam_id", "nodule_id", "slice", "label", "malignancy", "diameter_mm", "split")


def write_lung_slices(source: Path, folder: Path) -> None:
    """Write 267 CT slices with lung masks in the layout of the Decathlon, with a splits.json.

    Pixels are halved by means of 2 x 2, and of a mask where at least two of the four are set. HU = 1.2 * value + 120
    was fitted to the values of air and padding, after a clip to -1000 .. 3071.

    Args:
        source: folder with `ID_<series>_Z_<slice>.tif` in folders 2d_images and 2d_masks, however deep.
        folder: an empty one.

    Raises:
        DataError: slices are missing, damaged or of another size.
    """
    images, masks = (_series(source, kind) for kind in ("2d_images", "2d_masks"))
    lost = [f"ID_{number:04d}" for number in range(LUNG_CASES) if number not in images or number not in masks]
    if lost:
        raise DataError(
            f"expected {LUNG_CASES} slices ID_0000 to ID_{LUNG_CASES - 1:04d} in 2d_images, each with its mask in "
            f"2d_masks; {len(lost)} of them are missing ({', '.join(lost[:3])} ...)"
        )
    for number in range(LUNG_CASES):
        values = _halves(np.clip(_tiff(images[number]), -1000, 3071)).mean(axis=(1, 3))
        covered = _halves(_tiff(masks[number]) > 0).sum(axis=(1, 3)) >= 2
        turned = [np.rot90(array, 2 if number in PRONE else 0) for array in (np.rint(values), covered)]
        hu = np.rint(1.2 * turned[0] + 120).astype(np.int16)
        _write_case(folder, _lung(number), hu[:, :, None], turned[1][:, :, None])
    _describe(
        folder, {part: [_lung(number) for number in numbers] for part, numbers in LUNG_SPLITS.items()},
        name="LungCT2D", labels=("background", "lung"), licence="unknown; research use only",
        reference="https://www.kaggle.com/datasets/kmader/finding-lungs-in-ct-data",
        description=f"{LUNG_CASES} chest CT slices with manual lung masks, from Finding and Measuring Lungs in CT Data "
        "(K. Mader, Kaggle); lung_196 is ID_0196. Inferred, not documented: spacing (1 mm is a stand-in) and HU scale "
        "(1.2 v + 120, lowest value -1080). Wrong masks in the source: lung_052, lung_134 and lung_254 include the air "
        "around the body.",
    )  # fmt: skip


def write_cubes(source: Path, folder: Path) -> None:
    """Write 134 nodule cubes with masks in the layout of the Decathlon, and labels.csv with their ratings.

    Args:
        source: folder with images/<nodule>.npy (0 to 1) and masks/<nodule>.npy.
        folder: an empty one.

    Raises:
        DataError: cubes are missing, damaged or of another size.
    """
    with CUBE_TABLE.open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    rows: list[dict[str, Any]] = []
    for row in table:
        image, mask = (_array(source / kind / f"{row['case']}.npy") for kind in ("images", "masks"))
        if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
            raise DataError(f"images/{row['case']}.npy: expected values from 0 to 1, got others")
        hu = np.rint(image * CUBE_UNITS).astype(np.int16) - np.int16(1200)
        _write_case(folder, row["case"], hu, mask != 0)
        splits[row["split"]].append(row["case"])
        rating = int(row["malignancy"])
        known: dict[str, Any] = {
            "case": row["case"],
            "patient_index": row["case"].partition("_")[0],
            "split": row["split"],
            "class3": ("benign", "indeterminate", "malignant")[(rating > 2) + (rating > 3)],
        }
        rows.append({**known, **row, "mask_voxels": int((mask != 0).sum())})
    _write_table(folder / "labels.csv", tuple(rows[0]), rows)
    _describe(
        folder, splits, name="LIDCNodule", labels=("background", "nodule"), licence="CC BY 3.0 (LIDC-IDRI; inferred)",
        reference="https://github.com/franciscapessanha/Pulmonary-nodules-analysis",
        description="134 CT cubes around a lung nodule, with the contour and the ratings of one radiologist, very "
        "likely from LIDC-IDRI (doi 10.7937/K9/TCIA.2015.LO9QL9SX). Inferred, not documented: spacing (1 mm), HU scale "
        "(clipped to -1200 .. 400) and axes (from the anatomy).",
    )  # fmt: skip


def write_nodule_slices(source: Path, folder: Path) -> None:
    """Copy the slices of cut-out nodules to `<split>/<benign or malignant>`, and write index.csv.

    Args:
        source: folder with images/{benigno,maligno}/<exam>/<nodule>/<number>.png and features/radiomics/
            solidNodules.csv, which has malignancy and diameter of each nodule.
        folder: an empty one.

    Raises:
        DataError: slices are missing, damaged or of another size.
    """
    table = source / "features" / "radiomics" / "solidNodules.csv"
    with _sentences(table):
        with table.open(newline="", encoding="utf-8") as stream:
            nodules = [
                (row["exam_id"], row["nodule_id"], int(row["malignancy"]), row["diameter_mm"])
                for row in csv.DictReader(stream)
            ]
        exams = sorted({exam for exam, *_ in nodules})
        if len(exams) != len(EXAMS) or len(nodules) != NODULES:
            raise DataError(
                f"{table.name}: expected {NODULES} nodules of {len(EXAMS)} exams, got {len(nodules)} of {len(exams)}"
            )
        rows: list[dict[str, Any]] = []
        for exam, nodule, malignancy, diameter in nodules:
            if not re.fullmatch(r"[\w -]+", exam + nodule):
                raise DataError(f"{table.name}: expected names of letters and digits, got {exam!r} and {nodule!r}")
            label = int(malignancy > 3)
            part = PARTS[EXAMS[exams.index(exam)]]
            pictures = source / "images" / ("benigno", "maligno")[label] / exam / nodule
            for file in sorted(pictures.glob("*.png"), key=lambda file: int(file.stem)):
                name = f"{part}/{('benign', 'malignant')[label]}/{exam}_{nodule}_{file.stem}.png"
                _copy_slice(file, folder / name)
                values = (name, len(rows), exam, nodule, file.stem, label, malignancy, diameter, part)
                rows.append(dict(zip(COLUMNS, values, strict=True)))
    if len(rows) != NODULE_SLICES or len({(row["exam_id"], row["nodule_id"]) for row in rows}) != NODULES:
        raise DataError(f"expected {NODULE_SLICES:,} slices of {NODULES} nodules in data/images, got {len(rows):,}")
    _write_table(folder / "index.csv", COLUMNS, rows)


def _lung(number: int) -> str:
    return f"lung_{number:03d}"


def _series(source: Path, kind: str) -> dict[int, Path]:
    """Return number of series -> file, of the pictures below a folder of this name."""
    files = (file for file in sorted(source.rglob("*.tif")) if kind in file.relative_to(source).parts)
    found = ((re.fullmatch(r"ID_(\d{4})_Z_\d{4}", file.stem), file) for file in files)
    return {int(match[1]): file for match, file in found if match}


def _tiff(file: Path) -> np.ndarray:
    from PIL import Image

    with _sentences(file), Image.open(file, formats=("TIFF",)) as picture:
        if picture.size != (SLICE, SLICE) or len(picture.getbands()) != 1:
            raise DataError(f"{file.name}: expected {SLICE} x {SLICE} pixels of one channel, got {picture.size}")
        return np.asarray(picture)


def _array(file: Path) -> np.ndarray:
    with _sentences(file):
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        if array.shape != CUBE or array.dtype.kind not in "fiub":
            raise DataError(f"{file.name}: expected numbers {list(CUBE)}, got {array.dtype} {list(array.shape)}")
        return np.array(array, dtype=np.float64)


def _copy_slice(file: Path, target: Path) -> None:
    from PIL import Image

    with _sentences(file), Image.open(file, formats=("PNG",)) as picture:
        if picture.size != (NODULE_EDGE, NODULE_EDGE):
            raise DataError(f"{file.name}: expected {NODULE_EDGE} x {NODULE_EDGE} pixels, got {picture.size}")
        picture.load()
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


@contextmanager
def _sentences(file: Path) -> Iterator[None]:
    """Turn what the readers raise on a missing or damaged file into DataError."""
    try:
        yield
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, EOFError, SyntaxError, csv.Error) as error:
        raise DataError(f"{file.parent.name}/{file.name} is missing or damaged ({error})") from error


def _halves(array: np.ndarray) -> np.ndarray:
    """Return [H, W] as [H / 2, 2, W / 2, 2]."""
    height, width = array.shape
    return array.reshape(height // 2, 2, width // 2, 2)


def _write_case(folder: Path, case: str, image: np.ndarray, mask: np.ndarray) -> None:
    """Save voxels [row front to back, column from the patient's right, slice head to feet] as RAS, 1 mm apart."""
    import nibabel as nib

    for part, voxels in (("imagesTr", image), ("labelsTr", mask.astype(np.uint8))):
        nifti = nib.Nifti1Image(voxels[::-1, ::-1, ::-1].transpose(1, 0, 2), np.eye(4))
        nifti.header.set_xyzt_units("mm")
        nifti.set_qform(np.eye(4), 1)
        (folder / part).mkdir(exist_ok=True)
        nib.save(nifti, folder / part / f"{case}.nii.gz")


def _describe(folder: Path, splits: Mapping[str, list[str]], *, labels: Sequence[str], **about: str) -> None:
    """Write dataset.json, in which all cases are training because all have a mask, and splits.json."""
    cases = sorted(case for part in splits.values() for case in part)
    description = {
        **about, "release": "1.0", "tensorImageSize": "3D", "modality": {"0": "CT"},
        "labels": {str(number): label for number, label in enumerate(labels)}, "numTraining": len(cases), "numTest": 0,
        "training": [{"image": f"./imagesTr/{c}.nii.gz", "label": f"./labelsTr/{c}.nii.gz"} for c in cases], "test": [],
    }  # fmt: skip
    write_text(folder / "splits.json", json.dumps({part: splits[part] for part in ("train", "val", "test")}, indent=1))
    write_text(folder / "dataset.json", json.dumps(description, indent=1))


def _write_table(file: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(file, csv_text([columns, *([row[column] for column in columns] for row in rows)]))
