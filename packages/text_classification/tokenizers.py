"""Texts to tokens: pure functions by name, the same in training, prediction and page.

A card names its tokenizer, and a name never changes what it does: what is learned anew takes "treebank" (see there).

"basic_english" gives exactly the tokens of torchtext's tokenizer of that name, which substitutes twelve regular
expressions one after the other; plain replacements in an order that does not matter are several times faster.
"""

import re
from collections.abc import Callable, Sequence

from text_classification.treebank import (
    cased_tokens,
    cased_treebank,
    chunks_of,
    lower_tokens,
    treebank,
    treebank_places,
)

Tokenizer = Callable[[str], list[str]]

_SPACED = tuple((sign, f" {sign} ") for sign in ".,()!?")
_DROPPED = ";:"
_KIM_FOREIGN = re.compile(r"[^A-Za-z0-9(),!?'`]+")
_KIM_ENDINGS = re.compile(r"('s|'ve|n't|'re|'d|'ll)")
_KIM_SIGNS = re.compile(r"([,!?()])")


def basic_english(text: str) -> list[str]:
    """Lower case; `. , ( ) ! ?` and apostrophes become tokens; double quotes, `;`, `:` and `<br />` are removed."""
    return cased_english(text.lower())


def cased_english(text: str) -> list[str]:
    """Split as `basic_english` and keep the case: names matter in short texts."""
    if "'" in text:
        text = text.replace("'", " '  ")
    if '"' in text:
        text = text.replace('"', "")
    if "<br />" in text:  # after quotes, which may be inside it; nothing else changes it
        text = text.replace("<br />", " ")
    for sign, spaced in _SPACED:
        if sign in text:
            text = text.replace(sign, spaced)
    for sign in _DROPPED:
        if sign in text:
            text = text.replace(sign, " ")
    return text.split()


def kim(text: str) -> list[str]:
    """Clean as Kim's experiments do: Latin letters, digits, apostrophes and `( ) , ! ?`; `n't`, `'s` ... split off."""
    text = _KIM_FOREIGN.sub(" ", text)
    text = _KIM_ENDINGS.sub(r" \1", text)
    return _KIM_SIGNS.sub(r" \1 ", text).lower().split()


def whitespace(text: str) -> list[str]:
    """Split at white space and change nothing: for text that is tokenized already."""
    return text.split()


def characters(text: str) -> list[str]:
    """Every character of the text in lower case, runs of white space as one space."""
    return list(" ".join(text.lower().split()))


TOKENIZERS: dict[str, Tokenizer] = {
    "treebank": treebank,
    "cased_treebank": cased_treebank,
    "basic_english": basic_english,
    "cased_english": cased_english,
    "kim": kim,
    "whitespace": whitespace,
    "characters": characters,
}
# Text -> (start, end) of each token, of tokenizers that know; those of the others are searched, see `alignment`.
PLACES: dict[str, Callable[[str], list[tuple[int, int] | None]]] = {
    "treebank": treebank_places,
    "cased_treebank": treebank_places,
}
# Of tokenizers whose tokens of what stands between two spaces depend on it alone: text -> chunks, chunk -> tokens.
# The plain ones are not here: they cut a text in less time than it takes to look its chunks up.
CHUNKED: dict[str, tuple[Callable[[str], list[str]], Callable[[str], Sequence[str]]]] = {
    "treebank": (chunks_of, lower_tokens),
    "cased_treebank": (chunks_of, cased_tokens),
    "kim": (str.split, kim),
}
