"""Metrics and the loss: by hand on tiny masks, and against MONAI, SciPy and scikit-learn."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_segmentation.checker import Volume
from medical_segmentation.evaluate import evaluate, measure_case
from medical_segmentation.losses import dice_cross_entropy, soft_dice
from medical_segmentation.metrics import (
    auc,
    bootstrap,
    calibration_error,
    dice,
    label_scores,
    mean_dice,
    surface_distances,
)
from medical_segmentation.segmenter import SegmenterOutput

SPACING = (1.0, 2.0, 3.0)


def block(*place: slice, shape: tuple[int, ...] = (8, 8, 8)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[place] = True
    return mask


def blob(seed: int, shape: tuple[int, ...] = (12, 11, 10)) -> np.ndarray:
    """A lump of random form."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return noise > np.quantile(noise, 0.8)


def test_dice_by_hand() -> None:
    a, b = block(slice(0, 2), slice(0, 2), 0), block(slice(1, 3), slice(0, 2), 0)  # 4 and 4 voxels, 2 shared
    assert dice(a, b) == 0.5 and dice(a, a) == 1 and dice(a, a & False) == 0 and dice(a & False, a & False) is None


def test_mean_dice_leaves_out_what_occurs_nowhere() -> None:
    truth = np.array([[[0, 1, 1, 2]]], np.uint8)
    mask = np.array([[[1, 1, 0, 2]]], np.uint8)
    assert mean_dice(mask, truth, 4) == pytest.approx((0.5 + 1) / 2)
    assert mean_dice(truth * 0, truth * 0, 3) is None


def test_surfaces_are_what_touches_the_outside() -> None:
    cube = block(slice(2, 5), slice(2, 5), slice(2, 5))
    assert len(surface_distances(cube, cube, SPACING)[0]) == 26
    everything = block(slice(0, 8), slice(0, 8), slice(0, 8))
    assert len(surface_distances(everything, cube, SPACING)[0]) == 8**3 - 6**3


def test_distances_by_hand_are_in_mm() -> None:
    one, other = block(1, 1, 1), block(1, 1, 4)  # single voxels, 3 slices of 3 mm apart
    to_truth, to_mask = surface_distances(one, other, SPACING)
    assert to_truth.tolist() == [9] and to_mask.tolist() == [9]
    found = label_scores(one, other, SPACING, tolerance=8.9)
    assert (found.dice, found.hd95_mm, found.surface_dice) == (0, 9, 0)
    assert found.volume_ml == pytest.approx(0.006)
    assert label_scores(one, other, SPACING, tolerance=9.0).surface_dice == 1


def test_a_single_slice_is_measured_in_its_plane() -> None:
    flat = (8, 8, 1)
    cube = block(slice(1, 6), slice(1, 6), 0, shape=flat)
    moved = block(slice(1, 6), slice(2, 7), 0, shape=flat)
    for axis, spacing in enumerate([(0.001, 1.0, 2.0), (1.0, 0.001, 2.0), (1.0, 2.0, 0.001)]):
        found = label_scores(np.moveaxis(cube, 2, axis), np.moveaxis(moved, 2, axis), spacing)
        assert found.hd95_mm == 2.0  # the thickness of the slice plays no part


def test_empty_against_something_has_no_distance() -> None:
    nothing, something = block(0, 0, 0) & False, block(1, 1, 1)
    for a, b in ((nothing, something), (something, nothing)):
        found = label_scores(a, b, SPACING)
        assert (found.dice, found.hd95_mm, found.surface_dice) == (0, None, 0)
    found = label_scores(nothing, nothing, SPACING)
    assert (found.dice, found.hd95_mm, found.surface_dice) == (None, None, None)


def test_the_interval_of_a_mean_is_that_of_statistics() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)
    low, high = bootstrap(lambda drawn: float(values[drawn].mean()), 200)
    half = 1.96 * values.std(ddof=1) / 200**0.5
    assert low == pytest.approx(values.mean() - half, abs=0.06) and high == pytest.approx(
        values.mean() + half, abs=0.06
    )
    twins = np.repeat(values, 4)  # four items of every patient tell no more than one
    groups = np.repeat(np.arange(200), 4)
    assert bootstrap(lambda drawn: float(twins[drawn].mean()), groups) == pytest.approx((low, high), abs=0.08)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_the_area_under_the_curve_is_that_of_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    from sklearn.metrics import roc_auc_score

    scores, truth = (np.array(column) for column in zip(*pairs, strict=True))
    if truth.all() or not truth.any():
        assert np.isnan(auc(scores, truth.astype(int)))
    else:
        assert auc(scores, truth.astype(int)) == pytest.approx(roc_auc_score(truth, scores))


def test_calibration_by_hand() -> None:
    probabilities = np.array([0.1] * 10 + [0.9] * 10)
    truth = np.array([0] * 9 + [1] + [1] * 9 + [0])
    assert calibration_error(probabilities, truth, bins=2) == pytest.approx(0)
    assert calibration_error(probabilities, 1 - truth, bins=2) == pytest.approx(0.8)
    # bins of 0.2, 0.4 and of 0.9 alone: two of three items are 0.3 against 1/2, one is 0.9 against 1
    found = calibration_error(np.array([0.9, 0.2, 0.4]), np.array([1, 0, 1]), bins=2)
    assert found == pytest.approx(2 / 3 * 0.2 + 1 / 3 * 0.1)


def test_scans_are_measured_against_their_truth_on_their_own_spacing() -> None:
    truth, mask = np.zeros((8, 8, 8), np.uint8), np.zeros((8, 8, 8), np.uint8)
    truth[1, 1, 4], mask[1, 1, 1] = 1, 1  # 3 slices of 3 mm apart
    truth[5, 5, 5], mask[5:7, 5, 5] = 2, 2  # one voxel of 1 x 2 x 3 mm, and one more beside it along X
    wrong, right = (Volume(name, answer, truth, SPACING) for name, answer in (("wrong", mask), ("right", truth)))

    def echo(voxels: np.ndarray, spacing: tuple[float, ...], **_: object) -> SegmenterOutput:
        return SegmenterOutput(voxels, {})

    report = evaluate(SimpleNamespace(segmenter=echo, labels=("none", "a", "b")), [wrong, right, right])
    far, near = report.cases[0]["a"], report.cases[0]["b"]
    assert (far["dice"], far["hd95_mm"], near["dice"]) == (0, 9, pytest.approx(2 / 3))
    assert near["hd95_mm"] == pytest.approx(0.95)  # distances 0 and 1 mm
    assert (near["volume_ml"], near["true_ml"]) == pytest.approx((0.012, 0.006))
    assert report.metrics["dice"] == pytest.approx((1 / 3 + 1 + 1) / 3) and report.metrics["dice_a"] == 2 / 3
    assert report.metrics["hd95_mm"] == pytest.approx((9 + 0.95) / 2 / 3)
    found = measure_case(SegmenterOutput(mask, {}), wrong, {"a": 1, "b": 2})
    assert (found.mean("dice"), found.mean("hd95_mm")) == pytest.approx((1 / 3, (9 + 0.95) / 2))


# ---- the loss


def test_the_loss_by_hand() -> None:
    scores = torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]]])[None].transpose(1, 2).reshape(1, 2, 1, 2)  # all alike: 1/2
    target = torch.tensor([[[0, 1]]])
    soft = 2 * 0.5 / (1.0 + 1.0)  # probabilities 1/2 and 1/2, truth 1 cell
    assert float(soft_dice(scores, target).mean()) == pytest.approx(soft, abs=1e-4)
    assert float(dice_cross_entropy(scores, target)) == pytest.approx(np.log(2) + 1 - soft, abs=1e-4)
    found = float(dice_cross_entropy(scores, target, loss="log-dice"))
    assert found == pytest.approx(np.log(2) - np.log(soft), abs=1e-4)


def test_a_label_that_was_driven_out_still_has_a_gradient_of_the_log_dice() -> None:
    target = torch.zeros(1, 100, dtype=torch.int64)
    target[0, :4] = 1
    gradients = {}
    for loss in ("dice", "log-dice"):
        scores = torch.zeros(1, 2, 100)
        scores[:, 1] = -12
        scores.requires_grad_()
        (dice_cross_entropy(scores, target, loss=loss) - torch.nn.functional.cross_entropy(scores, target)).backward()
        gradients[loss] = float(scores.grad[0, 1, :4].abs().sum())
    assert gradients["dice"] < 1e-4 and gradients["log-dice"] > 0.5


def test_the_loss_is_monais() -> None:
    losses = pytest.importorskip("monai.losses")
    peer = losses.DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5)
    for shape in ((2, 3, 6, 5), (2, 4, 5, 4, 3)):
        scores = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        target = torch.randint(shape[1], (shape[0], *shape[2:]), generator=torch.Generator().manual_seed(1))
        assert float(dice_cross_entropy(scores, target)) == pytest.approx(
            float(peer(scores, target[:, None])), abs=1e-5
        )


@pytest.mark.parametrize("seed", range(4))
def test_dice_hd95_and_surface_dice_are_monais(seed: int) -> None:
    metrics = pytest.importorskip("monai.metrics")
    mask, truth = blob(seed), blob(seed + 100)
    found = label_scores(mask, truth, SPACING, tolerance=1.5)
    a, b = (torch.from_numpy(np.pad(m, 2))[None, None].float() for m in (mask, truth))
    peer = float(metrics.compute_dice(a, b))
    assert found.dice == pytest.approx(peer, abs=1e-6)
    peer = float(metrics.compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=SPACING))
    assert found.hd95_mm == pytest.approx(peer, rel=1e-4)
    peer = float(metrics.compute_surface_dice(a, b, class_thresholds=[1.5], include_background=True, spacing=SPACING))
    assert found.surface_dice == pytest.approx(peer, abs=1e-6)
