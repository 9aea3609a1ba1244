"""Tables as text: line ends of any system, what JSON Lines may hold that no file of ours can, and written CSV."""

import csv
import io
import tracemalloc
import zipfile
from pathlib import Path

import pandas
import pytest

from cnn_core.data.tables import csv_text, json_rows, look, rows
from cnn_core.errors import DataError


@pytest.mark.parametrize("text", ["text,label\rhello,a\r", "\n\r\n\ntext,label\n\nhello,a\n", "text,label\r\nhello,a"])
def test_lines_end_as_they_like_and_empty_ones_are_no_rows(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(text.encode())
    layout = look(file, ("text",))
    assert layout.columns == ("text", "label")
    assert list(rows(file, layout)) == [["hello", "a"]]


def test_half_a_surrogate_pair_becomes_a_question_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    lines = [
        r'{"text": "so good \ud83d", "n": 1.5}',
        r'{"text": "\uDE00 \ud83d\ude00 \\ud83d", "all": ["\udfff", null]}',
    ]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    expected = [{"text": "so good ?", "n": 1.5}, {"text": "? \U0001f600 \\ud83d", "all": ["?", None]}]
    assert list(json_rows(file, "utf-8-sig")) == expected
    layout = look(file, ("text",))
    assert list(rows(file, layout)) == [["so good ?", "1.5", ""], ["? \U0001f600 \\ud83d", "", '["?", null]']]


def test_a_name_with_half_a_pair_is_a_column_too(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(r'{"text\ud83d": "one"}' + "\n", "utf-8")
    layout = look(file, ("text",))
    assert layout.columns == ("text?",)
    assert list(rows(file, layout)) == [["one"]]


FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://x","y")',
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠a",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_that_is_written_is_a_formula(text: str) -> None:
    written = csv_text([(text, "label"), (1, text)])
    assert [*csv.reader(io.StringIO(written, newline=""))] == [[f"'{text}", "label"], ["1", f"'{text}"]]


def test_numbers_below_zero_stay_numbers_and_other_texts_as_they_are() -> None:
    assert csv_text([(-1.5, -2, "a=1", "a, b", 'say "hi"', "", None)]) == '-1.5,-2,a=1,"a, b","say ""hi""",,\r\n'


def test_a_small_json_file_takes_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('[{"text": "hello", "label": "a"}]')
    look(file, ("text",))
    tracemalloc.start()
    look(file, ("text",))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 << 20


@pytest.mark.parametrize(
    "part", ["[Content_Types].xml", "xl/workbook.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml"]
)
@pytest.mark.parametrize("damage", [b"", b"no XML", b"<a/>", b"<a><b></a>"])
def test_a_damaged_sheet_is_refused_with_a_sentence(tmp_path: Path, part: str, damage: bytes) -> None:
    pandas.DataFrame({"text": ["hello"]}).to_excel(tmp_path / "whole.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, damage if name == part else whole.read(name))
    try:
        look(tmp_path / "a.xlsx", ("text",))  # some of it openpyxl does without
    except DataError as error:
        assert "a.xlsx" in str(error)


def test_the_first_filled_sheet_is_read_and_the_other_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with pandas.ExcelWriter(path) as book:
        pandas.DataFrame().to_excel(book, sheet_name="Blank", index=False)
        for month, text in (("January", "cold"), ("February", "wet")):
            pandas.DataFrame({"text": [text], "label": ["x"]}).to_excel(book, sheet_name=month, index=False)
    layout = look(path, ("text", "label"))
    assert list(rows(path, layout)) == [["cold", "x"]]
    assert layout.remarks == ("only the sheet 'January' is read, not 'February': save each as a file of its own",)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_strings_of_json_are_texts(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('["one", "two"]' if name == "a.json" else '"one"\n"two"\n')
    layout = look(tmp_path / name, ("text",))
    assert (layout.columns, list(rows(tmp_path / name, layout))) == (("text",), [["one"], ["two"]])
