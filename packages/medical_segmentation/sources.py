"""What lies in a folder or a zip: DICOM series by study, files of volumes, further zips, and what is no scan."""

import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cnn_core.data.archives import extract
from cnn_core.errors import DataError
from cnn_core.storage import STALE_AFTER
from medical_segmentation.safety import Kind, bare_kind_of, kind_of, reading
from medical_segmentation.series import Series, find_series

MAX_FILES = 100_000  # in a folder or zip: the scans of a ward
MAX_UNPACKED = 8 * 1024**3  # bytes of a zip, unpacked
PREFIX = "cnn-scan-"  # of the folders that zips are unpacked to
VOLUMES = (Kind.NIFTI, Kind.NRRD, Kind.METAIMAGE)
ENDINGS = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr")
PAIRED = (".hdr", ".img", ".mhd", ".raw", ".zraw", ".nhdr")  # a header and its voxels in two files are one scan
PICTURES = "pictures and arrays (TIFF, PNG, NumPy ...: no scans, they say neither voxel size nor sides)"
EXPECTED = (
    "expected a NIfTI file (.nii, .nii.gz, .hdr/.img), a MetaImage or NRRD file, a DICOM file, or a folder or zip of a "
    "DICOM series"
)


@dataclass(frozen=True, eq=False)
class Contents:
    """What was found.

    Attributes:
        series: of all studies, best first.
        volumes: files of one volume each, with their kinds.
        zips: further archives.
        left_out: what is no scan: kind, in the plural -> number of files.
        files: how many there are in all.
    """

    series: Sequence[Series]
    volumes: dict[Path, Kind]
    zips: tuple[Path, ...]
    left_out: Counter[str]
    files: int

    @property
    def studies(self) -> list[list[Series]]:
        """The series of each study, best first; an answer for each."""
        found: defaultdict[int, list[Series]] = defaultdict(list)
        for series in self.series:
            found[series.study].append(series)
        return [found[number] for number in sorted(found)]

    @property
    def said(self) -> list[str]:
        """What was left out, in sentences."""
        return [f"left out: {count} {kind}" for kind, count in self.left_out.most_common() if count]


def existing(path: str | os.PathLike[str]) -> Path:
    """Return a path of a file or folder that is there.

    Raises:
        DataError: there is none.
    """
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"expected the path of a scan, got {type(path).__name__}; `read_scan` makes a Scan of a file")
    if not os.fspath(path):
        raise DataError(f"the path is empty; {EXPECTED}")
    if str(path).startswith(("http://", "https://")):
        raise DataError(f"{path}: {EXPECTED}, got an address; download it first")
    found = Path(path)
    with reading(found.name):
        if "\0" in str(path) or not found.exists():
            raise DataError(f"{found.name!r}: there is no such file or folder; {EXPECTED}")
        if not found.is_dir() and not found.is_file():
            raise DataError(f"{found.name}: neither a file nor a folder; {EXPECTED}")
        return found.resolve() if found.name in ("", ".", "..") else found


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a private folder with what is in a zip, and remove it."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        try:
            extract(path, Path(folder) / "unpacked", max_members=MAX_FILES, max_bytes=MAX_UNPACKED)
        except DataError as error:
            raise DataError(str(error).replace(str(path), path.name)) from error
        yield Path(folder) / "unpacked"


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed left of patients' scans; a day old, so that nobody is still reading it."""
    for entry in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or another process is removing it
            if time.time() - entry.lstat().st_mtime > STALE_AFTER and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)


def contents_of(
    folder: Path, *, name: str, packed: bool = False, observe: Callable[[int, int], object] | None = None
) -> Contents:
    """Look into every file in `folder` and the folders below it.

    Args:
        folder: hidden files and folders are passed over, links are followed.
        name: what messages call it.
        packed: it comes from a zip, and zips in that are not unpacked.
        observe: called with the number of DICOM files read and that of all of them.

    Raises:
        DataError: it cannot be read, or holds too many files.
    """
    files, labels = _files(folder, name)
    dicom: list[Path] = []
    volumes: dict[Path, tuple[Path, Kind]] = {}
    zips: list[Path] = []
    left_out: Counter[str] = Counter({"masks of a training set (folders labels...)": labels})
    for path in files:
        kind = _kind(path)
        if kind is None:
            left_out["files that are empty or cannot be read"] += 1
        elif path.name.endswith("_mask.nii.gz") and path.with_name(f"{path.name[:-7]}.json") in files:
            left_out["masks that were written by this program"] += 1
        elif kind in VOLUMES:
            stem = path.with_suffix("") if path.suffix.lower() in PAIRED else path
            volumes.setdefault(stem, (path, kind))
        elif kind is Kind.DICOM:
            dicom.append(path)
        elif kind is Kind.ZIP and path.suffix.lower() == ".zip" and packed:
            left_out["zips in a zip (unpack them first)"] += 1
        elif kind is Kind.ZIP and path.suffix.lower() == ".zip":
            zips.append(path)
        elif not (path.suffix.lower() in PAIRED and path.with_suffix("") in volumes):
            bare = kind is not None and bare_kind_of(path) != ""
            left_out[PICTURES if bare else "files that are no scans"] += 1
    total = len(dicom)
    watch = None if observe is None else lambda count: observe(count, total)
    series, others = find_series(dicom, observe=watch)
    return Contents(series, dict(volumes.values()), tuple(zips), +left_out + others, len(files))


def _kind(path: Path) -> Kind | None:
    """Tell what a file is; one that has a scan's name is taken for it, so that what is wrong with it is said."""
    try:
        kind = kind_of(path)
    except DataError:
        kind = None
    if kind in (None, Kind.UNKNOWN) and path.name.lower().endswith((".nii", ".nii.gz")):
        return Kind.NIFTI
    return kind


def _files(folder: Path, name: str) -> tuple[dict[Path, None], int]:
    """List what lies in `folder` and below by name; and how many masks of a training set were passed over."""
    masks = 0

    def walk() -> Iterator[Path]:
        nonlocal masks
        seen: set[Path] = set()
        for here, folders, files in os.walk(folder, followlinks=True):
            place = Path(here)
            if place.resolve() in seen:  # a link leads back
                folders.clear()
                continue
            seen.add(place.resolve())
            if "dataset.json" in files:
                for entry in [entry for entry in folders if entry in ("labelsTr", "labelsTs")]:
                    masks += sum(1 for file in (place / entry).iterdir() if not file.name.startswith("."))
                    folders.remove(entry)
            folders[:] = sorted(entry for entry in folders if not entry.startswith((".", "__MACOSX", "@eaDir")))
            for entry in sorted(files):
                if not entry.startswith(".") and (place / entry).is_file():
                    yield place / entry

    with reading(name):
        files = dict.fromkeys(islice(walk(), MAX_FILES + 1))
    if len(files) > MAX_FILES:
        raise DataError(f"{name}: more than {MAX_FILES:,} files; give the folder of each patient on its own")
    return files, masks
