"""The examples run as they are written, and give what they promise."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

FOLDER = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples.{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_digit_is_classified_and_explained(tmp_path: Path) -> None:
    labels = example("classify_and_explain").main(output=str(tmp_path / "why.png"))
    assert labels[0] == "3" and Image.open(tmp_path / "why.png").width >= 320


def test_own_photos_become_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    for label, box in (("lying", (2, 6, 14, 9)), ("standing", (6, 2, 9, 14))):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(24):
            picture = Image.new("L", (16, 16))
            picture.paste(150 + 4 * i, tuple(edge - i % 3 for edge in box))
            picture.save(tmp_path / "photos" / label / f"{i}.png")
    accuracy = example("own_photos").main(str(tmp_path / "photos"), run=str(tmp_path / "run"), epochs=4)
    assert accuracy > 0.8 and (tmp_path / "run" / "card.json").exists()


def test_a_scan_becomes_millilitres_and_a_plot(tmp_path: Path) -> None:
    volumes = example("scan_to_millilitres").main(output=str(tmp_path / "volumes.png"))
    assert set(volumes) == {"lung"} and volumes["lung"] > 50 and (tmp_path / "volumes.png").exists()


def test_a_sentence_becomes_words_with_weights() -> None:
    weights = example("sentence_to_ngrams").main()
    assert weights["beautifully"] > 0.1 and abs(weights["and"]) < weights["beautifully"]


def test_a_backbone_of_ones_own_works_in_two_and_three_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnn_core.models import registry

    monkeypatch.setattr(registry, "MODELS", dict(registry.MODELS))
    assert example("new_backbone").main() == (2, 2)


def test_all_examples_are_tried() -> None:
    text = Path(__file__).read_text("utf-8")
    assert all(f'example("{file.stem}")' in text for file in FOLDER.glob("*.py"))
