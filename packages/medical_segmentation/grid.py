"""The grid of a file: where its voxels lie in the patient, and the way to RAS order and back.

RAS: the first axis runs to the patient's right, the second to the front (anterior), the third to the head (superior),
as far as that goes without interpolation; a scan that lies obliquely is turned to the nearest axes, as nibabel's
`as_closest_canonical` does. An affine maps voxel indices to mm in RAS+ world coordinates.
"""

from dataclasses import dataclass, field
from functools import cached_property

import nibabel as nib
import numpy as np
from nibabel.affines import obliquity, voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from cnn_core.errors import DataError

RAS = np.array([[0, 1], [1, 1], [2, 1]])
MIN_SPACING, MAX_SPACING = 1e-3, 1e3  # mm; beyond, the header is wrong or not in mm
TILT = 1.0  # degrees between the axes of a voxel and a right angle, above which it is said
OBLIQUE = 5.0  # degrees between the axes of the scan and of the patient, above which it is said

Header = nib.Nifti1Header | nib.Nifti2Header


@dataclass(frozen=True, eq=False)
class Grid:
    """The grid of the input file, on which masks are written.

    Attributes:
        shape: of one volume in the file: 3 numbers, or 2 or 4 and more where the file has it so (the rest are ones).
        affine: 4 x 4, voxel index of the file -> mm.
        header: NIfTI header with the geometry alone (spacing, qform, sform, their codes): no text of the file.
        dtype: the type of the numbers in the file, for people ("int16"); "" for DICOM, where slices may differ.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    header: Header = field(repr=False)
    dtype: str = ""

    @cached_property
    def volume_shape(self) -> tuple[int, int, int]:
        """The three edges in the file's axis order."""
        x, y, z = (*self.shape, 1, 1, 1)[:3]
        return x, y, z

    @cached_property
    def _orientation(self) -> np.ndarray:
        return io_orientation(self.affine)

    @cached_property
    def ras_affine(self) -> np.ndarray:
        """4 x 4, index of the RAS array -> mm."""
        return self.affine @ inv_ornt_aff(self._orientation, self.volume_shape)

    @cached_property
    def ras_shape(self) -> tuple[int, int, int]:
        x, y, z = (int(edge) for edge in np.array(self.volume_shape)[np.argsort(self._orientation[:, 0])])
        return x, y, z

    def from_ras(self, array: np.ndarray) -> np.ndarray:
        """Return a view of `array` [X, Y, Z] (RAS) in the file's order, 3 axes."""
        return apply_orientation(array, ornt_transform(RAS, self._orientation))

    def to_ras(self, array: np.ndarray) -> np.ndarray:
        """Return a view of `array`, 3 axes in the file's order, some of them perhaps of length 1, in RAS order."""
        return apply_orientation(array, self._orientation)


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Return the mm from voxel to voxel along each axis of the array: the lengths of the affine's columns."""
    x, y, z = voxel_sizes(affine).tolist()
    return x, y, z


def check_affine(affine: np.ndarray, name: str) -> None:
    """Raise DataError if `affine` does not place voxels in space: not finite, zero spacing, axes in one plane."""
    problem = None
    if not np.isfinite(affine).all():
        problem = "holds NaN or infinite numbers"
    else:
        spacing = spacing_of(affine)
        sizes = " x ".join(f"{length:.4g}" for length in spacing)
        if min(spacing) < MIN_SPACING or max(spacing) > MAX_SPACING:
            problem = f"gives a spacing of {sizes} mm, expected {MIN_SPACING:g} to {MAX_SPACING:g}"
        elif abs(np.linalg.det(affine[:3, :3] / spacing)) < 0.05:  # axes less than about 3 degrees from one plane
            problem = "puts all voxels into one plane"
    if problem is not None:
        raise DataError(
            f"{name}: the position in the header (affine) {problem}; lengths and sides cannot be known, so export the "
            "scan again from the DICOM files"
        )


def tilt_degrees(affine: np.ndarray) -> float:
    """Return by how much the axes of a voxel miss the right angle, the largest of the three pairs."""
    axes = affine[:3, :3] / spacing_of(affine)
    cosines = np.abs(axes.T @ axes)[np.triu_indices(3, k=1)]
    return float(np.degrees(np.arcsin(np.clip(cosines, 0, 1).max())))


def geometry_warnings(grid: Grid) -> list[str]:
    """Say what is unusual about how the voxels lie: a tilted gantry, an oblique scan, a single slice."""
    said = []
    tilt = tilt_degrees(grid.affine)
    turned = float(np.degrees(obliquity(grid.affine)).max())
    if tilt >= TILT:
        said.append(
            f"gantry tilt of {tilt:.1f} degrees: the slices are shifted against each other, so 3-D shapes look slanted "
            "here; positions and volumes in mL are right"
        )
    elif turned >= OBLIQUE:
        said.append(f"oblique: the scan is turned by {turned:.1f} degrees against the patient's axes")
    if min(grid.volume_shape) == 1:
        said.append("a single slice: volumes in mL are those of one slice, and 3-D networks have nothing to look along")
    return said


def bare_header(source: Header) -> Header:
    """Return a new header with the geometry of `source` and nothing else, so that no text of a patient is passed on."""
    header = nib.Nifti2Header() if isinstance(source, nib.Nifti2Header) else nib.Nifti1Header()
    header.set_data_shape((1, 1, 1))
    header["pixdim"][:4] = source["pixdim"][:4]
    header["xyzt_units"] = int(source["xyzt_units"]) & 0b111  # the unit of length
    for name in (
        "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
        "srow_x", "srow_y", "srow_z",
    ):  # fmt: skip
        header[name] = source[name]
    return header


def header_for(affine: np.ndarray) -> Header:
    """Return a NIfTI-1 header for a grid that comes from DICOM: code 1 (scanner), qform only if it can express it."""
    header = nib.Nifti1Header()
    header.set_data_shape((1, 1, 1))
    header.set_zooms(spacing_of(affine))
    header.set_xyzt_units("mm")
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1 if tilt_degrees(affine) < 0.1 else 0)  # a qform knows no shear
    return header
