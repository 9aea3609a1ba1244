"""What the tests of weights share: the registered model `tiny`, and a folder with weights of it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnn_core.models.registry import MODELS, register_model
from cnn_core.weights import save_weights

sys.path.insert(0, str(Path(__file__).parent))

from tiny_weights import fields, tiny, trained


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register_model(paper="-", url="-", year=2025, input_shape=(1, 8, 8))(tiny)
    yield
    del MODELS["tiny"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_weights(trained(), fields(), tmp_path / "run")
    return tmp_path / "run"
