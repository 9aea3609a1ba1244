"""Answers as a table, row by row against what was written down by hand."""

import csv
from pathlib import Path

import pytest

from cnn_core.answers import label_columns, write_csv
from cnn_core.errors import StorageError


def read(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_labels_and_probabilities_stand_in_pairs_and_the_error_last(tmp_path):
    items = [
        {"input": "none.png", "error": "there is no such file"},
        {"input": "a.png", "labels": ["cat", "dog"], "probabilities": [0.75, 0.25]},
        {"input": "b.png", "labels": ["dog"], "probabilities": [1.0]},
    ]
    assert write_csv(items, tmp_path / "deep" / "a.csv") == (2, 1)
    assert read(tmp_path / "deep" / "a.csv") == [
        ["input", "label", "probability", "label2", "probability2", "error"],
        ["none.png", "", "", "", "", "there is no such file"],
        ["a.png", "cat", "0.750000", "dog", "0.250000", ""],
        ["b.png", "dog", "1.000000", "", "", ""],
    ]


def test_other_fields_have_columns_of_their_own(tmp_path):
    items = [
        {"input": "a.nii", "mask": "out/a.nii", "volumes_ml": {"liver": 1500.5, "spleen": float("nan")}, "note": None},
        {"input": "b.jpg", "captions": ["a dog", "two\ndogs"], "words": 2},
    ]
    write_csv(iter(items), tmp_path / "a.csv")
    assert read(tmp_path / "a.csv") == [
        ["input", "mask", "volumes_ml.liver", "volumes_ml.spleen", "note", "captions", "captions2", "words", "error"],
        ["a.nii", "out/a.nii", "1500.5", "", "", "", "", "", ""],
        ["b.jpg", "", "", "", "", "a dog", "two\ndogs", "2", ""],
    ]


def test_columns_that_are_given_are_written_as_the_items_come(tmp_path):
    file = tmp_path / "a.csv"

    def items():
        yield {"input": "a", "labels": ["x", "y"], "probabilities": [0.6, 0.4], "note": "left out"}
        (unfinished,) = tmp_path.iterdir()  # the file that the rows go to
        assert unfinished != file
        yield {"input": "b", "error": "no"}

    assert label_columns(3) == ["label", "probability", "label2", "probability2", "label3", "probability3"]
    assert write_csv(items(), file, columns=label_columns(1)) == (1, 1)
    assert read(file) == [
        ["input", "label", "probability", "error"],
        ["a", "x", "0.600000", ""],
        ["b", "", "", "no"],
    ]


def test_no_items_are_a_header(tmp_path):
    assert write_csv([], tmp_path / "a.csv") == (0, 0)
    assert read(tmp_path / "a.csv") == [["input", "error"]]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@a", "\tx", "\rx", "\nx", "＝1+1", "＠a"])
def test_formulas_do_not_reach_a_spreadsheet(tmp_path, evil):
    items = [
        {"input": evil, "labels": [evil], "probabilities": [0.5], "caption": evil, "more": [evil], "number": -1.5},
        {"input": "a", "error": evil},
    ]
    write_csv(items, tmp_path / "a.csv")
    header, first, second = read(tmp_path / "a.csv")
    assert dict(zip(header, first, strict=True)) == {
        "input": f"'{evil}", "label": f"'{evil}", "probability": "0.500000", "caption": f"'{evil}",
        "more": f"'{evil}", "number": "-1.5", "error": "",
    }  # fmt: skip
    assert second[-1] == f"'{evil}"


def test_a_broken_off_table_leaves_the_old_one(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("old")

    def items():
        yield {"input": "a"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_csv(items(), file, columns=[])
    assert file.read_text() == "old"
    assert [*tmp_path.iterdir()] == [file]
    with pytest.raises(StorageError):
        write_csv([], tmp_path)


def test_names_that_are_no_text_are_written_all_the_same(tmp_path):
    write_csv([{"input": "caf\udce9.png"}], tmp_path / "a.csv")
    assert read(tmp_path / "a.csv")[1][0] == "caf?.png"
