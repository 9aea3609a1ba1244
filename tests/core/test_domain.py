"""What a domain does once for all: sets that are fetched or explained, and what it does not offer."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cnn_core.data.sets import DataSet, find_set, missing_set
from cnn_core.domain import Domain
from cnn_core.errors import CnnError, DataError
from cnn_core.predictor import check_labels
from cnn_core.train.config import override
from cnn_core.train.finish import Outcome
from cnn_core.validation import Settings


@dataclass(frozen=True)
class DataConfig(Settings):
    data: str = "lines"


@dataclass(frozen=True)
class Recipe(Settings):
    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)


def lines_in(folder: Path) -> str:
    if not (folder / "lines.txt").is_file():
        raise DataError(f"{folder} holds no lines.txt")
    return f"{len((folder / 'lines.txt').read_text().split())} lines"


class Publisher:
    """Writes some lines into a folder, and counts how often."""

    def __init__(self, text: str) -> None:
        self.text, self.calls = text, 0

    def __call__(self, folder: Path, progress: object) -> None:
        self.calls += 1
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lines.txt").write_text(self.text)


def test_a_set_is_fetched_once_and_again_where_it_is_damaged_or_not_whole(tmp_path: Path) -> None:
    publisher = Publisher("a b c")
    lines = DataSet(
        name="lines", description="", folder="x/lines", count=lines_in, official="3 lines", get=publisher
    )  # fmt: skip
    folder = tmp_path / "x" / "lines"
    assert lines.fetch(data_root=tmp_path) == f"lines: 3 lines in {folder}"
    assert lines.fetch(data_root=tmp_path) == f"lines is there already: 3 lines in {folder}"
    assert publisher.calls == 1
    (folder / "lines.txt").write_text("a")
    assert lines.fetch(data_root=tmp_path) == f"lines: 3 lines in {folder}"
    (folder / "lines.txt").unlink()
    assert lines.fetch(data_root=tmp_path) == f"lines: 3 lines in {folder}"
    assert publisher.calls == 3


def test_a_set_that_is_not_offered_says_what_is_expected_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    lines = DataSet(
        name="lines", description="", folder="lines", layout="lines.txt", source="A. Uthor", count=lines_in
    )  # fmt: skip
    assert lines.how_to_get == "lines.txt in <data>/lines; published by A. Uthor"
    with pytest.raises(DataError, match=r"holds no lines\.txt"):
        lines.fetch()
    Publisher("a b")(lines.path(), None)
    assert lines.fetch() == f"lines is there already: 2 lines in {tmp_path / 'lines'}"
    problem = str(missing_set(lines, lines.path()))
    for words in ("lines is not there", f"lines.txt in {tmp_path / 'lines'}", "from A. Uthor", "CNN_DATA_DIR"):
        assert words in problem


def test_a_set_that_nobody_publishes_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    lines = DataSet(
        name="lines", description="", folder="lines", layout="lines.txt", count=lines_in, unavailable="it was burnt"
    )  # fmt: skip
    assert lines.how_to_get == "not published; cnn data get lines says why"
    with pytest.raises(DataError, match=r"expected lines\.txt in .*; it was burnt, or set CNN_DATA_DIR"):
        lines.fetch()
    Publisher("a b")(lines.path(), None)
    assert lines.fetch() == f"lines is there already: 2 lines in {tmp_path / 'lines'}"


def test_embedded_sets_and_names() -> None:
    digits = DataSet(name="two_words", description="")
    assert digits.how_to_get == "comes with the software" and "nothing to get" in digits.fetch()
    assert find_set({"two_words": digits}, "two-words") is digits
    assert find_set({"two_words": digits}, Path("./two_words") / "x") is None


def test_what_a_domain_does_not_offer_is_said() -> None:
    bare = Domain(name="bare", recipe=dict, make_task=list, load=lambda *_, **__: object(), data_sets={})
    for command, call in (
        ("eval", lambda: bare.evaluate_weights("x")),
        ("explain", lambda: bare.explain_to_file("x", "y", Path("z"))),
        ("compare", lambda: bare.compare("x", "y", folder=Path("z"))),
    ):
        with pytest.raises(CnnError, match=f"bare does not offer `cnn {command}`"):
            call()


@pytest.mark.parametrize(("licence", "expected"), [
    ("MIT; the lines are CC BY", "MIT; the training data have their own terms"),
    ("MIT for one half; the other is Apache-2.0; the lines are CC BY",
     "MIT for one half; the other is Apache-2.0; the training data have their own terms"),
    ("MIT", "MIT; the training data have their own terms"),
])  # fmt: skip
def test_what_a_recipe_says_of_its_set_is_not_said_of_other_data(licence: str, expected: str) -> None:
    sets = {"lines": DataSet(name="lines", description="")}
    domain = Domain(name="x", recipe=Recipe, make_task=len, load=str, data_sets=sets, limits=("Knows its lines.",))
    recipe = Recipe("of 19 poets", licence, ["Poems alone."])
    assert domain.with_settings(recipe, recipe) is recipe
    changed = override(recipe, {"data": "my_lines"})
    found = domain.with_settings(recipe, changed)
    assert (found.description, found.limits, found.licence) == ("", ["Knows its lines."], expected)
    own = override(changed, {"limits": ["Mine."]})
    assert domain.with_settings(recipe, own) is own  # said on purpose
    placeholder = Recipe("of your own", licence, ["Knows what it saw."], DataConfig("my_texts"))
    assert domain.with_settings(placeholder, override(placeholder, {"data": "others"})).limits == ["Knows what it saw."]


def test_other_classes_are_refused() -> None:
    class Known:
        labels = ("a", "b")

        class card:  # noqa: N801
            name = "ab"

    check_labels(Known, ["a", "b"], "here")
    with pytest.raises(CnnError, match="ab knows the classes a, b, but here has b, a"):
        check_labels(Known, ["b", "a"], "here")


def test_ways_are_not_compared_in_a_process_that_writes_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = Domain(
        name="made", recipe=Recipe, make_task=Recipe, load=Recipe, data_sets={},
        ways=lambda card, weights: {"scratch": (Recipe(), {})},
    )  # fmt: skip
    monkeypatch.setattr("cnn_core.domain.find_weights", lambda weights, *, domain: tmp_path)
    monkeypatch.setattr("cnn_core.domain.load_card", lambda folder: None)
    monkeypatch.setattr(Domain, "train", lambda *_, **__: Outcome(None, None))
    with pytest.raises(CnnError, match="comparing in several processes is not supported"):
        domain.compare("weights", "lines", folder=tmp_path)
