"""Text classification with 1-D convolutional networks: texts in, class probabilities and the deciding n-grams out.

    from text_classification import load, train
    load("sst2").predict(["a joy to watch"])[0].labels
    train("docstrings", settings={"epochs": 5}).card.metrics["accuracy"]

Importing the package is cheap; torch is loaded with the first use of a name.
"""

from cnn_core.lazy import lazy_names

_HOMES = {
    "BENCHES": "bench",
    "DATA_SETS": "data",
    "DOMAIN": "domain",
    "MATERIALS": "minilm",
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
