"""The README says what is true: its result table is that of the cards, its recipes and files exist."""

import re
from pathlib import Path

from cnn_core.domains import recipe_files
from cnn_core.models import list_models
from cnn_core.weights import list_weights, load_card
from cnn_core.weights.table import results_table, with_results

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")


def test_the_result_table_is_current() -> None:
    assert with_results(TEXT) == TEXT, "run `make readme`"
    for entry in list_weights():
        assert (f"`{entry.name}`" in results_table()) == bool(load_card(entry.folder).metrics)


def test_every_recipe_weights_and_model_it_names_exists() -> None:
    known = set(recipe_files()) | {entry.name for entry in list_weights()} | set(list_models())
    # names only: not `cnn train my.toml`, not `cnn predict runs/digits`
    named = re.findall(r"cnn (?:train|predict|explain|eval|anatomy|export) ([a-z0-9-]+)(?=[ `\n])", TEXT)
    assert len(named) >= 8
    assert set(named) <= known


def test_every_file_it_points_to_exists() -> None:
    targets = re.findall(r"\]\((?!http)([^)]+)\)", TEXT)
    targets += re.findall(r"`((?:shared|packages|apps|tests)/[\w/.-]+)`", TEXT)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target
