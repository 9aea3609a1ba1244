"""The command on texts: train on an own table, answer for texts and tables, explain, bench."""

import csv
import json
from pathlib import Path

import pytest
from trips import sentences, write_table

from cnn_core.cli import main

SMALL = ("--epochs", "2", "--vector-size", "12", "--batch-size", "20", "--learning-rate", "0.01", "--device", "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    table = write_table(folder / "trips.tsv", sentences(400))
    words = ["train", "docstrings", "--data", str(table), "--min-count", "1", "--run", str(folder / "run"), "--quiet"]
    assert main([*words, *SMALL]) == 0
    return folder / "run"


def test_texts_are_answered_on_the_line(cnn, run):
    answer = cnn("predict", str(run), "a boat under sail", "")
    assert answer.code == 1
    assert answer.out.splitlines()[0].startswith("a boat under sail: sea ")
    assert "1 of 2 inputs could not be answered" in answer.err


def test_a_table_of_texts_becomes_a_table_of_answers(cnn, run, tmp_path):
    table = tmp_path / "new.csv"
    table.write_text('id,comment\n1,"a boat, a sail"\n2,"the\nsummit"\n3,\n')
    answer = cnn("predict", str(run), str(table), "--output", str(tmp_path / "out"), "--json")
    items = json.loads(answer.out)["items"]
    assert [item.get("labels", ["?"])[0] for item in items] == ["sea", "hill", "?"]
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open(newline="")))
    assert [row["label"] for row in rows] == ["sea", "hill", ""]
    assert rows[1]["input"] == "the\nsummit" and "empty" in rows[2]["error"]


@pytest.mark.parametrize("kind", ["html", "png", "json"])
def test_reasons_are_written(cnn, run, tmp_path, kind):
    answer = cnn("explain", str(run), "a boat on a wave", "--output", str(tmp_path / f"w.{kind}"))
    assert answer.code == 0 and "what speaks for sea" in answer.out
    assert (tmp_path / f"w.{kind}").stat().st_size > 100


def test_the_onnx_file_answers_as_the_network(cnn, run, tmp_path):
    answer = cnn("export", str(run), "--output", str(tmp_path / "onnx"))
    assert answer.code == 0, answer.err
    assert "agrees with torch within" in answer.out and (tmp_path / "onnx" / "model.onnx").exists()


def test_eval_measures_the_same_test_part_again(cnn, run):
    answer = json.loads(cnn("eval", str(run), "--json").out)
    card = json.loads((run / "card.json").read_text())
    assert answer["n"] == 40 and answer["metrics"]["accuracy"] == card["metrics"]["accuracy"]["mean"]


@pytest.mark.parametrize(("words", "code", "said"), [
    (("bench", "kim2015"), 1, "did you mean kim2014"),
    (("bench", "kim2014", "--columns", "imdb"), 1, "unknown column"),
    (("bench", "kim2014", "--columns", "trec"), 1, "the data set trec is not there"),
    (("train", "sst2"), 1, "the data set sst2 is not there"),
    (("train", "docstrings", "--data", "nothing.csv"), 1, "unknown data set"),
    (("train", "docstrings", "--vectors", "static"), 1, "needs a vector_file"),
    (("data", "get", "mr"), 1, "get it from Pang and Lee"),
])  # fmt: skip
def test_mistakes_are_sentences(cnn, words, code, said, monkeypatch, tmp_path):
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    answer = cnn(*words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err and "Traceback" not in answer.err


def test_a_table_that_is_no_table_is_a_sentence(cnn, tmp_path):
    file = tmp_path / "a.csv"
    for data, said in ((b"", "is empty"), (b"text\nx\n", "one with labels"), (b"label,text\na,b\n", "two classes")):
        file.write_bytes(data)
        answer = cnn("train", "docstrings", "--data", str(file), "--run", str(tmp_path / "r"))
        assert answer.code == 1 and said in answer.err and "Traceback" not in answer.err
