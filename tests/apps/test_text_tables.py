"""The text page's tables of many texts: all kinds of files, columns, and the answers as the command gives them."""

import pytest
from driving import checked, html, warnings
from streamlit.testing.v1 import AppTest
from text_driving import open_page

pytestmark = pytest.mark.usefixtures("in_workplace")


def batch(data: bytes, name: str = "own.csv", **address: str) -> AppTest:
    page = open_page(view="Many texts", **address)
    return checked(page.file_uploader(key="batch-upload").upload(name, data, "text/csv").run())


def test_many_texts_begin_with_the_examples_answered():
    page = open_page(None, weights="sst2", view="Many texts")
    table = page.dataframe[0].value
    assert len(table) == 5
    assert set(table["answer"]) == {"negative", "positive"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b'text,label\n"play, some jazz",x\n"will it rain\nin ""Oslo""",y\n'),
        ("a.tsv", b"id\tsentence\n1\tplay some jazz\n2\twill it rain in Oslo\n"),
        ("a.jsonl", b'{"text": "play some jazz"}\n{"text": "will it rain in Oslo"}\n'),
        ("a.txt", b"play some jazz\nwill it rain in Oslo\n"),
        ("a.csv", "text;stars\nplay some jazz ♫;1\nwill it rain in Oslo;2\n".encode("utf-16")),
        ("a.csv", b"text\nplay some jazz \x85 caf\xe9\nwill it rain in Oslo\n"),
    ],
)
def test_tables_of_all_kinds_are_answered(name: str, data: bytes):
    page = batch(data, name)
    assert list(page.dataframe[0].value["answer"]) == ["music", "weather"]
    assert "2 texts answered" in html(page)
    assert not warnings(page)


def test_another_column_can_be_chosen():
    page = batch(b"title,text\nplay some jazz,will it rain in Oslo\nplay the news,how cold is it in Lima\n")
    chooser = page.selectbox(key="batch-column-own.csv")
    assert chooser.value == "text"
    assert list(page.dataframe[0].value["answer"]) == ["weather", "weather"]
    checked(chooser.set_value("title").run())
    assert list(page.dataframe[0].value["answer"]) == ["music", "music"]


def test_rows_without_a_text_are_noted_and_the_others_answered():
    page = batch(b"text,label\nplay some jazz,a\n,b\n   ,c\nzzyzx,d\n")
    table = page.dataframe[0].value
    assert list(table["note"])[1:3] == ["the text is empty"] * 2
    assert "no word of it is known" in table["note"][3]
    assert "2 texts answered, 2 could not be" in html(page)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("own.csv", b"", "empty"),
        ("own.csv", b"text,label\n", "no rows"),
        ("own.jsonl", b"{broken\n", "line 1"),
        ("own.jsonl", b"[1, 2]\n", "line 1"),
    ],
)
def test_a_broken_table_is_a_sentence_with_its_own_name(name: str, data: bytes, reason: str):
    page = batch(data, name)
    (said,) = warnings(page)
    assert reason in said
    assert said.lower().startswith(name)
    assert "upload." not in said
    assert "/tmp" not in said


@pytest.mark.parametrize(
    "data", [b"\0" * 300, bytes(range(256)) * 8, b"\xff\xfe\x00", b'"' * 999, b"text\n" + b'"x' * 99]
)
def test_bytes_that_are_no_table_do_no_harm(data: bytes):
    batch(data)


def test_more_texts_than_the_page_takes_are_cut_with_a_sentence(monkeypatch: pytest.MonkeyPatch):
    import views.text_parts.batch as part

    monkeypatch.setattr(part, "MOST_TEXTS", 10)
    page = batch(b"text\n" + b"play some jazz\n" * 12, "long.csv")
    assert len(page.dataframe[0].value) == 10
    assert "the first 10 texts" in html(page)
