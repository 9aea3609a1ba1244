"""Tables in the encodings of before Unicode: by their script where that tells them, else said with a word of them."""

from pathlib import Path

import pytest

from cnn_core.data.tables import look, rows

RUSSIAN = ["Замечательный фильм, полный жизни", "Скучно и слишком долго", "Актёры играют превосходно"]
GREEK = ["Υπέροχη ταινία, γεμάτη ζωή", "Βαρετή και πολύ μεγάλη", "Οι ηθοποιοί είναι εξαιρετικοί"]
JAPANESE = ["素晴らしい映画です", "退屈で長すぎる", "演技が素晴らしい"]
CHINESE = ["精彩的电影，充满生命力", "无聊而且太长了", "演技非常出色"]
TAIWANESE = ["精彩的電影，充滿生命力", "無聊而且太長了", "演技非常出色，但是故事很弱"]
KOREAN = ["멋진 영화, 생명이 가득하다", "지루하고 너무 길다", "연기가 훌륭하다"]


@pytest.mark.parametrize(
    ("texts", "encoding", "named"),
    [
        (RUSSIAN, "cp1251", "cp1251"), (RUSSIAN, "koi8_r", "koi8_r"), (RUSSIAN, "iso8859_5", "iso8859_5"),
        (GREEK, "cp1253", "cp1253"), (JAPANESE, "shift_jis", "cp932"), (JAPANESE, "euc_jp", "euc_jp"),
        (CHINESE, "gbk", "gb18030"), (TAIWANESE, "big5", "big5"), (KOREAN, "euc_kr", "cp949"),
    ],
)  # fmt: skip
def test_scripts_that_are_not_latin_are_read_and_said(
    tmp_path: Path, texts: list[str], encoding: str, named: str
) -> None:
    path = tmp_path / "a.csv"
    expected = [[text, "xy"[i % 2]] for i, text in enumerate(4 * texts)]
    path.write_bytes("".join(f'"{text}",{label}\n' for text, label in [["text", "label"], *expected]).encode(encoding))
    layout = look(path, ("text", "label"))
    assert list(rows(path, layout)) == expected
    assert layout.encoding == named
    (remark,) = layout.remarks
    assert f"read as {named}: if letters look wrong (such as '{texts[0][:2]}" in remark and "iconv -f" in remark


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp1250"])
def test_latin_ones_are_read_as_windows_1252_and_a_word_of_them_is_shown(tmp_path: Path, encoding: str) -> None:
    path, lines = tmp_path / "a.csv", ["text,label", *(f"Der schöne Film {i},{'xy'[i % 2]}" for i in range(20))]
    path.write_bytes("\n".join(lines).encode(encoding))
    word = "schöne".encode(encoding).decode("cp1252")
    assert (
        look(path, ("text", "label"))
        .remarks[0]
        .startswith(
            f"not UTF-8, so read as Windows-1252: if letters look wrong (such as '{word}'), save the file as UTF-8"
        )
    )


def test_json_lines_say_their_encoding_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"text": "ein schöner Film"}\n'.encode("cp1252"))
    assert "(such as 'schöner')" in look(path, ("text",)).remarks[0]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_nul_characters_are_left_out_and_counted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    cells, objects = "one\0 two,x\0\n" + "three words here,y\n" * 9, '{"text": "one\0 two", "label": "x\0"}\n'
    path.write_text(objects if name == "a.jsonl" else f"text,label\n{cells}")
    layout = look(path, ("text", "label"))
    assert next(rows(path, layout)) == ["one two", "x"]
    assert layout.remarks == ("2 NUL characters (zero bytes, as in damaged files) left out",)
