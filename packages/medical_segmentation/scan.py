"""Scans in, masks out: any NIfTI file or DICOM series as one typed volume in RAS order, and a mask on its own grid.

scan = read_scan("thorax.nii.gz")        # or a folder or zip of DICOM files
write_mask(scan.voxels > 300, scan, "bone.nii.gz")
"""

import contextlib
import gzip
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from cnn_core.data.archives import extract
from cnn_core.errors import DataError
from cnn_core.storage import STALE_AFTER, write_bytes
from medical_segmentation.grid import Grid, geometry_warnings, spacing_of
from medical_segmentation.nifti import mask_bytes, read_nifti
from medical_segmentation.safety import Kind, kind_of, reading
from medical_segmentation.series import read_series
from medical_segmentation.values import intensity_warnings, replace_missing

MAX_FILES = 20_000  # in a folder or zip: several series of a whole body
MAX_UNPACKED = 8 * 1024**3  # bytes of a zip, unpacked
SAME_GRID = 0.1  # voxels by which a mask may lie beside its scan: rounding in headers
OFF_WHOLE = 1e-3  # by which a label may differ from a whole number: rounding of scales in headers
PREFIX = "cnn-scan-"  # of the folders that zips are unpacked to
EXPECTED = "expected a NIfTI file (.nii, .nii.gz, .hdr/.img), a DICOM file, or a folder or zip of a DICOM series"


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan in RAS order (right, anterior, superior).

    Attributes:
        name: the file's or folder's own name, without its path, as the user gave it.
        voxels: int16 or float32 [X, Y, Z], HU for a CT. Strides are positive; the third axis is the slowest in memory
            for most files, so `voxels[:, :, k]` is quick.
        affine: 4 x 4, index of `voxels` -> mm (RAS+ world).
        grid: the input's own grid, on which `write_mask` writes.
        modality: "CT", "MR" ... as DICOM says it, "" for NIfTI, which does not.
        warnings: what the user should know, in plain sentences; empty for an ordinary CT.
        missing: voxels that were NaN or infinite and got the smallest number.
    """

    name: str
    voxels: np.ndarray
    affine: np.ndarray
    grid: Grid
    modality: str = ""
    warnings: tuple[str, ...] = ()
    missing: int = 0

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm from voxel to voxel along X, Y, Z."""
        return spacing_of(self.affine)

    @property
    def voxel_ml(self) -> float:
        """The volume of one voxel in mL, also right for the slanted voxels of a tilted gantry."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000


def read_scan(path: str | os.PathLike[str], *, volume: int | None = None) -> Scan:
    """Read a scan of any supported kind, told by its content.

    Args:
        path: a NIfTI file, one DICOM file (then one slice), or a folder or zip that holds a DICOM series (the biggest
            one is taken) or exactly one NIfTI file.
        volume: which volume of a 4-D NIfTI, from 0.

    Raises:
        DataError: it cannot be used; the message says why and what to do. It never holds what a header says about the
            patient.
        StorageError: no room to unpack a zip.
    """
    path = _existing(path)
    if path.is_dir():
        return _read_folder(path, path.name, volume)
    kind = kind_of(path)
    if kind is Kind.ZIP:
        with _unpacked(path) as folder:
            return _read_folder(folder, path.name, volume)
    return _read_file(path, path.name, kind, volume)


def _existing(path: str | os.PathLike[str]) -> Path:
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
def _unpacked(path: Path) -> Iterator[Path]:
    """Yield a private folder with what is in a zip, and remove it."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        yield extract(path, Path(folder) / "unpacked", max_members=MAX_FILES, max_bytes=MAX_UNPACKED)


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed left of patients' scans; a day old, so that nobody is still reading it."""
    for entry in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or another process is removing it
            if time.time() - entry.lstat().st_mtime > STALE_AFTER and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)


def _read_file(path: Path, name: str, kind: Kind, volume: int | None) -> Scan:
    if kind is Kind.NIFTI:
        grid, voxels, said = read_nifti(path, name=name, volume=volume)
        return _finish(name, grid, voxels, said, "")
    if volume is not None:
        raise DataError(f"{name}: volume={volume} chooses from a 4-D NIfTI file, and this is none; leave it out")
    if kind is Kind.DICOM:
        return _finish(name, *read_series([path], name=name))
    if kind is Kind.NRRD:
        raise DataError(f"{name}: an NRRD file, which is not read; save it as .nii.gz (3D Slicer: File, Save data)")
    raise DataError(f"{name}: {EXPECTED}; this is something else, or its beginning is damaged")


def _read_folder(folder: Path, name: str, volume: int | None) -> Scan:
    """Read the DICOM series in a folder and the folders below it, or the one NIfTI file where there is no DICOM."""
    files = _files(folder, name)
    dicom: list[Path] = []
    nifti: dict[Path, Path] = {}
    for path in files:
        try:
            kind = kind_of(path)
        except DataError:  # empty or unreadable files lie about in many folders
            continue
        if kind is Kind.DICOM:
            dicom.append(path)
        elif kind is Kind.NIFTI:
            stem = path.with_suffix("") if path.suffix.lower() in (".hdr", ".img") else path
            nifti.setdefault(stem, path)  # a pair is one scan
    if dicom:
        if volume is not None:
            raise DataError(f"{name}: volume={volume} chooses from a 4-D NIfTI file, and this is none; leave it out")
        return _finish(name, *read_series(dicom, name=name))
    if len(nifti) == 1:
        (path,) = nifti.values()
        return _read_file(path, name, Kind.NIFTI, volume)
    if nifti:
        raise DataError(f"{name}: holds {len(nifti)} NIfTI files, expected one scan; give one of the files")
    raise DataError(f"{name}: {EXPECTED}; there is neither DICOM nor NIfTI in it (files: {len(files)})")


def _files(folder: Path, name: str) -> list[Path]:
    """List what lies in `folder` and below by name; hidden files and links to folders are passed over."""

    def walk() -> Iterator[Path]:
        for here, folders, files in os.walk(folder):
            folders[:] = sorted(entry for entry in folders if not entry.startswith((".", "__MACOSX")))
            for entry in sorted(files):
                if not entry.startswith(".") and (Path(here) / entry).is_file():
                    yield Path(here) / entry

    with reading(name):
        files = [*islice(walk(), MAX_FILES + 1)]
    if len(files) > MAX_FILES:
        raise DataError(f"{name}: more than {MAX_FILES:,} files, expected those of one scan; give its own folder")
    return files


def _finish(name: str, grid: Grid, voxels: np.ndarray, said: list[str], modality: str) -> Scan:
    missing, replaced = replace_missing(voxels, name)
    said = said + geometry_warnings(grid) + replaced + intensity_warnings(voxels, modality)
    return Scan(name, voxels, grid.ras_affine, grid, modality, tuple(said), missing)


def read_mask(path: str | os.PathLike[str], like: Scan) -> np.ndarray:
    """Read the mask of `like`: `-> uint8 or uint16 [X, Y, Z]`, in the order of `like.voxels`, label numbers.

    Raises:
        DataError: no NIfTI file, another grid than the scan's (shape or position), or values that are no labels.
    """
    return read_labels(path, like)[0]


def read_labels(path: str | os.PathLike[str], like: Scan) -> tuple[np.ndarray, bool]:
    """Return what `read_mask` returns, and whether its numbers had to be rounded (1.0000001, of a scale in the header).

    Raises:
        DataError: as `read_mask`.
    """
    path = _existing(path)
    if path.is_dir() or kind_of(path) is not Kind.NIFTI:
        raise DataError(f"{path.name}: expected a mask as NIfTI file (.nii, .nii.gz); save it as one")
    grid, voxels, _ = read_nifti(path, name=path.name)
    if voxels.shape != like.voxels.shape:
        came, wanted = (" x ".join(map(str, shape)) for shape in (voxels.shape, like.voxels.shape))
        raise DataError(
            f"{path.name}: the mask has {came} voxels, its scan {like.name} has {wanted} (RAS order); they do not "
            "belong together, or one was resampled"
        )
    apart = _apart(grid.ras_affine, like)
    if apart > SAME_GRID * min(like.spacing):
        raise DataError(
            f"{path.name}: the mask lies up to {apart:.2f} mm beside its scan {like.name} (their affines differ); they "
            "do not belong together, or one was moved"
        )
    whole = np.round(voxels) if voxels.dtype.kind == "f" else voxels
    rounded = bool((whole != voxels).any())
    off = float(np.abs(whole - voxels).max()) if rounded else 0.0
    low, high = whole.min(), whole.max()  # NaN makes both NaN
    if not (low >= 0 and high <= 65535 and off <= OFF_WHOLE):
        low, high = voxels.min(), voxels.max()
        raise DataError(
            f"{path.name}: expected labels, whole numbers from 0 to 65535, got values from {low:g} to {high:g}; "
            "save the mask as whole numbers"
        )
    return whole.astype(np.uint8 if high <= 255 else np.uint16), rounded


def _apart(affine: np.ndarray, like: Scan) -> float:
    """Return the largest distance in mm between where two affines put a corner of the block."""
    corners = [*product(*((0, edge - 1) for edge in like.voxels.shape))]
    between = apply_affine(affine, corners) - apply_affine(like.affine, corners)
    return float(np.linalg.norm(between, axis=1).max())


def write_mask(mask: np.ndarray, scan: Scan, path: str | os.PathLike[str]) -> Path:
    """Write `mask` [X, Y, Z] (the order of `scan.voxels`) on the input's own grid; return the path.

    The file has the shape, affine and header codes of what the scan was read from (for DICOM: columns, rows, slices),
    so it lies on it in any viewer. It is uint8, or uint16 with labels above 255, and holds no text of the input.

    Raises:
        DataError: another shape than the scan's, no labels, or a name that does not end in .nii or .nii.gz.
        StorageError: it could not be written; what was there before still is.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise DataError(f"{path.name}: expected a name that ends in .nii or .nii.gz")
    if mask.shape != scan.voxels.shape:
        raise DataError(f"the mask has the shape {mask.shape}, expected that of the scan's voxels, {scan.voxels.shape}")
    if mask.dtype.kind not in "biu" or mask.min() < 0 or mask.max() > 65535:
        raise DataError(f"expected a mask of whole numbers from 0 to 65535, got {mask.dtype}; round or convert it")
    labels = mask.astype(np.uint8 if mask.max() <= 255 else np.uint16)
    data = mask_bytes(scan.grid.from_ras(labels), scan.grid)
    if path.name.lower().endswith(".gz"):
        data = gzip.compress(data, compresslevel=4, mtime=0)  # no name, no time
    write_bytes(path, data)
    return path
