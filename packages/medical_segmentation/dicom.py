"""One DICOM file: what its header says about geometry and scaling, and its pixels. Nothing else is looked at.

Only the named elements are read, so names, dates and numbers of patients never enter the program. What pydicom says
about damaged values may quote them: its messages are neither shown, logged nor kept as the cause of ours.
"""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cnn_core.errors import DataError
from medical_segmentation.safety import MAX_EDGE

MAX_SLICE_BYTES = 4 * MAX_EDGE**2 + 64 * 1024**2  # of one file; the header is read as a whole

HEADER_TAGS = [
    "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "AcquisitionNumber", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept",
]  # fmt: skip
PIXEL_TAGS = [
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PlanarConfiguration", "PixelData", "FloatPixelData", "DoubleFloatPixelData",
]  # fmt: skip

# What pydicom and the decoders raise on damaged files.
DICOM_ERRORS = (
    InvalidDicomError, BytesLengthException, OSError, ValueError, EOFError, LookupError, TypeError, AttributeError,
    struct.error, zlib.error, ArithmeticError, MemoryError, RuntimeError, SyntaxError,
)  # fmt: skip

# Once for the process and not around each call, because `catch_warnings` confuses threads that read at the same time.
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Slice:
    """What one file says about itself.

    Attributes:
        series, instance, syntax: UIDs, for comparison only.
        rows, columns: pixels.
        position: mm, DICOM's LPS world, of the centre of the first pixel.
        orientation: LPS unit vectors along a row and along a column.
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
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    pixel_spacing: tuple[float, float]
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
        meta = pydicom.filereader.read_file_meta_info(path) if _has_preamble(path) else pydicom.Dataset()
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:  # unpacked by pydicom without a limit
            raise LeftOutError("deflated files (whole header compressed: save them uncompressed)")
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=HEADER_TAGS, force=True)
        return _slice(path, dataset, str(meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian)))
    except DICOM_ERRORS:
        raise LeftOutError("damaged or incomplete files") from None


def _has_preamble(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _slice(path: Path, dataset: pydicom.Dataset, syntax: str) -> Slice:
    """Check what a slice must have; `dataset` holds HEADER_TAGS alone."""
    modality = str(dataset.get("Modality", ""))
    if "Rows" not in dataset and modality in ("CT", "MR", "PT"):
        raise LeftOutError("damaged or incomplete files")
    if modality in ("SEG", "RTSTRUCT", "RTDOSE", "SR", "PR", "KO", "REG") or "Rows" not in dataset:
        raise LeftOutError("other DICOM objects (segmentations, reports, directories)")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise LeftOutError("multi-frame files (convert them to NIfTI with dcm2niix)")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise LeftOutError("colour pictures")
    kinds = {str(kind).strip().upper() for kind in _several(dataset.get("ImageType"))}
    if kinds & {"LOCALIZER", "SCOUT"}:
        raise LeftOutError("localisers (overview pictures)")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if not (0 < rows <= MAX_EDGE and 0 < columns <= MAX_EDGE):
        raise LeftOutError(f"slices of a size that is not between 1 and {MAX_EDGE} pixels")
    place = {}
    for name, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        place[name] = tuple(float(number) for number in _several(dataset.get(name)))
        if len(place[name]) != count or not np.isfinite(place[name]).all():
            raise LeftOutError("pictures that do not say where they lie in the patient")
    x, y, z = place["ImagePositionPatient"]
    row_x, row_y, row_z, column_x, column_y, column_z = place["ImageOrientationPatient"]
    between_rows, between_columns = place["PixelSpacing"]
    along_row, along_column = np.array(place["ImageOrientationPatient"]).reshape(2, 3)
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if (
        not np.allclose(lengths, 1, atol=0.01)
        or abs(along_row @ along_column) > 0.01
        or min(place["PixelSpacing"]) <= 0
    ):
        raise LeftOutError("slices with a spacing or an orientation that makes no sense")
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
        position=(x, y, z),
        orientation=(row_x, row_y, row_z, column_x, column_y, column_z),
        pixel_spacing=(between_rows, between_columns),
        thickness=_positive(dataset.get("SliceThickness")) or _positive(dataset.get("SpacingBetweenSlices")),
        slope=_number(dataset.get("RescaleSlope")),
        intercept=_number(dataset.get("RescaleIntercept")),
    )


def _several(value: object) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


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
    if not uid.is_transfer_syntax:
        raise DataError(f"{name}: the DICOM files are packed in a way that is not known; save them uncompressed")
    if not uid.is_encapsulated:
        return
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

    Raises:
        DataError: the pixels are missing or damaged.
    """
    try:
        dataset = pydicom.dcmread(found.path, specific_tags=PIXEL_TAGS, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(found.syntax)
        pixels = dataset.pixel_array
    except DICOM_ERRORS:
        pixels = None
    if pixels is None or pixels.shape != (found.rows, found.columns):
        raise DataError(f"{name}: the pixels of a slice are damaged or incomplete; export or download the series again")
    return pixels
