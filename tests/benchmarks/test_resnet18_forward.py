"""ResNet-18's forward pass against torchvision's, in one process: ours must not be slower."""

import os
import platform
from statistics import median
from time import perf_counter

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cnn_core.models import create_model, load_torchvision

LIMIT = 1.05  # median of the ratios; the same operations run, so that all beyond noise would be our own overhead


def seconds(model: nn.Module, x: Tensor) -> float:
    start = perf_counter()
    model(x)
    return perf_counter() - start


@pytest.mark.benchmark
@pytest.mark.parametrize(("batch", "rounds"), [(1, 60), (32, 7)])
def test_resnet18_forward_is_not_slower_than_torchvisions(batch: int, rounds: int) -> None:
    torch.manual_seed(0)
    reference = torchvision.models.resnet18(weights=None).eval()
    ours = create_model("resnet18").eval()
    load_torchvision(ours, reference.state_dict())
    x = torch.randn(batch, 3, 224, 224)
    with torch.inference_mode():
        assert (ours(x) - reference(x)).abs().max() < 1e-5  # warms both up, too
        ratios, times = [], []
        for i in range(rounds):  # interleaved, each first in every second round: both meet the same machine
            pair = (ours, reference) if i % 2 else (reference, ours)
            spent = {model: seconds(model, x) for model in pair}
            ratios.append(spent[ours] / spent[reference])
            times.append((spent[ours], spent[reference]))
    own, other = (median(column) for column in zip(*times, strict=True))
    print(
        f"\nresnet18 forward, 224 px, batch {batch}, float32, {torch.get_num_threads()} threads of {os.cpu_count()} "
        f"({platform.processor() or platform.machine()}), {rounds} rounds: ours {own * 1e3:.1f} ms, torchvision "
        f"{other * 1e3:.1f} ms, median of ratios {median(ratios):.3f}"
    )
    assert median(ratios) <= LIMIT
