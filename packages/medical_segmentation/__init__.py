"""Medical segmentation with U-Nets: a scan in, a mask on its own voxels and millilitres out; lung nodules classified.

    from medical_segmentation import load, train
    load("lung-ct").predict("thorax.nii.gz").volumes_ml
    train("phantom", settings={"epochs": 5}).card.metrics["dice"]

Research and teaching only, not for diagnosis. Importing the package is cheap; torch is loaded with the first use of a
name.
"""

from cnn_core.lazy import lazy_names

_HOMES = {
    "BENCHES": "bench",
    "DATA_SETS": "data",
    "DOMAIN": "domain",
    "MODELS": "model",
    "SOURCES": "bundles",
    "list_series": "scan",
    "load": "loading",
    "Predictor": "predict",
    "SegmentationResult": "predict",
    "NodulePredictor": "nodule_predictor",
    "Scan": "scan",
    "read_mask": "scan",
    "read_scan": "scan",
    "write_mask": "scan",
    "compare": "domain",
    "evaluate_weights": "domain",
    "explain_to_file": "domain",
    "predict_items": "domain",
    "train": "domain",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy_names(__name__, _HOMES)
