"""The official tasks of the Medical Segmentation Decathlon, from the addresses and with the sums that MONAI holds."""

import shutil
from pathlib import Path

from cnn_core.data.archives import extract
from cnn_core.data.files import Progress, fetch
from cnn_core.errors import DataError, missing_package
from cnn_core.storage import folder_lock

MOST_FILES = 10_000
MOST_BYTES = 120 * 1024**3  # unpacked; the largest task has 30 GB packed
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
    fresh = root / f".{task}.new"
    with folder_lock(root, timeout=600):
        shutil.rmtree(fresh, ignore_errors=True)  # left by an interrupted run
        try:
            extract(archive, fresh, max_members=MOST_FILES, max_bytes=MOST_BYTES)
            if not (fresh / task / "dataset.json").is_file():
                raise DataError(f"{archive} holds no {task}/dataset.json; delete it and get the set again")
            shutil.rmtree(root / task, ignore_errors=True)
            (fresh / task).rename(root / task)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
