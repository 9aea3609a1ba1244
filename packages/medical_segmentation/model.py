"""The networks that segment: ours by name, and MONAI's as `monai.SegResNet`, with the options that MONAI documents.

    cnn train phantom --model monai.DynUNet --option filters=16,32,64

MONAI's networks are built, trained, saved, loaded, explained and exported like ours. They take windows of the
size of the patch only, since most of them need multiples of some number.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cnn_core.errors import CnnError, missing_package, unknown_name
from cnn_core.models.unet import create_unet

PREFIX = "monai."
MODELS = {  # those that the tests train; any other network of monai.networks.nets with the same output works too
    "monai.SegResNet": "Myronenko 2018: 3D MRI brain tumor segmentation using autoencoder regularization (MONAI)",
    "monai.DynUNet": "Isensee et al. 2021: nnU-Net, with deep supervision as an option (MONAI)",
    "monai.SwinUNETR": "Hatamizadeh et al. 2022: Swin UNETR, patches in multiples of 32 (MONAI)",
    "monai.UNet": "Kerfoot et al. 2018: U-Net with residual units (MONAI)",
}
WIDTHS = (16, 32, 64, 128, 128)
LARGEST = 2**16  # of the numbers among a network's options: a card is not trusted
REFUSALS = (AssertionError, LookupError, RuntimeError, TypeError, ValueError)  # of MONAI's networks to bad options


def create_network(
    name: str,
    *,
    spatial_dims: int,
    in_channels: int,
    num_classes: int,
    options: Mapping[str, Any],
    patch: Sequence[int],
) -> nn.Module:
    """Build a network with fresh weights: `[B, in_channels, *patch] -> [B, K, *patch]`.

    Args:
        name: a registered network that segments, a backbone (the encoder of a U-Net), or one of MONAI's.
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        num_classes: K, background included.
        options: the network's own settings.
        patch: the size of the inputs, for networks that depend on it.

    Raises:
        UnknownNameError: no such network or option.
        CnnError: it cannot be built like this, or MONAI is not installed.
    """
    if not name.startswith(PREFIX):
        return create_unet(
            name, spatial_dims=spatial_dims, in_channels=in_channels, num_classes=num_classes, options=options
        )
    if not _small(dict(options)):
        raise CnnError(f"{name}: expected options with numbers up to {LARGEST}, got {dict(options)!s:.200}")
    network = _network_class(name)
    parameters = inspect.signature(network).parameters
    known = {key: value for key, value in parameters.items() if value.kind is not inspect.Parameter.VAR_KEYWORD}
    fixed: dict[str, object] = {"spatial_dims": spatial_dims, "in_channels": in_channels, "img_size": tuple(patch)}
    free = [option for option in known if option not in fixed and option not in ("out_channels", "pretrained")]
    for option in options:  # `pretrained` would fetch weights from elsewhere
        if option not in free:
            raise unknown_name(f"option of {name}", option, free)
    missing = [option for option in free if known[option].default is inspect.Parameter.empty and option not in options]
    if missing:
        raise CnnError(f"{name} needs the options {', '.join(missing)}; give each as --option NAME=VALUE")
    arguments = {**{key: value for key, value in fixed.items() if key in known}, **options}
    return MonaiNetwork(name, network, arguments, num_classes)


class MonaiNetwork(nn.Module):
    """One of MONAI's networks: `[B, C, *patch] -> [B, K, *patch]`.

    In training with deep supervision it returns a list, the scores at full size first.

    Args:
        name: "monai.SegResNet".
        network: its class.
        arguments: of the class, but for the number of labels.
        num_classes: K.
    """

    any_size = False

    def __init__(self, name: str, network: type[nn.Module], arguments: Mapping[str, Any], num_classes: int) -> None:
        super().__init__()
        self._build = (name, network, arguments)
        self.network = self._built(num_classes)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        found = self.network(x)
        if isinstance(found, Tensor) and found.ndim == x.ndim + 1:  # DynUNet stacks them: [B, levels, K, *S]
            found = found.unbind(1)
            heads = vars(self.network)["heads"]
            heads[:] = [x.new_zeros(1)] * len(heads)  # it holds on to them: no copy possible
        if isinstance(found, Tensor):
            return found
        return list(found) if self.training else found[0]

    def reset_head(self, num_classes: int) -> None:
        """Build the network for other labels; every tensor whose shape does not depend on them is kept."""
        kept, self.network = self.network.state_dict(), self._built(num_classes)
        fresh = self.network.state_dict()
        alike = {key: value for key, value in kept.items() if value.shape == fresh[key].shape}
        self.network.load_state_dict({**fresh, **alike})

    def _built(self, num_classes: int) -> nn.Module:
        name, network, arguments = self._build
        try:
            with _LinspaceInMemory():
                return network(out_channels=num_classes, **arguments)
        except ImportError as error:
            raise missing_package("einops") from error  # which MONAI's transformers need
        except REFUSALS as error:
            raise CnnError(f"{name} cannot be built with {dict(arguments)}: {error}") from error


class _LinspaceInMemory(TorchFunctionMode):
    """Keep `torch.linspace` off the meta device: SwinUNETR reads its rates of dropped paths while it is built."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **{**(kwargs or {}), **({"device": "cpu"} if func is torch.linspace else {})})


def check_output(model: nn.Module, name: str, *, in_channels: int, num_classes: int, patch: Sequence[int]) -> None:
    """Raise CnnError unless the network turns a patch into a score for every label of every voxel."""
    expected, training = [1, num_classes, *patch], model.training
    try:
        with torch.no_grad():
            output = model.eval()(torch.zeros(1, in_channels, *patch))
    except REFUSALS as error:
        sizes = " x ".join(map(str, patch))
        raise CnnError(f"{name} does not take patches of {sizes}: {error}; choose another `patch`") from error
    finally:
        model.train(training)
    got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if got != expected:
        raise CnnError(f"{name} is not a segmentation network: expected scores {expected} for a patch, got {got}")


def with_defaults(name: str, given: Mapping[str, Any], patch: Sequence[int]) -> dict[str, Any]:
    """Add what MONAI's U-Nets require and `given` lacks: as many levels as the patch can be halved."""
    widths = {"monai.DynUNet": "filters", "monai.UNet": "channels", "monai.AttentionUnet": "channels"}.get(name)
    if widths is None:
        return dict(given)
    levels = 2
    while levels < len(WIDTHS) and all(edge % 2**levels == 0 and edge >> levels >= 2 for edge in patch):
        levels += 1
    levels = len(given[widths]) if isinstance(given.get(widths), list) else levels
    halved = [2] * (levels - 1)
    needed = {widths: list(WIDTHS[:levels]), "strides": halved}
    if name == "monai.DynUNet":
        needed |= {"kernel_size": [3] * levels, "strides": [1, *halved], "upsample_kernel_size": halved}
    return {**needed, **given}


def _network_class(name: str) -> type[nn.Module]:
    """Return the class of a name such as "monai.SegResNet"."""
    try:
        from monai.networks import nets
    except ImportError as error:
        raise missing_package("monai") from error
    networks = {
        f"{PREFIX}{key}": value
        for key, value in vars(nets).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__name__ == key
        and {"in_channels", "out_channels"} <= {*inspect.signature(value).parameters}
    }  # fmt: skip
    if name not in networks:
        raise unknown_name("network of MONAI", name, networks)
    return networks[name]


def _small(value: Any) -> bool:
    if isinstance(value, dict | list | tuple):
        return all(map(_small, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) <= LARGEST
