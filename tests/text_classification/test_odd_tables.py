"""Tables of texts as other programs write them: with a column of splits, without labels, keyed, in UTF-16."""

import gzip
import io
import json
from pathlib import Path

import pytest

from cnn_core.data import tables
from cnn_core.data.tables import look, rows
from cnn_core.errors import DataError
from text_classification import load
from text_classification.data import Reading, load_data
from text_classification.standard_input import StandardInput
from text_classification.tables import text_file


def written(path: Path, splits: list[str], header: str = "text,label,split") -> Path:
    lines = [f"text number {i},{'xy'[i % 2]},{split}" for i, split in enumerate(splits)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def members(path: Path, **how: object) -> dict[str, list[int]]:
    made = load_data(path, Reading(**how)).splits
    return {split: sorted(int(text.split()[2]) for text in made[split].texts) for split in ("train", "val", "test")}


def test_a_column_of_splits_is_kept_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["Train"] * 30 + [""] * 2 + ["dev"] * 4 + ["TEST"] * 6)
    assert members(path) == {"train": [*range(32)], "val": [*range(32, 36)], "test": [*range(36, 42)]}
    summary = load_data(path, Reading()).summary
    said = "in a.csv: the splits are those of column 'split'; the 2 rows without one are for training"
    assert said in summary.read and summary.divided == "as given"
    with pytest.raises(DataError, match="its rows say which are the test; leave test out"):
        members(path, test="5")


def test_without_validation_rows_some_are_held_out_and_groups_stay_together(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["train"] * 60 + ["test"] * 6)
    found = members(path)
    assert found["test"] == [*range(60, 66)] and len(found["val"]) == 6
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},who", *(f"{line},{i % 10}" for i, line in enumerate(lines[1:]))]))
    found = members(path, group_column="who")
    assert not {i % 10 for i in found["train"]} & {i % 10 for i in found["val"]}


@pytest.mark.parametrize(("word", "count"), [("eval", 3), ("unused", 1)])
def test_another_word_among_splits_is_refused(tmp_path: Path, word: str, count: int) -> None:
    path = written(tmp_path / "a.csv", ["train"] * 20 + ["test"] * 5 + [word] * count)
    with pytest.raises(DataError, match=rf"in the column 'split', got '{word}' \({count} of {25 + count} rows"):
        members(path)


def test_a_column_of_that_name_that_says_something_else_is_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", [str(i % 5) for i in range(40)], "text,label,part")
    assert len(members(path)["test"]) == 4


def test_a_test_table_without_labels_is_said_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        "id,text,target\n" + "".join(f"{i},some {i} words,{i % 2}\n" for i in range(40))
    )
    (tmp_path / "test.csv").write_text("id,text\n" + "".join(f"{i},other {i} words\n" for i in range(9)))
    loaded = load_data(tmp_path, Reading())
    assert loaded.summary.splits == {"train": 32, "val": 4, "test": 4}
    assert "test.csv is not used: it has no column 'target'; cnn predict answers its texts" in loaded.summary.read


def test_a_test_table_whose_labels_have_another_usual_name_is_used(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"some {i} words,{'xy'[i % 2]}\n" for i in range(40)))
    (tmp_path / "test.csv").write_text("review;class\n" + "".join(f"other {i} words;{'xy'[i % 2]}\n" for i in range(9)))
    assert load_data(tmp_path, Reading()).summary.splits == {"train": 36, "val": 4, "test": 9}


def test_a_folder_of_text_files_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "1.txt").write_text("a fine film")
    with pytest.raises(DataError, match=r"found none; make a table of the texts in pos/1\.txt and its like"):
        load_data(tmp_path, Reading())


def test_columns_of_json_are_paired_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"text": {"0": "good", "1": "bad"}, "label": {"1": "neg", "0": "pos"}}))
    assert list(rows(path, look(path, {"text", "label"}))) == [["good", "pos"], ["bad", "neg"]]
    path.write_text(json.dumps({"text": {"0": "good", "1": "bad"}, "label": {"1": "neg", "2": "pos"}}))
    with pytest.raises(DataError, match="its columns have different rows; save it as a list of objects"):
        look(path, {"text", "label"})


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_with_a_row_for_each_key_and_an_array_in_lines(tmp_path: Path, name: str) -> None:
    labelled = [{"text": "good", "label": "pos"}, {"text": "bad", "label": "neg"}, {"text": "dull", "label": "neg"}]
    keyed = {f"r{i}": row for i, row in enumerate(labelled)}
    (tmp_path / name).write_text(json.dumps(keyed if name == "a.json" else labelled))
    layout = look(tmp_path / name, {"text", "label"})
    assert (layout.columns, layout.count) == (("text", "label"), 3)
    assert list(rows(tmp_path / name, layout)) == [["good", "pos"], ["bad", "neg"], ["dull", "neg"]]


@pytest.mark.parametrize("more", [0, 1])
def test_json_with_a_list_of_texts_for_each_label(tmp_path: Path, more: int) -> None:
    lists = {"good": [f"a fine day {i}" for i in range(20)], "bad": [f"rain, rain {i}" for i in range(20 + more)]}
    (tmp_path / "a.json").write_text(json.dumps({**lists, "dull": []}, indent=1))
    data = load_data(tmp_path / "a.json", Reading())
    assert data.summary.splits["train"] + data.summary.splits["val"] + data.summary.splits["test"] == 40 + more
    assert {name: sum(counts.values()) for name, counts in data.summary.classes.items()} == {
        "bad": 20 + more,
        "good": 20,
    }
    texts = zip(data.splits["train"].texts, data.splits["train"].targets.tolist(), strict=True)
    assert all((target == 0) == text.startswith("rain") for text, target in texts)
    assert "read as utf-8-sig, JSON with a list of texts for each label" in data.summary.read[0]


def test_json_with_lists_that_are_columns_or_splits_is_not_read_by_label(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for lists, columns in (
        ({"text": ["good", "bad"], "label": ["p", "n"]}, ("text", "label")),
        ({"said": ["good", "bad"], "kind": ["p", "n"]}, ("said", "kind")),  # as asked for
        ({"train": ["a", "b"], "test": ["c"]}, ("train", "test")),
    ):
        file.write_text(json.dumps(lists))
        assert look(file, {"text", "label"}, wanted=["kind"]).columns == columns
    layout = look(file, {"text", "label"})
    file.write_text(json.dumps({"p": ["good"], "n": ["bad", "worse"]}))
    layout = look(file, {"text", "label"})
    assert list(rows(file, layout)) == [["good", "p"], ["bad", "n"], ["worse", "n"]]


def test_json_with_several_texts_or_the_words_of_one_in_a_list(tmp_path: Path) -> None:
    intents = [{"tag": tag, "patterns": [f"{tag} you {i}" for i in range(12)], "responses": ["yes"]} for tag in "abc"]
    (tmp_path / "intents.json").write_text(json.dumps({"intents": intents}))
    data = load_data(tmp_path / "intents.json", Reading())
    assert {name: sum(counts.values()) for name, counts in data.summary.classes.items()} == {"a": 12, "b": 12, "c": 12}
    assert "in intents.json: every text in the lists of 'patterns' is one of its own" in data.summary.read
    words = [{"tokens": ["a", "fine", "day", str(i)], "labels": ["xy"[i % 2]]} for i in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, words)))
    data = load_data(tmp_path / "a.jsonl", Reading())
    assert "in a.jsonl: the words in 'tokens' are joined" in data.summary.read and [*data.summary.classes] == ["x", "y"]
    assert data.splits["train"].texts[0].startswith("a fine day ")
    file = text_file(tmp_path / "a.jsonl")
    assert next(iter(file)) == "a fine day 0" and "what a list of 'tokens' holds is one text" in file.read[-1]


@pytest.mark.parametrize(
    "value",
    [
        {part: [[f"text {i}", "xy"[i % 2]] for i in range(30)] for part in ("train", "val", "oos")},  # CLINC150
        {part: {"pos": ["good", "fine"], "neg": ["bad", "dull"]} for part in ("train", "test")},
    ],
)
def test_json_with_lists_in_lists_is_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(
        DataError, match=r"a\.json: expected rows in its lists, got lists; save it as a list of objects"
    ):
        load_data(tmp_path / "a.json", Reading())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_standard_input_in_any_encoding_of_unicode(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    piped = io.BufferedReader(io.BytesIO("a good film\r\nnaïve and dull\r\n".encode(encoding)))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(piped))
    predictor = load("sst2", device="cpu")
    assert predictor.examine_inputs(["-"]).read == ("standard input: one text per line",)
    answers = list(predictor.stream_inputs(["-"]))
    assert [answer.input for answer in answers] == ["a good film", "naïve and dull"]
    assert answers[0].labels[0] == "positive"


@pytest.mark.parametrize(
    ("encoding", "text", "name"),
    [
        ("cp1251", "хороший фильм", "cp1251"), ("latin-1", "une idée très bête", "Windows-1252"),
        ("utf-16-le", "une idée très bête", ""), ("utf-8", "une idée très bête", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_read_as_a_file_is(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, name: str, packed: bool
) -> None:
    piped = f"{text}\nthe end\n".encode(encoding)
    stream = io.BytesIO(gzip.compress(piped) if packed else piped)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(stream)))
    predictor = load("sst2", device="cpu")
    said = " ".join(predictor.examine_inputs(["-"]).read)
    assert (f"standard input: not UTF-8, so read as {name}" in said) == bool(name)
    assert [answer.input for answer in predictor.stream_inputs(["-"])] == [text, "the end"]


def test_long_standard_input_is_examined_by_its_beginning_and_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"naïve line {i}" for i in range(9_000)]
    for i in (2, 8_000):
        texts[i] = f"idée {i}"
    piped = b"".join(text.encode("latin-1" if text.startswith("id") else "utf-8") + b"\n" for text in texts)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(piped)))
    found = StandardInput()
    assert found.read[1].startswith("standard input: in the first 64 KiB 1 of 3,")
    assert list(found) == texts


CUT = gzip.compress(b"a fine day\n" * 99, mtime=0)[:-9]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"%PDF-1.7 x", "standard input is not text; it is a PDF"), (CUT, "standard input is damaged")],
)
def test_what_is_no_text_on_standard_input_is_refused(
    monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    predictor = load("sst2", device="cpu")
    assert predictor.examine_inputs(["-"]).read == ("standard input: one text per line",)
    assert [said in str(answer.error) for answer in predictor.stream_inputs(["-"])] == [True]


@pytest.mark.parametrize(("beginning", "said"), [(b"PK\x03\x04", "call it .xlsx"), (b"PAR1", "call it .parquet")])
def test_another_kind_of_file_is_named(tmp_path: Path, beginning: bytes, said: str) -> None:
    (tmp_path / "a.csv").write_bytes(beginning + bytes(range(32)) * 20)
    with pytest.raises(DataError, match=said):
        load_data(tmp_path / "a.csv", Reading())


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a"])
def test_a_file_of_fasttext_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("__label__good a fine, fine day\n__label__bad a bad day\n")
    (answer,) = load("sst2", device="cpu").stream_inputs([str(tmp_path / name)])
    assert "as fastText's do; save it as a table" in str(answer.error)
    with pytest.raises(DataError, match="as fastText's do"):
        load_data(tmp_path / name, Reading())


def test_every_table_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    look_once = tables.examine_encoding
    monkeypatch.setattr(tables, "examine_encoding", lambda path: [looked.append(path.name), look_once(path)][1])
    for part in ("train", "test"):
        rows = "".join(f"{part} {i} words,{'xy'[i % 2]}\n" for i in range(20))
        (tmp_path / f"{part}.csv").write_text(f"text,label\n{rows}")
    load_data(tmp_path, Reading())
    assert looked == ["train.csv", "test.csv"]
