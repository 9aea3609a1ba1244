"""The vocabulary, built with torchtext, and pretrained word vectors.

Trained models carry their vocabulary and vectors themselves and predict without torchtext.

Its `Vectors` does not read our files. It turns off the verification of TLS certificates for the whole process, keeps a
pickle of the whole file beside it, and reads all words: of 120,000 vectors of 300 numbers, those of a vocabulary of
15,000 words took it 17 s and 193 MiB, ours 2 s and 28 MiB, for the same table.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from cnn_core.data.decoding import open_bytes, reading_errors
from cnn_core.errors import DataError
from text_classification.download import load_torchtext

LONGEST_LINE = 1 << 20  # bytes: a word and its numbers


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


def load_vectors(file: Path, words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return pretrained vectors of V words, float32 [V, E] with zeros for those without, and which have one, [V].

    Args:
        file: text with a word and its numbers in every line, separated by spaces (GloVe, word2vec, fastText), packed
            with gzip or not; a first line with two numbers, as word2vec and fastText write it, is skipped.
        words: the vocabulary.

    Raises:
        DataError: no such file, a line that is not a vector, or none of the words in it; for a name that torchtext
            knows the message says where
            to download the file.
    """
    if not file.is_file():
        raise DataError(_how_to_get(str(file)))
    places = {word.encode(): i for i, word in enumerate(words)}
    table: Tensor | None = None
    known = torch.zeros(len(words), dtype=torch.bool)
    with reading_errors(file), open_bytes(file) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
            if table is None:
                size = len(line.split()) - 1
                if size < 2:  # the header: number of words, numbers of each
                    continue
                _numbers(b" ".join(line.split()[1:]), f"{file}, line {number}")
                table = torch.zeros(len(words), size)
            word, *numbers = line.rstrip().rsplit(b" ", table.shape[1])  # a word of GloVe may hold spaces
            place = places.get(word)
            first, *surplus = word.split() or [b""]
            if place is None and first in places and _are_numbers(surplus + numbers):
                raise DataError(
                    f"{file}, line {number}: expected {table.shape[1]} numbers, got {len(surplus + numbers)}"
                )
            if place is None:
                continue
            if len(numbers) != table.shape[1]:
                raise DataError(f"{file}, line {number}: expected {table.shape[1]} numbers, got {len(numbers)}")
            table[place] = _numbers(b" ".join(numbers), f"{file}, line {number}")
            known[place] = True
    if table is None:
        raise DataError(f"{file} holds no word vectors; expected a word and its numbers in every line")
    if not known.any():
        raise DataError(
            f"{file} has a vector for none of the {len(words):,} words of the vocabulary (such as "
            f"{', '.join(map(repr, words[:3]))}); it is of another language or tokenizer, or no file of word vectors"
        )
    return table, known


def _are_numbers(parts: Sequence[bytes]) -> bool:
    try:
        return bool([float(part) for part in parts])
    except ValueError:
        return False


def _numbers(text: bytes, where: str) -> Tensor:
    try:
        vector = torch.tensor([float(number) for number in text.split()])
    except ValueError as error:
        raise DataError(f"{where}: expected a word followed by numbers ({error})") from error
    if not torch.isfinite(vector).all():
        raise DataError(f"{where}: a number is not finite")
    return vector


def _how_to_get(source: str) -> str:
    """Return a message on a missing file; for a name of torchtext's, where to download it."""
    names = load_torchtext().vocab.pretrained_aliases
    if source not in names:
        some = ", ".join(islice(names, 3))
        return f"no such file of word vectors: {source}; give a text file's path (published ones: {some} ...)"
    maker, chosen = names[source].func, names[source].keywords  # a class per publisher, and which of its files
    if "language" in chosen:
        address = maker.url_base.format(chosen["language"])
    else:
        address = maker.url[chosen["name"]] if "name" in chosen else maker.url
    return f"{source}: download the vectors from {address}, unpack them and give the file's path"
