"""Object detection: pictures in, boxes with labels and scores out, and the pixels that decided each.

    from object_detection import load, train
    load("bccd").predict(["blood.jpg"])[0].boxes
    train("streets").card.metrics["map50"]

Importing the package is cheap; torch is loaded with the first use of a name.
"""

from cnn_core.lazy import lazy_names

_HOMES = {
    "DATA_SETS": "data",
    "DOMAIN": "domain",
    "SOURCES": "published",
    "compare": "domain",
    "load": "predict",
    "Predictor": "predict",
    "evaluate_weights": "domain",
    "explain_to_file": "domain",
    "predict_items": "domain",
    "train": "domain",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
