"""Tables of texts in every shape that people have them."""

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest

from cnn_core.errors import DataError
from text_classification import DOMAIN
from text_classification.data import Reading, load_data, load_sets
from text_classification.tables import guess_columns, look, read_table, read_texts, table_files

ROWS = [("good", 'A fine, "quoted" day'), ("bad", "rain;\nall over"), ("good", "naïve café 你好")]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_delimiters_quotes_and_encodings_are_found_out(tmp_path: Path, delimiter: str, encoding: str) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("label", "text"), *ROWS])
    table = read_table(write(tmp_path / "a.csv", buffer.getvalue(), encoding))
    assert list(zip(table.labels, table.texts, strict=True)) == ROWS


def test_json_lines_with_other_names_numbers_and_nothing(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "stars": 5, "review": "lovely"},
        {"id": 2, "stars": 1, "review": "awful"},
        {"id": 3, "stars": None},
    ]
    table = read_table(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n"))
    assert (table.labels, table.texts) == (["5", "1"], ["lovely", "awful"])
    assert [str(entry) for entry in table.left_out] == ["1 row without text or label (line 3)"]


def test_windows_text_with_byte_0x85_and_with_bytes_that_windows_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"label\ttext\nx\twait\x85 what\ny\tcaf\xe9 \x81\n")
    assert read_table(tmp_path / "a.tsv").texts == ["wait… what", "café \x81"]


def test_a_tab_separated_file_with_quotes_that_open_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tsv", 'label\ttext\na\t"unfinished he said\nb\tit is 5" long\n')
    assert read_table(file).texts == ['"unfinished he said', 'it is 5" long']


def test_columns_without_a_header_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    lines = [f"{i},{'the long text of row'} {i},{'pos' if i % 2 else 'neg'}" for i in range(20)]
    table = read_table(write(tmp_path / "a.csv", "\n".join(lines)))
    assert table.labels[:2] == ["neg", "pos"]
    assert table.texts[3] == "the long text of row 3"
    assert "without a header" in table.read[0]


def test_named_columns_win_over_guesses_and_a_wrong_name_lists_the_right_ones(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "label,text,Other,mood\nx,one,eins,m1\ny,two,zwei,m2\n")
    table = read_table(file, text_column="other", label_column="mood")
    assert (table.texts, table.labels) == (["eins", "zwei"], ["m1", "m2"])
    with pytest.raises(DataError, match=r"no column 'txt'; its columns are label, text, Other, mood"):
        read_table(file, text_column="txt")
    with pytest.raises(DataError, match="cannot be both"):
        read_table(file, text_column="mood", label_column="mood")


@pytest.mark.parametrize(("name", "text", "said"), [
    ("a.csv", "", "empty"),
    ("a.csv", "  \n \n", "empty"),
    ("a.csv", "text\nonly one column\n", "a column with texts and one with labels"),
    ("a.csv", "label,text\n,no label\nx,\n", "no row has both"),
    ("a.csv", "label,text\n", "holds no rows"),
    ("a.jsonl", "not json\n", "line 1: not JSON"),
    ("a.jsonl", "[1, 2]\n", "expected an object"),
    ("a.jsonl", "", "empty"),
    ("a.csv", "PK\x03\x04\x14\0\x06\0\x08\0", "is not text"),
    ("a.csv", 'label,text\nx,"' + "y" * (17 << 20) + '"\n', "line"),
])  # fmt: skip
def test_what_is_no_table_is_a_sentence(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_table(write(tmp_path / name, text))


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.jsonl"])
def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name, "x" * (40 << 20))
    with pytest.raises(DataError, match=r"line 1: longer than 16 MiB|not JSON"):
        list(read_texts(file))


def test_null_bytes_are_passed_over(tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "a.csv", "label,text\nx,a\0b\ny,c\n")).texts == ["ab", "c"]


def test_a_short_row_is_left_out_and_counted(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.csv", "label,text\nx,one\ny\nz,three\n"))
    assert table.texts == ["one", "three"]
    assert [str(entry) for entry in table.left_out] == ["1 row without text or label (line 3)"]


def test_one_class_is_refused_where_it_is_learned_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two classes"):
        load_sets(write(tmp_path / "a.csv", "label,text\nx,one\nx,two\n"), splits=["train"])


def test_two_different_texts_are_too_few_to_divide(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "label,text\n" + "x,one\ny,two\n" * 20)
    with pytest.raises(DataError, match="too few different texts to hold some out"):
        load_sets(file, splits=["train", "val", "test"])
    assert len(load_sets(file, splits=["test"])["test"]) == 20


def test_a_folder_of_parts_keeps_them_and_a_class_that_was_not_learned_is_said(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "label,text\n" + "".join(f"x,one {i}\ny,two {i}\n" for i in range(20)))
    write(tmp_path / "test.csv", "label,text\nx,three\n")
    assert set(table_files(tmp_path)) == {"train", "test"}
    sets = load_sets(tmp_path, splits=["train", "val", "train+val", "test"])
    assert sets["test"].texts == ["three"]
    assert (len(sets["train"]), len(sets["val"]), len(sets["train+val"])) == (36, 4, 40)
    write(tmp_path / "test.csv", "label,text\nz,three\n")
    with pytest.raises(DataError, match="no training text has the label 'z'"):
        load_sets(tmp_path, splits=["test"])


def test_a_folder_of_two_unnamed_tables_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "label,text\nx,1\n")
    write(tmp_path / "b.csv", "label,text\nx,1\n")
    with pytest.raises(DataError, match=r"expected one table of texts, or train.csv and test.csv .*a.csv, b.csv"):
        table_files(tmp_path)


def test_texts_without_labels_are_streamed(tmp_path: Path) -> None:
    assert list(read_texts(write(tmp_path / "a.txt", "one\r\ntwo\n\nthree"))) == ["one", "two", "", "three"]
    assert list(read_texts(write(tmp_path / "a.csv", "id,comment\n1,nice\n2,\n"))) == ["nice", ""]


def test_a_long_file_is_read_in_the_memory_of_a_row(tmp_path: Path) -> None:
    file = write(tmp_path / "long.csv", "label,text\n" + "x,some words\n" * 300_000)
    tracemalloc.start()
    count = sum(1 for _ in read_texts(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300_000
    assert peak < 40e6  # the file has 4 MB; its rows as a list would have 60


def test_the_layout_says_what_was_found(tmp_path: Path) -> None:
    layout = look(write(tmp_path / "a.csv", "label;text\nx;one\n"))
    assert layout.said == "read as utf-8-sig, columns separated by semicolons, with a header"


def test_the_likeliest_name_is_the_text_wherever_its_column_stands(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "title,comment,text,label\nA,b,the text,x\n")
    assert read_table(file).texts == ["the text"]
    assert list(read_texts(file)) == ["the text"]
    assert list(read_texts(write(tmp_path / "b.csv", "title,tweet\nA,said\n"))) == ["said"]


def test_a_header_of_unlisted_names_is_known_by_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path / "spam.csv", "v1,v2\nham,see you at 5\nspam,you have won\n")
    table = read_table(file, text_column="v2", label_column="V1")
    assert (table.texts, table.labels) == (["see you at 5", "you have won"], ["ham", "spam"])
    file = write(tmp_path / "ask.csv", "id,utterance\n7,book me a flight please\n")
    assert list(read_texts(file, text_column="utterance")) == ["book me a flight please"]
    assert list(read_texts(file, likely_column="utterance")) == ["book me a flight please"]


def test_a_header_of_unlisted_names_is_known_by_the_labels_under_it(tmp_path: Path) -> None:
    rows = "ham,see you at 5\nspam,you have won\n" * 5
    table = read_table(write(tmp_path / "a.csv", "v1,v2\n" + rows))
    assert (table.labels[:2], len(table.texts)) == (["ham", "spam"], 10)
    said = "with a header; text in 'v2' (the longest texts), label in 'v1' (2 different values, the fewest)"
    assert said in table.read[0]
    assert len(read_table(write(tmp_path / "b.csv", rows)).texts) == 10  # the first label comes again: no header
    numbers = read_table(write(tmp_path / "c.csv", "7,five words are a text\n" + rows))
    assert "7" in numbers.labels  # a number is no name
    few = read_table(write(tmp_path / "d.csv", "rare,hello there\n" + rows[:60]))
    assert few.labels[0] == "rare"
    rare = write(tmp_path / "e.csv", "rare,hello there\n" + rows)
    assert read_table(rare, label_column="1", text_column="2").labels[0] == "rare"  # places: there is no header
    asked = read_table(write(tmp_path / "f.csv", "1,fine\n0,bad\n"), label_column="1", text_column="2")
    assert asked.texts == ["fine", "bad"]


def test_a_likely_column_is_taken_where_it_is_there(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "text,Summary\none,two\n")
    assert list(read_texts(file, likely_column="summary")) == ["two"]
    assert list(read_texts(file, likely_column="body")) == ["one"]
    assert list(read_texts(file, text_column="text", likely_column="summary")) == ["one"]


def test_what_was_guessed_and_left_out_is_in_the_summary(tmp_path: Path) -> None:
    rows = "".join(f"{'xy'[i % 2]},text {i}\n" for i in range(40))
    summary = load_data(write(tmp_path / "a.csv", "label,text\nx,\n" + rows), Reading()).summary
    assert "text in 'text' (by its name), label in 'label' (by its name)" in summary.read[0]
    assert "Left out: 1 row without text or label (line 2)." in summary.sentences
    assert summary.splits == {"train": 32, "val": 4, "test": 4}


def test_the_columns_of_a_table_are_guessed_for_whoever_asks(tmp_path: Path) -> None:
    table = write(
        tmp_path / "a.csv", "id,title,topic\n" + "".join(f"{i},a line of words {i},t{i % 2}\n" for i in range(9))
    )
    found = guess_columns(table)
    assert (found.names, found.text, found.label) == (("id", "title", "topic"), "title", "topic")
    assert guess_columns(write(tmp_path / "b.csv", "text\none\ntwo\n")).label is None
    with pytest.raises(DataError, match="holds no rows"):
        guess_columns(write(tmp_path / "c.csv", "text,label\n"))


def test_a_table_is_described_before_it_is_learned_from(tmp_path: Path) -> None:
    lines = "".join(f"a text of number {i},c{i % 8}\n" for i in range(80))
    table = write(tmp_path / "a.csv", "text,label\n" + lines + "nothing,\n")
    said = DOMAIN.summarise("my-texts", {"data": str(table), "text_column": "text", "label_column": "label"}).sentences
    assert said[0] == "80 texts in 8 classes: c0 10, c1 10, c2 10, c3 10, c4 10, c5 10 and 2 more."
    assert "Left out: 1 row without text or label (line 82)." in said


def test_a_column_called_text_is_never_the_label_beside_a_constant_one(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("text,id\nplay some jazz,1\nwill it rain,1\nplay it in the rain,1\n")
    guess = guess_columns(file)
    assert (guess.text, guess.label) == ("text", "id")
