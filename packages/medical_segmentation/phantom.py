"""A thorax to practise on: ellipses in Hounsfield units with noise, written as NIfTI in the Decathlon layout.

Every phantom has a body with a layer of fat, two lungs, a heart, a spine and one nodule in a lung; sizes, positions,
spacing, noise and the order of the axes in the file vary with the seed. It teaches nothing about patients.
"""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np

from cnn_core.data.files import data_root
from cnn_core.storage import folder_lock, temporary_folder

LABELS = ("background", "lung", "heart", "spine", "nodule")
COUNTS = {"train": 24, "val": 6, "test": 10}
SHAPE = (72, 56, 40)  # voxels X, Y, Z
SPACING = 4.5  # mm, varied by a twentieth
HU = {"air": -1000.0, "fat": -100.0, "body": 40.0, "lung": -850.0, "heart": 160.0, "spine": 420.0, "nodule": 60.0}
FOLDER = "Phantom"
VERSION = "1"  # of what is drawn; a new version is generated again
ORDERS = ((1, 1, 1), (-1, -1, 1), (-1, 1, 1), (-1, -1, -1))  # directions of the axes in the files


def draw_phantom(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one phantom: `-> HU int16 [X, Y, Z], labels uint8 [X, Y, Z], affine 4 x 4` in RAS order."""
    rng = np.random.default_rng([20240607, seed])
    spacing = SPACING * rng.uniform(0.95, 1.05, 3).round(3)
    extent = np.array(SHAPE) * spacing
    axes = [
        (np.arange(edge) + 0.5) * step - length / 2 for edge, step, length in zip(SHAPE, spacing, extent, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)  # mm from the middle; X to the right, Y to the front

    def ellipsoid(centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
        return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) <= 1

    vary = lambda low, high: rng.uniform(low, high)  # noqa: E731
    voxels = np.full(SHAPE, HU["air"], np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    body = np.array([vary(138, 150), vary(98, 108), 1e4])  # a cylinder along Z
    voxels[ellipsoid(np.zeros(3), body)] = HU["fat"]
    voxels[ellipsoid(np.zeros(3), body - np.array([12, 12, 0]))] = HU["body"]
    lungs = []
    for side in (-1, 1):
        centre = np.array([side * vary(60, 68), vary(0, 10), vary(-5, 5)])
        radii = np.array([vary(44, 52), vary(62, 72), vary(70, 84)])
        lungs.append((centre, radii))
        mask[ellipsoid(centre, radii)] = 1
    heart = np.array([vary(-26, -14), vary(18, 30), vary(-30, -15)])  # to the patient's left, which is -X
    mask[ellipsoid(heart, np.array([vary(40, 48), vary(32, 40), vary(36, 44)]))] = 2
    mask[ellipsoid(np.array([vary(-3, 3), vary(-62, -56), 0]), np.array([vary(18, 22), vary(18, 22), 1e4]))] = 3
    centre, radii = lungs[int(rng.integers(2))]
    radius = vary(12, 18)
    while True:  # in the lung and away from the heart
        direction = rng.normal(size=3)
        place = centre + radii * 0.55 * direction / np.linalg.norm(direction)
        ball = ellipsoid(place, np.full(3, radius))
        if (mask[ball] == 1).all():
            break
    mask[ball] = 4
    for number, name in enumerate(LABELS[1:], start=1):
        voxels[mask == number] = HU[name] + vary(-15, 15)
    voxels += rng.normal(0, vary(15, 35), SHAPE).astype(np.float32)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -extent / 2
    return voxels.round().clip(-1024, 3071).astype(np.int16), mask, affine


def save_phantom(seed: int, image: Path, label: Path) -> None:
    """Write one phantom, in the order of axes that its seed gives."""
    voxels, mask, affine = draw_phantom(seed)
    flips = np.array(ORDERS[seed % len(ORDERS)])
    last = np.array([edge - 1 for edge in SHAPE])
    turned = affine.copy()
    turned[:3, :3] = affine[:3, :3] * flips
    turned[:3, 3] += affine[:3, :3] @ (last * (flips < 0))
    index = tuple(slice(None, None, int(step)) for step in flips)
    for array, path in ((voxels, image), (mask, label)):
        file = nib.Nifti1Image(np.ascontiguousarray(array[index]), turned)
        file.header.set_xyzt_units("mm")
        nib.save(file, path)


def phantom_folder(data_root_: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the phantoms, in the Decathlon layout; they are written if they are not there.

    Raises:
        StorageError: they cannot be written.
    """
    folder = (Path(data_root_) if data_root_ is not None else data_root()) / f"{FOLDER}{VERSION}"
    with folder_lock(folder.parent, timeout=600):  # of two processes that need them, the second waits
        if not (folder / "dataset.json").is_file():
            write_phantoms(folder, COUNTS)
    return folder


def write_phantoms(folder: Path, counts: dict[str, int]) -> None:
    """Write phantoms as a Decathlon folder, `counts` of each part.

    Raises:
        StorageError: they cannot be written, or `folder` exists already.
    """
    splits: dict[str, list[str]] = {}
    names: list[str] = []
    with temporary_folder(folder) as place:
        for part in ("imagesTr", "labelsTr"):
            (place / part).mkdir()
        for part, count in counts.items():
            splits[part] = [f"phantom_{len(names) + i:03d}" for i in range(count)]
            names += splits[part]
        for seed, name in enumerate(names):
            save_phantom(seed, place / "imagesTr" / f"{name}.nii.gz", place / "labelsTr" / f"{name}.nii.gz")
        table = {
            "name": FOLDER,
            "description": "drawn thoraxes: ellipses in HU with noise",
            "licence": "MIT",
            "modality": {"0": "CT"},
            "labels": {str(number): name for number, name in enumerate(LABELS)},
            "numTraining": len(names),
            "numTest": 0,
            "test": [],
            "training": [
                {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names
            ],
        }
        (place / "dataset.json").write_text(json.dumps(table, indent=1) + "\n", "utf-8")
        (place / "splits.json").write_text(json.dumps(splits, indent=1) + "\n", "utf-8")
