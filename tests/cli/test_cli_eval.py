"""`cnn eval` whatever the domain: n of how many, figures of what was not learned, and what is said where."""

import json
import shutil

import pytest

from cnn_core.cli.using import flat
from cnn_core.weights import find_weights

SEVENTH = '''
"""A domain that measures what its data's name says."""

from types import SimpleNamespace

from cnn_core.data.summary import DataSummary, LeftOut
from cnn_core.data.sets import DataSet
from cnn_core.domain import Domain
from cnn_core.predictor import Measured
from cnn_core.weights import load_card

DATA_SETS = {"digits": DataSet(name="digits", description="eights")}


def load(name, *, device):
    return SimpleNamespace(card=load_card(name))


def measure(predictor, data, split, own):
    report = SimpleNamespace(n=4, metrics={"accuracy": 0.75, "macro_f1": 0.5}, lines=["a: 3 of 4", "b: none"])
    if data == "digits":
        return Measured.split_of_set(report, data, split or "test", items="notes")
    summary = DataSummary(
        data, "notes", {"all": 10}, left_out=(LeftOut("empty rows", 2, ("row 3",)),),
        read=("all 10 notes are measured" if not own else "the training data",), warnings=("1 note is a copy",),
    )
    return Measured(report=report, split=split or "all", data=summary, of=10, unseen={"accuracy": 0.5})


DOMAIN = Domain(name="seventh", recipe=dict, make_task=None, load=load, data_sets=DATA_SETS, measure=measure)
'''


@pytest.fixture
def own(write, install, tmp_path):
    """Weights of the seventh domain."""
    write(tmp_path / "site", "seventh", recipes={}, code=SEVENTH)
    install(tmp_path / "site")
    folder = shutil.copytree(find_weights("digits"), tmp_path / "own")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "domain": "seventh"}))
    return folder


def test_figures_go_to_standard_output_and_what_was_understood_beside_it(cnn, own):
    answer = cnn("eval", own, "--data", "notes.csv", "--device", "cpu")
    assert answer.code == 0
    assert answer.err.splitlines() == [
        "10 notes.", "All 10 notes are measured.", "Left out: 2 empty rows (row 3, ...).", "1 note is a copy.",
    ]  # fmt: skip
    head, *lines = answer.out.splitlines()
    assert head.startswith(f"{own} on notes.csv all, n 4 of 10, ")
    assert lines == ["  a: 3 of 4", "  b: none", "  accuracy 0.7500  (unseen: 0.5000)", "  macro_f1 0.5000"]


def test_quiet_leaves_the_figures(cnn, own):
    answer = cnn("eval", own, "--data", "notes.csv", "--quiet")
    assert answer.err == ""
    assert answer.out.splitlines()[1:] == ["  accuracy 0.7500  (unseen: 0.5000)", "  macro_f1 0.5000"]


def test_json_holds_all_of_it(cnn, own):
    answer = cnn("eval", own, "--data", "notes.csv", "--split", "val", "--json")
    assert answer.err == ""
    found = json.loads(answer.out)
    assert found.pop("seconds") >= 0
    summary = found.pop("summary")
    assert found == {
        "weights": str(own), "data": "notes.csv", "split": "val", "n": 4, "of": 10,
        "metrics": {"accuracy": 0.75, "macro_f1": 0.5}, "unseen": {"accuracy": 0.5},
    }  # fmt: skip
    assert summary["sentences"][0] == "10 notes." and summary["left_out"][0]["count"] == 2


def test_a_set_by_name_is_its_test_split(cnn, own):
    answer = cnn("eval", own)
    assert answer.out.startswith(f"{own} on digits test, n 4, ")
    assert answer.err == "4 notes.\n4 test.\n"
    assert "unseen" not in answer.out


def test_the_measures_of_a_case_are_shown_by_the_names_that_lead_to_them():
    case = {"case": "a", "lung": {"dice": 0.9, "volume_ml": {"true": 3.0}}, "n": 2}
    assert [*flat(case)] == [("case", "a"), ("lung.dice", 0.9), ("lung.volume_ml.true", 3.0), ("n", 2)]
