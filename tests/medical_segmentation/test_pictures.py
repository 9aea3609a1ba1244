"""Pictures of scans: which way up the patient is, what a window shows, lengths as they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medical_segmentation.grid import Grid, header_for
from medical_segmentation.pictures import (
    COLOURS,
    OPACITY,
    fullest_slice,
    heat_slice,
    save_overlay,
    save_png,
    window_grey,
)
from medical_segmentation.scan import Scan

SPACING = (1.0, 2.0, 5.0)


@pytest.fixture
def scan() -> Scan:
    """Air of 4 x 6 x 3 voxels; in the slice in the middle something dense at the patient's right and front."""
    affine = np.diag([*SPACING, 1.0])
    voxels = np.full((4, 6, 3), -1000, np.int16)
    voxels[2:, 4:, 1] = 1000
    return Scan("scan", voxels, affine, Grid(voxels.shape, affine, header_for(affine)), "CT")


def test_a_window_reaches_half_its_width_to_either_side_of_its_centre() -> None:
    hu = np.array([[-2000, -1350, -975, 150, 900]])  # lung: -600 +- 750
    assert window_grey(hu, "lung").tolist() == [[0, 0, 64, 255, 255]]
    assert window_grey(hu, (0.0, 300.0)).tolist() == [[0, 0, 0, 255, 255]]
    assert window_grey(np.arange(1001.0)[None])[0, [0, 5, 500, 995, 1000]].tolist() == [0, 0, 128, 255, 255]


def test_the_patients_right_is_on_the_left_and_the_front_on_top(scan: Scan, tmp_path: Path) -> None:
    mask = np.zeros(scan.voxels.shape, np.uint8)
    mask[2:, 4:, 1], mask[0, 0, 2] = 1, 2
    assert fullest_slice(mask) == 1 and fullest_slice(mask * 0) == 1
    save_overlay(scan, mask, tmp_path / "overlay.png")
    picture = Image.open(tmp_path / "overlay.png")
    # 4 x 6 voxels are 4 x 12 mm; six rows become 256 / 6 pixels each, or twice as many for 2 mm
    assert picture.size == (170, 512)
    air, dense = round(255 * 350 / 1500), 255  # in the window of the lung
    painted = [round(dense * (1 - OPACITY) + colour * OPACITY) for colour in COLOURS[0]]
    corners = [picture.getpixel(place) for place in ((5, 5), (165, 5), (5, 505), (165, 505))]
    assert list(corners[0]) == pytest.approx(painted, abs=1) and corners[1:] == [(air,) * 3] * 3


def test_heat_is_shown_in_its_fullest_slice_and_lies_on_the_patient(scan: Scan, tmp_path: Path) -> None:
    heat = np.zeros(scan.voxels.shape, np.float16)
    heat[:2, :2, 2], heat[0, 0, 0] = 0.5, 0.9  # the patient's left and back
    k, picture = heat_slice(scan, heat)
    assert k == 2
    save_png(picture, tmp_path / "heat.png", spacing=(scan.spacing[1], scan.spacing[0]))
    pixels = np.asarray(Image.open(tmp_path / "heat.png")).astype(int)
    assert pixels.shape == (512, 170, 3)
    grey = np.ptp(pixels, axis=2) == 0
    assert grey[5, 5] and grey[5, 165] and grey[505, 5] and not grey[505, 165]
