"""Download published sets into the data root.

PASCAL VOC (Everingham et al. 2010): its publisher's archives, with the MD5 sums that torchvision holds. BCCD: GitHub
packs it anew now and then, so that what is in the archive has a sum, not the archive. COCO's archives are those of
`cnn_core.data.coco`.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from cnn_core.data.archives import extract
from cnn_core.data.files import Progress, fetch
from cnn_core.data.published import check_contents, fetched, put_in_place
from cnn_core.errors import DataError
from cnn_core.storage import folder_lock, storage_errors

ADDRESS = "https://thor.robots.ox.ac.uk/pascal/VOC"
KIT = "VOCdevkit"  # the folder in every archive
PARTS = {  # list of pictures that comes with an archive -> path of the archive, MD5
    "VOC2007/ImageSets/Main/trainval.txt": (
        "voc2007/VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64",
    ),
    "VOC2007/ImageSets/Main/test.txt": ("voc2007/VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f"),
    "VOC2012/ImageSets/Main/trainval.txt": (
        "voc2012/VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd",
    ),
}  # fmt: skip
BCCD_URL = "https://github.com/Shenggan/BCCD_Dataset/archive/d272fb14cdff6e473fafeeeba32aba5f560e9e43.zip"
BCCD_SHA256 = "b232d4c19c6b7272316b5c479c2c978e51fa5b15da372efce465521818b8c76d"  # of 364 pictures, 364 XML, 4 lists
BCCD_PARTS = ("JPEGImages/*.jpg", "Annotations/*.xml", "ImageSets/Main/*.txt")
MOST_FILES, MOST_BYTES = 10_000, 256 * 1024**2  # unpacked it has 9 MB


def get_bccd(folder: Path, progress: Progress | None = None) -> None:
    """Download BCCD, in the layout of PASCAL VOC, and unpack it to `folder`.

    Raises:
        DataError: the download failed, or the archive does not hold the set; it is removed then.
        StorageError: it cannot be written.
    """
    with fetched(BCCD_URL, name="BCCD_Dataset.zip", folder=folder.parent, progress=progress) as archive:
        put_in_place(
            archive, folder, inside="*/BCCD", max_members=MOST_FILES, max_bytes=MOST_BYTES,
            check=lambda place: check_contents(place, *BCCD_PARTS, sha256=BCCD_SHA256),
        )  # fmt: skip


def get_voc(folder: Path, progress: Progress | None = None, *, years: Sequence[str] = ("2007", "2012")) -> None:
    """Download, verify and unpack the years of VOC into the development kit `folder`: 0.9 and 1.9 GB.

    An archive whose list of pictures is there is not fetched again; it goes once it is unpacked.

    Args:
        folder: usually "VOCdevkit" in the data root.
        progress: as in `fetch`.
        years: which of them.

    Raises:
        DataError: a download failed, or is not the official archive.
        StorageError: it cannot be written.
    """
    with folder_lock(folder, timeout=600):
        for listed, (path, md5) in PARTS.items():
            if listed[3:7] not in years or (folder / listed).is_file():
                continue
            archive = fetch(f"{ADDRESS}/{path}", name=path.split("/")[-1], folder=folder, md5=md5, progress=progress)
            fresh = folder / f".{archive.stem}.new"
            shutil.rmtree(fresh, ignore_errors=True)  # left by an interrupted run
            try:
                extract(archive, fresh)
                if not (fresh / KIT / listed).is_file():
                    raise DataError(f"{archive} holds no {KIT}/{listed}; delete it and get the set again")
                _merge(fresh / KIT, folder, last=listed)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            archive.unlink()


def _merge(source: Path, target: Path, *, last: str) -> None:
    """Move all files of a folder into another; `last`, which says that the others are there, at the end."""
    files = [file.relative_to(source) for file in sorted(source.rglob("*")) if file.is_file()]
    for file in [*(file for file in files if file != Path(last)), Path(last)]:
        with storage_errors(target / file):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (source / file).replace(target / file)
