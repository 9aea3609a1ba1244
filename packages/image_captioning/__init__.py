"""Image captioning: pictures in, sentences out, and for every word where it came from.

    from image_captioning import load, train
    load("scenes").predict(["scene.png"])[0].captions
    train("scenes", settings={"epochs": 2}).card.metrics["truth_rate"]

Importing the package is cheap; torch is loaded with the first use of a name.
"""

from cnn_core.lazy import lazy_names

_HOMES = {
    "DATA_SETS": "data",
    "get_data": "data",
    "Caption": "predict",
    "load": "predict",
    "Predictor": "predict",
    "RECIPE": "run",
    "compare": "run",
    "evaluate_weights": "run",
    "explain_to_file": "run",
    "exportable": "run",
    "make_task": "run",
    "predict_items": "run",
    "train": "run",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
