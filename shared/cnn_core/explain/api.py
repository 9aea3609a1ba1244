"""`explain`: where did the model look? One call for every method, backbone and dimensionality."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.explain.registry import method_spec
from cnn_core.explain.session import bare, capturing, check_input, evaluating, stage_names
from cnn_core.explain.target import Target, resolve
from cnn_core.nn.dims import dims


@dataclass(frozen=True)
class Explanation:
    """A heat map on the input, in the method's own units (`overlay` scales for display)."""

    heat: Tensor  # [B, *S], float32, on the input's device
    target: Tensor | None  # [B] explained classes; None when a function was explained
    method: str
    signed: bool  # True: negative heat is evidence against the target
    options: Mapping[str, Any]  # all options as used, the chosen layer among them


def explain(
    model: nn.Module,
    x: Tensor,
    *,
    method: str = "grad-cam",
    target: Target = None,
    options: Mapping[str, Any] | None = None,
) -> Explanation:
    """Compute which parts of the input led to the model's output.

    Afterwards the model is as before, also after an error: mode, gradients, hooks. May be called under `no_grad` and
    `inference_mode`, and from several threads on one model that is in evaluation mode.

    Args:
        model: a `Backbone`; or any module, which then needs the option `layer` for the methods that have it.
        x: `[B, C, *S]`, preprocessed as in training, on the model's device.
        method: one of `list_methods()`.
        target: what to explain: a class, one class per sample, or a function from the output to one number per
            sample (`[B, K] -> [B]`); None: the most probable class of each sample.
        options: the method's own settings by name, see `method_spec(method).options`.

    Raises:
        UnknownNameError: no such method, option or layer.
        CnnError: `x` is not an input of this model or not finite, the target does not fit the output, an option makes
            no sense, or the output is not finite.
    """
    spec = method_spec(method)
    settings = spec.fill(options)
    model = bare(model)
    check_input(model, x)
    with torch.inference_mode(False), torch.enable_grad(), evaluating(model):
        x = x.detach().clone()  # an inference tensor has no gradient, and a first layer may work in place
        search = "layer" in settings and settings["layer"] is None
        with torch.no_grad(), capturing(model, stage_names(model) if search else ()) as maps:
            score = resolve(model(x.clone()), target)
        if search:
            settings["layer"] = _last_spatial(maps)
        heat = _to_size(spec.run(model, x, score, **settings).detach().float(), x.shape[2:])
    if not torch.isfinite(heat).all():
        raise CnnError(f"{method} overflowed on this input; try a smaller input scale, or the method 'occlusion'")
    return Explanation(heat, score.classes, method, spec.signed, settings)


def _last_spatial(maps: Mapping[str, Tensor]) -> str:
    """Return the last stage with spatial resolution: more than one cell, and not enlarged from a smaller map."""
    finest, fewest = None, float("inf")
    for name, stage_map in maps.items():
        cells = stage_map[0, 0].numel() if stage_map.ndim > 2 else 1
        if 1 < cells <= fewest:
            finest = name
        fewest = min(fewest, cells)
    if finest is not None:
        return finest
    if maps:
        raise CnnError(
            "no stage of this network has a map with more than one cell, so there is no layer to look at; "
            "use a larger input, or a method that works on the input: integrated-gradients, gradient, occlusion"
        )
    raise CnnError("this model names no stages; give the option 'layer', a name out of model.named_modules()")


def _to_size(heat: Tensor, size: torch.Size) -> Tensor:
    """Scale `[B, *S']` to `[B, *S]` by linear interpolation."""
    if heat.shape[1:] == size:
        return heat
    return F.interpolate(heat[:, None], size=tuple(size), mode=dims(len(size)).interpolation)[:, 0]
