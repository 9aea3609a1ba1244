"""Explain a prediction as a picture: the uncertainty of a segmentation, or where a network looked at a nodule."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnn_core.errors import CnnError, unknown_name
from cnn_core.explain import heat_limits, list_methods, overlay
from cnn_core.notebook import Pictured
from medical_segmentation.pictures import heat_slice, save_png, upright

if TYPE_CHECKING:
    from medical_segmentation.nodule_predictor import NodulePredictor
    from medical_segmentation.predict import Predictor

OF_MASKS = ("entropy", "foreground")


@dataclass(frozen=True)
class Explanation(Pictured):
    """A picture with heat on it.

    Args:
        pixels: uint8 [H, W, 3].
        sentence: what it shows.
        spacing: of rows and columns, in mm.
    """

    pixels: np.ndarray = field(repr=False)
    sentence: str
    spacing: Sequence[float] = (1.0, 1.0)

    def save(self, output: Path | str) -> str:
        """Write the picture as PNG; return one sentence that says what it shows.

        Raises:
            CnnError: the name does not end in .png.
            StorageError: it cannot be written.
        """
        output = Path(output)
        if output.suffix.lower() != ".png":
            raise CnnError(f"{output.name}: expected a name that ends in .png")
        save_png(self.pixels, output, spacing=self.spacing)
        return f"{output}: {self.sentence}"


def explain_scan(
    predictor: "Predictor",
    source: str,
    *,
    method: str = "entropy",
    series: str | None = None,
    volume: int | None = None,
) -> Explanation:
    """Return the axial slice with the most uncertainty (or foreground probability) over it.

    `series` and `volume` choose what is explained, as in `Predictor.predict`.

    Raises:
        UnknownNameError: no such method.
        DataError: the scan cannot be used.
    """
    if method not in OF_MASKS:
        raise unknown_name("method", method, OF_MASKS)
    result = predictor.predict(source, maps=(method,), series=series, volume=volume)
    k, pixels = heat_slice(result.scan, result.maps[method])
    what = "where the labels are uncertain (entropy)" if method == "entropy" else "the probability of any label"
    sentence = f"{what} in slice {k + 1} of {result.scan.voxels.shape[2]} of {result.scan.name}"
    return Explanation(pixels, sentence, (result.scan.spacing[1], result.scan.spacing[0]))


def explain_nodule(predictor: "NodulePredictor", source: str | Path, *, method: str = "grad-cam") -> Explanation:
    """Return the nodule (of a cube the slice with the most heat) with the heat of "malignant" over it."""
    if method not in list_methods():
        raise unknown_name("method", method, list_methods())
    picture, heat, signed = predictor.heat_of(source, method=method)
    limits = heat_limits(heat, signed=signed)
    place = ""
    if picture.ndim == 3:
        k = int(np.abs(heat).sum((0, 1)).argmax())
        picture, heat, place = upright(picture[..., k]), upright(heat[..., k]), f", slice {k + 1}"
    pixels = overlay(picture.copy(), heat.copy(), signed=signed, limits=limits)
    probability = predictor.predict(source).probability
    return Explanation(
        pixels, f"what speaks for malignant ({probability:.1%}) in {Path(source).name}{place}, by {method}"
    )
