"""Working inside a model without leaving a trace: evaluation mode, captured maps, gradients, checked input."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError, DataError, unknown_name


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode; on leaving, every module has the mode that it had before."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def capturing(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Fill the dictionary with the outputs of `layers` at every forward pass inside the `with` block, no longer.

    The next layer gets a copy, so that one that works in place cannot change what was captured. Forward passes of
    other threads through the same model are left alone.
    """
    maps: dict[str, Tensor] = {}
    thread = threading.get_ident()

    def keep(name: str, output: Tensor) -> Tensor | None:
        if threading.get_ident() != thread:
            return None
        if not isinstance(output, Tensor):
            raise CnnError(f"layer {name!r} puts out a {type(output).__name__}, not one tensor; choose another layer")
        maps[name] = output
        return output.clone()

    handles = []
    try:
        for name in layers:
            module = find_layer(model, name)
            handles.append(module.register_forward_hook(lambda _, __, output, name=name: keep(name, output)))
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Return a stage by its name, or any module by its path in `named_modules`.

    Raises:
        UnknownNameError: there is no such layer; the message lists the nearest names.
    """
    stages = stage_names(model)
    if name in stages:
        return model.get_submodule(f"stages.{name}")
    modules = dict(model.named_modules())
    if not isinstance(name, str) or not name or name not in modules:
        raise unknown_name("layer", str(name), [*stages, *filter(None, modules)])
    return modules[name]


def stage_names(model: nn.Module) -> list[str]:
    """Return the names of a backbone's stages, or an empty list for any other module."""
    return [info.name for info in getattr(model, "feature_info", ())]


def bare(model: nn.Module) -> nn.Module:
    """Return the module behind `torch.compile`, whose compiled code ignores hooks that come later."""
    return getattr(model, "_orig_mod", model)


def gradient(scores: Tensor, source: Tensor) -> Tensor:
    """Return d(scores[b]) / d(source[b]) for every sample, shaped as `source`; parameters get no gradient.

    The samples are independent in evaluation mode, so the gradient of the sum holds them all.
    """
    if not scores.requires_grad:
        raise CnnError(
            "the explained value has no gradient (a constant, or a function such as argmax); "
            "choose a smooth target, or the method 'occlusion', which needs no gradient"
        )
    (result,) = torch.autograd.grad(scores.sum(), source, allow_unused=True)
    return torch.zeros_like(source) if result is None else result


def check_input(model: nn.Module, x: Tensor) -> None:
    """Raise CnnError if `x` is not a finite floating-point batch that the model can take."""
    if not isinstance(x, Tensor):
        raise DataError(f"expected a tensor [B, C, *S], got {type(x).__name__}")
    if x.ndim < 3 or x.numel() == 0:
        raise DataError(f"expected a batch [B, C, *S] with at least one sample and one cell, got {list(x.shape)}")
    model_check = getattr(model, "check_input", None)
    if model_check is not None:
        model_check(x)
    if not x.is_floating_point():
        raise DataError(f"expected a floating-point input, got {x.dtype}; scale and normalise it as in training")
    parameter = next(model.parameters(), None)
    if parameter is not None and parameter.device != x.device:
        raise DataError(f"the model is on {parameter.device}, the input on {x.device}; move one to the other")
    if parameter is not None and parameter.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise DataError(f"the model computes in {parameter.dtype}, the input is {x.dtype}; convert one of them")
    if not torch.isfinite(x).all():
        raise DataError(f"the input has {int((~torch.isfinite(x)).sum())} values that are NaN or infinite; remove them")


def as_baseline(baseline: float | Tensor, x: Tensor) -> Tensor:
    """Return the input that means "nothing here", shaped as `x`.

    Args:
        baseline: one number, or a tensor that broadcasts to `x` `[B, C, *S]`, in the units of `x` (0 is the mean of
            the training set where inputs are normalised).
    """
    try:
        full = torch.as_tensor(baseline, dtype=x.dtype, device=x.device).expand_as(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CnnError(f"the baseline must be a number or a tensor that broadcasts to {list(x.shape)}") from error
    if not torch.isfinite(full).all():
        raise CnnError("the baseline has values that are NaN or infinite")
    return full


def at_least(name: str, value: int, lowest: int) -> int:
    """Return `value`, or raise CnnError if it is not a whole number from `lowest` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise CnnError(f"{name} must be a whole number, at least {lowest}, got {value!r}")
    return value
