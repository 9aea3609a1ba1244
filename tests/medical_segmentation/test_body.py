"""The body in a CT: drawn patients on tables, cut off, padded and resampled, with known sizes."""

import re

import numpy as np
import pytest
import torch

from medical_segmentation.body import EMPTY, find_body, resize, resize_labels, see_body, without_padding
from medical_segmentation.contract import VolumeContract
from medical_segmentation.segmenter import Segmenter

SPACING = (1.5, 1.5, 5.0)


def disc(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    x, y = np.ogrid[: shape[0], : shape[1]]
    return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1


def patient(edge: int = 200, *, air: float = -1000.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A trunk of 141 x 101 pixels with two lungs, on a table with a blanket: HU, body, lungs, each [edge, edge, 2]."""
    noise = np.random.default_rng(0).normal(0, 15, (edge, edge))
    body, lungs = disc((edge, edge), (100, 100), (70, 50)), np.zeros((edge, edge), bool)
    for x in (70, 130):
        lungs |= disc((edge, edge), (x, 100), (25, 35))
    plane = np.full((edge, edge), air)
    plane[20:180, 30:33] = 200  # a table below, not in touch
    plane[60:140, 152] = -100  # a blanket on top
    plane[body], plane[lungs] = 40, -800
    stack = [(plane + noise).astype(np.int16)] * 2
    return np.stack(stack, 2), np.stack([body] * 2, 2), np.stack([lungs] * 2, 2)


@pytest.mark.parametrize("air", [-1000.0, -910.0, -860.0])
def test_the_body_is_found_without_table_and_blanket(air: float) -> None:
    voxels, body, _ = patient(air=air)
    found = find_body(voxels, SPACING)
    assert (found.mask != body).sum() < 0.01 * body.sum()
    assert found.mask[body].mean() > 0.99 and found.size == pytest.approx(141 * 1.5, abs=3)
    assert found.box[0].start == pytest.approx(30, abs=1) and found.box[1].stop == pytest.approx(151, abs=1)


def test_a_body_of_no_human_size_and_one_that_is_cut_off_are_said() -> None:
    voxels, _, _ = patient()  # columns 30 to 170, 211 mm at 1.5 mm
    assert see_body(voxels, SPACING, 64).warnings == ()
    (small,) = see_body(voxels, (0.15, 0.15, 5.0), 64).warnings  # lengths in cm
    assert small.startswith("the body measures 21.1 mm across, expected 80 to 1,000")
    assert see_body(voxels[40:], SPACING, 64).warnings == ()  # 0.51 of its height touches the edge
    assert see_body(voxels[100:], SPACING, 64).warnings == ()  # between the lungs
    for cut, edge in ((np.s_[70:], "left"), (np.s_[:120], "right"), (np.s_[:, :110], "front")):
        (said,) = see_body(voxels[cut], SPACING, 64).warnings
        assert said.startswith(f"the scan ends inside the body at the patient's {edge}, in air")


def test_a_lung_that_is_cut_off_belongs_to_the_body() -> None:
    voxels, _, lungs = patient()
    cropped = slice(60, 140), slice(65, 135)  # inside the trunk; both lungs reach the sides
    found = find_body(voxels[cropped], SPACING)
    assert found.mask[lungs[cropped]].all() and found.mask.mean() > 0.99


@pytest.mark.parametrize("number", [0, -1024, -2000, -3024])
def test_padding_of_any_number_is_no_tissue(number: int) -> None:
    voxels, body, _ = patient()
    padded = np.full((260, 260, 2), number, np.int16)
    padded[30:230, 30:230] = voxels
    cleaned, found = without_padding(padded)
    assert found == (0.0 if number == 0 else None)
    if number == 0:
        assert (cleaned[:30] == EMPTY).all() and (cleaned[30:230, 30:230] == voxels).mean() > 0.999
        assert (padded[:30] == 0).all()  # what came is left as it was
    assert (find_body(cleaned, SPACING).mask[30:230, 30:230] != body).sum() < 0.01 * body.sum()


def test_a_scan_without_a_body_has_none() -> None:
    noise = np.random.default_rng(0).normal(-1000, 10, (64, 64, 3)).astype(np.int16)
    assert find_body(noise, SPACING).size == 0 and not find_body(noise, SPACING).mask.any()
    assert see_body(noise, SPACING, 64).voxels is None


@pytest.mark.parametrize("edge", [84, 128, 200, 512, 768])
def test_what_is_seen_does_not_depend_on_the_pixels(edge: int) -> None:
    voxels = patient()[0]
    same = resize(voxels, (edge, edge))
    spacing = (1.5 * 200 / edge, 1.5 * 200 / edge, 5.0)
    seen, reference = see_body(same, spacing, 96), see_body(voxels, SPACING, 96)
    assert seen.voxels is not None and reference.voxels is not None
    assert max(seen.voxels.shape[:2]) == pytest.approx(96, abs=4)
    share = (resize_labels((seen.voxels < -500).astype(np.uint8), (96, 96))).mean()
    assert share == pytest.approx(
        (resize_labels((reference.voxels < -500).astype(np.uint8), (96, 96))).mean(), rel=0.05
    )


def test_resizing_averages_what_a_pixel_covers() -> None:
    plane = np.array([[0, 4], [8, 4]], np.float32)[..., None]
    assert resize(plane, (1, 1)).tolist() == [[[4.0]]]
    many = np.zeros((4, 4, 70), np.uint8)  # more planes than are resized at once
    many[:2, :, 69] = 3
    assert (
        resize_labels(many, (2, 2))[:, :, 69].tolist() == [[3, 3], [0, 0]]
        and not resize_labels(many, (2, 2))[..., :69].any()
    )


class Dark(torch.nn.Module):
    """Says that everything below the middle of the window is the second class."""

    any_size = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, -x], 1) * 20


CONTRACT = VolumeContract(2, -1000.0, 400.0, 0.35, 0.3, (96, 96), body_pixels=96, keep="lungs", modality="CT")


@pytest.mark.parametrize("turned", [False, True], ids=["on the back", "on the front"])
def test_nothing_outside_the_body_is_labelled_and_the_mask_lies_on_the_scan(turned: bool) -> None:
    voxels, body, lungs = patient()
    if turned:
        voxels, body, lungs = (np.ascontiguousarray(array[:, ::-1]) for array in (voxels, body, lungs))
    found = Segmenter(Dark(), CONTRACT)(voxels, SPACING, maps=("entropy", "confidence"))
    assert not found.mask[~body].any()
    assert 2 * (found.mask & lungs).sum() / (found.mask.sum() + lungs.sum()) > 0.97
    assert found.maps["confidence"].shape == voxels.shape and found.maps["confidence"][0, 0, 0] == 1
    assert found.maps["entropy"][0, 0, 0] == 0 and found.maps["entropy"].max() > 0.5  # at the outlines


def test_padding_and_dropped_pieces_are_said() -> None:
    voxels, _, lungs = patient()
    padded = np.zeros((260, 260, 2), np.int16)
    padded[30:230, 30:230] = voxels
    padded[130:134, 120:128, 0] = -900  # a bubble
    found = Segmenter(Dark(), CONTRACT)(padded, SPACING)
    assert found.notes[0] == "0 around what was scanned was taken for padding, not for tissue"
    assert re.fullmatch(r"\d+ small pieces of 0\.\d+ mL in all were dropped", found.notes[1])  # and the rim of the skin
    assert not found.mask[130:134, 120:128].any() and found.mask.sum() == pytest.approx(lungs.sum(), rel=0.05)
