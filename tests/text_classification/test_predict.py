"""From raw texts to answers: ordinary ones, odd ones, many at once, files."""

import csv
import io
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
import torch
from trips import HILL, SEA, sentences, write_table

from cnn_core.answers import csv_bytes
from cnn_core.errors import CnnError, UnknownNameError, WeightsError
from text_classification import Predictor, load
from text_classification.contract import LONGEST, LONGEST_TEXT
from text_classification.predict import Prediction


def test_it_knows_the_topics(predictor: Predictor) -> None:
    answers = predictor.predict(["a small boat under sail", "the old trail near a peak"])
    assert [answer.labels[0] for answer in answers] == ["sea", "hill"]
    assert all(answer.probabilities[0] > 0.8 and sum(answer.probabilities) == pytest.approx(1) for answer in answers)


@pytest.mark.parametrize("text", [
    "boat " * 300_000, "🌊⛵🐟", "ab\0cd boat", "قارب شراع", "小船和海", "\ud800 boat", "<script>boat</script>",
])  # fmt: skip
def test_any_text_is_answered(predictor: Predictor, text: str) -> None:
    started = time.perf_counter()
    (answer,) = predictor.predict([text])
    assert answer.error is None
    assert sum(answer.probabilities) == pytest.approx(1)
    assert time.perf_counter() - started < 10
    assert (answer.labels[0] == "sea") or "boat" not in text.split()


@pytest.mark.parametrize("whole", [pandas.DataFrame({"text": ["a boat"]}), {"text": ["a boat"]}])
def test_a_whole_table_is_refused_not_its_names_answered(predictor: Predictor, whole: object) -> None:
    with pytest.raises(CnnError, match=r"give one column of it, such as table\['text'\]"):
        predictor.predict(whole)
    assert predictor.predict(pandas.Series(["a boat"]))[0].labels[0] == "sea"


def test_what_cannot_be_answered_says_why_and_the_rest_is_answered(predictor: Predictor) -> None:
    empty, blank, number, good = predictor.predict(["", " \n", 5, "a boat"])
    assert "empty" in empty.error and "empty" in blank.error
    assert "expected a text, got int" in number.error
    assert good.labels[0] == "sea" and good.error is None


def test_unknown_words_and_cut_texts_are_said(predictor: Predictor) -> None:
    unknown, cut, whole = predictor.predict(["zzz qqq", "boat " * (LONGEST + 5), "boat " * LONGEST])
    assert unknown.note == "no word of it is known"
    assert predictor.predict(["<br>"])[0].note == "no word was found in it; the prediction is that for an empty text"
    strange, none, empty = predictor.scores(["zzz qqq", "<br>", ""])
    assert torch.equal(none, empty) and not torch.allclose(strange, empty, atol=1e-3)
    assert f"first {LONGEST} words" in cut.note
    assert whole.note == ""
    far = predictor.predict(["boat " * 10 + " " * LONGEST_TEXT + "boat"])[0]
    assert far.labels[0] == "sea" and "first" in far.note


def test_an_answer_does_not_depend_on_its_company(predictor: Predictor) -> None:
    texts = [text for _, text in sentences(3000, seed=5)]
    together = predictor.scores(texts)  # more than MANY: from the products of the whole vocabulary
    assert predictor._products is not None
    alone = torch.cat([Predictor(predictor.model, predictor.card).scores([text]) for text in texts[:40]])
    torch.testing.assert_close(together[:40], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(predictor.scores([*texts[:40], "boat " * 500])[:40], alone, rtol=0, atol=1e-5)


def test_a_stream_takes_any_number_of_texts_and_answers_in_order(predictor: Predictor) -> None:
    from itertools import islice, repeat

    endless = predictor.stream(repeat("a boat"))
    assert {answer.labels[0] for answer in islice(endless, 10_000)} == {"sea"}
    with pytest.raises(CnnError, match="top_k must be at least 1"):
        predictor.predict(["x"], top_k=0)


def test_files_are_read_text_by_text(predictor: Predictor, tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.tsv", [("sea", "one boat"), ("hill", "a peak")])
    lines = tmp_path / "b.txt"
    lines.write_text("a sail\n\nthe summit\n")
    missing = str(tmp_path / "missing.csv")
    answers = list(predictor.stream_inputs([str(table), str(lines), "fish", missing, "I read notes.txt on a boat"]))
    assert [(answer.labels or ["?"])[0] for answer in answers] == ["sea", "hill", "sea", "?", "hill", "sea", "?", "sea"]
    assert "empty" in answers[3].error
    assert answers[6].input == missing and "no such file; if it is a text, add --text" in answers[6].error
    bare = tmp_path / "bare.csv"
    bare.write_text("label,text\n")
    (tmp_path / "folder").mkdir()
    none, folder = predictor.stream_inputs([str(bare), str(tmp_path / "folder")])
    assert "holds no texts" in none.error and "is a folder" in folder.error
    broken = tmp_path / "c.jsonl"
    broken.write_text("{")
    (answer,) = predictor.stream_inputs([str(broken)])
    assert "not JSON" in answer.error


def test_the_item_of_the_command(predictor: Predictor) -> None:
    item = predictor.predict("a boat")[0].to_json()
    assert set(item) == {"input", "labels", "probabilities"}
    assert predictor.predict("")[0].to_json() == {"input": "", "error": "the text is empty"}


@pytest.mark.parametrize(("path", "value", "said"), [
    (("input", "tokenizer"), "x", "tokenizer: expected"),
    (("input", "vocabulary"), ["the", "the"], "holds a token twice"),
    (("input", "vocabulary"), ["the"], "do not fit"),
    (("arguments", "options"), {"vectors": "rand"}, "lack size or vectors"),
    (("arguments", "options"), {"vectors": "rand", "size": 99_999_999}, "do not fit"),
    (("arguments", "options"), {"vectors": "rand", "size": 16, "filters": 10**9}, "do not fit"),
    (("arguments", "options"), {"vectors": "none", "size": 16}, "unknown kind of word vectors"),
    (("domain",), "image_classification", "belong to image_classification"),
])  # fmt: skip
def test_a_card_that_does_not_fit_is_refused_before_memory_is_taken(
    run_folder: Path, tmp_path: Path, path: tuple[str, ...], value: object, said: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    card = json.loads((folder / "card.json").read_text())
    place = card
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=said):
        load(folder, device="cpu")


def test_an_unknown_label_is_answered_with_the_nearest(predictor: Predictor) -> None:
    with pytest.raises(UnknownNameError, match="hill"):
        predictor.explain("a boat", target="hil")
    with pytest.raises(CnnError, match=r"0\.\.1"):
        predictor.explain("a boat", target=2)


def test_the_topics_words_are_in_the_vocabulary(predictor: Predictor) -> None:
    assert {*SEA, *HILL} <= {*predictor.contract.vocabulary}


def test_a_table_is_read_where_the_texts_were_learned_from(predictor: Predictor, tmp_path: Path) -> None:
    card = replace(predictor.card, recipe={**predictor.card.recipe, "data": {"text_column": "note"}})
    noting = Predictor(predictor.model, card)
    both, other, lines = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.txt"
    both.write_text("text,Note\na peak,a boat\n")
    other.write_text("text,label\na peak,x\n")
    lines.write_text("a sail\n")
    answers = list(noting.stream_inputs([str(both), str(other), str(lines)]))
    assert [answer.labels[0] for answer in answers] == ["sea", "hill", "sea"]
    assert next(predictor.stream_inputs([str(both)])).labels[0] == "hill"


def test_the_table_of_answers_is_that_of_the_command_line():
    answers = [Prediction("=1+1", ["a", "b"], [0.75, 0.25]), Prediction("", error="the text is empty")]
    rows = list(csv.DictReader(io.StringIO(csv_bytes(answers, top_k=2).decode())))
    assert rows[0] == {
        "input": "'=1+1", "label": "a", "probability": "0.750000", "label2": "b", "probability2": "0.250000",
        "error": "",
    }  # fmt: skip
    assert rows[1]["error"] == "the text is empty"
