"""Audio classification: sounds in, class probabilities and the part that decided out.

    from audio_classification import load, train
    load("fsdd").predict(["seven.wav"])[0].labels
    train("drawn-sounds").card.metrics["accuracy"]

Importing the package is cheap; torch is loaded with the first use of a name.
"""

from cnn_core.lazy import lazy_names

_HOMES = {
    "BENCHES": "bench",
    "DATA_SETS": "data",
    "DOMAIN": "domain",
    "load": "predict",
    "Predictor": "predict",
    "Sound": "reading",
    "read_sound": "reading",
    "compare": "domain",
    "evaluate_weights": "domain",
    "explain_to_file": "domain",
    "predict_items": "domain",
    "train": "domain",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
