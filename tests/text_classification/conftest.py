"""A small trained network, made once: which of two made-up topics a sentence is about."""

from pathlib import Path

import pytest
from trips import sentences, write_table

from text_classification import Predictor, load, train


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("table") / "trips.tsv", sentences(600))


@pytest.fixture(scope="session")
def run_folder(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "trips"
    settings = {
        "data": str(table), "vector_size": 16, "epochs": 4, "batch_size": 20, "learning_rate": 0.01, "min_count": 1,
        "word_dropout": 0.0,
    }  # fmt: skip
    train("docstrings", folder=folder, name="trips", settings=settings)
    return folder


@pytest.fixture(scope="session")
def predictor(run_folder: Path) -> Predictor:
    return load(run_folder, device="cpu")
