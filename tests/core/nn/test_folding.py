"""Networks whose batch normalisation is part of their convolutions answer like the networks themselves."""

import pytest
import torch
from torch import nn

from cnn_core.models import create_model
from cnn_core.models.unet import create_unet
from cnn_core.nn.conv3d import Conv3d
from cnn_core.nn.folding import folded
from cnn_core.train.parallel import use_channels_last

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def worn(model: nn.Module) -> nn.Module:
    """Give every normalisation statistics and weights that are not 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, NORMS):
            for value, low, high in (
                (module.running_mean, -0.1, 0.1), (module.running_var, 0.5, 2), (module.weight, 0.5, 2),
                (module.bias, -1, 1),
            ):  # fmt: skip
                value.data.uniform_(low, high, generator=generator)
    return model


def test_by_hand() -> None:
    """Of 3 x + 1 with mean 4, variance 4 and epsilon 5, then times 6 plus 7: (3 x + 1 - 4) / 3 * 6 + 7 = 6 x + 1."""
    conv, norm = nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1, eps=5)
    norm.load_state_dict({
        "weight": torch.tensor([6.0]), "bias": torch.tensor([7.0]), "running_mean": torch.tensor([4.0]),
        "running_var": torch.tensor([4.0]), "num_batches_tracked": torch.tensor(1),
    })  # fmt: skip
    conv.load_state_dict({"weight": torch.tensor([[[3.0]]]), "bias": torch.tensor([1.0])})
    (quick,) = folded(nn.Sequential(conv, norm))
    assert (quick.weight.item(), quick.bias.item()) == (6, 1)
    assert conv.weight.item() == 3 and conv.weight.requires_grad and not quick.weight.requires_grad


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("efficientnet_lite0", {"width": 0.25, "pool": "mean-max"}), ("fastnet", {"widths": [8, 8]}),
        ("resnet20", {"base_channels": 4}), ("unet", {"widths": (4, 8), "norm": "batch"}),
    ],
)  # fmt: skip
def test_answers_and_stages_are_the_networks(name: str, options: dict, dims: int) -> None:
    torch.manual_seed(0)
    make = create_unet if name == "unet" else create_model
    model = worn(make(name, spatial_dims=dims, in_channels=3, num_classes=4, options=options))
    use_channels_last(model.double(), together=False)
    quick = folded(model)
    assert model.training and not quick.training
    assert not [m for m in quick.modules() if isinstance(m, NORMS)] or name == "fastnet"
    assert any(isinstance(m, Conv3d) for m in quick.modules()) == any(isinstance(m, Conv3d) for m in model.modules())
    x, seen = torch.randn(2, 3, *[32] * dims, dtype=torch.float64), {}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.inference_mode():
        for network in (model.eval(), quick):
            hooks = [
                part.register_forward_hook(lambda _, __, y, key=key: seen.setdefault(key, []).append(y))
                for key, part in getattr(network, "stages", {}).items()
            ]
            seen.setdefault("answer", []).append(network(x))
            for hook in hooks:
                hook.remove()
    for one, other in seen.values():
        torch.testing.assert_close(other, one, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(model.state_dict(), before, atol=0, rtol=0)


def test_normalisation_without_statistics_or_convolution_stays() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False), nn.ReLU(), nn.BatchNorm2d(2)
    )
    assert len(folded(model)) == 4
