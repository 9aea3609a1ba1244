"""Lab: convolution, one step at a time."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from components.address import pick
from components.convolution_stepper import convolution_stepper
from components.frame import note, plain_errors
from components.lab import Choice, arithmetic, ask_side_by_side, closing, formula, opening
from components.networks import compute
from views.lab_parts.convolution import MODES, Settings, colour_steps, snippet, steps
from views.lab_parts.picture import DRAW, UPLOAD, Picture, choose_picture, sample_picture

if TYPE_CHECKING:
    from lab.kernels import NamedKernel

OWN = "own"
PHOTO_EDGE = 64  # pixels: small enough to see single ones


def main() -> None:
    opening("convolution")
    picture = choose_picture(["seven", "eight", "boot", "palace", "dahlia", DRAW, UPLOAD], edge=PHOTO_EDGE)
    rows = _choose_kernel()
    stage = st.container()  # the picture stands above the controls of how the kernel slides
    settings = _choose_settings(rows)
    below = st.container()
    if picture is None:
        return
    shown = None
    with stage, plain_errors():
        shown = compute(steps, picture, settings)
        edit = partial(_edit, turned=settings.turned)
        convolution_stepper(shown, key="steps", label=f"Input: {picture.title}", on_edit=edit)
    if shown is None:
        return
    with below:
        _sizes(picture, settings, shown.output.shape[1:])
        formula(
            r"y_{i,j} \;=\; \sum_{u=0}^{2}\sum_{v=0}^{2} k_{u,v}\; x_{s i + d u,\; s j + d v}",
            "products = patch * kernel\ntotal = products.sum() + bias",
            "lab.stepwise.convolution_step",
        )
    _colours()
    closing(
        "convolution",
        question="Type a kernel of nine weights that sum to 0, then to 1. On the flat parts of the picture, what "
        "does each of them leave?",
        snippet=snippet(picture, settings, shown.position),
        files=picture.own,
    )


def _choose_kernel() -> tuple[tuple[float, ...], ...]:
    """Return the kernel's rows: of a named one, or what was typed."""
    named, own = compute(_named_kernels), st.session_state.get("typed") or _from_address()
    options = [*named, OWN] if own else [*named]
    name = pick(
        st.pills, "Kernel", options, key="kernel", required=True,
        format_func=lambda name: "Your own" if name == OWN else named[name].title,
    )  # fmt: skip
    if name == OWN and own:
        st.query_params["weights"] = "_".join(f"{weight:.6g}" for weight in own)
        note("Your own nine weights.")
        return tuple(tuple(own[i : i + 3]) for i in (0, 3, 6))
    if "weights" in st.query_params:
        del st.query_params["weights"]
    kernel = named[name]
    note(kernel.does + " The weights can be typed over.")
    return kernel.rows


def _named_kernels() -> dict[str, "NamedKernel"]:
    from lab.kernels import NAMED_KERNELS

    return {kernel.name: kernel for kernel in NAMED_KERNELS}


def _from_address() -> list[float] | None:
    """Return the nine weights in the address, if there are such."""
    try:
        weights = [float(text) for text in st.query_params.get("weights", "").split("_")]
    except ValueError:
        return None
    return weights if len(weights) == 9 and all(abs(weight) <= 100 for weight in weights) else None


def _edit(weights: list[float], *, turned: bool) -> None:
    """Take weights as they slide; a turned kernel was typed for the one before it was turned by half a circle."""
    st.session_state["typed"] = weights[::-1] if turned else weights
    st.session_state["kernel"] = OWN


def _choose_settings(rows: tuple[tuple[float, ...], ...]) -> Settings:
    kinds = {"correlation": "Cross-correlation", "convolution": "Convolution"}
    padding, mode, stride, dilation, kind = ask_side_by_side(
        Choice("Padding", "padding", ["0", "1", "2"]),
        Choice("Filled with", "fill", list(MODES), MODES),
        Choice("Stride", "stride", ["1", "2", "3"]),
        Choice("Dilation", "dilation", ["1", "2", "3"]),
        Choice("Strictly speaking", "kind", list(kinds), kinds),
    )
    if kind == "convolution":
        note(
            "Mathematicians turn the kernel by half a circle first. Networks do not, as they learn the weights anyway."
        )
    return Settings(rows, kind == "convolution", int(padding), mode, int(stride), int(dilation))


def _sizes(picture: Picture, settings: Settings, shape: tuple[int, int]) -> None:
    extent = settings.dilation * 2 + 1
    dilated = f", which dilation {settings.dilation} spreads to {extent}" if settings.dilation > 1 else ""
    arithmetic(
        f"⌊({picture.edge} − {extent} + 2 · {settings.padding}) / {settings.stride}⌋ + 1",
        str(shape[0]),
        f"The size of the output: {picture.edge} pixels along each side, a kernel of 3{dilated}, "
        f"{settings.padding} of padding on both ends, stride {settings.stride}.",
    )


def _colours() -> None:
    st.header("Colour in, several maps out", anchor=False)
    note(
        "A colour picture has three slices, so a filter has three too: 27 products, one sum, one map. Four filters "
        "make four maps, a new picture with four channels: 4 × (27 weights + 1 bias) = 112 numbers to learn."
    )
    with plain_errors():
        from components.samples import find_sample

        photo = sample_picture(find_sample("dahlia"), edge=PHOTO_EDGE, mode="RGB")
        convolution_stepper(compute(colour_steps, photo), key="colour-steps", label="Input: a dahlia in colour")


main()
