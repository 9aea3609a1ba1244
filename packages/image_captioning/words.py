"""From sentences to words and numbers: the same tokens in training, metrics and typed sentences.

In scripts without spaces the tokens can be characters instead.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache

PADDING, START, END, UNKNOWN, FIRST = 0, 1, 2, 3, 4  # ids of the special tokens, and of the first word
LONGEST_CAPTION = 20_000  # characters of a caption that are read
MARKS = range(0x300, 0x1F000)  # where Unicode has the signs that belong to the letter before
VARIANTS = range(0xFE00, 0xFE10)  # marks that choose between pictures of a sign
# Han, kana, Thai, Lao, Burmese, Khmer: written without spaces between words
UNSPACED = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003ffff]"
)
LONG_WORD = 6  # characters of the mean "word" of captions in such a script, above which it is none
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


def split_characters(caption: str) -> list[str]:
    """Return the letters and digits of a sentence in lower case, each with its marks, and one space for a gap."""
    words = " ".join(split_words(caption))
    return _marked_character().findall(words)


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"words": split_words, "characters": split_characters}
JOINTS = {"words": " ", "characters": ""}  # what stands between two tokens of a sentence


def lacks_spaces(captions: Iterable[Sequence[str]]) -> bool:
    """Tell whether most captions, as words, are in a script that has no spaces between words, and hold none."""
    unspaced = [words for words in captions if len(UNSPACED.findall("".join(words))) * 2 > len("".join(words))]
    whole = [words for words in unspaced if len(words) == 1 or len("".join(words)) > LONG_WORD * len(words)]
    return 2 * len(whole) > len(unspaced) > 0


@cache
def _marks() -> str:
    """Return the signs that belong to the letter before; Python's `re` has no class for them."""
    marks = (chr(n) for n in MARKS if n not in VARIANTS and unicodedata.category(chr(n)) in ("Mn", "Mc"))
    return "".join(marks)


@cache
def _marked_word() -> re.Pattern[str]:
    part = rf"[^\W_]+(?:[{_marks()}]+[^\W_]*)*"
    return re.compile(rf"{part}(?:['’]{part})*")


@cache
def _marked_character() -> re.Pattern[str]:
    return re.compile(rf"[^{_marks()}][{_marks()}]*", re.DOTALL)


def build_vocabulary(captions: Iterable[Sequence[str]], *, min_count: int = 1) -> tuple[str, ...]:
    """Return the words that occur `min_count` times or more, the most frequent first, equals in alphabetical order."""
    counts = Counter(word for words in captions for word in words)
    kept = [(word, count) for word, count in counts.items() if count >= min_count]
    return tuple(word for word, _ in sorted(kept, key=lambda pair: (-pair[1], pair[0])))
