"""A heat map as colours, alone or on the picture it explains."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from cnn_core.errors import CnnError

Picture = Image.Image | np.ndarray | Tensor
HEAT = "inferno"  # orders by lightness, so that it reads the same with any colour vision and in grey print
SIGNED = ("#1b6ad4", "#74b9f9", "#f5f5f5", "#faa253", "#b95115")  # blue against, orange in favour; alike in lightness


@cache
def scale(signed: bool) -> np.ndarray:
    """Return a scale of 256 colours, lowest first: uint8 `[256, 3]` (RGB); `SIGNED` or `HEAT`."""
    from matplotlib import colormaps  # takes 0.2 s
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("signed", SIGNED) if signed else colormaps[HEAT]
    table = colours(np.arange(256), bytes=True)[:, :3]
    table.setflags(write=False)  # one table is shared by all callers
    return table


def heat_limits(heat: np.ndarray | Tensor, *, signed: bool = False, percentile: float = 99.5) -> tuple[float, float]:
    """Return the heat at the two ends of the colour scale.

    Args:
        heat: of any shape; give the whole volume, sentence or batch that is to share one scale.
        signed: True puts 0 in the middle of the scale.
        percentile: the top of the scale; the few pixels beyond it get its last colour, so that one outlier does not
            leave the rest of the map blank.
    """
    values = _heat_array(heat)
    low = 0.0 if signed else float(values.min())
    values = np.abs(values) if signed else values
    high = float(np.percentile(values, percentile))
    high = high if high > low else float(values.max())  # fewer hot pixels than the percentile leaves out
    return (-high, high) if signed else (low, high)


def colorize(
    heat: np.ndarray | Tensor, *, signed: bool = False, limits: tuple[float, float] | None = None
) -> np.ndarray:
    """Return heat as colours: `[*S] -> uint8 [*S, 3]` (RGB), for tokens, pictures and volumes alike.

    Args:
        heat: finite numbers of any shape.
        signed: True: blue below 0, white at 0, orange above; False: dark is cold, pale yellow is hot.
        limits: see `heat_limits`, which is the default.
    """
    return scale(signed)[np.round(_position(heat, signed, limits) * 255).astype(np.intp)]


def overlay(
    image: Picture,
    heat: np.ndarray | Tensor,
    *,
    signed: bool = False,
    alpha: float = 0.75,
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """Blend a heat map over its picture: uint8 `[H, W, 3]` (RGB); where there is no heat the picture shows through.

    Of a volume, give one slice of both, and the limits of the whole: `limits=heat_limits(heat, signed=...)`.

    Args:
        image: a PIL image; an array `[H, W]` or `[H, W, 1|3]`; or a tensor `[H, W]` or `[1|3, H, W]`; uint8, or
            floating point from 0 to 1. A grey picture where its own colours compete with those of the heat.
        heat: `[h, w]`, scaled to the picture's size if that differs.
        signed: as in `Explanation.signed`.
        alpha: opacity of the hottest colour, 0..1.
        limits: heat at the two ends of the scale; None: of this heat map.

    Raises:
        CnnError: image or heat is none of these, or heat is not finite.
    """
    picture = _picture_array(image)  # [H, W, 3] in 0..1
    if not 0 <= alpha <= 1:
        raise CnnError(f"alpha must be between 0 and 1, got {alpha!r}")
    values = _heat_array(heat)
    if values.ndim != 2:
        raise CnnError(
            f"expected a heat map [H, W], got {list(values.shape)}; take one sample, or one slice of a volume"
        )
    limits = heat_limits(values, signed=signed) if limits is None else limits
    if values.shape != picture.shape[:2]:
        grid = torch.from_numpy(values.astype(np.float32))[None, None]
        values = F.interpolate(grid, size=picture.shape[:2], mode="bilinear", antialias=True)[0, 0].numpy()
    position = _position(values, signed, limits)
    if signed:
        # The white middle of the scale would shine on a dark picture, so weak heat is weak in opacity, not in colour.
        away = 2 * position - 1  # -1..1
        opacity = np.abs(away)
        position = 0.5 + 0.5 * np.sign(away) * np.sqrt(opacity)
    else:
        opacity = np.sqrt(position)  # the root lets middling heat be seen too
    colors = scale(signed)[np.round(position * 255).astype(np.intp)] / np.float32(255)
    opacity = alpha * opacity[..., None]
    return np.round(255 * (picture * (1 - opacity) + colors * opacity)).astype(np.uint8)


def _position(heat: np.ndarray | Tensor, signed: bool, limits: tuple[float, float] | None) -> np.ndarray:
    """Return the position of the heat on the scale, 0..1; a constant map is cold, or 0 in the middle if signed."""
    values = _heat_array(heat)
    low, high = heat_limits(values, signed=signed) if limits is None else limits
    if not high > low:
        return np.full(values.shape, 0.5 if signed else 0.0)
    return np.clip((values - low) / (high - low), 0, 1)


def _heat_array(heat: np.ndarray | Tensor) -> np.ndarray:
    """Return heat as float64, or raise CnnError if it is empty or not finite."""
    heat = heat.detach().float().cpu().numpy() if isinstance(heat, Tensor) else heat
    values = np.asarray(heat, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise CnnError(f"expected a heat map of finite numbers, got {list(values.shape)} with NaN, infinity or nothing")
    return values


def _picture_array(image: Picture) -> np.ndarray:
    """Return a picture as float32 `[H, W, 3]` in 0..1."""
    if isinstance(image, Image.Image):
        array = np.asarray(image.convert("RGB"))
    elif isinstance(image, Tensor):
        array = image.detach().cpu().numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    else:
        array = np.asarray(image)
    shape = image.shape if isinstance(image, np.ndarray | Tensor) else array.shape
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or array.size == 0:
        raise CnnError(
            "expected a picture: PIL image, array [H, W] or [H, W, 1|3], tensor [H, W] or [1|3, H, W]; "
            f"got {type(image).__name__} {list(shape)}"
        )
    if array.dtype == np.uint8:
        array = array / np.float32(255)
    elif not np.issubdtype(array.dtype, np.floating):
        raise CnnError(f"expected a picture of uint8, or floating point from 0 to 1, got {array.dtype}")
    if not (array.min() >= -1e-3 and array.max() <= 1 + 1e-3):  # NaN fails too
        raise CnnError(
            f"expected a floating-point picture from 0 to 1, got {array.min():.3g} to {array.max():.3g}; "
            "undo the normalisation of the network's input first"
        )
    return np.broadcast_to(np.clip(array.astype(np.float32), 0, 1), (*array.shape[:2], 3))
