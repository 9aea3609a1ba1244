"""Download the published sets into the data root.

GitHub packs BCCD anew now and then: what is in the archive has a sum, not the archive.
"""

from pathlib import Path

from cnn_core.data.files import Progress
from cnn_core.data.published import check_contents, fetched, put_in_place

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
