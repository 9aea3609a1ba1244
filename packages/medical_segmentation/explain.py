"""Why a mask or a judgement: the uncertainty of a segmentation, or where a network looked at a nodule, as a picture."""

from pathlib import Path

import numpy as np

from cnn_core.errors import CnnError, unknown_name
from cnn_core.explain import heat_limits, list_methods, overlay
from medical_segmentation.judge import NodulePredictor
from medical_segmentation.pictures import save_heat, save_png, upright
from medical_segmentation.predict import Predictor

OF_MASKS = ("entropy", "foreground")


def explain_scan(predictor: Predictor, source: str, output: Path, *, method: str = "entropy") -> str:
    """Write the axial slice with the most uncertainty (or foreground probability) over it; return a sentence.

    Raises:
        UnknownNameError: no such method.
        DataError: the scan cannot be used.
    """
    if method not in OF_MASKS:
        raise unknown_name("method", method, OF_MASKS)
    result = predictor.predict(source, maps=(method,))
    k = save_heat(result.scan, result.maps[method], output)
    what = "where the labels are uncertain (entropy)" if method == "entropy" else "the probability of any label"
    return f"{output}: {what} in slice {k + 1} of {result.scan.voxels.shape[2]} of {result.scan.name}"


def explain_nodule(predictor: NodulePredictor, source: str, output: Path, *, method: str = "grad-cam") -> str:
    """Write the nodule (of a cube the slice with the most heat) with the heat of "malignant"; return a sentence."""
    if method not in list_methods():
        raise unknown_name("method", method, list_methods())
    picture, heat, signed = predictor.explain(source, method=method)
    limits = heat_limits(heat, signed=signed)
    place = ""
    if picture.ndim == 3:
        k = int(np.abs(heat).sum((0, 1)).argmax())
        picture, heat, place = upright(picture[..., k]), upright(heat[..., k]), f", slice {k + 1}"
    save_png(overlay(picture.copy(), heat.copy(), signed=signed, limits=limits), output)
    chance = predictor.predict(source).probability
    return f"{output}: what speaks for malignant ({chance:.1%}) in {Path(source).name}{place}, by {method}"


def check_output(output: Path) -> None:
    """Raise CnnError unless the name ends in .png."""
    if output.suffix.lower() != ".png":
        raise CnnError(f"{output.name}: expected a name that ends in .png")
