"""Small sets of scans in the Decathlon layout."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np


def case(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the scan and the mask of case k: a cube of k + 2 voxels with the label 1."""
    rng = np.random.default_rng(k)
    mask = np.zeros((12, 10, 8), np.uint8)
    mask[2 : 4 + k, 2 : 4 + k, 2:4] = 1
    return (rng.normal(-800, 20, mask.shape) + 850.0 * mask).astype(np.int16), mask


def save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([1, 1, 2, 1.0])), path)


def write_set(folder: Path, cases: int = 3, *, labels: object = None, **table: object) -> Path:
    """Write a set of the first cases."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    entries = []
    for k in range(cases):
        scan, mask = case(k)
        for part, array in (("imagesTr", scan), ("labelsTr", mask)):
            nib.save(nib.Nifti1Image(array, np.diag([1, 1, 2, 1.0])), folder / part / f"case{k}.nii.gz")
        entries.append({"image": f"./imagesTr/case{k}.nii.gz", "label": f"./labelsTr/case{k}.nii.gz"})
    content = {
        "labels": labels or {"0": "background", "1": "thing"},
        "modality": {"0": "CT"},
        "training": entries,
        **table,
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def replace(folder: Path, part: str, name: str, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    image = nib.Nifti1Image(array, np.diag([1, 1, 2, 1.0]) if affine is None else affine)
    nib.save(image, folder / part / f"{name}.nii.gz")
