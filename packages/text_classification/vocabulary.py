"""The vocabulary, built with torchtext. Trained models carry theirs and predict without torchtext."""

from collections import Counter
from collections.abc import Iterable, Sequence

from text_classification.download import load_torchtext


def build_vocabulary(
    tokens: Iterable[Sequence[str]], *, min_count: int = 1, largest: int | None = None
) -> tuple[str, ...]:
    """Return the different tokens, the most frequent first and equals in alphabetical order.

    Args:
        tokens: of every text.
        min_count: rarer tokens are left out.
        largest: number of tokens that are kept; None: all.
    """
    counts: Counter[str] = Counter()
    for text in tokens:
        counts.update(text)
    vocabulary = load_torchtext().vocab.Vocab(counts, max_size=largest, min_freq=min_count, specials=[])
    return tuple(vocabulary.itos)
