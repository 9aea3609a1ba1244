"""Scans in, masks out: any NIfTI file or DICOM series as one typed volume in RAS order, and a mask on its own grid.

scan = read_scan("thorax.nii.gz")        # or a folder or zip of DICOM files
write_mask(scan.voxels > 300, scan, "bone.nii.gz")
"""

import gzip
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from cnn_core.errors import DataError
from cnn_core.storage import write_bytes
from medical_segmentation.grid import Grid, geometry_warnings, spacing_of
from medical_segmentation.itk import read_itk
from medical_segmentation.nifti import mask_bytes, read_nifti, volumes_in
from medical_segmentation.safety import Kind, bare_kind_of, kind_of
from medical_segmentation.series import Series, choose_series, find_series
from medical_segmentation.sources import EXPECTED, VOLUMES, Contents, contents_of, existing, unpacked
from medical_segmentation.stack import read_stack
from medical_segmentation.values import blank_warnings, replace_missing

SAME_GRID = 0.1  # voxels by which a mask may lie beside its scan: rounding in headers
LACKS = (
    "which says neither how large its voxels are nor where left is: export the scan from its DICOM files, or, where "
    "you know both, write them (in Python nibabel.save(nibabel.Nifti1Image(array, affine), 'scan.nii.gz'))"
)
OFF_WHOLE = 1e-3  # by which a label may differ from a whole number: rounding of scales in headers


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
        covered: bool, broadcasts to `voxels`: False in gaps between slices, whose voxels are interpolated and get no
            label; None: everywhere.
        series: which DICOM series it is ("2 of 3: 22 slices of 512 x 512 CT"); "" for other files.
    """

    name: str
    voxels: np.ndarray
    affine: np.ndarray
    grid: Grid
    modality: str = ""
    warnings: tuple[str, ...] = ()
    missing: int = 0
    covered: np.ndarray | None = None
    series: str = ""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm from voxel to voxel along X, Y, Z."""
        return spacing_of(self.affine)

    @property
    def voxel_ml(self) -> float:
        """The volume of one voxel in mL, also right for the slanted voxels of a tilted gantry."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000


def read_scan(path: str | os.PathLike[str], *, volume: int | None = None, series: str | None = None) -> Scan:
    """Read a scan of any supported kind, told by its content.

    Args:
        path: a file of one volume (NIfTI, MetaImage, NRRD), one DICOM file (then one slice, or what its frames are), or
            a folder or zip that holds DICOM series or exactly one file of a volume.
        volume: which volume of a 4-D NIfTI, from 0.
        series: which DICOM series: its number in `list_series`, its UID or its description; None: the biggest
            original CT, or what comes nearest to it.

    Raises:
        DataError: it cannot be used; the message says why and what to do. It never holds what a header says about the
            patient.
        StorageError: no room to unpack a zip.
    """
    path = existing(path)
    if path.is_dir():
        return _read_folder(path, path.name, volume, series)
    if kind_of(path) is Kind.ZIP:
        with unpacked(path) as folder:
            return _read_folder(folder, path.name, volume, series, packed=True)
    return read_file(path, path.name, volume=volume, series=series)


def list_series(path: str | os.PathLike[str]) -> list[Series]:
    """Return the DICOM series in a file, folder or zip, best first; empty where there is no DICOM.

    Raises:
        DataError: it cannot be read.
    """
    path = existing(path)
    if path.is_dir():
        return [*contents_of(path, name=path.name).series]
    kind = kind_of(path)
    if kind is Kind.ZIP:
        with unpacked(path) as folder:
            return [*contents_of(folder, name=path.name, packed=True).series]
    return find_series([path])[0] if kind is Kind.DICOM else []


def count_volumes(path: str | os.PathLike[str]) -> int:
    """Return how many volumes a NIfTI file holds; 1 for other files.

    Raises:
        DataError: it cannot be read.
    """
    path = existing(path)
    return volumes_in(path, name=path.name) if path.is_file() and kind_of(path) is Kind.NIFTI else 1


def read_file(path: Path, name: str, *, volume: int | None = None, series: str | None = None) -> Scan:
    """Read what `read_scan` reads from a file that is no zip; `name` is what the scan and messages call it."""
    kind = kind_of(path)
    if kind is Kind.DICOM:
        found, left_out = find_series([path])
        return read_series(Contents(found, {}, (), left_out, 1), name=name, volume=volume, series=series)
    if series is not None:
        raise DataError(f"{name}: series={series} chooses from DICOM files, and this is none; leave it out")
    if kind is Kind.NIFTI:
        return _finish(name, *read_nifti(path, name=name, volume=volume))
    if kind not in VOLUMES:
        bare = bare_kind_of(path)
        this = f"{bare}, {LACKS}" if bare else "something else, or its beginning is damaged"
        raise DataError(f"{name}: {EXPECTED}; this is {this}")
    if volume is not None:
        raise DataError(f"{name}: volume={volume} chooses from a 4-D NIfTI file, and this is none; leave it out")
    return _finish(name, *read_itk(path, kind, name=name))


def _read_folder(folder: Path, name: str, volume: int | None, series: str | None, *, packed: bool = False) -> Scan:
    """Read a DICOM series in a folder and the folders below it, or the one file of a volume where there is no DICOM."""
    contents = contents_of(folder, name=name, packed=packed)
    if contents.series:
        contents.left_out["other scans (give them on their own)"] += len(contents.volumes) + len(contents.zips)
        return read_series(contents, name=name, volume=volume, series=series)
    if len(contents.volumes) == 1 and not contents.zips:
        (path,) = contents.volumes
        return read_file(path, name, volume=volume, series=series)
    if len(contents.zips) == 1 and not contents.volumes:
        with unpacked(contents.zips[0]) as inner:
            return _read_folder(inner, contents.zips[0].name, volume, series, packed=True)
    if contents.volumes or contents.zips:
        kinds = Counter(str(kind) for kind in (*contents.volumes.values(), *(Kind.ZIP for _ in contents.zips)))
        there = ", ".join(f"{count} {kind} files" for kind, count in kinds.items())
        raise DataError(f"{name}: holds {there}, expected one scan; give one of the files")
    found = "; ".join(f"{count} {kind}" for kind, count in contents.left_out.most_common())
    if any(not any(word in kind for word in ("no scans", "empty", "zips")) for kind in contents.left_out):
        raise DataError(f"{name}: expected slices of a CT series, found {found}")
    rest = f"; {found}" if found else ""
    raise DataError(f"{name}: {EXPECTED}; there is neither DICOM nor NIfTI in it (files: {contents.files}){rest}")


def read_series(
    contents: Contents, *, name: str, of: int = 0, volume: int | None = None, series: str | None = None
) -> Scan:
    """Read one of the DICOM series that were found.

    Args:
        contents: of the file, folder or zip.
        name: what messages and the scan are called.
        of: the number of series there are, where `contents` are one study of several; 0: those in `contents`.
        volume: as in `read_scan`.
        series: as in `read_scan`.

    Raises:
        DataError: there is none that can be used; the message counts what was found instead.
    """
    if volume is not None:
        raise DataError(f"{name}: volume={volume} chooses from a 4-D NIfTI file, and this is none; leave it out")
    among = contents.series
    if not among:
        found = "; ".join(f"{count} {kind}" for kind, count in contents.left_out.most_common()) or "no DICOM files"
        raise DataError(f"{name}: expected slices of a CT series, found {found}")
    chosen = choose_series(among, series, name=name)
    said = contents.said
    others = [entry for entry in among if entry is not chosen]
    if others:
        rest = ", ".join(f"{entry}" for entry in others[:3]) + (" ..." if len(others) > 3 else "")
        why = _why(chosen, others) if series is None else f"series {chosen.number}, as requested,"
        said.append(f"{len(among)} series found; {why} was taken ({chosen}); left out: {rest}")
    grid, voxels, given, more = read_stack(chosen, name=name)
    covered = None if given is None else grid.to_ras(given[None, None])
    place = f"{chosen.number} of {of or len(contents.series)}: {chosen}"
    modality = chosen.slices[0].modality
    return _finish(name, grid, voxels, said + more, modality=modality, covered=covered, series=place)


def _why(chosen: Series, others: Sequence[Series]) -> str:
    """Say why a series comes before others that may be bigger."""
    bigger = [entry.slices[0] for entry in others if len(entry.slices) > len(chosen.slices)]
    kind = " original" if any(found.derived for found in bigger) else ""
    if any(found.modality != "CT" for found in bigger):
        kind += " CT"
    return f"the biggest{kind}"


def _finish(
    name: str, grid: Grid, voxels: np.ndarray, said: list[str], *,
    modality: str = "", covered: np.ndarray | None = None, series: str = "",
) -> Scan:  # fmt: skip
    missing, replaced = replace_missing(voxels, name)
    said = said + geometry_warnings(grid) + replaced + blank_warnings(voxels)
    return Scan(name, voxels, grid.ras_affine, grid, modality, tuple(said), missing, covered, series)


def read_mask(path: str | os.PathLike[str], like: Scan) -> np.ndarray:
    """Read the mask of `like`: `-> uint8 or uint16 [X, Y, Z]`, in the order of `like.voxels`, label numbers.

    Raises:
        DataError: no NIfTI, NRRD or MetaImage file, another grid than the scan's (shape or position), or values that
            are no labels.
    """
    return read_labels(path, like)[0]


def read_labels(path: str | os.PathLike[str], like: Scan) -> tuple[np.ndarray, bool]:
    """Return what `read_mask` returns, and whether its numbers had to be rounded (1.0000001, of a scale in the header).

    Raises:
        DataError: as `read_mask`.
    """
    path = existing(path)
    kind = None if path.is_dir() else kind_of(path)
    if kind not in VOLUMES:
        raise DataError(f"{path.name}: expected a mask as NIfTI, NRRD or MetaImage file; save it as .nii.gz")
    grid, voxels, _ = read_nifti(path, name=path.name) if kind is Kind.NIFTI else read_itk(path, kind, name=path.name)
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
        one = f", {voxels.flat[np.abs(whole - voxels).argmax()]:g} among them" if off > OFF_WHOLE else ""
        raise DataError(
            f"{path.name}: expected labels, whole numbers from 0 to 65535, got values from {low:g} to {high:g}{one}; "
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
