"""Text classification with 1-D convolutional networks: texts in, class probabilities and the deciding n-grams out.

    from text_classification import load, train
    load("sst2").predict(["a joy to watch"])[0].labels
    train("docstrings", epochs=5).card.metrics["accuracy"]

Importing the package is cheap; torch is loaded with the first use of a name.
"""

import importlib
from typing import Any

_HOMES = {
    "BENCHES": "bench",
    "DATA_SETS": "data",
    "get_data": "data",
    "load": "predict",
    "Prediction": "predict",
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
