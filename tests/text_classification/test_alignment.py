"""Where the tokens of a text stand in it."""

import pytest

from text_classification.alignment import align_tokens
from text_classification.tokenizers import TOKENIZERS


def found(text: str, tokenizer: str) -> list[str | None]:
    """The parts of the text that are taken for the tokens."""
    places = align_tokens(text, TOKENIZERS[tokenizer](text))
    return [text[slice(*place)] if place else None for place in places]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It's GOOD, good.", ["It", "'", "s", "GOOD", ",", "good", "."]),
        ('He said "no" and "no".', ["He", "said", "no", "and", "no", "."]),
        ('a"b ab', ['a"b', "ab"]),  # the quote goes out of the word
        ("one; two: three", ["one", "two", "three"]),
        ("a<br />br b", ["a", "br", "b"]),
        ("İstanbul İİ x", ["İstanbul", "İİ", "x"]),  # two characters each in lower case
        ("👩‍👩‍👧 🙂🙂 ok", ["👩‍👩‍👧", "🙂🙂", "ok"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("a\0b c", ["a\0b", "c"]),
        ("\n\n the\tend ", ["the", "end"]),
        ("", []),
    ],
)
def test_words_are_found_where_they_stand(text: str, parts: list[str]):
    assert found(text, "basic_english") == parts


def test_repeated_words_are_found_one_behind_the_other():
    assert align_tokens("no no no", ["no", "no", "no"]) == [(0, 2), (3, 5), (6, 8)]


def test_a_token_that_is_not_there_leaves_the_others_in_their_places():
    assert align_tokens("one two", ["one", "zwei", "two"]) == [(0, 3), None, (4, 7)]


def test_other_tokenizers_are_followed_too():
    assert found("I don't like crème brûlée!", "kim") == [
        "I", "do", "n't", "like", "cr", "me", "br", "l", "e", "!"
    ]  # fmt: skip
    assert found('a "b" <br /> C', "whitespace") == ["a", '"b"', "<br", "/>", "C"]
    assert found("a\nb  C", "characters") == ["a", "\n", "b", " ", "C"]
    assert found("It's GOOD", "cased_english") == ["It", "'", "s", "GOOD"]
