"""Lab: convolution, ReLU, pooling."""

from components.frame import plain_errors
from components.lab import Choice, ask_side_by_side, closing, formula, kernel_titles, opening
from components.maps import maps
from components.networks import compute
from components.tables import table
from views.lab_parts.picture import UPLOAD, choose_picture
from views.lab_parts.pooling import POOLS, run, snippet

EDGE = 96  # pixels
HEADS = (
    ("Layer", ""), ("Output", "number"), ("Parameters", "number"), ("Multiply-adds", "number"),
    ("Receptive field", "number"),
)  # fmt: skip


def main() -> None:
    opening("pooling")
    picture = choose_picture(["palace", "dahlia", "airplane", "eight", UPLOAD], edge=EDGE)
    titles = compute(kernel_titles)
    kernel = Choice("Kernel", "kernel", list(titles), titles, pills=True).ask()
    pool, window = ask_side_by_side(
        Choice("Pooling", "pool", list(POOLS), POOLS), Choice("Window", "window", ["2", "3", "4"])
    )
    if picture is None:
        return
    with plain_errors():
        shown = compute(run, picture, kernel, pool, int(window))
        maps(
            shown.maps, key="stage", chosen=shown.start,
            hint="Move over any panel: the frames mark the same position in the others, and its receptive field. "
            "Blue is below zero; ReLU sets it to zero, pooling keeps one number per window.",
        )  # fmt: skip
        table(HEADS, shown.rows, label="Sizes of the layers", narrow=True)
        formula(
            r"z = k * x, \qquad a = \max(0, z), \qquad p_{i,j} = "
            + (r"\max_{u,v < w}" if pool == "max" else r"\frac{1}{w^2}\sum_{u,v < w}")
            + r"\; a_{w i + u,\, w j + v}",
            "convolved, rectified, pooled = outputs(layers, x)",
            "lab.stages",
        )
        closing(
            "pooling",
            question="Blur with the mean, then outline with the maximum: which of the two windows could be made 4 "
            "wide without losing what matters?",
            snippet=snippet(picture, kernel, pool, int(window)),
            files=picture.own,
        )


main()
