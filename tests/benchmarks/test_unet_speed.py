"""Our fast U-Net against MONAI's UNet of equal parameters, in one process with the same threads, float32.

Inference of a volume of 192 x 192 x 96 as each is used: MONAI's sliding window of 96^3 with overlap 0.25, at the
better of 1 and 4 windows a pass; ours whole, with normalisation folded into the convolutions. Beside it, like for
like: MONAI's network whole too. Then a training step on two patches.
"""

import os
import platform
from collections.abc import Callable
from statistics import median
from time import perf_counter

import pytest
import torch
import torch.nn.functional as F
from monai.inferers import sliding_window_inference
from monai.networks.nets import UNet as MonaiUNet
from torch import Tensor, nn

from cnn_core.models.backbone import count_parameters
from cnn_core.models.unet import create_unet
from medical_segmentation.windows import Windows, fuse, segment

INFERENCE = 5  # times faster, at least
STEP = 3
ROUNDS = 3
WINDOW = (96, 96, 96)
# as many parameters as MONAI's UNet of 16 to 256 channels, and no level at full resolution
CHEAP = {
    "widths": (16, 32, 64, 132, 272), "depth": (1, 2, 2, 2, 2), "up_depth": 1, "strided": True, "stem_stride": 2,
    "merge": "add",
}  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def rivals() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    theirs = MonaiUNet(3, 1, 2, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)
    ours = create_unet("unet", spatial_dims=3, options=CHEAP)
    assert 1 <= count_parameters(ours) / count_parameters(theirs) < 1.02
    return ours, theirs


def compare(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float, float]:
    """Return the medians of both times and of second / first, measured in turn."""
    pairs = []
    for i in range(ROUNDS):
        if i % 2:
            own, other = seconds(first), seconds(second)
        else:
            other, own = seconds(second), seconds(first)
        pairs.append((own, other))
    return *(median(column) for column in zip(*pairs, strict=True)), median(other / own for own, other in pairs)


def report(what: str, own: float, other: float, ratio: float) -> None:
    machine = platform.processor() or platform.machine()
    print(
        f"\n{what}, float32, {torch.get_num_threads()} threads of {os.cpu_count()} ({machine}), {ROUNDS} rounds: "
        f"ours {own:.2f} s, MONAI {other:.2f} s, median of ratios {ratio:.1f}"
    )


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_a_volume_is_segmented_five_times_faster_than_by_monai() -> None:
    ours, theirs = rivals()
    ours.train()
    with torch.no_grad():
        ours(torch.randn(2, 1, 64, 64, 64))  # statistics of normalisation that are not the start's
    ours, theirs = fuse(ours), theirs.eval()
    volume = torch.randn(1, 1, 192, 192, 96)
    whole = Windows(WINDOW, whole=volume.numel())

    def by_monai(batch: int) -> Tensor:
        with torch.inference_mode():
            return sliding_window_inference(volume, WINDOW, batch, theirs, overlap=0.25)

    def by_us() -> Tensor:
        return segment(ours, volume[0, 0], whole).mask

    assert by_us().shape == (192, 192, 96)  # warms up
    batch = min((1, 4), key=lambda size: seconds(lambda: by_monai(size)))
    own, other, ratio = compare(by_us, lambda: by_monai(batch))
    report(f"a volume of 192 x 192 x 96, MONAI with {batch} windows a pass", own, other, ratio)
    report("the same, both whole", *compare(by_us, lambda: segment(theirs, volume[0, 0], whole)))
    assert ratio >= INFERENCE


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_a_training_step_is_three_times_faster_than_monais() -> None:
    ours, theirs = rivals()
    ours.to(memory_format=torch.channels_last_3d)  # as the epoch loop does
    x, mask = torch.randn(2, 1, *WINDOW), torch.randint(0, 2, (2, *WINDOW))
    optimizers = {model: torch.optim.AdamW(model.parameters()) for model in (ours, theirs)}

    def step(model: nn.Module) -> None:
        loss = F.cross_entropy(model(x), mask)
        optimizers[model].zero_grad()
        loss.backward()
        optimizers[model].step()

    step(ours)
    step(theirs)
    own, other, ratio = compare(lambda: step(ours), lambda: step(theirs))
    report("a training step on two patches of 96 x 96 x 96", own, other, ratio)
    assert ratio >= STEP
