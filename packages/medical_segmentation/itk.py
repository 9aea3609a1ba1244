"""MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr) files, read by SimpleITK after their headers were checked."""

import math
import re
from pathlib import Path

import numpy as np

from cnn_core.errors import DataError
from cnn_core.storage import readable_size
from medical_segmentation.grid import Grid, check_affine, header_for
from medical_segmentation.safety import GZIP_RATIO, Kind, check_shape, reading
from medical_segmentation.values import fill

HEADER_BYTES = 64 * 1024  # what is looked at for the name of a file with the voxels
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
READERS = {Kind.METAIMAGE: "MetaImageIO", Kind.NRRD: "NrrdImageIO"}
CONVERT = "save it as .nii.gz (3D Slicer: File, Save data)"
ELSEWHERE = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file\s*:)\s*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)


def read_itk(path: Path, kind: Kind, *, name: str) -> tuple[Grid, np.ndarray, list[str]]:
    """Read one volume: `-> its grid, voxels int16 or float32 [X, Y, Z] (RAS), what to know about it in sentences`.

    Args:
        path: a file of the kind.
        kind: METAIMAGE or NRRD.
        name: what messages call it.

    Raises:
        DataError: damaged, colour, several volumes, or a header that makes no sense or leads to other folders.
    """
    try:
        import SimpleITK as sitk  # noqa: N813  # its own name for itself
    except ImportError:
        raise DataError(
            f"{name}: {kind} files need the package SimpleITK; run `pip install SimpleITK`, or {CONVERT}"
        ) from None
    with reading(name):
        data, said = _data_file(path, kind, name)
        held = data.stat().st_size
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(READERS[kind])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size, components = reader.GetSize(), reader.GetNumberOfComponents()
        shape = tuple(int(edge) for edge in size)
        if components != 1:
            raise DataError(f"{name}: {components} numbers per voxel (colours or directions), expected one; {CONVERT}")
        if len(shape) not in (2, 3) and math.prod(shape[3:]) != 1:
            edges = " x ".join(map(str, shape))
            raise DataError(f"{name}: holds several volumes (shape {edges}), expected one scan; save one as .nii.gz")
        x, y, z = (*shape, 1)[:3]
        check_shape((x, y, z), name)
        if x * y * z > held * GZIP_RATIO:
            raise DataError(
                f"{name}: the header promises {x} x {y} x {z} voxels, the file has {readable_size(held)}; it is "
                "incomplete or its header is wrong, copy or download it again"
            )
        image = reader.Execute()
        dims = image.GetDimension()
        direction = np.eye(max(3, dims))
        direction[:dims, :dims] = np.array(image.GetDirection()).reshape(dims, dims)
        spacing, origin = (*image.GetSpacing(), 1.0)[:3], (*image.GetOrigin(), 0.0)[:3]
        array = sitk.GetArrayViewFromImage(image).reshape(z, y, x)
    except (RuntimeError, ValueError, OverflowError, MemoryError) as error:  # all that SimpleITK raises
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: a {kind} file that is damaged or incomplete; copy or download it again") from None
    affine = LPS_TO_RAS @ np.vstack([np.column_stack([direction[:3, :3] * spacing, origin]), [0, 0, 0, 1]])
    check_affine(affine, name)
    header = header_for(affine)
    grid = Grid((x, y, z), header.get_sform(), header, str(array.dtype))
    return grid, fill(grid, ((plane.T, 1.0, 0.0) for plane in array)), said


def _data_file(path: Path, kind: Kind, name: str) -> tuple[Path, list[str]]:
    """Return the file that holds the voxels, which must lie beside the header, and what the header does not say."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if kind is Kind.NRRD:
        head = head.partition(b"\n\n")[0].partition(b"\r\n\r\n")[0]
    elif (local := re.search(rb"ElementDataFile\s*=\s*LOCAL", head)) is not None:
        head = head[: local.end()]
    said = []
    if kind is Kind.NRRD and not re.search(rb"^space:", head, re.MULTILINE):
        said.append("the header does not say how the scan lies in the patient: left and right may be swapped")
    for found in ELSEWHERE.findall(head):
        other = found.decode(errors="replace")
        if other.upper() == "LOCAL":
            continue
        if Path(other).name != other or "\\" in other or "%" in other or other.upper().startswith("LIST"):
            raise DataError(f"{name}: its voxels are in other folders or several files; {CONVERT}")
        if not (path.parent / other).is_file():
            raise DataError(f"{name}: the file with its voxels is not beside it; give both, or {CONVERT}")
        return path.parent / other, said
    return path, said
