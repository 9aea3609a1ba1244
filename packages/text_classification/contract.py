"""The one preprocessing: from any text to the network's input, as written in the weights card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from cnn_core.weights.contract import Contract
from text_classification.tokenizers import TOKENIZERS

PADDING, UNKNOWN, FIRST = 0, 1, 2  # numbers of the padding, of words outside the vocabulary, of its first word
LONGEST = 4000  # tokens: what lies behind them is not read, and the answer says so
LONGEST_TEXT = 1 << 20  # characters that are looked at


@dataclass(frozen=True)
class TextContract(Contract):
    """How texts become numbers; stored as `input` in the weights card.

    Args:
        tokenizer: a name of `TOKENIZERS`.
        vocabulary: the known tokens; token i has the number i + 2.
        length: tokens that the network takes, no more and no fewer: longer texts are cut, shorter ones padded. None:
            any number, and padding does not change the answer.
        longest: tokens that are read at most where `length` is None.
    """

    tokenizer: str
    vocabulary: tuple[str, ...] = field(repr=False)
    length: int | None = None
    longest: int = LONGEST

    def problems(self) -> list[str]:
        problems = []
        if self.tokenizer not in [*TOKENIZERS]:
            problems.append(f"tokenizer must be one of {', '.join(TOKENIZERS)}, got {self.tokenizer!r}")
        vocabulary = self.vocabulary
        if not isinstance(vocabulary, tuple) or not all(isinstance(token, str) and token for token in vocabulary):
            problems.append("vocabulary must be a list of texts that are not empty")
        elif len(set(vocabulary)) < len(vocabulary):
            problems.append("vocabulary holds a token twice")
        for name, least in (("length", 1), ("longest", 1)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not least <= value <= LONGEST):
                problems.append(f"{name} must lie in {least}..{LONGEST}, got {value!r}")
        return problems

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Token -> number."""
        return {token: i for i, token in enumerate(self.vocabulary, start=FIRST)}

    @property
    def rows(self) -> int:
        """V: numbers there are, padding and unknown among them."""
        return len(self.vocabulary) + FIRST

    @property
    def limit(self) -> int:
        """Tokens that are read at most."""
        return self.length or self.longest

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text that the network reads, at most `limit`."""
        return TOKENIZERS[self.tokenizer](text[:LONGEST_TEXT])[: self.limit]

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Return the number of each token."""
        find = self.numbers.get
        return [find(token, UNKNOWN) for token in tokens]

    def encode_all(self, texts: Iterable[str]) -> "Encoded":
        """Encode many texts."""
        find, split, limit = self.numbers.get, TOKENIZERS[self.tokenizer], self.limit
        numbers: list[int] = []
        ends = [0]
        for text in texts:
            numbers += map(find, split(text[:LONGEST_TEXT])[:limit], repeat(UNKNOWN))
            ends.append(len(numbers))
        return Encoded(np.array(numbers, dtype=np.int32), np.array(ends, dtype=np.int64), self.length)


@dataclass(frozen=True)
class Encoded:
    """Texts as numbers, without padding.

    Args:
        numbers: int32, all texts behind one another.
        ends: int64 [N + 1]; text i is `numbers[ends[i]:ends[i + 1]]`.
        length: of every row of a batch, None: that of its longest text.
    """

    numbers: np.ndarray
    ends: np.ndarray
    length: int | None = None

    def __len__(self) -> int:
        return len(self.ends) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each text: int64 [N]."""
        return np.diff(self.ends)

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return the texts at `indices` [B], padded: int64 [B, L], at least one column."""
        lengths = self.lengths[indices]
        columns = np.arange(self.length or max(1, lengths.max(initial=0)))
        inside = columns < lengths[:, None]
        padded = np.full(inside.shape, PADDING, dtype=np.int64)
        padded[inside] = self.numbers[(self.ends[indices][:, None] + columns)[inside]]
        return torch.from_numpy(padded)
