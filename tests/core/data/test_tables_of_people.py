"""Tables as people write them: each is read as it was meant, or refused by its line; nothing is cut or swallowed."""

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_core.data.tables import Layout, look, numbered_rows, rows
from cnn_core.errors import DataError

NAMES = ("text", "label", "comment", "question", "sentence")


def read(path: Path, data: str | bytes) -> tuple[Layout, list[list[str]]]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    layout = look(path, NAMES)
    return layout, list(rows(path, layout))


PAIRS = [("good", "fine, warm film"), ("bad", "dull"), ("bad", "long, slow, sad"), ("good", "a joy")] * 3


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("{0},{1}", "label,text"),  # no quotation marks at all
        ('{0}, "{1}"', "label,text"),  # a blank before each
        ("{1},{0}", "text,label"),
        ('"{0}","{1}"', '"label","text"'),
        ('"{0}";"{1}"', "sep=;\nlabel;text"),
        ("{0}\t{1}", "label\ttext"),
    ],
)
def test_texts_stay_whole(tmp_path: Path, line: str, first: str) -> None:
    body = "".join(line.format(*pair) + "\n" for pair in PAIRS)
    layout, found = read(tmp_path / "a.csv", f"{first}\n{body}")
    at = {name: layout.columns.index(name) for name in ("label", "text")}
    assert [(row[at["label"]], row[at["text"]]) for row in found] == PAIRS
    assert layout.count == 12


def test_commas_without_quotes_are_said_and_go_to_the_one_column_that_can_hold_them(tmp_path: Path) -> None:
    body = "".join(f"{label},{text}\n" for label, text in PAIRS)
    layout, _ = read(tmp_path / "a.csv", "label,text\n" + body)
    assert layout.remarks == ("6 rows hold commas without quotation marks; they are read as part of 'text'",)
    layout, found = read(tmp_path / "b.csv", body)  # without a header, and surplus cells in the first row
    assert (layout.header, found[0]) == (False, ["good", "fine, warm film"])
    with pytest.raises(DataError, match=r"c\.csv, line 3: 3 cells, but the first row has 2"):
        read(tmp_path / "c.csv", "x,y\nthe sun,the sea\nthe moon, high,the old sky\nthe star,a boat\n")


def test_of_two_columns_of_prose_none_is_taken_for_the_one_with_commas(tmp_path: Path) -> None:
    texts = ["a warm film of life", "dull and too long", "the acting is good", "two hours of sleep"]
    titles = [f"Film {i}" for i in range(40)]
    rows = [f"{title},{texts[i % 4]}{', really' * (i % 3 == 0)},{'xy'[i % 2]}" for i, title in enumerate(titles)]
    with pytest.raises(DataError, match=r"a\.csv, line 2: 4 cells, but the first row has 3"):
        read(tmp_path / "a.csv", "\n".join(["title,review,label", *rows]))
    rows = [f"{'Jaws, ' * (i % 9 == 0)}{title},{texts[i % 4]} {i},{'xy'[i % 2]}" for i, title in enumerate(titles)]
    with pytest.raises(DataError, match=r"b\.csv, line 2: 4 cells, but the first row has 3"):
        read(tmp_path / "b.csv", "\n".join(["title,review,label", *rows]))
    rows = [f"n{i},{texts[i % 4]}{', really' * (i % 3 == 0)},{'xy'[i % 2]}" for i in range(40)]
    layout, found = read(tmp_path / "c.csv", "\n".join(["id,review,label", *rows]))
    assert found[0] == ["n0", "a warm film of life, really", "x"] and "part of 'review'" in layout.remarks[0]


def test_a_backslash_before_a_quotation_mark_is_none_elsewhere(tmp_path: Path) -> None:
    _, found = read(tmp_path / "a.csv", 'label,text\nx,"He said \\"so, no\\" twice"\ny,"plain, text"\n')
    assert found == [["x", 'He said "so, no" twice'], ["y", "plain, text"]]
    _, found = read(tmp_path / "b.csv", 'label,text\nx,C:\\new\ny,"a, b\\c"\n')
    assert found == [["x", "C:\\new"], ["y", "a, b\\c"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('label,text\nx,"one, two"\ny,"three\nx,four\nx,"five, six"\n', "line 3: a quotation mark ends a cell before"),
        ('label,text\nx,"one, two"\ny,"three\nx,four\n', "line 3: a quotation mark opens a cell here and nothing"),
        ('label,text\nx,"one ""two"" three"\ny,"a "bad, b" c"\n', "line 3: a quotation mark ends a cell before"),
        (
            'label,text\n' + 'x,"a, b"\ny,c\n' * 5 + 'x,"open\n' + "y,one more\nx,and more\n" * 3 + 'y,shut"\n',
            "row of line 12: a quotation mark opens a cell that holds 6 lines which look like rows",
        ),
    ],
)  # fmt: skip
def test_an_unclosed_quotation_mark_is_refused_where_it_opens(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        read(tmp_path / "a.csv", text)


def test_where_no_cell_is_quoted_a_quotation_mark_is_a_sign_like_others(tmp_path: Path) -> None:
    layout, found = read(tmp_path / "a.csv", 'label,text\nx,"one\ny,two\nx,three 5" wide\n')
    assert found == [["x", '"one'], ["y", "two"], ["x", 'three 5" wide']]
    assert "quotation marks are read as part of the text" in layout.remarks[0]


def test_cells_of_many_lines_are_no_swallowed_rows(tmp_path: Path) -> None:
    _, found = read(tmp_path / "a.csv", 'label,text\nx,"dear all,\nthanks, yes\nsee you, me"\ny,short\nx,b\ny,c\n')
    assert found[0] == ["x", "dear all,\nthanks, yes\nsee you, me"]


@pytest.mark.parametrize(
    ("text", "header", "columns", "count"),
    [
        ("v1,v2,,,\n" + "ham,see you,,,\nspam,win now,,,\n" * 6, True, ("v1", "v2"), 12),
        ("question,\"is it, so?\"\n" + "comment,it is so\nquestion,why not\n" * 6, False, ("1", "2"), 13),
        ("text,label\na,x\nb,y\ntext,label\nc,x\n", True, ("text", "label"), 3),  # two files, one behind the other
        ("comments\n\"an awful, tedious mess\"\n\"a great, warm film\"\n", True, ("comments",), 2),
        ("url,remark\nhttps://a.org/1,an awful mess\nhttps://a.org/2,fine\n", True, ("url", "remark"), 2),
        ("id,said\n1,good day\n2,bad day\n", True, ("id", "said"), 2),
        ("2020-01-01,good\n2020-01-02,bad\n", False, ("1", "2"), 2),
        ("label,What did you like best?\nx,the end\ny,nothing\n", True, ("label", "What did you like best?"), 2),
        ("label,text\nx,one\nx,two\nlabel,text two\n", False, ("1", "2"), 4),  # a value like those below it
        ("\ufefflabel,text\nx,one\ny,two\n", True, ("label", "text"), 2),
        ("text,label\n1,one two,x\n2,two three,y\n3,three,x\n", True, ("row", "text", "label"), 3),  # as R writes
        (",text,label\n0,one,x\n1,two,y\n", True, ("1", "text", "label"), 2),  # as pandas writes
        ("good,a fine film\nbad,a bad film\n", False, ("1", "2"), 2),
    ],
)  # fmt: skip
def test_a_header_is_known_by_evidence(
    tmp_path: Path, text: str, header: bool, columns: tuple[str, ...], count: int
) -> None:
    layout, found = read(tmp_path / "a.csv", text)
    assert (layout.header, layout.columns, layout.count, len(found)) == (header, columns, count, count)


def test_repeated_headers_and_cells_without_a_name_are_said(tmp_path: Path) -> None:
    layout, _ = read(tmp_path / "a.csv", "text,label\na,x\ntext,label\nb,y\n")
    assert layout.remarks == ("1 lines repeat the header and are no rows",)
    layout, found = read(tmp_path / "b.csv", "v1,v2,,\n" + "ham,see you,,\n" * 30 + "spam,one, two, three\n")
    assert found[-1] == ["spam", "one, two, three"] and len(layout.columns) == 2
    layout, _ = read(tmp_path / "c.csv", "text,label,\n" + "a,x,7\nb,y,8\n" * 5)
    assert layout.remarks == ("10 rows hold something in columns without a name, called '3' here",)


def test_one_bad_byte_is_named_and_changes_no_other_line(tmp_path: Path) -> None:
    lines = ["label,text", *(f"x,café {i} – ü" for i in range(20))]
    data = "\n".join(lines).encode()
    layout, before = read(tmp_path / "a.csv", data)
    assert layout.remarks == ()
    bad = data.replace("x,café 7 –".encode(), "x,café 7".encode() + b" \x85")
    layout, after = read(tmp_path / "b.csv", bad)
    assert layout.remarks == (
        "1 of 21 lines is not UTF-8 (line 9): the bytes in question were read as Windows-1252",
    )  # fmt: skip
    assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [7]
    assert after[7] == ["x", "café 7 … ü"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp1252"])
def test_encodings_are_found_out_with_a_mark_and_without(tmp_path: Path, encoding: str) -> None:
    _, found = read(tmp_path / "a.csv", "label,text\nx,naïve café\ny,plain words here\n".encode(encoding))
    assert found == [["x", "naïve café"], ["y", "plain words here"]]


ROWS = [{"text": "one, two", "label": "x"}, {"text": "three", "label": "y"}]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", json.dumps(ROWS)),
        ("a.json", json.dumps(ROWS, indent=1)),
        ("a.json", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("a.json", json.dumps({"version": "1", "data": ROWS})),
        ("a.json", json.dumps({"text": ["one, two", "three"], "label": ["x", "y"]})),
        ("a.json", json.dumps({"text": {"0": "one, two", "1": "three"}, "label": {"0": "x", "1": "y"}})),
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("a.jsonl.gz", gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode(), mtime=0)),
        ("a.csv.gz", gzip.compress(b'text,label\n"one, two",x\nthree,y\n', mtime=0)),
    ],
)
def test_json_and_gzip_are_tables_too(tmp_path: Path, name: str, data: str | bytes) -> None:
    layout, found = read(tmp_path / name, data)
    assert (layout.columns, layout.count) == (("text", "label"), 2)
    assert found == [["one, two", "x"], ["three", "y"]]


@pytest.mark.parametrize("ending", [".parquet", ".xlsx"])
def test_parquet_and_excel_are_read_where_pandas_reads_them(tmp_path: Path, ending: str) -> None:
    pandas = pytest.importorskip("pandas", reason="the extra `tables` is not installed")
    pytest.importorskip("pyarrow" if ending == ".parquet" else "openpyxl", reason="likewise")
    frame, path = pandas.DataFrame(ROWS), tmp_path / f"a{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_excel(path, index=False)
    layout = look(path, NAMES)
    assert (layout.columns, list(rows(path, layout))) == (("text", "label"), [["one, two", "x"], ["three", "y"]])
    path.write_bytes(b"no such file")
    with pytest.raises(DataError, match=f"a{ending}"):
        look(path, NAMES)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"train": [{"a": 1}], "test": [{"a": 2}]}', "holds 2 tables (train, test)"),
        ("a.json", '[["one", "x"]]', 'entry 1: expected an object such as {"text": "...", "label": "..."}, got ["one"'),
        ("a.json", "[1, 2", "not JSON"),
        ("a.csv", "Export of 2024\nlabel,text\nx,one\ny,two\n", "delete what stands above the header"),
        ("a.csv", "PK\x03\x04\x14\0\x06\0\x08\0", "is not text"),
        ("a.csv", "%PDF-1.4\nlabel,text\n", "a.csv is not text; it is a PDF: save what it says as .txt"),
        ("a.csv", "\n<!DOCTYPE HTML>\n<p>text,label</p>\n", "is not text; it is a web page: save its texts as .txt"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        read(tmp_path / name, text)


def test_blanks_behind_commas_stay_where_no_quotation_mark_is_behind_them(tmp_path: Path) -> None:
    _, found = read(tmp_path / "a.csv", "label,text\nx,I liked it, really\ny,what a film\nx,so long, a, film\n" * 2)
    assert found[:3] == [["x", "I liked it, really"], ["y", "what a film"], ["x", "so long, a, film"]]
    with pytest.raises(DataError, match="line 3: 3 cells, but the first row has 2"):
        read(tmp_path / "b.csv", "I liked it, really\nwhat a film\nso long, a, film\n")


def test_the_mark_of_a_file_joined_to_another_is_no_text(tmp_path: Path) -> None:
    table = "\ufefftext,label\n" + "a fine film,x\na dull film,y\n" * 5
    layout, found = read(tmp_path / "a.csv", table + table)
    assert (layout.header, len(found)) == (True, 20)
    assert layout.remarks == ("1 lines repeat the header and are no rows",)


def test_a_tab_is_the_delimiter_where_a_comma_could_be(tmp_path: Path) -> None:
    _, found = read(tmp_path / "a", "ham\tsee you, bye\nspam\twin, now\n" * 4)
    assert found[:2] == [["ham", "see you, bye"], ["spam", "win, now"]]


def test_a_damaged_gzip_is_a_sentence(tmp_path: Path) -> None:
    packed = gzip.compress(b"text,label\n" + b"some words,x\n" * 5000)
    with pytest.raises(DataError, match="damaged"):
        read(tmp_path / "a.csv.gz", packed[: len(packed) // 2])


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["good", "bad"]), cells), min_size=1, max_size=12), st.data())
def test_every_row_is_read_or_refused(tmp_path_factory, pairs, data) -> None:
    """Rows in = rows out, whatever is in the cells and however badly they are quoted; else a DataError."""
    quoting = data.draw(st.sampled_from(["all", "none", "escaped", "spaced"]))
    ways = {
        "all": lambda t: '"' + t.replace('"', '""') + '"',
        "none": lambda t: t,
        "escaped": lambda t: '"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"',
        "spaced": lambda t: ' "' + t.replace('"', '""') + '"',
    }
    body = "".join(f"{label},{ways[quoting](text)}\n" for label, text in pairs)
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    path.write_bytes(("label,text\n" + body).encode())
    try:
        layout = look(path, NAMES)
        found = list(numbered_rows(path, layout))
    except DataError:
        return
    assert layout.count == len(found)
    if quoting == "all":
        assert [tuple(row) for _, row in found if tuple(row) != ("label", "text")] == [
            pair for pair in pairs if pair != ("label", "text")
        ]
