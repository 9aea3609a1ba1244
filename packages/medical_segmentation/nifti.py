"""NIfTI files: .nii, .nii.gz and .hdr/.img pairs, versions 1 and 2, either byte order.

nibabel interprets the header and reads the voxels, here plane by plane and never further than the header says, because
a header may lie and a gzip file may unpack to a thousand times its size. `nib.load` is not enough: it goes by the
file's name, turns a negative spacing around instead of refusing it, reads Analyze without knowing its sides, and
neither compares a gzip file's checksum nor sees what follows the voxels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filename_parser import splitext_addext
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import array_from_file

from cnn_core.errors import DataError
from cnn_core.storage import readable_size
from medical_segmentation.grid import TILT, Grid, Header, bare_header, check_affine, tilt_degrees
from medical_segmentation.safety import check_end, check_shape, open_plain, reading
from medical_segmentation.values import fill

MAX_OFFSET = 64 * 1024**2  # bytes before the voxels: the header and what writers add to it
HEADERS = {kind.sizeof_hdr: kind for kind in (nib.Nifti1Header, nib.Nifti2Header)}
UNITS = {1: "metres", 3: "micrometres"}  # NIfTI codes of lengths that are not mm
DISAGREE = 0.5  # voxels by which qform and sform may place a corner differently before it is said


@dataclass(frozen=True)
class _Layout:
    """Where the voxels are."""

    header: Header
    dtype: np.dtype
    shape: tuple[int, ...]  # with all axes
    offset: int
    data: Path  # the file with the voxels

    @property
    def volumes(self) -> int:
        return math.prod(self.shape[3:])


def read_nifti(path: Path, *, name: str, volume: int | None = None) -> tuple[Grid, np.ndarray, list[str]]:
    """Read one volume: `-> its grid, voxels int16 or float32 [X, Y, Z] (RAS), what to know about it in sentences`.

    Args:
        path: a .nii, .nii.gz, .hdr or .img file (told by content, the pair's other half by name).
        name: what messages call it.
        volume: which volume of a file that holds several, from 0.

    Raises:
        DataError: damaged, colour, several volumes and none chosen, or a header that makes no sense.
    """
    with reading(name):
        layout = _layout(path, name)
        index = _choose(layout, volume, name)
        grid, said = _grid(layout, name)
        if layout.volumes > 1:
            said.append(f"volume {index} of 0 to {layout.volumes - 1} was taken, as requested; the others are left out")
        return grid, fill(grid, _planes(layout, grid, index, name)), said


def volumes_in(path: Path, *, name: str) -> int:
    """Return how many volumes a file holds, by its header; errors as `read_nifti`."""
    with reading(name):
        return _layout(path, name).volumes


def _layout(path: Path, name: str) -> _Layout:
    """Read and check the header, and compare its claims with the size of the file."""
    head_file, data_file = _pair(path, name)
    with open_plain(head_file) as (stream, _):
        block = stream.read(540)
    order = "<" if int.from_bytes(block[:4], "little") in HEADERS else ">"
    size = int.from_bytes(block[:4], "little" if order == "<" else "big")
    if size not in HEADERS or len(block) < size:
        raise DataError(f"{name}: expected a NIfTI header, got {len(block)} other bytes; the file is damaged")
    header = HEADERS[size](block[:size], endianness=order, check=False)
    magic = header["magic"].item()[:4]
    single, pair = header.single_magic[:4], header.pair_magic[:4]
    if magic not in (single, pair):
        raise DataError(
            f"{name}: an Analyze 7.5 file or a damaged NIfTI; Analyze does not say which side is left, so convert the "
            "scan to NIfTI from its DICOM files"
        )
    if (magic == pair) != (head_file != data_file):
        other = "a header whose voxels are in another file" if magic == pair else "a header and its voxels in one file"
        raise DataError(
            f"{name}: the header says that this is {other}, which does not fit the name; save it as .nii.gz"
        )
    dims = [int(edge) for edge in header["dim"]]
    if not 1 <= dims[0] <= 7:
        raise DataError(f"{name}: the header claims {dims[0]} axes, expected 2 to 7; the file is damaged")
    shape = tuple(dims[1 : 1 + dims[0]])
    if min(shape) < 1:
        raise DataError(f"{name}: the header claims the shape {shape}, expected positive numbers; the file is damaged")
    offset = float(header["vox_offset"])
    least = 0 if magic == pair else size
    if not (offset == 0 or least <= offset <= MAX_OFFSET) or offset != int(offset):
        raise DataError(f"{name}: the header puts the voxels at byte {offset:g}; the file is damaged")
    layout = _Layout(header, _dtype(header, name), shape, int(offset) or (size + 4 if least else 0), data_file)
    check_shape((*shape, 1, 1)[:3], name)
    _check_claim(layout, name)
    return layout


def _pair(path: Path, name: str) -> tuple[Path, Path]:
    """Return the files with the header and with the voxels; the same one unless the name is that of a pair."""
    stem, suffix, _ = splitext_addext(path.name, (".gz",))
    if suffix.lower() not in (".hdr", ".img"):
        return path, path
    found: dict[str, Path] = {}
    for entry in sorted(path.parent.iterdir()):
        other, suffix, _ = splitext_addext(entry.name, (".gz",))
        if other == stem:
            found.setdefault(suffix.lower(), entry)
    missing = next((wanted for wanted in (".hdr", ".img") if wanted not in found), None)
    if missing is not None:
        raise DataError(
            f"{name}: one half of a pair, the {missing} file is not beside it; give both, or save as .nii.gz"
        )
    return found[".hdr"], found[".img"]


def _dtype(header: Header, name: str) -> np.dtype:
    code = int(header["datatype"])
    try:
        dtype = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        dtype = None
    if dtype is not None and dtype.fields is not None:
        raise DataError(
            f"{name}: a colour picture (RGB), expected one number per voxel; give the scan it was made from"
        )
    if dtype is None or dtype.kind not in "iuf" or not 1 <= dtype.itemsize <= 8:
        raise DataError(
            f"{name}: voxels of the NIfTI type {code} are not read, expected whole or floating numbers of at most 64 "
            "bits; convert the scan to int16 or float32"
        )
    return dtype


def _check_claim(layout: _Layout, name: str) -> None:
    claimed = layout.offset + math.prod(layout.shape) * layout.dtype.itemsize
    with open_plain(layout.data) as (_, most):
        if claimed <= most:
            return
        size = layout.data.stat().st_size
        held = (
            f"{readable_size(size)} that unpack to {readable_size(most)} at most"
            if most > size
            else readable_size(size)
        )
    edges = " x ".join(map(str, layout.shape))
    raise DataError(
        f"{name}: the header promises {edges} voxels, which take {readable_size(claimed)}, the file has {held}; it is "
        "incomplete or its header is wrong, copy or download it again"
    )


def _choose(layout: _Layout, volume: int | None, name: str) -> int:
    if layout.volumes == 1 and volume is None:
        return 0
    if volume is None:
        raise DataError(
            f"{name}: holds {layout.volumes} volumes (shape {' x '.join(map(str, layout.shape))}), expected one scan; "
            "save one of them as a .nii.gz of its own, or choose it: in `cnn predict` of segmentation weights with "
            f"--volume 0 to {layout.volumes - 1}, in Python with read_scan(path, volume=...)"
        )
    if not 0 <= volume < layout.volumes:
        raise DataError(f"{name}: there is no volume {volume}, expected 0 to {layout.volumes - 1}")
    return volume


def _grid(layout: _Layout, name: str) -> tuple[Grid, list[str]]:
    """Find out where the voxels lie; the sform counts before the qform, as everywhere."""
    header = layout.header
    unit = int(header["xyzt_units"]) & 0b111
    if unit in UNITS:
        raise DataError(f"{name}: the header gives lengths in {UNITS[unit]}, expected mm; convert the header")
    spacing = header["pixdim"][1:4].astype(float)
    if not np.isfinite(spacing).all() or min(spacing) <= 0:
        sizes = " x ".join(f"{length:g}" for length in spacing)
        raise DataError(
            f"{name}: the header gives a spacing of {sizes} mm, expected positive numbers; lengths cannot be known, so "
            "export the scan again from the DICOM files"
        )
    if abs(header["pixdim"][0]) != 1:
        header["pixdim"][0] = 1  # as the NIfTI standard reads every other number, and nibabel when it opens a file
    said = []
    qform = _qform(header)
    by_sform, by_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    affine = qform if by_qform and not by_sform else header.get_best_affine()
    if affine is None:
        raise DataError(f"{name}: the header's qform holds no rotation; the file is damaged, export the scan again")
    check_affine(affine, name)
    if not by_sform and not by_qform:
        said.append(
            "the header does not say how the scan lies in the patient (qform and sform codes are 0): left and right "
            "may be swapped"
        )
    elif by_sform and by_qform and qform is not None and tilt_degrees(affine) < TILT:  # a qform knows no shear
        corner = np.array([*(np.array((*layout.shape, 1, 1)[:3]) - 1), 1])
        apart = max(np.abs((affine - qform)[:3, 3]).max(), np.abs(((affine - qform) @ corner)[:3]).max())
        if apart > DISAGREE * spacing.min():
            said.append(
                f"the header's two positions (qform, sform) differ by up to {apart:.1f} mm; the sform was taken"
            )
    shape = layout.shape if layout.volumes == 1 else layout.shape[:3]
    return Grid(shape, affine, bare_header(header), str(layout.dtype.newbyteorder("="))), said


def _qform(header: Header) -> np.ndarray | None:
    try:
        return header.get_qform(coded=False)
    except (HeaderDataError, ValueError):  # a quaternion longer than 1
        return None


def _planes(layout: _Layout, grid: Grid, index: int, name: str) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield each plane of a volume as it is stored, with its slope and intercept, then read the file to its end.

    One stream is read once: slices of nibabel's `dataobj` unpack a gzip file from its beginning for each of them (5.8 s
    instead of 0.11 s for 256 x 256 x 150 voxels).
    """
    try:
        slope, inter = layout.header.get_slope_inter()
    except HeaderDataError as error:
        raise DataError(
            f"{name}: the header's scaling (scl_slope, scl_inter) is no number; the file is damaged"
        ) from error
    slope, inter = (1.0 if slope is None else float(slope)), (0.0 if inter is None else float(inter))
    width, height, depth = grid.volume_shape
    size = width * height * layout.dtype.itemsize
    with open_plain(layout.data) as (stream, _):
        for k in range(index * depth, (index + 1) * depth):
            place = layout.offset + k * size
            yield array_from_file((width, height), layout.dtype, stream, place, mmap=False), slope, inter
        end = layout.offset + layout.volumes * depth * size
        if stream.seek(end) < end:
            raise EOFError
        check_end(stream, name)


def mask_bytes(mask: np.ndarray, grid: Grid) -> bytes:
    """Return `mask` (file order, unsigned integers) as a NIfTI file with the geometry of `grid`, not compressed."""
    header = grid.header.copy()
    header.set_data_dtype(mask.dtype)
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    return kind(mask.reshape(grid.shape), None, header).to_bytes()
