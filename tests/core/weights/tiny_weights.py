"""A small model and its card, for the tests of saving and of loading."""

import hashlib
import json
from pathlib import Path

import torch

from cnn_core.models import create_model
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.weights import load_card
from cnn_core.weights.find import CARD_FILE
from cnn_core.weights.store import OLD_MODEL_FILE, model_file


def tiny(in_channels: int, num_classes: int, *, spatial_dims: int, width: int = 4) -> Backbone:
    stage = ConvNormAct(in_channels, width, spatial_dims=spatial_dims)
    return Backbone(
        {"stage1": stage},
        [FeatureInfo("stage1", width, 1)],
        head=Head(width, num_classes, spatial_dims=spatial_dims),
        spatial_dims=spatial_dims,
        in_channels=in_channels,
    )


def fields(**changes):
    return {
        "name": "digits",
        "domain": "image_classification",
        "model": "tiny",
        "arguments": {
            "spatial_dims": 2,
            "in_channels": 1,
            "num_classes": 3,
            "input_size": None,
            "options": {"width": 4},
        },
        "input": {"size": [8, 8]},
        "labels": ["a", "b", "c"],
        "metrics": {},
        "recipe": {},
        "command": "cnn train digits",
        "machine": "test",
        "seconds": 1.0,
        "licence": "MIT",
        "limits": [],
    } | changes


def trained(seed: int = 0) -> Backbone:
    """A model whose every value differs from a fresh one, statistics and counters included."""
    torch.manual_seed(seed)
    model = create_model("tiny", in_channels=1, num_classes=3).train()
    for _ in range(3):
        model(torch.rand(5, 1, 8, 8) * 3 + 1)
    return model


def edit_card(folder: Path, **changes) -> None:
    card = json.loads((folder / CARD_FILE).read_text()) | changes
    (folder / CARD_FILE).write_text(json.dumps(card))


def tensors_of(folder: Path) -> Path:
    """The file of the tensors of the weights in a folder."""
    return model_file(folder, load_card(folder))


def put(folder: Path, data: bytes) -> None:
    """Replace the model by `data` and make the card agree with it: what a forger can do."""
    tensors_of(folder).unlink()
    (folder / OLD_MODEL_FILE).write_bytes(data)
    edit_card(folder, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
