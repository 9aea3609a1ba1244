"""ResNet-18 against torchvision's, in one process: forward, and forward with backward; ours must not be slower."""

import pytest
import torch
import torchvision
from record import in_turns, ratio
from torch import nn

from cnn_core.models import create_model, load_torchvision

HELD = 0.95  # the same operations run, so that all beyond noise would be our own overhead


@pytest.mark.benchmark
@pytest.mark.parametrize(("batch", "rounds"), [(1, 60), (32, 7)])
@pytest.mark.parametrize("learning", [False, True], ids=["forward", "backward"])
def test_resnet18_is_not_slower_than_torchvisions(batch: int, rounds: int, learning: bool) -> None:
    torch.manual_seed(0)
    reference = torchvision.models.resnet18(weights=None).eval()
    ours = create_model("resnet18").eval()
    load_torchvision(ours, reference.state_dict())
    x = torch.randn(batch, 3, 224, 224)

    def run(model: nn.Module) -> None:
        with torch.set_grad_enabled(learning):
            scores = model(x)
        if learning:
            model.zero_grad()
            scores.square().mean().backward()

    with torch.no_grad():
        assert (ours(x) - reference(x)).abs().max() < 1e-5
    if learning:
        run(ours), run(reference)
        one, other = (next(model.parameters()).grad for model in (ours, reference))
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)
    times = in_turns({"ours": lambda: run(ours), "torchvision": lambda: run(reference)}, rounds=rounds)
    what = "forward and backward" if learning else "forward"
    ratio(
        f"resnet18-{'backward' if learning else 'forward'}-{batch}", f"ResNet-18, {what}, batch {batch} of 224 px",
        ours=times["ours"], theirs=times["torchvision"], peer="torchvision", wanted=1, held=HELD,
        right="scores equal within 1e-5" + (", gradients within 1e-3 of each" if learning else ""),
    )  # fmt: skip
