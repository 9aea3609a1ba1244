"""Windows against one call of MONAI's, hand-worked signals, masks and maps, and a memory limit."""

import math
import subprocess
import sys

import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from cnn_core.errors import CnnError, UnknownNameError
from cnn_core.models.unet import create_unet
from medical_segmentation.windows import StoppedError, Windows, WithMirrors, gaussians, scores_in_rows, segment


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Place(nn.Module):
    """Adds each voxel's place in the window to it and puts the negative beside it: no symmetry, no weights."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x + torch.arange(x.shape[-1], dtype=x.dtype), -x], dim=1)


class Classes(nn.Module):
    """Scores that grow with the label."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.arange(float(self.labels)).view(1, -1, 1, 1, 1)


def network(labels: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv3d(4, labels, 3, padding=1)).eval()


def scores_of(model: nn.Module, x: Tensor, windows: Windows, **more: object) -> Tensor:
    """All scores [K, X, Y, Z]."""
    with torch.inference_mode():
        return torch.cat([scores for _, scores in scores_in_rows(model, x, windows, **more)], -1)


# ---- equal to MONAI


@pytest.mark.parametrize(
    ("size", "window", "overlap"),
    [
        ((20, 33, 17), (8, 12, 9), 0.25),
        ((9, 16, 31), (8, 8, 8), 0.6),  # a plane is reached by three rows
        ((7, 33, 5), (8, 12, 9), 0.5),  # smaller than the window along two axes
        ((12, 12, 12), (12, 12, 12), 0.25),
        ((13, 12, 9), (5, 4, 1), 0.25),  # slice by slice
        ((11, 6, 10), (4, 4, 4), 0.99),  # one voxel at a time
    ],
)
def test_rows_are_what_one_call_of_monai_answers(size, window, overlap) -> None:
    model, x = network(), torch.randn(*size)
    weights = torch.einsum("x,y,z->xyz", *gaussians(window))
    with torch.no_grad():
        whole = sliding_window_inference(
            x[None, None], window, 3, model, overlap=overlap, roi_weight_map=weights, cval=0.7
        )[0]  # fmt: skip
    found = scores_of(model, x, Windows(window, overlap=overlap, pad_value=0.7))
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=0)


def test_a_unet_gives_the_mask_of_one_call_of_monai() -> None:
    model = create_unet("unet", spatial_dims=3, options={"widths": (4, 8, 8), "depth": 1, "stem_stride": 2}).eval()
    x = torch.randn(40, 29, 33)
    with torch.no_grad():
        whole = sliding_window_inference(x[None, None], (16, 16, 16), 1, model, overlap=0.25, mode="gaussian")
    found = segment(model, x, Windows((16, 16, 16)))
    assert (found.mask == whole[0].argmax(0)).float().mean() > 0.999


# ---- by hand


def test_a_signal_of_six_in_windows_of_four() -> None:
    # rows begin at 0 and 2 (step 4 * 0.5); planes 2 and 3 are seen twice, at places 2, 3 and 0, 1, and the weights of
    # a window of four, with a standard deviation of 0.5, are exp(-4.5), exp(-0.5), exp(-0.5), exp(-4.5)
    scores = scores_of(Place(), torch.zeros(1, 1, 6), Windows((1, 1, 4), overlap=0.5))
    low, high = math.exp(-4.5), math.exp(-0.5)
    expected = [0, 1, (2 * high + 0 * low) / (high + low), (3 * low + 1 * high) / (low + high), 2, 3]
    assert scores[0, 0, 0].tolist() == pytest.approx(expected, abs=1e-5)


def test_rows_begin_where_the_part_that_is_not_shared_ends() -> None:
    windows = Windows((96, 4, 4), overlap=0.5)
    assert windows.starts(10, 1) == [0, 2, 4, 6]
    assert windows.starts(11, 1) == [0, 2, 4, 6, 7]
    assert windows.starts(3, 1) == [0]
    assert Windows((96, 96, 96)).starts(192, 0) == [0, 72, 96]


def test_rows_are_the_whole_once_and_in_order() -> None:
    with torch.inference_mode():
        rows = [*scores_in_rows(network(), torch.randn(5, 6, 21), Windows((8, 8, 8), overlap=0.5))]
    ends = [first + scores.shape[-1] for first, scores in rows]
    assert [first for first, _ in rows] == [0, *ends[:-1]] and ends[-1] == 21 and len(rows) > 2


def test_mirror_images_are_averaged() -> None:
    model, x = network(), torch.randn(4, 7, 9)
    with torch.no_grad():
        one = x[None, None]
        views = [model(one.flip(v)).flip(v) if v else model(one) for v in ((), (3,), (4,), (3, 4))]
    found = scores_of(model, x, Windows((4, 7, 9), flips=(1, 2), whole=x.numel()))
    torch.testing.assert_close(found, sum(views)[0] / 4)
    assert not torch.allclose(found, views[0][0], atol=1e-3)
    found = scores_of(model, x, Windows((4, 7, 9), flips=(2,), whole=x.numel()))
    torch.testing.assert_close(found, (views[0] + views[2])[0] / 2)


def test_the_network_answers_in_evaluation_mode() -> None:
    model = nn.Sequential(nn.Dropout(0.5), Classes(2)).train()
    x = torch.rand(2, 2, 8)
    torch.testing.assert_close(scores_of(model, x, Windows((2, 2, 8)))[1], x)


def test_what_fits_the_budget_goes_through_in_one_piece() -> None:
    model, x = network(), torch.randn(9, 10, 11)
    seen = []
    model.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape[2:])))
    whole = scores_of(model, x, Windows((4, 4, 4), whole=990))
    assert seen == [(9, 10, 11)]
    with torch.no_grad():
        torch.testing.assert_close(whole, model(x[None, None])[0])
    seen.clear()
    scores_of(model, x, Windows((4, 4, 4), whole=989))
    assert set(seen) == {(4, 4, 4)}
    seen.clear()
    assert scores_of(model, x[:3], Windows((6, 4, 4), whole=990)).shape == (3, 3, 10, 11)
    assert seen == [(6, 10, 11)]  # never smaller than a window


# ---- memory

MEMORY = """
import resource, sys, torch
import monai.inferers
from test_windows import Classes
from medical_segmentation.windows import Windows, segment

unit = 1 if sys.platform == "darwin" else 1024
windows = Windows((96, 96, 16))
segment(Classes(32), torch.rand(96, 96, 20), windows, maps=["entropy"])  # what torch and MONAI themselves take
x = torch.rand(96, 96, 300)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
segment(Classes(32), x, windows, maps=["entropy", "foreground"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before, x.numel() * 32 * 4)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is read through the resource module of Unix")
def test_a_long_volume_is_segmented_in_the_memory_of_a_row() -> None:
    from pathlib import Path

    answer = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    more, everything = map(int, answer.stdout.split())
    assert everything > 350e6
    assert more < everything / 3


# ---- progress and the end


def test_progress_counts_windows_and_estimates_what_is_left() -> None:
    steps = []
    segment(network(), torch.randn(4, 8, 12), Windows((4, 4, 4), overlap=0.0), progress=steps.append)  # None: go on
    assert [a.done for a in steps] == [1, 2, 3, 4, 5, 6] and {a.total for a in steps} == {6}
    assert steps[-1].fraction == 1
    assert steps[-1].seconds_left == 0
    half = steps[len(steps) // 2 - 1]
    assert half.seconds_left == pytest.approx(half.seconds * (1 / half.fraction - 1))


def test_a_progress_function_that_says_false_ends_it() -> None:
    calls = []

    def stop_at_two(advance: object) -> bool:
        calls.append(advance)
        return len(calls) < 2

    with pytest.raises(StoppedError, match="after 2 of 6 windows"):
        segment(network(), torch.randn(4, 8, 12), Windows((4, 4, 4), overlap=0.0), progress=stop_at_two)
    assert len(calls) == 2


# ---- masks and maps


class Fixed(nn.Module):
    """Scores of three labels for two voxels, whatever it sees: probabilities 1/2, 1/4, 1/4 and 1/3 each."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([[2.0, 1.0, 1.0], [1.0, 1.0, 1.0]]).T.log()[None, :, None, None]


def test_maps_by_hand() -> None:
    found = segment(Fixed(), torch.zeros(1, 1, 2), Windows((1, 1, 2)), maps=["foreground", "confidence", "entropy"])
    assert found.mask.flatten().tolist() == [0, 0]
    assert found.mask.dtype == torch.uint8
    assert found.foreground.flatten().tolist() == pytest.approx([0.5, 2 / 3], abs=1e-3)
    assert found.confidence.flatten().tolist() == pytest.approx([0.5, 1 / 3], abs=1e-3)
    entropy = (0.5 * math.log(2) + 0.5 * math.log(4)) / math.log(3)
    assert found.entropy.flatten().tolist() == pytest.approx([entropy, 1], abs=1e-3)


@pytest.mark.parametrize("piece", [1, 10**9])
def test_a_mask_is_the_argmax_of_the_blended_scores(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_segmentation.windows.PIECE", piece)
    model, x = network(), torch.randn(9, 20, 17)
    found = segment(model, x, Windows((8, 8, 8)))
    assert torch.equal(found.mask.long(), scores_of(model, x, Windows((8, 8, 8))).argmax(0))
    assert found.entropy is found.foreground is found.confidence is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.int16, torch.uint8])
def test_inputs_may_be_stored_small(dtype) -> None:
    x = (torch.rand(4, 9, 20) * 100).to(dtype)
    model = network()
    one = segment(model, x, Windows((4, 8, 8)), maps=["confidence"])
    other = segment(model, x.float(), Windows((4, 8, 8)), maps=["confidence"])
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(one.confidence, other.confidence)


# ---- refusals


def test_unknown_maps_wrong_sizes_and_too_few_labels_are_refused() -> None:
    x, windows = torch.zeros(4, 4, 4), Windows((4, 4, 4))
    with pytest.raises(UnknownNameError, match="did you mean entropy"):
        segment(network(), x, windows, maps=["entropie"])
    for labels in (1, 257):
        with pytest.raises(CnnError, match=rf"2 to 256 classes .* got \[1, {labels}, 4, 4, 4\]"):
            segment(Classes(labels), x, windows)
    with pytest.raises(CnnError, match=r"for \[4, 4, 4\] voxels, got \[1, 3, 2, 2, 2\]"):
        segment(nn.Conv3d(1, 3, 3), x, windows)


def test_an_exported_network_averages_over_mirror_images_as_predictions_do() -> None:
    torch.manual_seed(0)
    network = nn.Conv3d(1, 2, 3, padding=1).eval()  # not symmetric: mirror images differ
    x = torch.randn(8, 8, 8)
    windows = Windows((8, 8, 8), flips=(0, 2), whole=x.numel())
    ((_, expected),) = scores_in_rows(network, x, windows)
    with torch.inference_mode():
        found = WithMirrors(network, (0, 2))(x[None, None])[0]
        assert (found - expected).abs().max() < 1e-5
        assert (network(x[None, None])[0] - expected).abs().max() > 1e-2
        pooled = nn.Sequential(network, nn.Flatten(2))
        classes = WithMirrors(nn.Sequential(pooled, Mean()), (0,), masks=False)(x[None, None])
        by_hand = (pooled(x[None, None]).mean(2) + pooled(x.flip(0)[None, None]).mean(2)) / 2
    assert (classes - by_hand).abs().max() < 1e-6


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2)
