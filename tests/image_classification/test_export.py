"""Exported networks answer what `predict` answers, test-time views included."""

import numpy as np
import pytest
import torch

from image_classification import load
from image_classification.domain import DOMAIN

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
pytest.importorskip("onnxscript", reason="the extra `export` is not installed")

from cnn_core.export import export_onnx  # noqa: E402  (after the check for its packages)


def test_the_exported_file_answers_with_the_views_of_the_contract(tmp_path):
    predictor = load("mnist", device="cpu")
    assert predictor.contract.tta == "shift"
    parts = DOMAIN.exportable(predictor)
    export_onnx(parts.pop("model"), predictor.card, tmp_path, **parts)
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"input": x.numpy()})
    expected = predictor.probabilities(x).numpy()
    np.testing.assert_allclose(torch.from_numpy(scores).softmax(1).numpy(), expected, atol=1e-5)
    with torch.inference_mode():
        plain = predictor.model(x).softmax(1).numpy()
    assert np.abs(plain - expected).max() > 1e-3  # without the views it would be another answer
