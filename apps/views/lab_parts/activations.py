"""Activations on numbers and on a map, and scores made probabilities."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from components.maps import Map
from views.lab_parts.picture import Picture

if TYPE_CHECKING:
    from image_classification.predict import Predictor

REACH = 4.0  # of the horizontal axis


@dataclass(frozen=True)
class Curve:
    """An activation over the axis, at one place, and on a map."""

    title: str
    does: str
    latex: str
    points: list[tuple[float, float]]
    slopes: list[tuple[float, float]]
    value: float
    slope: float
    maps: list[Map]
    start: tuple[int, int, int]  # the cell farthest below zero


def run(name: str, x: float, picture: Picture) -> Curve:
    """Compute the curve, its value and slope at `x`, and the activation of a picture's upright edges."""
    import torch

    from lab.activations import curve, find_activation
    from lab.kernels import find_kernel
    from lab.pixels import unit
    from lab.stepwise import convolve

    axis = torch.linspace(-REACH, REACH, 161)
    values, slopes = curve(name, axis)
    value, slope = curve(name, torch.tensor([x]))
    pixels = torch.from_numpy(unit(picture.values)).unsqueeze(0)  # [1, H, W], 0 to 1
    edges = convolve(pixels, find_kernel("sobel-x").weight[None, None])[0]
    activated = curve(name, edges)[0]
    found = find_activation(name)
    limit = (-REACH, REACH)
    return Curve(
        found.title, found.does, found.latex,
        list(zip(axis.tolist(), values.tolist(), strict=True)), list(zip(axis.tolist(), slopes.tolist(), strict=True)),
        float(value), float(slope),
        [Map("Before: vertical edges", edges.numpy(), "signed", limits=limit),
         Map(f"After {found.title}", activated.numpy(), "signed", limits=limit)],
        (0, *divmod(int(edges.argmin()), edges.shape[1])),
    )  # fmt: skip


def names() -> dict[str, str]:
    """Return the activations: name -> title."""
    from lab.activations import ACTIVATIONS

    return {activation.name: activation.title for activation in ACTIVATIONS}


def scores(predictor: "Predictor", image: Image.Image) -> list[float]:
    """Return a predictor's scores before softmax, one per class."""
    import torch

    with torch.inference_mode():
        return predictor.model(predictor.contract.prepare([image]))[0].float().tolist()


def probabilities(values: list[float], temperature: float, label: int) -> tuple[list[float], float]:
    """Return the softmax of scores, and the cross-entropy if `label` is right."""
    import torch

    from lab.activations import cross_entropy, softmax

    found = softmax(torch.tensor(values), temperature)
    return found.tolist(), cross_entropy(found, label)


def snippet(name: str, x: float, values: list[float], temperature: float, label: int) -> str:
    """Return the code that computes the numbers of the page."""
    written = ", ".join(f"{value:.4f}" for value in values)
    return f"""\
import torch

from lab.activations import cross_entropy, curve, softmax

value, slope = curve("{name}", torch.tensor([{x}]))  # the slope by autograd
print(value, slope)

scores = torch.tensor([{written}])
answer = softmax(scores, temperature={temperature})
print(answer, cross_entropy(answer, {label}))
"""
