"""The command on texts: train on an own table, answer for texts and tables, explain, bench."""

import csv
import io
import json
from pathlib import Path

import pytest
from trips import sentences, write_table

from cnn_core.cli import main
from cnn_core.cli.answer_files import AnswerFiles

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
    (("data", "get", "lung_ct"), 1, "cannot be downloaded by command"),
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


def items(folder: Path) -> list[dict]:
    return json.loads((folder / "predictions.json").read_text())["items"]


def test_what_is_there_is_a_file_whatever_its_name_and_what_looks_like_one_is_asked_about(cnn, run, tmp_path):
    (tmp_path / "reviews").write_text("a boat\nthe summit\n")
    (tmp_path / "table.dat").write_text("label,text\nx,a boat\ny,the summit\n")
    answer = cnn("predict", str(run), "reviews", "table.dat", "--json", "--quiet")
    assert [item["input"] for item in json.loads(answer.out)["items"]] == ["a boat", "the summit"] * 2
    for missing in ("gone.csv", "./gone", "my notes.txt", "/tmp/no/such", "C:\\texts\\a.json"):
        answer = cnn("predict", str(run), missing)
        assert answer.code == 1 and "add --text" in answer.out
        assert cnn("predict", str(run), missing, "--text").code == 0
    assert cnn("predict", str(run), "reviews", "--text").out.startswith("reviews: ")
    assert cnn("predict", str(run), "I read notes.txt on the boat, and/or below it").code == 0


def test_standard_input_is_one_text_a_line(cnn, run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a boat\r\nthe summit caf\xe9\n")))
    answer = cnn("predict", str(run), "-", "--json")
    assert [item["input"] for item in json.loads(answer.out)["items"]] == ["a boat", "the summit café"]


def test_columns_are_named_and_remembered(cnn, run, tmp_path):
    (tmp_path / "a.csv").write_text("text,said\na boat under sail,the old summit\na wave,a goat on a trail\n")
    for flags, label in ((), "sea"), (("--text-column", "said"), "hill"), (("--label-column", "text"), "hill"):
        found = json.loads(cnn("predict", str(run), "a.csv", "--json", *flags).out)
        assert {item["labels"][0] for item in found["items"]} == {label}, flags
    assert "text in 'text' (as in training)" in cnn("predict", str(run), "a.csv").err
    answer = cnn("predict", str(run), "a.csv", "--text-column", "none")
    assert answer.code == 1 and "no column 'none'; its columns are text, said" in answer.out


def test_a_summary_of_many_answers_is_said_and_written(cnn, run, tmp_path):
    rows = ["a boat"] * 5 + ["the summit"] * 3 + [""] * 2 + ["zzyzx"]
    (tmp_path / "a.csv").write_text("id,text\n" + "".join(f"{i},{text}\n" for i, text in enumerate(rows)))
    answer = cnn("predict", str(run), "a.csv", "gone.csv", "--output", "out")
    assert answer.code == 1
    assert "cnn: 3 of 12 inputs could not be answered: 2 the text is empty; 1 there is no such file" in answer.err
    assert "9 answered: sea " in answer.err and "Noted of 1 no word of it is known (zzyzx)." in answer.err
    summary = json.loads((tmp_path / "out/predictions.json").read_text())["summary"]
    assert (summary["answered"], summary["failed"], sum(summary["classes"].values())) == (9, 3, 9)
    assert "text in 'text'" in summary["read"][0]
    with (tmp_path / "out/predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 12 and table[10]["note"] == "no word of it is known"
    quiet = cnn("predict", str(run), "a.csv", "--quiet").err
    assert quiet.startswith("cnn: 2 of 11") and "9 answered" not in quiet


def test_an_interrupted_run_goes_on_with_what_is_left(cnn, run, tmp_path, monkeypatch):
    table = tmp_path / "a.csv"
    table.write_text("text\n" + "".join(f"a boat near the summit {i}\n" for i in range(5000)))
    assert cnn("predict", str(run), "a.csv", "--output", "whole", "--quiet").code == 0

    class Stop(KeyboardInterrupt):
        pass

    add, asked = AnswerFiles.add, []

    def stopping(self, item):
        asked.append(item["input"])
        if len(asked) == 3000:
            raise Stop
        add(self, item)

    with monkeypatch.context() as patch:
        patch.setattr(AnswerFiles, "add", stopping)
        answer = cnn("predict", str(run), "a.csv", "--output", "part", "--quiet")
    assert answer.code == 130
    part = tmp_path / "part/predictions.part.json"
    assert len(part.read_text().splitlines()) == 3000 and not (tmp_path / "part/predictions.json").exists()
    part.write_bytes(part.read_bytes()[:-7])  # the last answer was not written wholly
    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(AnswerFiles, "add", lambda self, item: asked.append(item["input"]) or add(self, item))
        assert cnn("predict", str(run), "a.csv", "--output", "part", "--quiet", "--resume").code == 0
    assert len(asked) == 5000 - 2998  # nothing is answered twice
    whole, resumed = items(tmp_path / "whole"), items(tmp_path / "part")
    assert [item["input"] for item in resumed] == [item["input"] for item in whole]
    assert [item["labels"] for item in resumed] == [item["labels"] for item in whole]
    for name in ("whole", "part"):
        with (tmp_path / name / "predictions.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 5000
    again = cnn("predict", str(run), "a.csv", "--output", "part", "--resume")
    assert again.code == 0 and "nothing is left to do" in again.err


def test_other_inputs_or_weights_do_not_go_on(cnn, run, tmp_path):
    (tmp_path / "out").mkdir()
    card = json.loads((run / "card.json").read_text())
    head = json.dumps({"weights": str(run), "sha256": card["sha256"]})[:-1] + ', "items": [\n'
    part = tmp_path / "out/predictions.part.json"
    part.write_text(head + json.dumps({"input": "a boat", "labels": ["sea"], "probabilities": [1.0]}))
    answer = cnn("predict", str(run), "a wave", "--output", "out", "--resume")
    assert answer.code == 1 and "input 1 was 'a boat' and is 'a wave'" in answer.err
    assert cnn("predict", str(run), "a boat", "a wave", "--output", "out", "--resume").code == 0
    assert [item["input"] for item in items(tmp_path / "out")] == ["a boat", "a wave"]
    (tmp_path / "out/predictions.json").rename(part)
    part.write_text(part.read_text().replace(card["sha256"], "0" * 64))
    answer = cnn("predict", str(run), "a boat", "--output", "out", "--resume")
    assert answer.code == 1 and "answers of other weights" in answer.err
    assert cnn("predict", str(run), "a boat", "--resume").code == 2


def test_flags_for_texts_are_refused_elsewhere(cnn):
    for words, said in (
        (
            ("predict", "mnist", "x.png", "--text-column", "a"),
            "--text-column is not for the weights mnist: they read no",
        ),
        (("predict", "mnist", "x.png", "--text"), "--text is not for the weights mnist: their inputs are no texts"),
        (("eval", "mnist", "--label-column", "a"), "--label-column is not for the weights mnist"),
    ):
        answer = cnn(*words)
        assert answer.code == 1 and said in answer.err


def test_the_end_of_a_training_shows_classes_confusions_and_calibration(cnn, tmp_path):
    table = write_table(tmp_path / "trips.tsv", sentences(120))
    answer = cnn("train", "docstrings", "--data", str(table), "--run", "run", *SMALL)
    assert "precision  recall" in answer.out and "calibration error" in answer.out
    assert "120 texts in 2 classes: hill 60, sea 60." in answer.err
    assert "text in 'text' (by its name)" in answer.err and "WARNING" not in answer.err
    assert json.loads((tmp_path / "run/data.json").read_text())["splits"] == {"train": 97, "val": 11, "test": 12}
