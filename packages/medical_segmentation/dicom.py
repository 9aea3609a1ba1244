"""One DICOM file: what its header says about geometry and scaling, and its pixels. Nothing else is looked at.

Only the named elements are read, so names, dates and numbers of patients never enter the program. What pydicom says
about damaged values may quote them: its messages are neither shown, logged nor kept as the cause of ours.
"""

import logging
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.misc import is_dicom
from pydicom.pixels import get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cnn_core.errors import DataError
from medical_segmentation.safety import MAX_EDGE

MAX_SLICE_BYTES = 4 * MAX_EDGE**2 + 64 * 1024**2  # of one file; the header is read as a whole

ELEMENTS = [  # all that is read
    "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "AcquisitionNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "RescaleSlope",
    "RescaleIntercept", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration", "PixelData",
    "FloatPixelData", "DoubleFloatPixelData",
]  # fmt: skip

# pydicom has no error of its own for a damaged file: what its parsing runs into comes through (of 1,800 odd files
# OSError, ValueError, TypeError, AttributeError, RuntimeError and BytesLengthException), and so does whatever a
# decoder that is installed beside it raises. Nothing of it goes into a message.
DICOM_ERRORS = (
    InvalidDicomError, BytesLengthException, OSError, ValueError, EOFError, LookupError, TypeError, AttributeError,
    struct.error, zlib.error, ArithmeticError, MemoryError, RuntimeError, SyntaxError,
)  # fmt: skip

# Once for the process and not around each call, because `catch_warnings` confuses threads that read at the same time.
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, eq=False)
class Slice:
    """What one file says about itself.

    Attributes:
        series, instance, syntax: UIDs, for comparison only.
        rows, columns: pixels.
        position: mm, DICOM's LPS world, of the centre of the first pixel.
        axes: 3 x 3, LPS unit vectors along a row, along a column and normal to the slice.
        pixel_spacing: mm between rows, between columns.
        thickness: mm, None where the file does not say.
        slope, intercept: stored number -> value (HU); None where the file does not say.
    """

    path: Path
    series: str
    instance: str
    syntax: str
    modality: str
    acquisition: int
    rows: int
    columns: int
    position: np.ndarray
    axes: np.ndarray
    pixel_spacing: np.ndarray
    thickness: float | None
    slope: float | None
    intercept: float | None


class LeftOutError(Exception):
    """A file that is no slice of a scan; the message is its kind, in the plural, for counting ("localisers ...")."""


def read_header(path: Path) -> Slice:
    """Read the header of one file.

    Raises:
        LeftOutError: it is no slice with a place in space: the reason.
    """
    try:
        if path.stat().st_size > MAX_SLICE_BYTES:
            raise LeftOutError("files too large for one slice (multi-frame: convert them to NIfTI with dcm2niix)")
        meta = pydicom.filereader.read_file_meta_info(path) if is_dicom(path) else pydicom.Dataset()
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:  # unpacked by pydicom without a limit
            raise LeftOutError("deflated files (whole header compressed: save them uncompressed)")
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=ELEMENTS, force=True)
        return _slice(path, dataset, str(meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian)))
    except DICOM_ERRORS:
        raise LeftOutError("damaged or incomplete files") from None


def _slice(path: Path, dataset: pydicom.Dataset, syntax: str) -> Slice:
    """Check what a slice must have; `dataset` holds ELEMENTS alone."""
    modality = str(dataset.get("Modality", ""))
    if "Rows" not in dataset and modality in ("CT", "MR", "PT"):
        raise LeftOutError("damaged or incomplete files")
    if modality in ("SEG", "RTSTRUCT", "RTDOSE", "SR", "PR", "KO", "REG") or "Rows" not in dataset:
        raise LeftOutError("other DICOM objects (segmentations, reports, directories)")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise LeftOutError("multi-frame files (convert them to NIfTI with dcm2niix)")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise LeftOutError("colour pictures")
    kinds = np.atleast_1d(dataset.get("ImageType") or "")
    if {str(kind).strip().upper() for kind in kinds} & {"LOCALIZER", "SCOUT"}:
        raise LeftOutError("localisers (overview pictures)")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if not (0 < rows <= MAX_EDGE and 0 < columns <= MAX_EDGE):
        raise LeftOutError(f"slices of a size that is not between 1 and {MAX_EDGE} pixels")
    place = []
    for name, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        place.append(np.array(dataset.get(name) or [], dtype=float))
        if place[-1].shape != (count,) or not np.isfinite(place[-1]).all():
            raise LeftOutError("pictures that do not say where they lie in the patient")
    position, orientation, spacing = place
    along_row, along_column = orientation.reshape(2, 3)
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if not np.allclose(lengths, 1, atol=0.01) or abs(along_row @ along_column) > 0.01 or min(spacing) <= 0:
        raise LeftOutError("slices with a spacing or an orientation that makes no sense")
    normal = np.cross(along_row, along_column)
    return Slice(
        path,
        series=str(dataset.get("SeriesInstanceUID", "")),
        instance=str(dataset.get("SOPInstanceUID", "")),
        syntax=syntax,
        # A code of two letters by the standard; anything else is not repeated to the user.
        modality=modality if modality.isalpha() and modality.isupper() and len(modality) == 2 else "",
        acquisition=int(dataset.get("AcquisitionNumber") or 0),
        rows=rows,
        columns=columns,
        position=position,
        axes=np.array([along_row, along_column, normal / np.linalg.norm(normal)]),
        pixel_spacing=spacing,
        thickness=_positive(dataset.get("SliceThickness")) or _positive(dataset.get("SpacingBetweenSlices")),
        slope=_number(dataset.get("RescaleSlope")),
        intercept=_number(dataset.get("RescaleIntercept")),
    )


def _number(value: object) -> float | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | float | int):
        raise ValueError("several numbers in place of one")
    number = float(value)
    if not np.isfinite(number):
        raise ValueError("a number that is none")
    return number


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def check_decoder(syntax: str, name: str) -> None:
    """Raise DataError if the pixels of this transfer syntax cannot be unpacked here."""
    uid = pydicom.uid.UID(syntax)
    if not uid.is_transfer_syntax:  # any text, not to be repeated
        raise DataError(f"{name}: the DICOM files are packed in a way that is not known; save them uncompressed")
    try:
        decoder = get_decoder(uid)
    except NotImplementedError:
        raise DataError(f"{name}: the DICOM files hold {uid.name}, which is not read; save them uncompressed") from None
    if not decoder.is_available:
        raise DataError(
            f"{name}: the slices are compressed as {uid.name}, for which no decoder is installed; run `pip install "
            "pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg`, or save them uncompressed (`dcmdjpeg` of DCMTK)"
        )


def read_pixels(found: Slice, name: str) -> np.ndarray:
    """Return the stored numbers of a slice, [rows, columns].

    `pydicom.pixels.pixel_array` of a path needs no list of elements, but trusts the transfer syntax: where the elements
    are written in another one, as in files without a preamble, it returns pixels that are shifted by two.

    Raises:
        DataError: the pixels are missing or damaged.
    """
    try:
        dataset = pydicom.dcmread(found.path, specific_tags=ELEMENTS, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(found.syntax)
        pixels = dataset.pixel_array
    except DICOM_ERRORS:
        pixels = None
    if pixels is None or pixels.shape != (found.rows, found.columns):
        raise DataError(f"{name}: the pixels of a slice are damaged or incomplete; export or download the series again")
    return pixels
