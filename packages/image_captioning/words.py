"""From sentences to words and numbers: the same tokens in training, metrics and typed sentences."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

PADDING, START, END, UNKNOWN, FIRST = 0, 1, 2, 3, 4  # ids of the special tokens, and of the first word
LONGEST_CAPTION = 20_000  # characters of a caption that are read
MARKS = range(0x300, 0x1F000)  # where Unicode has the signs that belong to the letter before
VARIANTS = range(0xFE00, 0xFE10)  # marks that choose between pictures of a sign
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def split_words(caption: str) -> list[str]:
    """Return the words of a sentence in lower case, without punctuation: "A dog's ball!" -> a, dog's, ball.

    This is what published captioning figures are measured on (Karpathy and Fei-Fei 2015): lower case, letters and
    digits only. Vowel signs and accents belong to their letter, however they are stored (Unicode's form NFC).
    """
    text = caption[:LONGEST_CAPTION]
    if text.isascii():
        return _WORD.findall(text.lower())
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    return [word.replace("’", "'") for word in _marked_word().findall(text)]


@cache
def _marked_word() -> re.Pattern[str]:
    """Return the pattern of a word whose letters may have marks; Python's `re` has no class for them."""
    marks = [chr(n) for n in MARKS if n not in VARIANTS and unicodedata.category(chr(n)) in ("Mn", "Mc")]
    part = rf"[^\W_]+(?:[{''.join(marks)}]+[^\W_]*)*"
    return re.compile(rf"{part}(?:['’]{part})*")


def build_vocabulary(captions: Iterable[Sequence[str]], *, min_count: int = 1) -> tuple[str, ...]:
    """Return the words that occur `min_count` times or more, the most frequent first, equals in alphabetical order."""
    counts = Counter(word for words in captions for word in words)
    kept = [(word, count) for word, count in counts.items() if count >= min_count]
    return tuple(word for word, _ in sorted(kept, key=lambda pair: (-pair[1], pair[0])))
