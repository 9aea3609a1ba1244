"""What is said about masks that cannot be right, and how right probabilities are; worked by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from medical_segmentation.calibration import bin_sums, near_outline, reliability, voxel_temperature
from medical_segmentation.contract import VolumeContract
from medical_segmentation.plausible import cut_edges, doubts

CONTRACT = VolumeContract(2, -1000.0, 400.0, 0.0, 1.0, (16, 16), plausible_ml=(1000.0, 9000.0), modality="CT")
LABELS = ("background", "lung")


def said(mask: np.ndarray, voxel_ml: float) -> list[str]:
    return doubts(mask, SimpleNamespace(voxel_ml=voxel_ml), LABELS, CONTRACT)


def boxes(*places: tuple[slice, ...], shape: tuple[int, int, int] = (20, 20, 10)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for place in places:
        mask[place] = 1
    return mask


LEFT, RIGHT = np.s_[2:8, 5:15, 2:8], np.s_[12:18, 5:15, 2:8]  # 360 voxels each


def test_two_lungs_of_a_usual_size_raise_no_doubt() -> None:
    assert said(boxes(LEFT, RIGHT), 5.0) == []  # 3,600 mL


def test_a_volume_that_no_patient_has_is_doubtful() -> None:
    (low,), (high,) = said(boxes(LEFT, RIGHT), 1.0), said(boxes(LEFT, RIGHT), 20.0)
    assert low.startswith("720 mL of lung is outside the 1,000 to 9,000 mL that a patient has")
    assert high.startswith("14,400 mL of lung is outside")


def test_what_reaches_the_edge_is_cut_off_and_may_be_small() -> None:
    mask = boxes(np.s_[2:8, 5:15, 0:8], RIGHT)
    assert said(mask, 1.0) == ["lung is cut off at the scan's lower edge: the volume is of the part in view"]
    assert cut_edges(boxes(np.s_[0:20, 5:15, 9:10])) == ["left", "right", "upper"]
    assert cut_edges(boxes(np.s_[5:9, 5:9, 0:1], shape=(20, 20, 1))) == []  # a single slice has no lower edge


def test_many_pieces_are_doubtful() -> None:
    mask = boxes(LEFT, RIGHT, np.s_[10:11, 1:2, 4:5])
    assert said(mask, 5.0) == ["lung lies in 3 separate pieces, expected 2: look at the smaller ones"]
    assert said(boxes(shape=(4, 4, 4)), 1.0) == []  # an empty mask has its own sentence


def test_voxels_near_an_outline_are_two_on_either_side() -> None:
    mask = np.zeros((12, 1, 1), np.uint8)
    mask[6:] = 1
    assert np.flatnonzero(near_outline(mask)).tolist() == [4, 5, 6, 7]
    moved = np.zeros_like(mask)
    moved[8:] = 1
    assert np.flatnonzero(near_outline(mask, moved)).tolist() == [4, 5, 6, 7, 8, 9]
    moved[7] = 255  # nobody labelled it
    assert np.flatnonzero(near_outline(mask, moved)).tolist() == [4, 5, 6, 8, 9]


def test_the_reliability_of_four_voxels_by_hand() -> None:
    truth, mask = np.zeros((12, 1, 1), np.uint8), np.zeros((12, 1, 1), np.uint8)
    truth[6:], mask[6:] = 1, 1
    mask[7] = 0  # one of six is wrong: those at 4 to 9 count
    confidence = np.full((12, 1, 1), 0.9)
    confidence[7] = 0.6
    found = reliability([bin_sums(confidence, mask, truth)])
    assert found is not None
    assert [entry for entry in found.bins if entry[0]] == [(1, 0.6, 0.0), (5, 0.9, 1.0)]
    assert found.error == pytest.approx((1 * 0.6 + 5 * 0.1) / 6, abs=1e-6)
    assert reliability([]) is None and reliability([bin_sums(confidence, truth * 0, truth * 0)]) is None


class Sure(nn.Module):
    """Says `strength` of the brighter class, whatever the truth."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([-x.sign(), x.sign()], 1) * self.strength / 2


def test_the_temperature_makes_probabilities_as_high_as_their_accuracy() -> None:
    """Right in 3 of 4 voxels near outlines: the likelihood is greatest at 75 %, a difference of scores of log 3."""
    x, y = torch.full((1, 64, 64), -1.0), torch.zeros(64, 64, dtype=torch.uint8)
    x[:, ::2], y[::2] = 1.0, 1  # stripes: every pixel is near an outline
    y[:, ::4] = 1 - y[:, ::4]  # a quarter of the truth is the other way round
    for strength in (1.0, 5.0):
        found = voxel_temperature(Sure(strength), [(x, y)], CONTRACT, torch.device("cpu"))
        assert found == pytest.approx(strength / math.log(3), rel=0.01)
    assert voxel_temperature(Sure(1.0), [], CONTRACT, torch.device("cpu")) == 1.0
