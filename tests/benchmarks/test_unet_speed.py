"""Our fast U-Net against MONAI's UNet of equal parameters, in one process with the same threads, float32.

Inference of a volume of 192 x 192 x 96 as each is used: MONAI's sliding window of 96^3 with overlap 0.25, at the
better of 1 and 4 windows a pass; ours whole, with normalisation folded into the convolutions. Beside it, like for
like: MONAI's network whole too. Then a training step on two patches.
"""

from collections.abc import Callable
from time import perf_counter

import pytest
import torch
import torch.nn.functional as F
from monai.inferers import sliding_window_inference
from monai.networks.nets import UNet as MonaiUNet
from record import in_turns, ratio
from torch import Tensor, nn

from cnn_core.models.backbone import count_parameters
from cnn_core.models.unet import create_unet
from cnn_core.nn.folding import folded
from medical_segmentation.windows import Windows, segment

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


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_a_volume_is_segmented_five_times_faster_than_by_monai() -> None:
    ours, theirs = rivals()
    ours.train()
    with torch.no_grad():
        ours(torch.randn(2, 1, 64, 64, 64))  # statistics of normalisation that are not the start's
    volume = torch.randn(1, 1, 192, 192, 96)
    with torch.inference_mode():
        plain = ours.eval()(volume)
    ours, theirs = folded(ours), theirs.eval()
    whole = Windows(WINDOW, whole=volume.numel())

    def by_monai(batch: int) -> Tensor:
        with torch.inference_mode():
            return sliding_window_inference(volume, WINDOW, batch, theirs, overlap=0.25)

    def by_us() -> Tensor:
        return segment(ours, volume[0, 0], whole).mask

    same = (by_us() == plain[0].argmax(0)).float().mean().item()
    assert same > 0.9999
    with torch.inference_mode():
        torch.testing.assert_close(ours(volume), plain, atol=1e-3, rtol=1e-3)
    batch = min((1, 4), key=lambda size: seconds(lambda: by_monai(size)))
    right = (
        f"normalisation folded into convolutions changes no score by 1e-3; {100 * same:.3f} % of the labels are equal"
    )
    peer = "MONAI's UNet of as many parameters"
    whole_times = in_turns({"ours": by_us, "monai": lambda: segment(theirs, volume[0, 0], whole)}, rounds=ROUNDS)
    ratio("scan-whole", "segmentation of 192 x 192 x 96 voxels, like for like: both whole", ours=whole_times["ours"],
          theirs=whole_times["monai"], peer=peer, wanted=2.5, held=1.5, right=right)  # fmt: skip
    times = in_turns({"ours": by_us, "monai": lambda: by_monai(batch)}, rounds=ROUNDS)
    ratio("scan", "segmentation of 192 x 192 x 96 voxels, each as it is used", ours=times["ours"],
          theirs=times["monai"], peer=f"{peer}, sliding window with its defaults, {batch} a pass", wanted=8,
          held=INFERENCE, right=right)  # fmt: skip


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_a_training_step_is_three_times_faster_than_monais() -> None:
    ours, theirs = rivals()
    ours.to(memory_format=torch.channels_last_3d)  # as the epoch loop does
    x = torch.randn(2, 1, *WINDOW)
    mask = (x[:, 0] > 0).long()  # something to learn
    optimizers = {model: torch.optim.AdamW(model.parameters()) for model in (ours, theirs)}

    def loss(model: nn.Module) -> Tensor:
        return F.cross_entropy(model(x), mask)

    def step(model: nn.Module) -> None:
        found = loss(model)
        optimizers[model].zero_grad()
        found.backward()
        optimizers[model].step()

    with torch.no_grad():
        first = loss(ours), loss(theirs)

    times = in_turns({"ours": lambda: step(ours), "monai": lambda: step(theirs)}, rounds=ROUNDS)
    ratio("scan-training", "a training step on two patches of 96 x 96 x 96", ours=times["ours"], theirs=times["monai"],
          peer="MONAI's UNet of as many parameters", wanted=4, held=STEP,
          right="the loss of both fell")  # fmt: skip
    assert all(late < early for early, late in zip(first, (loss(ours), loss(theirs)), strict=True))
