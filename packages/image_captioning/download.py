"""Download Flickr8k into the data root, or prepare its two archives where they have been put there by hand.

The University of Illinois sends the addresses of its archives to those who fill in a form. Mirrors of the same archives
are files of a release on GitHub; their MD5 are those that torchvision for R holds.
"""

from pathlib import Path

from cnn_core.data.archives import MAX_BYTES
from cnn_core.data.files import Progress, fetch
from cnn_core.data.published import replacing, unpack_part
from cnn_core.errors import DataError

FLICKR8K = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/"
PHOTOS = ("Flickr8k_Dataset.zip", "f18a1e2920de5bd84dae7cf08ec78978")
TEXTS = ("Flickr8k_text.zip", "bf6c1abcb8e4a833b7f922104de18627")
SPLITS = {"train": 6000, "dev": 1000, "test": 1000}  # photos
MOST_FILES = 40_000  # the photos have as many notes of macOS beside them
FOLDER = "Flicker8k_Dataset"  # spelled like that in the archive


def get_flickr8k(folder: Path, progress: Progress | None = None) -> None:
    """Download photos and captions, 1.1 GB, and unpack them to `folder`.

    An archive that is in the folder above already is taken as it is; one that was downloaded goes once it is unpacked.

    Args:
        folder: usually "flickr8k" in the data root.
        progress: as in `fetch`.

    Raises:
        DataError: a download failed, or the archives do not hold the set.
        StorageError: it cannot be written.
    """
    archives: list[Path] = []
    downloaded: list[Path] = []
    for name, md5 in (TEXTS, PHOTOS):
        archive = folder.parent / name
        if not archive.is_file():
            fetch(FLICKR8K + name, name=name, folder=folder.parent, md5=md5, progress=progress)
            downloaded.append(archive)
        archives.append(archive)
    texts, photos = archives
    with replacing(folder) as fresh:
        unpack_part(texts, fresh, max_members=MOST_FILES, max_bytes=MAX_BYTES)
        unpack_part(photos, fresh / FOLDER, inside=FOLDER, max_members=MOST_FILES, max_bytes=MAX_BYTES)
        _check(fresh, texts, photos)
    for archive in downloaded:
        archive.unlink(missing_ok=True)


def _check(folder: Path, texts: Path, photos: Path) -> None:
    """Raise DataError unless the lists have the published numbers of photos, and all of these are there."""
    there = {file.name for file in (folder / FOLDER).glob("*.jpg")}
    for part, expected in SPLITS.items():
        file = folder / f"Flickr_8k.{part}Images.txt"
        if not file.is_file() or not (folder / "Flickr8k.token.txt").is_file():
            raise DataError(f"{texts} holds no Flickr8k.token.txt and {file.name}; delete it and get the set again")
        names = {line.strip() for line in file.read_text("utf-8", errors="replace").splitlines() if line.strip()}
        if len(names) != expected:
            raise DataError(
                f"{texts}: {file.name} names {len(names):,} photos, expected {expected:,}; delete it and get the set "
                "again"
            )
        if lost := len(names - there):
            raise DataError(
                f"{photos}: {lost:,} of the {expected:,} photos of {file.name} are missing; delete it and get the set "
                "again"
            )
