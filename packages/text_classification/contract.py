"""The preprocessing from any text to the network's input, as written in the weights card."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, repeat
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from cnn_core.weights.card import Contract, contract
from text_classification.alignment import align_tokens
from text_classification.tokenizers import CHUNKED, PLACES, TOKENIZERS
from text_classification.treebank import LONGEST_KEPT

DOMAIN_NAME = "text_classification"
PADDING, UNKNOWN, FIRST = 0, 1, 2  # numbers of the padding, of words outside the vocabulary, of its first word
LONGEST = 4000  # tokens: the rest of a text is not read, and its prediction has a note
LONGEST_TEXT = 1 << 20  # characters that are read
MOST_KEPT = 1 << 17  # chunks between two spaces whose numbers are kept in memory


@contract
class TextContract(Contract):
    """How texts become numbers; stored as `input` in the weights card.

    Args:
        tokenizer: a name of `TOKENIZERS`.
        vocabulary: the known tokens; token i has the number i + 2.
        length: tokens that the network takes, no more and no fewer: longer texts are cut, shorter ones padded. None:
            any number, and padding does not change the output.
        longest: tokens that are read at most where `length` is None.
        text_column: of the table that the network learned from, which is read of other tables too where they have it.
        label_column: likewise, to measure on.
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"text_column", "label_column"})

    tokenizer: str
    vocabulary: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, repr=False)]
    length: Annotated[int, Field(ge=1, le=LONGEST)] | None = None
    longest: Annotated[int, Field(ge=1, le=LONGEST)] = LONGEST
    text_column: str | None = None
    label_column: str | None = None

    @model_validator(mode="after")
    def _words_differ(self) -> Self:
        if self.tokenizer not in TOKENIZERS:
            raise ValueError(f"tokenizer: expected {' or '.join(TOKENIZERS)}, got {self.tokenizer!r}")
        if len({*self.vocabulary}) < len(self.vocabulary):
            raise ValueError("vocabulary: it holds a token twice")
        return self

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Token -> number."""
        return {token: i for i, token in enumerate(self.vocabulary, start=FIRST)}

    @cached_property
    def chunks(self) -> "Chunks":
        """Numbers of the tokens of what stands between two spaces, for a tokenizer in `CHUNKED`."""
        return Chunks(self.numbers, CHUNKED[self.tokenizer][1])

    @property
    def vocab_size(self) -> int:
        """V: the number of token ids, padding and unknown included."""
        return len(self.vocabulary) + FIRST

    @property
    def limit(self) -> int:
        """Tokens that are read at most."""
        return self.length or self.longest

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text that the network reads, at most `limit`."""
        return TOKENIZERS[self.tokenizer](text[:LONGEST_TEXT])[: self.limit]

    def places(self, text: str) -> list[tuple[int, int] | None]:
        """Return (start, end) in the text of each of its `tokens`, None for one that is not found."""
        if self.tokenizer in PLACES:
            return PLACES[self.tokenizer](text[:LONGEST_TEXT])[: self.limit]
        return align_tokens(text, self.tokens(text))

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Return the number of each token."""
        find = self.numbers.get
        return [find(token, UNKNOWN) for token in tokens]

    def _numbers_of(self, text: str) -> Iterator[int]:
        if self.tokenizer in CHUNKED:
            return chain.from_iterable(map(self.chunks.__getitem__, CHUNKED[self.tokenizer][0](text)))
        return map(self.numbers.get, TOKENIZERS[self.tokenizer](text), repeat(UNKNOWN))

    def encode_all(self, texts: Iterable[str]) -> "Encoded":
        """Encode many texts."""
        limit, ends = self.limit, [0]
        numbers: list[int] = []
        for text in texts:
            numbers += islice(self._numbers_of(text[:LONGEST_TEXT]), limit)
            ends.append(len(numbers))
        return Encoded(np.array(numbers, dtype=np.int32), np.array(ends, dtype=np.int64), self.length)


class Chunks(dict[str, tuple[int, ...]]):
    """The numbers of the tokens of each chunk between two spaces, made when it is met first."""

    def __init__(self, numbers: Mapping[str, int], tokens: Callable[[str], Sequence[str]]) -> None:
        super().__init__()
        self.numbers, self.tokens = numbers, tokens

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        found = tuple(self.numbers.get(token, UNKNOWN) for token in self.tokens(chunk))
        if len(chunk) <= LONGEST_KEPT and len(self) < MOST_KEPT:
            self[chunk] = found
        return found


@dataclass(frozen=True)
class Encoded:
    """Texts as numbers, without padding.

    Args:
        numbers: int32, all texts concatenated.
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

    def subset(self, indices: np.ndarray) -> "Encoded":
        """Return the texts at `indices`, in their order."""
        parts = [self.numbers[self.ends[i] : self.ends[i + 1]] for i in indices.tolist()]
        ends = np.concatenate([[0], np.cumsum(self.lengths[indices])])
        return Encoded(np.concatenate([self.numbers[:0], *parts]), ends.astype(self.ends.dtype), self.length)

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return the texts at `indices` [B], padded: int64 [B, L], at least one column."""
        lengths = self.lengths[indices]
        columns = np.arange(self.length or max(1, lengths.max(initial=0)))
        inside = columns < lengths[:, None]
        padded = np.full(inside.shape, PADDING, dtype=np.int64)
        padded[inside] = self.numbers[(self.ends[indices][:, None] + columns)[inside]]
        return torch.from_numpy(padded)
