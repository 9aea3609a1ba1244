"""The exported detector: greedy suppression as torchvision's, and in ONNX Runtime the boxes that `predict` gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import batched_nms

from cnn_core.data.fits import Placement
from cnn_core.weights.card import WeightsCard
from object_detection.contract import BoxContract
from object_detection.domain import DOMAIN
from object_detection.exported import Exported
from object_detection.finding import boxes_in, inside
from object_detection.model import boxes_of, build_detector, locations, scores_of
from object_detection.predict import Predictor

OPTIONS = {"strides": [8, 16], "channels": 16, "depth": 1, "backbone": {"widths": [8, 8, 8], "stem_stride": 2}}


class Fixed(nn.Module):
    """Answers as it was told to."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output


def test_suppression_is_that_of_torchvision() -> None:
    contract = BoxContract((64, 96), (8,), threshold=0.3, overlap=0.4)
    places, _ = locations(contract.size, contract.strides)
    chance = torch.Generator().manual_seed(1)
    output = torch.randn(6, len(places), 3 + 5, generator=chance)
    output[..., -4:] = 4 + 20 * torch.rand(6, len(places), 4, generator=chance)  # much that overlaps
    answers = Exported(Fixed(output), contract)(torch.zeros(6, 3, 64, 96))
    dropped = 0
    for answer, one in zip(answers, output, strict=True):
        scores, classes = scores_of(one).max(-1)
        there = (scores >= 0.3).nonzero()[:, 0]
        boxes = inside(boxes_of(one, places), contract.size)
        kept = there[batched_nms(boxes[there], scores[there], classes[there], 0.4)]
        assert (answer[:, 4] > 0).nonzero()[:, 0].tolist() == sorted(kept.tolist())
        assert torch.equal(answer[kept, 5].long(), classes[kept])
        dropped += len(there) - len(kept)
    assert dropped > 100


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    model = build_detector("fastnet", 1, options=OPTIONS).eval()
    nn.init.normal_(model.classes.weight, std=0.5)  # finds things everywhere
    nn.init.zeros_(model.classes.bias)
    contract = BoxContract((32, 48), (8, 16), threshold=0.5, overlap=0.5)
    card = WeightsCard(
        name="test", domain="object_detection", model="fastnet",
        arguments={"spatial_dims": 2, "in_channels": 3, "num_classes": 1, "input_size": [32, 48], "options": OPTIONS},
        input=contract.to_json(), labels=["a"], metrics={}, recipe={}, command="x", machine="x", seconds=0.0,
        parameters=1, sha256="0" * 64, bytes=1, dtype="float32", licence="MIT", limits=[], created="2026-01-01",
        version="0",
    )  # fmt: skip
    return Predictor(model, card)


def test_the_onnx_file_gives_the_boxes_of_predict(predictor: Predictor, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from cnn_core.export import export_onnx

    export_onnx(card=predictor.card, folder=tmp_path, **DOMAIN.exportable(predictor))
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    views = torch.randint(0, 256, (3, 3, 32, 48), generator=torch.Generator().manual_seed(4)).byte()
    x = predictor.contract.normalize(views.float() / 255)
    (answers,) = session.run(["output"], {"input": x.numpy()})
    whole = Placement((0, 0, 48, 32), (0, 0, 48, 32))
    with torch.inference_mode():
        expected = boxes_in(predictor.model(x), predictor.places, predictor.contract, [whole] * 3, [(48, 32)] * 3)
    for answer, one in zip(answers, expected, strict=True):
        found = answer[answer[:, 4] > 0]
        found = found[np.argsort(-found[:, 4])]
        alone = one.above(0.5)
        assert len(found) > 3
        assert np.allclose(found[:, 4], alone.scores, atol=1e-4) and np.allclose(found[:, :4], alone.boxes, atol=1e-3)
        assert found[:, 5].tolist() == alone.classes.tolist()
