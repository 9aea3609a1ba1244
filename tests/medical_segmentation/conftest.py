"""Scans to read: NIfTI files and DICOM slices as scanners write them, small, with known numbers."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from made_scans import save_slice
from pydicom.uid import generate_uid


@pytest.fixture
def ct() -> np.ndarray:
    """int16 [5, 6, 4], every number different, air to bone."""
    return np.arange(-1000, 200, 10, dtype=np.int16).reshape(5, 6, 4)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Saves an array as NIfTI with nibabel."""

    def save(array: np.ndarray, affine: np.ndarray | None = None, name: str = "scan.nii.gz", **fields: object) -> Path:
        affine = np.diag([0.5, 0.75, 2.0, 1.0]) if affine is None else affine
        image = nib.Nifti1Image(array, affine, dtype=array.dtype)
        for field, value in fields.items():
            image.header[field] = value
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def write_slice(tmp_path: Path) -> Callable[..., Path]:
    """Writes one CT slice of 4 rows and 3 columns as DICOM; any element can be given, None leaves it out."""
    series = generate_uid()

    def write(name: str = "slice.dcm", pixels: np.ndarray | None = None, **elements: object) -> Path:
        return save_slice(tmp_path / name, pixels, **{"SeriesInstanceUID": series, **elements})

    return write


@pytest.fixture
def write_series(write_slice: Callable[..., Path]) -> Callable[..., list[Path]]:
    """Writes slices at the heights `at` (mm); slice k holds the numbers 1000 k + 0..11. File names fall with height."""

    def write(at: list[float], folder: str = "series", **elements: object) -> list[Path]:
        return [
            write_slice(
                f"{folder}/{len(at) - k:03d}.dcm",
                (np.arange(12) + 1000 * k).astype(np.int16).reshape(4, 3),
                **{"ImagePositionPatient": [10, 20, height], "InstanceNumber": k, **elements},
            )
            for k, height in enumerate(at)
        ]

    return write
