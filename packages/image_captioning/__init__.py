"""Image captioning: pictures in, sentences out, and for every word where it came from.

    from image_captioning import load, train
    load("scenes").predict(["scene.png"])[0].captions
    train("scenes", settings={"epochs": 2}).card.metrics["truth_rate"]

Importing the package is cheap; torch is loaded with the first use of a name.
"""

from cnn_core.lazy import lazy_names

_HOMES = {
    "DATA_SETS": "data",
    "DOMAIN": "domain",
    "Caption": "predict",
    "load": "predict",
    "Predictor": "predict",
    "compare": "domain",
    "evaluate_weights": "domain",
    "explain_to_file": "domain",
    "predict_items": "domain",
    "train": "domain",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
