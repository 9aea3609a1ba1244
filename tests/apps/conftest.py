"""What the tests of the pages share: small networks trained here in seconds."""

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.components.v2 import manifest_scanner

from jobs import queue


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to start the pages in, with the runs `tiny-digits` (grey), `tiny-shapes` (colour), `tiny-requests`."""
    from cnn_core.train.config import override
    from components.shapes import example_zip
    from image_classification.domain import Recipe, train

    place = tmp_path_factory.mktemp("workplace")
    archive = place / "shapes.zip"
    archive.write_bytes(example_zip())
    common = {"device": "cpu", "precision": "32-true", "validation": False}
    runs = {
        "tiny-digits": {"data": "digits", "fit": "digit", "model": "fastnet",
                        "options": {"widths": [8, 16], "stem_kernel": 2}, "epochs": 1, "learning_rate": 1e-2},
        "tiny-shapes": {"data": str(archive), "model": "fastnet", "options": {"widths": [8, 16]}, "size": 32,
                        "epochs": 2, "batch_size": 24, "learning_rate": 1e-2},
    }  # fmt: skip
    for name, settings in runs.items():
        train(override(Recipe(), {**common, **settings}), folder=place / "runs" / name, name=name)
    _train_requests(place)
    return place


def _train_requests(place: Path) -> None:
    from cnn_core.train.config import override
    from components.requests import example_csv
    from text_classification.domain import Recipe, train

    table = place / "requests.csv"
    table.write_text(example_csv(), "utf-8")
    settings = {"data": str(table), "vector_size": 16, "options": {"widths": [1, 2], "filters": 8}, "epochs": 4,
                "batch_size": 16, "learning_rate": 5e-3, "row_learning_rate": 5e-2, "device": "cpu",
                "precision": "32-true"}  # fmt: skip
    train(override(Recipe(), settings), folder=place / "runs" / "tiny-requests", name="tiny-requests")


@pytest.fixture
def in_workplace(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the workplace the current folder."""
    monkeypatch.chdir(workplace)
    return workplace


@pytest.fixture
def waiting_room(workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to start the pages in, with runs of the workplace; nobody works on its queue but `driving.learn`."""
    shutil.copytree(workplace / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(queue, "start_detached", lambda *_, **__: None)
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def on_this_machine() -> None:
    """The pages are tested as they are served by default; AppTest does not read the pages' own settings."""
    config.set_option("server.address", "localhost")


@pytest.fixture(autouse=True, scope="session")
def distributions_are_read_once() -> Iterator[None]:
    """Keeps what Streamlit finds in the installed packages: each AppTest would search them again, most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the download buttons of a page give, by their labels, filled while it runs."""
    import streamlit as st

    given: dict[str, Any] = {}
    button = st.download_button

    def noted(label: str, data: Any, *rest: Any, **options: Any) -> bool:
        given[label] = data() if callable(data) else data
        return button(label, data, *rest, **options)

    monkeypatch.setattr(st, "download_button", noted)
    return given
