"""DICOM files as scanners write them, small, with known numbers."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = [1, 0, 0, 0, 1, 0]


def save_slice(path: Path, pixels: np.ndarray | None = None, **elements: object) -> Path:
    """Write one CT slice, by default of 4 rows and 3 columns; any element can be given, None leaves it out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = elements.get("SOPClassUID", CTImageStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = elements.pop("syntax", ExplicitVRLittleEndian)
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    pixels = np.arange(12, dtype=np.int16).reshape(4, 3) if pixels is None else pixels
    given = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "SeriesInstanceUID": "1.2.3",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "ImagePositionPatient": [10, 20, 30],
        "ImageOrientationPatient": AXIAL,
        "PixelSpacing": [0.5, 0.75],  # between rows, between columns
        "SliceThickness": 2.0,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "PixelData": pixels.tobytes(),
        **elements,
    }
    for element, value in given.items():
        if value is not None:
            setattr(dataset, element, value)
    pydicom.dcmwrite(path, dataset)
    return path


def picture(k: int) -> np.ndarray:
    """Return the pixels of slice `k`, int16 [4, 3]: 1000 k + 0..11."""
    return (np.arange(12) + 1000 * k).astype(np.int16).reshape(4, 3)


def save_stack(folder: Path, heights: list[float], *, first: int = 0, **elements: object) -> list[Path]:
    """Write a slice at each height (mm), with the pictures from number `first` on; callables get the number."""
    paths = []
    for k, height in enumerate(heights):
        own = {name: value(k) if callable(value) else value for name, value in elements.items()}
        given = {"ImagePositionPatient": [10, 20, height], "InstanceNumber": first + k + 1, **own}
        paths.append(save_slice(folder / f"{first + k:03d}-{len(own)}.dcm", picture(first + k), **given))
    return paths


def save_enhanced(path: Path, heights: list[float], **elements: object) -> Path:
    """Write the same as one Enhanced CT file, frames in the order of `heights`."""

    def item(**values: object) -> Dataset:
        dataset = Dataset()
        for name, value in values.items():
            setattr(dataset, name, value)
        return dataset

    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.0)],
        PixelValueTransformationSequence=[item(RescaleIntercept=-1024, RescaleSlope=1)],
    )
    frames = [item(PlanePositionSequence=[item(ImagePositionPatient=[10, 20, height])]) for height in heights]
    pixels = np.stack([picture(k) for k in range(len(heights))])
    outside = dict.fromkeys(
        ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
         "RescaleIntercept")
    )  # fmt: skip
    return save_slice(
        path, pixels, SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=len(heights),
        SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames, **outside, **elements,
    )  # fmt: skip
