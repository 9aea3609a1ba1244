"""From sentences to words and numbers: the same tokens in training, metrics and typed sentences."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

PADDING, START, END, UNKNOWN, FIRST = 0, 1, 2, 3, 4  # numbers of what is no word, and of the first word
LONGEST_CAPTION = 20_000  # characters of a caption that are looked at
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*", re.UNICODE)


def split_words(caption: str) -> list[str]:
    """Return the words of a sentence in lower case, without punctuation: "A dog's ball!" -> a, dog's, ball.

    This is what published captioning figures are measured on (Karpathy and Fei-Fei 2015): lower case, letters and
    digits only.
    """
    return [word.replace("’", "'") for word in _WORD.findall(caption[:LONGEST_CAPTION].lower())]


def build_vocabulary(captions: Iterable[Sequence[str]], *, min_count: int = 1) -> tuple[str, ...]:
    """Return the words that occur `min_count` times or more, the most frequent first, equals in alphabetical order."""
    counts = Counter(word for words in captions for word in words)
    kept = [(word, count) for word, count in counts.items() if count >= min_count]
    return tuple(word for word, _ in sorted(kept, key=lambda pair: (-pair[1], pair[0])))
