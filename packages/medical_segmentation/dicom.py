"""One DICOM file: what its header says about geometry, scaling and kind, and its pixels. Nothing else is looked at.

Only the named elements are read, so names and dates of patients never enter the program; the patient's number and the
study are hashed at once, to tell patients apart. What pydicom says about damaged values may quote them: its messages
are neither shown, logged nor kept as the cause of ours.
"""

import hashlib
import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.misc import is_dicom
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000TransferSyntaxes

from cnn_core.errors import DataError
from cnn_core.validation import whole_number
from medical_segmentation.safety import MAX_EDGE, MAX_VOXELS

MAX_FILE_BYTES = 4 * MAX_VOXELS + 64 * 1024**2  # of one file; the header is read as a whole
MAX_DEFLATED_HEADER = 1024**2  # bytes; what follows must be the pixels that it promises

# What tells series, phases, echoes and reconstructions apart, in the order in which they are compared.
TRAITS = (
    "SeriesInstanceUID", "SeriesDescription", "ImageType", "FrameType", "StackID", "ConvolutionKernel", "EchoNumbers",
    "EchoTime", "EffectiveEchoTime", "DiffusionBValue", "KVP", "AcquisitionNumber", "FrameAcquisitionNumber",
    "TemporalPositionIdentifier", "TemporalPositionIndex", "NominalPercentageOfCardiacPhase", "TriggerTime",
    "SliceThickness", "AcquisitionDateTime", "AcquisitionTime", "ContentTime", "SeriesNumber",
)  # fmt: skip
ELEMENTS = [  # all that is read
    *TRAITS, "PatientID", "StudyInstanceUID", "SOPClassUID", "InstanceNumber", "Modality", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PlanarConfiguration", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "PixelData", "FloatPixelData", "DoubleFloatPixelData",
]  # fmt: skip
IN_FRAMES = {pydicom.tag.Tag(name) for name in ELEMENTS if not name.endswith(("Sequence", "Data"))}
# Calculated from other pictures, whatever the first value of ImageType says.
CALCULATED = {
    "MIP", "MINIP", "MPR", "CPR", "VRT", "SSD", "REFORMATTED", "PROJECTION IMAGE", "VOLUME RENDERED", "SUBTRACTION",
}  # fmt: skip
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and .1 to .4 below it

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
    """What one file, or one frame of a multi-frame file, says about itself.

    Attributes:
        frame: its number in the file, from 0; None: the file holds one slice.
        patient, study: hashes, for comparison only.
        syntax: UID of the transfer syntax.
        number: InstanceNumber, or that of the frame; -1 where the file does not say.
        derived: calculated from other pictures, or captured from a screen.
        traits: the texts of TRAITS, "" where the file does not say.
        rows, columns: pixels.
        position: mm, DICOM's LPS world, of the centre of the first pixel.
        axes: 3 x 3, LPS unit vectors along a row, along a column and normal to the slice.
        pixel_spacing: mm between rows, between columns.
        thickness: mm, None where the file does not say.
        slope, intercept: stored number -> value (HU); None where the file does not say.
    """

    path: Path
    frame: int | None
    patient: str
    study: str
    syntax: str
    modality: str
    number: int
    derived: bool
    traits: dict[str, str] = field(repr=False)
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


def read_header(path: Path) -> list[Slice]:
    """Read the header of one file: `-> its slices`, several of a multi-frame file.

    Raises:
        LeftOutError: it is no slice with a place in space: the reason.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise LeftOutError("files too large for a series")
        meta = pydicom.filereader.read_file_meta_info(path) if is_dicom(path) else pydicom.Dataset()
        syntax = str(meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian))
        if syntax == DeflatedExplicitVRLittleEndian:
            dataset = _deflated(path, MAX_DEFLATED_HEADER, pixels=False)
        else:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=ELEMENTS, force=True)
        return [*_slices(path, dataset, syntax)]
    except DICOM_ERRORS:
        raise LeftOutError("damaged or incomplete files") from None


def _slices(path: Path, dataset: pydicom.Dataset, syntax: str) -> Iterator[Slice]:
    """Check what a slice must have; `dataset` holds ELEMENTS alone."""
    modality = str(dataset.get("Modality", ""))
    if "Rows" not in dataset and modality in ("CT", "MR", "PT"):
        raise LeftOutError("damaged or incomplete files")
    if modality in ("SEG", "RTSTRUCT", "RTDOSE", "SR", "PR", "KO", "REG") or "Rows" not in dataset:
        raise LeftOutError("other DICOM objects (segmentations, reports, directories)")
    palette = _text(dataset, "PhotometricInterpretation").startswith("PALETTE")
    if palette or int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise LeftOutError("colour pictures and colour maps")
    frames = int(dataset.get("NumberOfFrames") or 1)
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        if frames > 1:
            raise LeftOutError("multi-frame files that do not say where each frame lies (convert them with dcm2niix)")
        yield _slice(path, dataset, syntax, None)
        return
    if len(per_frame) != frames:
        raise LeftOutError("damaged or incomplete files")
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for number, group in enumerate(per_frame):
        frame = pydicom.Dataset()
        for source in (dataset, *_macros(*shared[:1]), *_macros(group)):
            frame.update({tag: source[tag] for tag in source.keys() & IN_FRAMES})
        frame.InstanceNumber = number + 1
        yield _slice(path, frame, syntax, number)


def _macros(*groups: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """Yield what is in the functional groups of a frame, DICOM PS3.3 C.7.6.16."""
    for group in groups:
        for element in group:
            if element.VR == "SQ" and element.value:
                yield element.value[0]


def _slice(path: Path, dataset: pydicom.Dataset, syntax: str, frame: int | None) -> Slice:
    modality = str(dataset.get("Modality", ""))
    kinds = _kinds(dataset, "ImageType") + _kinds(dataset, "FrameType")
    if {"LOCALIZER", "SCOUT"} & {*kinds}:
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
    captured = _text(dataset, "SOPClassUID").startswith(SECONDARY_CAPTURE)
    number = whole_number(_text(dataset, "InstanceNumber"))
    return Slice(
        path,
        frame,
        patient=_hashed(_text(dataset, "PatientID")),
        study=_hashed(_text(dataset, "PatientID"), _text(dataset, "StudyInstanceUID")),
        syntax=syntax,
        # A code of two letters by the standard; anything else is not repeated to the user.
        modality=modality if modality.isalpha() and modality.isupper() and len(modality) == 2 else "",
        number=-1 if number is None else number,
        derived=captured or bool({"DERIVED", "SECONDARY"} & {*kinds} or CALCULATED & {*kinds}),
        traits={name: _text(dataset, name) for name in TRAITS},
        rows=rows,
        columns=columns,
        position=position,
        axes=np.array([along_row, along_column, normal / np.linalg.norm(normal)]),
        pixel_spacing=spacing,
        thickness=_positive(dataset.get("SliceThickness")) or _positive(dataset.get("SpacingBetweenSlices")),
        slope=_number(dataset.get("RescaleSlope")),
        intercept=_number(dataset.get("RescaleIntercept")),
    )


def _text(dataset: pydicom.Dataset, name: str) -> str:
    """Return an element as a text for comparison, "" where it is missing or makes no sense."""
    try:
        value = dataset.get(name)
    except DICOM_ERRORS:
        return ""
    return "" if value is None else str(value).strip()


def _kinds(dataset: pydicom.Dataset, name: str) -> list[str]:
    return [str(kind).strip().upper() for kind in np.atleast_1d(dataset.get(name) or "")]


def _hashed(*texts: str) -> str:
    return hashlib.blake2b("\0".join(texts).encode(errors="replace"), digest_size=12).hexdigest()


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
    if uid == DeflatedExplicitVRLittleEndian:
        return
    try:
        decoder = get_decoder(uid)
    except NotImplementedError:
        raise DataError(f"{name}: the DICOM files hold {uid.name}, which is not read; save them uncompressed") from None
    if not decoder.is_available:
        packages = "pylibjpeg pylibjpeg-openjpeg" if "High-Throughput" in uid.name else "python-gdcm"
        raise DataError(
            f"{name}: the slices are compressed as {uid.name}, for which no decoder is installed; run `pip install "
            f"{packages}`, or save them uncompressed (`dcmdjpeg` of DCMTK)"
        )


def read_pixels(found: Slice, name: str) -> np.ndarray:
    """Return the stored numbers of a slice, [rows, columns].

    `pydicom.pixels.pixel_array` of a path needs no list of elements, but trusts the transfer syntax: where the elements
    are written in another one, as in files without a preamble, it returns pixels that are shifted by two.

    Raises:
        DataError: the pixels are missing or damaged.
    """
    try:
        # GDCM aborts the process on some damaged JPEG 2000 streams; Pillow's decoder does not.
        plugin = "pillow" if found.syntax in JPEG2000TransferSyntaxes else ""
        dataset = (_with_pixels if found.frame is None else _frames)(found.path, found.syntax)
        pixels = pixel_array(dataset, index=found.frame, decoding_plugin=plugin)
    except DICOM_ERRORS:
        pixels = None
    if pixels is None or pixels.shape != (found.rows, found.columns):
        raise DataError(f"{name}: the pixels of a slice are damaged or incomplete; export or download the series again")
    return pixels


def _with_pixels(path: Path, syntax: str) -> pydicom.Dataset:
    if syntax == DeflatedExplicitVRLittleEndian:
        header = _deflated(path, MAX_DEFLATED_HEADER, pixels=False)
        cells = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
        limit = cells * int(header.BitsAllocated) // 8 + MAX_DEFLATED_HEADER
        return _deflated(path, min(limit, MAX_FILE_BYTES), pixels=True)
    dataset = pydicom.dcmread(path, specific_tags=ELEMENTS, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    return dataset


_frames = lru_cache(maxsize=1)(_with_pixels)  # a multi-frame file is read once, not once for each of its frames
forget_frames = _frames.cache_clear


def _deflated(path: Path, limit: int, *, pixels: bool) -> pydicom.Dataset:
    """Read a file whose elements are compressed as a whole, which pydicom would unpack without a limit.

    Raises:
        ValueError: with pixels, it holds more than `limit` bytes; without, what follows them is not looked at.
    """
    with path.open("rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        plain = unpacker.decompress(file.read(), limit)
    if pixels and unpacker.unconsumed_tail:
        raise ValueError("holds more than its header promises")
    dataset = pydicom.filereader.read_dataset(
        io.BytesIO(plain), is_implicit_VR=False, is_little_endian=True, specific_tags=[*map(pydicom.tag.Tag, ELEMENTS)],
        stop_when=None if pixels else lambda tag, _vr, _length: tag >= 0x7FE00008,
    )  # fmt: skip
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
