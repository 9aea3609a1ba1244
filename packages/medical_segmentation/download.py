"""Download the published sets into the data root, and bring them into the layouts that are read here.

The tasks of the Medical Segmentation Decathlon have the addresses and sums that MONAI holds. Slices and cubes of
nodules come from two repositories on GitHub, which gives no sums of archives: numbers, sizes and ranges are checked.
The lungs are on Kaggle, which wants a login.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from cnn_core.data.archives import extract
from cnn_core.data.files import Progress, fetch
from cnn_core.data.published import fetched, put_in_place, replacing, unpack_part
from cnn_core.errors import DataError, missing_package
from medical_segmentation.conversion import write_cubes, write_lung_slices, write_nodule_slices

MOST_FILES = 10_000
MOST_BYTES = 120 * 1024**3  # unpacked; the largest task has 30 GB packed
KAGGLE = "https://www.kaggle.com/datasets/kmader/finding-lungs-in-ct-data"
LUNGS = "finding-lungs-in-ct-data.zip"
LUNG_PARTS = ("2d_images.zip", "2d_masks.zip")  # what Kaggle gives of single files
CUBES = "https://github.com/franciscapessanha/Pulmonary-nodules-analysis/archive/0c693b4acebc81c5bb7f627041345e8062807893.zip"
SLICES = "https://github.com/MaximoDouglas/pulmonary-nodule-classification/archive/12e9a2631daa74c6b937c58a5106cb35c55a8527.zip"
SOURCE = ".source"  # what an archive holds, while it is converted
REPOSITORY_FILES, REPOSITORY_BYTES = 50_000, 8 * 1024**3  # at most
LIDC = (
    "the scans that it was cut from are LIDC-IDRI at https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX (Download, with the "
    "NBIA Data Retriever)"
)
# Scans of one channel: brain tumours (four) and the prostate (two) are left out.
TASKS = {
    "task02_heart": ("Task02_Heart", "left atrium, MR, 20 labelled scans"),
    "task03_liver": ("Task03_Liver", "liver and tumours, CT, 131"),
    "task04_hippocampus": ("Task04_Hippocampus", "hippocampus, MR, 260 small ones"),
    "task06_lung": ("Task06_Lung", "lung tumours, CT, 63"),
    "task07_pancreas": ("Task07_Pancreas", "pancreas and tumours, CT, 281"),
    "task08_hepaticvessel": ("Task08_HepaticVessel", "vessels and tumours of the liver, CT, 303"),
    "task09_spleen": ("Task09_Spleen", "spleen, CT, 41"),
    "task10_colon": ("Task10_Colon", "colon cancer, CT, 126"),
}


def get_task(folder: Path, progress: Progress | None = None) -> None:
    """Download, verify and unpack one task (several gigabytes) to `folder`, which has its name.

    Args:
        folder: such as "Task09_Spleen" in the data root.
        progress: as in `fetch`.

    Raises:
        CnnError: MONAI is not installed.
        DataError: the download failed, or is not the official archive.
        StorageError: it cannot be written.
    """
    try:
        from monai.apps import DecathlonDataset
    except ImportError as error:
        raise missing_package("monai") from error  # whose table holds the addresses
    root, task = folder.parent, folder.name
    address, md5 = DecathlonDataset.resource[task], DecathlonDataset.md5[task]
    archive = fetch(address, name=f"{task}.tar", folder=root, md5=md5, progress=progress)

    def described(place: Path) -> None:
        if not (place / "dataset.json").is_file():
            raise DataError(f"{archive} holds no {task}/dataset.json; delete it and get the set again")

    put_in_place(archive, folder, inside=task, check=described, max_members=MOST_FILES, max_bytes=MOST_BYTES)


def get_lung_ct(folder: Path, progress: Progress | None = None) -> None:
    """Convert the slices of Kaggle's archive, which lies in the folder above, to `folder`.

    Args:
        folder: usually "LungCT2D" in the data root.
        progress: not used, nothing is downloaded.

    Raises:
        DataError: the archive is not there: says what to click and where to put it; or it is damaged or another one.
        StorageError: it cannot be written.
    """
    root = folder.parent
    whole, parts = root / LUNGS, [root / name for name in LUNG_PARTS]
    archives = [whole] if whole.is_file() else parts
    if not all(archive.is_file() for archive in archives):
        raise DataError(
            f"lung_ct cannot be downloaded by command, since Kaggle wants a login: sign in at {KAGGLE}, click Download "
            f"and then Download dataset as zip, put the file as {whole}, and repeat `cnn data get lung_ct`; instead of "
            f"it, {' and '.join(LUNG_PARTS)} of the Data Explorer there will do, put into the same folder"
        )
    with replacing(folder) as fresh:
        source = fresh / SOURCE
        for archive in archives:
            place = source / ("" if archive is whole else archive.stem)
            extract(archive, place, max_members=MOST_FILES, max_bytes=MOST_BYTES)
        for inner in sorted(source.rglob("2d_*.zip")):  # older archives hold archives
            extract(inner, inner.with_name(f"{inner.stem}.zip.d") / inner.stem, max_members=MOST_FILES)
        _convert(write_lung_slices, fresh, " and ".join(map(str, archives)))


def get_nodule_cubes(folder: Path, progress: Progress | None = None) -> None:
    """Download 134 nodule cubes and write them to `folder` in the layout of the Decathlon.

    Raises:
        DataError: the download failed, which says where the original scans are, or the archive does not hold the set.
        StorageError: it cannot be written.
    """
    _from_github(CUBES, folder, progress, inside="*", write=write_cubes)


def get_nodule_slices(folder: Path, progress: Progress | None = None) -> None:
    """Download 5,043 slices of nodules and write them to `folder` with their table; errors as `get_nodule_cubes`."""
    _from_github(SLICES, folder, progress, inside="*/data", write=write_nodule_slices)


def _from_github(
    address: str, folder: Path, progress: Progress | None, *, inside: str, write: Callable[[Path, Path], None]
) -> None:
    name = f"{address.split('/')[4]}.zip"
    try:
        with (
            fetched(address, name=name, folder=folder.parent, progress=progress) as archive,
            replacing(folder) as fresh,
        ):
            unpack_part(
                archive, fresh / SOURCE, inside=inside, max_members=REPOSITORY_FILES, max_bytes=REPOSITORY_BYTES
            )
            _convert(write, fresh, str(archive))
    except DataError as error:
        raise DataError(f"{error}; {LIDC}") from error


def _convert(write: Callable[[Path, Path], None], folder: Path, archive: str) -> None:
    """Write a set to a folder from what its archive had, which lies in it and is removed."""
    try:
        write(folder / SOURCE, folder)
    except DataError as error:
        raise DataError(f"{archive} does not hold the set as published: {error}; get it again") from error
    shutil.rmtree(folder / SOURCE)
