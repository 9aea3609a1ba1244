"""Sliding windows against MONAI's, hand-worked signals, and a memory limit."""

import math
import subprocess
import sys
from itertools import product

import pytest
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor, nn

from cnn_core.errors import CnnError, UnknownNameError
from cnn_core.inference import StoppedError, WindowConfig, fuse, held_bytes, lay_out, segment, slabs, sliding_window
from cnn_core.inference.windows import importance
from cnn_core.models.unet import create_unet


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Plain(nn.Module):
    """Adds each cell's place in the window to it and puts the negative beside it: no symmetry, no weights."""

    def forward(self, x: Tensor) -> Tensor:
        place = torch.arange(x.shape[-1], dtype=x.dtype)
        return torch.cat([x[:, :1] + place, -x[:, :1]], dim=1)


def network(n: int) -> nn.Module:
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1]
    return nn.Sequential(conv(2, 4, 3, padding=1), nn.Tanh(), conv(4, 3, 3, padding=1)).eval()


# ---- equal to MONAI


@pytest.mark.parametrize(
    ("size", "window", "overlap"),
    [
        ((30,), (8,), 0.25),
        ((20, 33), (8, 12), 0.25),
        ((20, 33, 17), (8, 12, 9), 0.25),
        ((9, 16, 11), (8, 8, 8), 0.6),
        ((7, 33, 5), (8, 12, 9), 0.5),  # smaller than the window along two axes
        ((12, 12, 12), (12, 12, 12), 0.25),
        ((13, 12), (5, 4), 0.0),
        ((11, 10), (4, 4), 0.99),  # one cell at a time
    ],
)
@pytest.mark.parametrize("blend", ["gaussian", "constant"])
def test_equals_monai(size, window, overlap, blend):
    model, x = network(len(size)), torch.randn(2, 2, *size)
    with torch.no_grad():
        theirs = sliding_window_inference(x, window, 3, model, overlap=overlap, mode=blend, cval=0.7)
    for batch in (1, 4):
        config = WindowConfig(window, overlap=overlap, batch=batch, blend=blend, pad_value=0.7)
        torch.testing.assert_close(sliding_window(model, x, config), theirs, atol=1e-5, rtol=0)


def test_equals_monai_on_a_unet() -> None:
    model = create_unet("unet", spatial_dims=3, options={"widths": (4, 8, 8), "depth": 1, "stem_stride": 2}).eval()
    x = torch.randn(1, 1, 40, 29, 33)
    with torch.no_grad():
        theirs = sliding_window_inference(x, (16, 16, 16), 1, model, overlap=0.25, mode="gaussian")
    torch.testing.assert_close(sliding_window(model, x, WindowConfig((16, 16, 16))), theirs, atol=1e-4, rtol=0)


# ---- by hand


def test_a_signal_of_six_in_windows_of_four() -> None:
    # starts 0 and 2 (step 4 * 0.5); cells 2 and 3 are seen twice, at places 2, 3 and 0, 1; all weights alike
    config = WindowConfig((4,), overlap=0.5, blend="constant")
    scores = sliding_window(Plain(), torch.zeros(1, 1, 6), config)
    assert scores[0, 0].tolist() == [0, 1, (2 + 0) / 2, (3 + 1) / 2, 2, 3]


def test_the_bell_by_hand() -> None:
    # edge 4: standard deviation 0.5, distances 1.5 and 0.5: exp(-4.5) and exp(-0.5)
    bell = importance((4, 1), "gaussian")
    expected = [math.exp(-4.5), math.exp(-0.5), math.exp(-0.5), math.exp(-4.5)]
    assert bell[:, 0].tolist() == pytest.approx(expected)
    assert importance((4, 4), "gaussian")[0, 0] == pytest.approx(1e-3)  # exp(-9) is raised
    assert importance((3, 2), "constant").tolist() == [[1, 1]] * 3


def test_windows_step_by_the_part_that_is_not_shared_and_end_at_the_edge() -> None:
    layout = lay_out((192, 192, 96), WindowConfig((96, 96, 96)))
    assert layout.starts == ((0, 72, 96), (0, 72, 96), (0,))
    assert layout.count == 9
    assert lay_out((10,), WindowConfig((4,), overlap=0.5)).starts == ((0, 2, 4, 6),)
    assert lay_out((11,), WindowConfig((4,), overlap=0.5)).starts == ((0, 2, 4, 6, 7),)
    assert lay_out((3,), WindowConfig((4,))).starts == ((0,),)


def test_mirror_images_are_averaged() -> None:
    model, x = network(2), torch.randn(1, 2, 7, 9)
    with torch.no_grad():
        views = [model(x.flip(v)).flip(v) if v else model(x) for v in ((), (2,), (3,), (2, 3))]
    scores = sliding_window(model, x, WindowConfig((7, 9), flips=(0, 1)))
    torch.testing.assert_close(scores, sum(views) / 4)
    assert not torch.allclose(scores, views[0], atol=1e-3)
    one = sliding_window(model, x, WindowConfig((7, 9), flips=(1,)))
    torch.testing.assert_close(one, (views[0] + views[2]) / 2)


def test_the_network_answers_in_evaluation_mode() -> None:
    x = torch.rand(1, 1, 20)
    torch.testing.assert_close(sliding_window(nn.Dropout(0.5).train(), x, WindowConfig((8,))), x)


def test_what_fits_the_budget_goes_through_in_one_piece() -> None:
    model, x = network(3), torch.randn(1, 2, 9, 10, 11)
    seen = []
    model.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape[2:])))
    whole = sliding_window(model, x, WindowConfig((4, 4, 4), whole=990))
    assert seen == [(9, 10, 11)]
    with torch.no_grad():
        torch.testing.assert_close(whole, model(x))
    seen.clear()
    sliding_window(model, x, WindowConfig((4, 4, 4), whole=989))
    assert set(seen) == {(4, 4, 4)}


# ---- slabs


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("values", [1, 500, 10**9])
def test_slabs_are_the_whole_once_and_in_order(axis, values):
    model, x = network(3), torch.randn(2, 2, 5, 21, 12)  # smaller than the window along the first axis
    config = WindowConfig((8, 8, 8), overlap=0.5, whole=10)
    whole = sliding_window(model, x, config)
    pieces = list(slabs(model, x, config, axis=axis, values=values))
    along = pieces[0].axis
    assert axis in (None, along)
    assert [p.begin for p in pieces] == [0, *(p.end for p in pieces[:-1])]
    assert pieces[-1].end == x.shape[2 + along]
    if values == 1:
        assert all(p.end == p.begin + 1 for p in pieces)
    torch.testing.assert_close(torch.cat([p.scores for p in pieces], 2 + along), whole, atol=1e-6, rtol=0)


def test_the_axis_with_the_thinnest_slab_is_taken() -> None:
    assert lay_out((512, 512, 600), WindowConfig((96, 96, 96))).axis == 2
    assert lay_out((512, 512, 600), WindowConfig((64, 96, 96))).axis == 0


def test_a_whole_body_with_all_organs_stays_below_sixteen_gigabytes() -> None:
    size, classes = (512, 512, 600), 62
    layout = lay_out(size, WindowConfig((128, 128, 128), batch=4))
    cells = math.prod(size)
    # float32 input, mask, three float16 maps; all scores at once would be 39 GB
    total = cells * (4 + 1 + 3 * 2) + held_bytes(layout, channels=1, num_classes=classes, batch=4)
    assert total < 16e9
    # the moving slab by hand: 128 planes of 512 x 512, 62 classes and one weight, four bytes
    assert held_bytes(layout, channels=1, num_classes=classes) > 128 * 512 * 512 * 63 * 4


MEMORY = """
import resource, sys, torch
from torch import nn
from cnn_core.inference import WindowConfig, held_bytes, lay_out, segment

class Classes(nn.Module):
    def forward(self, x):
        return x * torch.arange(32.0).view(1, -1, 1, 1, 1)

unit = 1 if sys.platform == "darwin" else 1024
config = WindowConfig((16, 96, 96))
segment(Classes(), torch.rand(1, 20, 96, 96), config, maps=["entropy"])  # what torch itself takes
x = torch.rand(1, 300, 96, 96)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
result = segment(Classes(), x, config, maps=["entropy", "foreground"])
more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
print(more, held_bytes(lay_out(x.shape[1:], config), channels=1, num_classes=32), x.numel() * 32 * 4)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is read through the resource module of Unix")
def test_a_long_volume_is_segmented_in_the_memory_of_a_slab() -> None:
    answer = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    more, bound, everything = map(int, answer.stdout.split())
    result = 300 * 96 * 96 * 5
    assert everything > 350e6
    assert more < bound + result + 30e6
    assert more < everything / 3


# ---- progress and the end


def test_progress_counts_windows_and_estimates_what_is_left() -> None:
    told = []
    config = WindowConfig((4, 4), overlap=0.0, batch=3)
    sliding_window(network(2), torch.randn(1, 2, 8, 12), config, progress=told.append)  # append returns None: go on
    assert [a.done for a in told] == [2, 4, 6]  # two windows in each row of the chosen axis
    assert told[-1].fraction == 1
    assert told[-1].seconds_left == 0
    half = told[len(told) // 2 - 1]
    assert half.seconds_left == pytest.approx(half.seconds * (1 / half.fraction - 1))


def test_a_progress_function_that_says_false_ends_it() -> None:
    calls = []

    def stop_at_two(advance: object) -> bool:
        calls.append(advance)
        return len(calls) < 2

    with pytest.raises(StoppedError, match="after 2 of 6 windows"):
        sliding_window(network(2), torch.randn(1, 2, 8, 12), WindowConfig((4, 4), overlap=0.0), progress=stop_at_two)
    assert len(calls) == 2


# ---- masks and maps


class Fixed(nn.Module):
    """Class scores that are the input's channels."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_maps_by_hand() -> None:
    # two cells of three classes: probabilities 1/2, 1/4, 1/4 and 1/3 each
    x = torch.tensor([[2.0, 1.0, 1.0], [1.0, 1.0, 1.0]]).T.log()
    found = segment(Fixed(), x, WindowConfig((2,)), maps=["foreground", "confidence", "entropy"])
    assert found.mask.tolist() == [0, 0]
    assert found.mask.dtype == torch.uint8
    assert found.foreground.tolist() == pytest.approx([0.5, 2 / 3], abs=1e-3)
    assert found.confidence.tolist() == pytest.approx([0.5, 1 / 3], abs=1e-3)
    entropy = (0.5 * math.log(2) + 0.5 * math.log(4)) / math.log(3)
    assert found.entropy.tolist() == pytest.approx([entropy, 1], abs=1e-3)


def test_a_mask_is_the_argmax_of_the_blended_scores() -> None:
    model, x = network(3), torch.randn(2, 9, 20, 7)
    config = WindowConfig((8, 8, 8))
    found = segment(model, x, config)
    assert torch.equal(found.mask.long(), sliding_window(model, x[None], config)[0].argmax(0))
    assert found.entropy is found.foreground is found.confidence is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.int16, torch.uint8])
def test_inputs_may_be_stored_small(dtype):
    x = (torch.rand(2, 9, 20) * 100).to(dtype)
    model = network(2)
    one = segment(model, x, WindowConfig((8, 8)), maps=["confidence"])
    other = segment(model, x.float(), WindowConfig((8, 8)), maps=["confidence"])
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(one.confidence, other.confidence)


# ---- fused


@pytest.mark.parametrize("name", ["unet", "resnet20"])
def test_a_fused_network_answers_alike_and_has_no_batch_norm(name: str) -> None:
    options = {"base_channels": 4} if name == "resnet20" else {"widths": (4, 8)}
    model = create_unet(name, options={**options, "norm": "batch"}).train()
    x = torch.randn(2, 1, 16, 16)
    for _ in range(3):
        model(x * 3 + 1)  # statistics that are not 0 and 1
    model.eval()
    fused = fuse(model)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), model(x), atol=1e-4, rtol=1e-4)
    assert not [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]  # the original is as it was
    model.train()
    assert not fused.training


# ---- refusals


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"window": (4, 4)}, (1, 2, 8, 8, 8), "2 axes"),
        ({"window": (4, 4)}, (2, 8), r"expected an input \[B, C, \*S\], got \[2, 8\]"),
        ({"window": (4, 0)}, (1, 2, 8, 8), "window"),
        ({"window": ()}, (1, 2, 8, 8), "window"),
        ({"window": (4, 4), "overlap": 1.0, "batch": 0}, (1, 2, 8, 8), "overlap: .*; batch: "),
        ({"window": (4, 4), "overlap": float("nan")}, (1, 2, 8, 8), "overlap"),
        ({"window": (4, 4), "blend": "cubic"}, (1, 2, 8, 8), "blend"),
        ({"window": (4, 4), "flips": (2,)}, (1, 2, 8, 8), "flips"),
        ({"window": (4, 4), "flips": (0, 0)}, (1, 2, 8, 8), "flips"),
        ({"window": (4, 4), "precision": "float64"}, (1, 2, 8, 8), "precision"),
        ({"window": (4, 4), "whole": -1}, (1, 2, 8, 8), "whole"),
        ({"window": (4, 4)}, (1, 2, 8, 0), "empty"),
        ({"window": (4, 4)}, (0, 2, 8, 8), "empty"),
    ],
)
def test_what_cannot_be_done_is_said(settings, shape, message):
    with pytest.raises(CnnError, match=message):
        sliding_window(network(2), torch.zeros(shape), WindowConfig(**settings))


def test_a_network_that_answers_with_another_size_is_refused() -> None:
    with pytest.raises(CnnError, match=r"expected scores \[1, K, \*\(8, 8\)\], got \[1, 3, 6, 6\]"):
        sliding_window(nn.Conv2d(1, 3, 3), torch.zeros(1, 1, 8, 8), WindowConfig((8, 8)))
    with pytest.raises(CnnError, match="axis"):
        slabs(network(2), torch.zeros(1, 2, 8, 8), WindowConfig((8, 8)), axis=2)


def test_segment_refuses_unknown_maps_and_too_few_classes() -> None:
    with pytest.raises(UnknownNameError, match="did you mean entropy"):
        segment(Fixed(), torch.zeros(2, 4), WindowConfig((4,)), maps=["entropie"])
    with pytest.raises(CnnError, match="2 to 256 classes, got 1"):
        segment(Fixed(), torch.zeros(1, 4), WindowConfig((4,)))
    with pytest.raises(CnnError, match="2 to 256 classes, got 257"):
        segment(Fixed(), torch.zeros(257, 4), WindowConfig((4,)))


def test_every_window_is_visited_once() -> None:
    layout = lay_out((20, 9, 14), WindowConfig((8, 8, 8)), axis=1)
    corners = [corner for _, row in layout.rows() for corner in row]
    assert sorted(corners) == sorted(product(*layout.starts))
    assert [first for first, _ in layout.rows()] == list(layout.starts[1])
