"""Convolution, ReLU, pooling: what the three panels show."""

from dataclasses import dataclass

import numpy as np

from components.maps import Map
from views.lab_parts.picture import Picture

POOLS = {"max": "Maximum", "mean": "Mean"}


@dataclass(frozen=True)
class Stage:
    """Four maps, the layer-size table (name, output, parameters, multiply-adds, field), and a cell to begin with."""

    maps: list[Map]
    rows: list[tuple[str, ...]]
    start: tuple[int, int, int]


def run(picture: Picture, kernel: str, pool: str, window: int) -> Stage:
    """Compute one stage on a grey picture."""
    import torch

    from cnn_core.anatomy import trace
    from lab.kernels import find_kernel
    from lab.stages import outputs, stage

    x = torch.from_numpy(picture.values.astype(np.float32)).unsqueeze(0)  # [1, H, W]
    layers = stage(find_kernel(kernel).weight, pool=pool, window=window)
    convolved, rectified, pooled = (out[0].numpy() for out in outputs(layers, x))
    rows = trace(layers, (1, *x.shape[1:]))
    fields = [row.receptive_field[0] for row in rows if row.receptive_field]
    titles = ["Convolution", "ReLU", f"{POOLS[pool]} of {window} × {window}"]
    shown = [Map("Picture", picture.values.astype(np.float32), limits=(0, 255))]
    for title, values, field in zip(titles, (convolved, rectified, pooled), fields, strict=True):
        kind = "signed" if title == "Convolution" else "grey"
        shown.append(Map(title, values, kind, float(field.size), float(field.stride), float(field.start)))
    row, column = np.unravel_index(pooled[1:-1, 1:-1].argmax(), pooled[1:-1, 1:-1].shape)
    table: list[tuple[str, ...]] = [
        (
            title, " × ".join(map(str, layer.output_shape)), f"{layer.parameters:,}", f"{layer.multiply_adds:,}",
            f"{float(field.size):.0f} × {float(field.size):.0f}",
        )
        for title, layer, field in zip(titles, rows, fields, strict=True)
    ]  # fmt: skip
    return Stage(shown, table, (3, int(row) + 1, int(column) + 1))


def snippet(picture: Picture, kernel: str, pool: str, window: int) -> str:
    """Return the code that computes the three maps and the table."""
    return f"""\
import numpy as np
import torch
from PIL import Image, ImageOps

from cnn_core.anatomy import format_table, trace
from lab.kernels import find_kernel
from lab.stages import outputs, stage

{picture.code}
x = torch.from_numpy(picture).unsqueeze(0)  # [1, {picture.edge}, {picture.edge}]
layers = stage(find_kernel("{kernel}").weight, pool="{pool}", window={window})
convolved, rectified, pooled = outputs(layers, x)
print(pooled.shape, pooled.min(), pooled.max())
print(format_table(trace(layers, x.shape)))
"""
