"""Image classification: pictures in, class probabilities and their explanation out.

    from image_classification import load, train
    load("mnist").predict(["digit.png"])[0].labels
    train("digits", settings={"epochs": 20}).card.metrics["accuracy"]

Importing the package is cheap; torch is loaded with the first use of a name.
"""

from cnn_core.lazy import lazy_names

_HOMES = {
    "DATA_SETS": "data",
    "DOMAIN": "domain",
    "SOURCES": "published",
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
