"""COCO 2017 (Lin et al. 2014, arXiv:1405.0312) from its publisher: photos, captions and boxes as they are laid out."""

from pathlib import Path

from cnn_core.data.files import Progress, fetch
from cnn_core.data.published import put_in_place

ADDRESS = "http://images.cocodataset.org"
PARTS = {  # folder in the archive -> path of the archive, MD5
    "annotations": ("annotations/annotations_trainval2017.zip", "f4bbac642086de4f52a3fdda2de5fa2c"),
    "val2017": ("zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80"),
    "train2017": ("zips/train2017.zip", "cced6f7f71b7629ddf16f17bbcfab6b2"),
}
MOST_FILES = 200_000
MOST_BYTES = 40 * 1024**3  # unpacked; the training photos have 19 GB


def get_coco(folder: Path, progress: Progress | None = None) -> None:
    """Download, verify and unpack annotations, validation and training photos, 20 GB, to `folder`.

    A part that is there is not fetched again; an archive goes once it is unpacked.

    Args:
        folder: usually "coco" in the data root.
        progress: as in `fetch`.

    Raises:
        DataError: a download failed, or is not the official archive.
        StorageError: it cannot be written.
    """
    for part, (path, md5) in PARTS.items():
        if (folder / part).is_dir():
            continue
        archive = fetch(f"{ADDRESS}/{path}", name=path.split("/")[-1], folder=folder, md5=md5, progress=progress)
        put_in_place(archive, folder / part, inside=part, max_members=MOST_FILES, max_bytes=MOST_BYTES)
        archive.unlink()
