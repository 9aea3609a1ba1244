"""A user's own texts: what is held out of them, what is said of them, and what `cnn eval` measures on them."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trips import HILL, SEA, sentences, write_table

from cnn_core.errors import CnnError, DataError
from cnn_core.train.config import override
from text_classification import DOMAIN, evaluate_weights
from text_classification.copies import grouped, label_warnings, similar, spelled
from text_classification.data import Reading, load_data
from text_classification.recipe import Recipe
from text_classification.tables import read_table
from text_classification.task import TextTask
from text_classification.vectors import load_vectors


def table(path: Path, lines: list[str], header: str = "label,text") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A joy to watch!", "a joy, to  watch", True),
        ("Ｆｉｎｅ café", "fine cafe\u0301", True),  # NFKC: full-width letters, composed accents
        ("a joy to watch", "a joy to see", False),
        ("great 👍", "great 👎", False),
        ("10 of 10", "1 of 10", False),
        ("...", "!!!", False),
    ],
)
def test_near_copies_differ_in_case_spaces_and_punctuation_alone(one: str, other: str, same: bool) -> None:
    assert (similar(one) == similar(other)) is same
    assert spelled("Great :)") == spelled("great  :)") != spelled("great :(")


def test_groups_and_equal_texts_are_joined_however_they_hang_together() -> None:
    found = grouped(["a", "b", "a", "c", "d"], ["x", "x", "y", "y", "z"])  # a joins x and y
    assert len({*found[:4]}) == 1 and found[4] not in found[:4]
    assert grouped(["a", "b"]) == ["a", "b"]


def test_near_copies_and_groups_stay_on_one_side(tmp_path: Path) -> None:
    lines = [f'{"xy"[i % 2]},"Text number {i % 60}{"!" * (i // 60)}",author {i % 20}' for i in range(120)]
    file = table(tmp_path / "a.csv", lines, "label,text,who")
    for reading in (Reading(), Reading(group_column="who"), Reading(group_column="who", test="0.3")):
        made = load_data(file, reading).splits
        sides = {split: {similar(text) for text in made[split].texts} for split in ("train", "val", "test")}
        assert not sides["train"] & sides["test"] and not sides["train"] & sides["val"] | sides["val"] & sides["test"]
        assert sum(len(made[split]) for split in sides) == 120
        if reading.group_column:
            who = {split: {int(text.split()[2]) % 20 for text in sides[split]} for split in sides}
            assert not who["train"] & who["test"] and not who["train"] & who["val"]
    with pytest.raises(DataError, match="no column 'whom'"):
        load_data(file, Reading(group_column="whom"))


def test_the_test_set_can_be_a_table_a_share_or_a_number(tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", [f"{'xy'[i % 2]},text {i}" for i in range(100)])
    other = table(tmp_path / "b.csv", [f"{'xy'[i % 2]},other {i}" for i in range(7)])
    sizes = {test: load_data(file, Reading(test=test)).summary.splits["test"] for test in (str(other), "0.3", "30")}
    assert sizes == {str(other): 7, "0.3": 30, "30": 30}
    loaded = load_data(file, Reading(test=str(other)))
    assert loaded.splits["test"].texts[0] == "other 0" and loaded.summary.splits["train"] == 90
    for wrong, said in (("100", "expected a share or number of the 100 texts"), ("gone.csv", "gone.csv")):
        with pytest.raises(CnnError, match=said):
            load_data(file, Reading(test=wrong))
    with pytest.raises(DataError, match="splits of its own"):
        load_data("docstrings", Reading(test="0.3"))


@pytest.mark.parametrize("name", ["val.csv", "validation.csv", "valid.tsv", "Dev.csv"])
def test_validation_tables_are_known_by_all_their_names(tmp_path: Path, name: str) -> None:
    for part, count in (("train.csv", 30), (name, 6), ("test.csv", 4)):
        rows = [("xy"[i % 2], f"{part} {i}") for i in range(count)]
        sign = "\t" if part.endswith("tsv") else ","
        table(tmp_path / part, [f"{label}{sign}{text}" for label, text in rows], f"label{sign}text")
    summary = load_data(tmp_path, Reading()).summary
    assert (summary.splits, summary.divided) == ({"train": 30, "val": 6, "test": 4}, "as given")
    (tmp_path / "dev.jsonl").write_text('{"label": "x", "text": "z"}\n')
    with pytest.raises(DataError, match="are both the val table; keep one"):
        load_data(tmp_path, Reading())


def test_what_flatters_or_contradicts_is_counted_and_said(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", [f"{'xy'[i % 2]},text {i}" for i in range(40)] + ["x,odd", "y,Odd"])
    table(tmp_path / "test.csv", ["x,TEXT 0!", "y,text 1", "x,new one", "y,new two"])
    warnings = " ".join(load_data(tmp_path, Reading()).summary.warnings)
    assert "1 text stands under different labels, so no network can have all of them right ('Odd': x and y)" in warnings
    assert "2 of 4 test texts are copies of training texts" in warnings


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["Good", "good", "bad"], "differ in case, spaces or zeros alone"),
        ([f"{i / 10}" for i in range(100)], "scores"),
        (
            ["a|b", "a", "b", "b|a"],
            "2 labels seem to be several in one cell, each learned as a class of its own (such as 'a|b')",
        ),
        (['["a"  "b"]', '["a"]', '["b"]'], "1 label seems to be several in one cell"),
    ],
)
def test_labels_that_are_no_classes_are_said_with_the_flag_that_helps(
    tmp_path: Path, labels: list[str], said: str
) -> None:
    quoted = [label.replace('"', '""') for label in labels]
    file = table(tmp_path / "a.csv", [f'"{quoted[i % len(labels)]}",some text {i}' for i in range(8 * len(labels))])
    warnings = " ".join(load_data(file, Reading()).summary.warnings)
    assert said in warnings and ("--label-column" in warnings or "differ" in said)


@pytest.mark.parametrize("labels", [["pos", "neg"], ["Sci/Tech", "World"], ["a, b and c", "d"], ["1", "2", "3"]])
def test_ordinary_labels_are_not_doubted(labels: list[str]) -> None:
    assert label_warnings(labels) == []


def test_a_constant_column_and_addresses_are_never_chosen_while_others_are_there(tmp_path: Path) -> None:
    lines = [f"en,https://example.org/{'long' * 20}/{i},{i},{'xy'[i % 2]},a short film {i}" for i in range(30)]
    found = read_table(table(tmp_path / "a.csv", lines, "class,text,id,grade,said"))
    assert found.columns == ("said", "grade")
    sorted_labels = [f"neg,a bad one {i}" for i in range(900)] + [f"pos,a good one {i}" for i in range(900)]
    assert len({*read_table(table(tmp_path / "b.csv", sorted_labels)).labels}) == 2


@pytest.mark.parametrize("name", ["fold", "kfold"])
def test_a_column_of_folds_divides_and_is_no_label(tmp_path: Path, name: str) -> None:
    rows = [f"some {'abcdefg'[i % 7]} text {i},{i % 5},{'tuvwxyz'[i // 5 % 7]}" for i in range(140)]
    file = table(tmp_path / "a.csv", rows, f"text,{name},theme")
    data = load_data(file, Reading())
    folds = {
        split: {int(text.split()[-1]) % 5 for text in data.splits[split].texts} for split in ("train", "val", "test")
    }
    assert folds == {"train": {0, 1, 2}, "val": {3}, "test": {4}} and data.columns == ("text", "theme")
    assert any(f"fold 4 of column {name!r} is the test, fold 3 the validation" in said for said in data.summary.read)
    assert len(load_data(file, Reading(test="0.1")).splits["test"]) == 14
    alone = [f"text {i},{i % 5},{'pq'[i % 5 == 4]}" for i in range(140)]  # every q is in the last fold
    data = load_data(table(tmp_path / "b.csv", alone, f"text,{name},theme"), Reading())
    assert {*data.splits["train"].targets.tolist()} == {0, 1}


# What is measured


def copy_of(source: Path, path: Path, *, extra: tuple[str, ...] = (), shuffled: bool = True) -> Path:
    header, *lines = source.read_text("utf-8").splitlines()
    lines = sorted(lines) if shuffled else lines
    path.write_text("\n".join([header, *lines, *extra]) + "\n", "utf-8")
    return path


def test_the_test_texts_are_found_again_in_a_sorted_grown_or_copied_table(
    run_folder: Path, table: Path, tmp_path: Path, predictor
) -> None:
    own = evaluate_weights(str(run_folder), device="cpu")
    new = tuple(f"{label}\t{text} zzz" for label, text in sentences(30, seed=77))
    grown = copy_of(table, tmp_path / "grown.tsv", extra=new)
    for data in (str(copy_of(table, tmp_path / "sorted.tsv")), str(grown)):
        again = evaluate_weights(str(run_folder), data=data, device="cpu")
        assert (again["n"], again["split"], again["metrics"]) == (own["n"], "test", own["metrics"])
    assert again["of"] == 630
    assert "30 texts were not there in training" in " ".join(again["summary"]["sentences"])
    validation = evaluate_weights(str(run_folder), data=str(grown), split="val", device="cpu")
    assert validation["split"] == "val" and validation["n"] == 54


def test_all_of_other_data_is_measured_and_copies_are_counted(run_folder: Path, table: Path, tmp_path: Path) -> None:
    header, *lines = table.read_text("utf-8").splitlines()
    new = [f"{label}\t{text} again" for label, text in sentences(90, seed=5)]
    other = tmp_path / "other.tsv"
    other.write_text("\n".join([header, *lines[:30], *new]) + "\n")
    found = evaluate_weights(str(run_folder), data=str(other), device="cpu")
    assert (found["n"], found["of"], found["split"]) == (120, 120, "all")
    assert "of 120 texts are copies of what these weights learned from" in found["summary"]["warnings"][0]
    assert found["unseen"].keys() == found["metrics"].keys()


def test_a_folder_with_test_alone_and_some_of_the_classes_work(run_folder: Path, tmp_path: Path) -> None:
    rows = [row for row in sentences(80, seed=31) if row[0] == "sea"]
    write_table(tmp_path / "test.tsv", rows)
    found = evaluate_weights(str(run_folder), data=str(tmp_path), device="cpu")
    assert (found["n"], found["split"]) == (40, "test") and found["metrics"]["accuracy"] > 0.8
    write_table(tmp_path / "test.tsv", [*rows, ("lake", "a pond"), ("lake", "a pool")])
    found = evaluate_weights(str(run_folder), data=str(tmp_path), device="cpu")
    assert (found["n"], found["of"]) == (40, 42)
    assert found["summary"]["left_out"][0]["count"] == 2 and "'lake'" in found["summary"]["left_out"][0]["reason"]
    write_table(tmp_path / "test.tsv", [("Sea", "a boat")])
    with pytest.raises(CnnError, match=r"knows the classes hill, sea, but .* has Sea"):
        evaluate_weights(str(run_folder), data=str(tmp_path), device="cpu")
    with pytest.raises(DataError, match="expected a training table"):
        load_data(tmp_path, Reading())


def test_columns_of_other_data_are_as_in_training_or_as_named(run_folder: Path, tmp_path: Path) -> None:
    lines = [f"{text},{label},{'hill' if label == 'sea' else 'sea'}" for label, text in sentences(60, seed=8)]
    file = table(tmp_path / "a.csv", lines, "note,label,wrong")
    right = evaluate_weights(str(run_folder), data=str(file), device="cpu")["metrics"]["accuracy"]
    columns = {"text_column": "note", "label_column": "wrong"}
    wrong = evaluate_weights(str(run_folder), data=str(file), device="cpu", columns=columns)["metrics"]["accuracy"]
    assert right > 0.8 and wrong == pytest.approx(1 - right)


def test_a_separate_test_table_is_measured_again(tmp_path: Path) -> None:
    train = write_table(tmp_path / "train_texts.tsv", sentences(120))
    test = write_table(tmp_path / "later.tsv", sentences(30, seed=4))
    changes = {"data": str(train), "test": str(test), "vector_size": 8, "epochs": 1, "batch_size": 25}
    outcome = DOMAIN.train("docstrings", folder=tmp_path / "run", settings=changes)
    again = evaluate_weights(str(tmp_path / "run"), device="cpu")
    assert again["n"] == outcome.card.metrics["accuracy"]["n"] == 30
    assert again["metrics"]["accuracy"] == pytest.approx(outcome.card.metrics["accuracy"]["mean"], abs=1e-6)


def test_a_message_on_vectors_does_not_repeat_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"the {'x' * 50_000} 1 2\n")
    with pytest.raises(DataError, match="line 1: expected a word followed by numbers") as caught:
        load_vectors(tmp_path / "a.txt", ["the"])
    assert len(str(caught.value)) < 500


def test_vectors_say_how_many_words_they_know_and_none_is_refused(tmp_path: Path) -> None:
    import gzip

    file = write_table(tmp_path / "a.tsv", sentences(80))
    vectors = tmp_path / "v.txt.gz"
    vectors.write_bytes(gzip.compress(b"boat 1 2 3\nwave 1 2 4\n. . . 0 0 1\nnot here 1 1 1\n"))
    changes = {"data": str(file), "vectors": "static", "vector_file": str(vectors)}
    read = DOMAIN.summarise("docstrings", changes).read
    words = {word for _, text in sentences(80) for word in text.split()}
    assert read[-1] == f"v.txt.gz has vectors for 2 of the {len(words)} words of the vocabulary ({2 / len(words):.0%})"
    vectors.write_bytes(b"wort0 1 2 3\nwort1 1 2 4\n")
    with pytest.raises(DataError, match=r"a vector for none of the \d+ words"):
        DOMAIN.summarise("docstrings", changes)


def test_the_summary_leaves_nothing_out_uncounted(tmp_path: Path) -> None:
    task = TextTask(override(Recipe(), {"data": str(write_table(tmp_path / "a.tsv", sentences(200)))}))
    task.build_data(torch.device("cpu"))
    assert {split: len(hashes) for split, hashes in task.members.items()} == task.summary.splits
    assert sum(task.summary.splits.values()) == 200
    both = TextTask(replace(task.recipe, data=replace(task.recipe.data, validation=False)))
    both.build_data(torch.device("cpu"))
    assert both.summary.splits == {"train": 180, "test": 20} and sum(map(len, both.members.values())) == 200


WORDS = st.lists(st.sampled_from([*SEA, *HILL, "", "Ä", "!?", "的", "\u3000"]), max_size=4).map(" ".join)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["x", "y", "X ", ""]), WORDS), min_size=1, max_size=40), st.integers(0, 9))
def test_rows_in_are_texts_plus_what_is_left_out(tmp_path_factory, pairs, fold) -> None:
    """Whatever the table: every row is in one split or counted as left out, or the table is refused."""
    random.Random(fold).shuffle(pairs)
    path = tmp_path_factory.mktemp("own") / "a.csv"
    path.write_text("label,text\n" + "".join(f'"{label}","{text}"\n' for label, text in pairs), "utf-8")
    try:
        summary = load_data(path, Reading(fold=fold)).summary
    except CnnError:
        return
    assert sum(summary.splits.values()) + sum(entry.count for entry in summary.left_out) == len(pairs)
    assert sum(sum(counts.values()) for counts in summary.classes.values()) == sum(summary.splits.values())
