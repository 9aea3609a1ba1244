"""Pretrained word vectors: which words of a vocabulary a file has, and which words stand for the others.

torchtext's `Vectors` does not read our files. It turns off the verification of TLS certificates for the whole process,
keeps a pickle of the whole file beside it, and reads all words: of 120,000 vectors of 300 numbers, those of a
vocabulary of 15,000 words took it 17 s and 193 MiB, ours 2 s and 28 MiB, for the same table.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from cnn_core.data.decoding import open_bytes, reading_errors
from cnn_core.data.files import data_root
from cnn_core.errors import DataError
from text_classification import minilm
from text_classification.download import load_torchtext

LONGEST_LINE = 1 << 20  # bytes: a word and its numbers
PIECE = "##"  # before what goes on with a word, in files of pieces of words
SPELLINGS = {  # what tokenizers of the Treebank's kind cut off, whole; and what sources leave out
    "n't": "not", "ca": "can", "wo": "will", "'s": "is", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would",
    "'m": "am", "'em": "them", "``": '"', "''": '"', "`": "'", "--": "-", "...": ".", "-lrb-": "(", "-rrb-": ")",
    "a": "an", "i": "me", "u.s.": "united states", "u.k.": "united kingdom", "u.n.": "united nations",
}  # fmt: skip


@dataclass(frozen=True)
class Vectors:
    """Pretrained vectors of a vocabulary.

    Args:
        table: float32 [V, E]; zeros for words without one.
        known: which have one, [V].
        said: how many are the file's own, and how many those of other words.
    """

    table: Tensor
    known: Tensor
    said: str


def load_vectors(file: Path, words: Sequence[str]) -> Vectors:
    """Return pretrained vectors of V words; one that the file lacks takes the mean of its `stand_ins`, or `pieces`.

    Args:
        file: text with a word and its numbers in every line, separated by spaces (GloVe, word2vec, fastText), packed
            with gzip or not; a first line with two numbers, as word2vec and fastText write it, is skipped. A relative
            path may begin in the folder of the data sets, too.
        words: the vocabulary.

    Raises:
        DataError: no such file, a line that is not a vector, or none of the words in it; for a name that torchtext
            knows the message says where to download the file.
    """
    others = {word: stand_ins(word) for word in words}
    rows = _read(file, {*words}.union(*(choice for choices in others.values() for choice in choices)))
    own = sum(word in rows for word in words)
    if any(entry.startswith(PIECE) for entry in rows):
        lacking = [word for word in words if word not in rows]
        rows |= _read(file, {word[:end].lower() for word in lacking for end in range(1, len(word))})
        for word in lacking:
            others[word].append(pieces(word.lower(), rows))
    if not own:
        raise DataError(
            f"{file} has a vector for none of the {len(words):,} words of the vocabulary (such as "
            f"{', '.join(map(repr, words[:3]))}); it is of another language or tokenizer, or no file of word vectors"
        )
    table = torch.zeros(len(words), len(next(iter(rows.values()))))
    known = torch.zeros(len(words), dtype=torch.bool)
    lent = []
    for i, word in enumerate(words):
        choices = [(word,), *others[word]]
        chosen = next((choice for choice in choices if choice and all(other in rows for other in choice)), None)
        if chosen:
            table[i], known[i] = torch.stack([rows[other] for other in chosen]).mean(0), True
            lent += [] if word in rows else [f"{word} ({' + '.join(chosen)})"]
    said = f"{file.name} has vectors for {own:,} of the {len(words):,} words of the vocabulary ({own / len(words):.0%})"
    if lent:
        said += f"; {len(lent):,} more take those of other words, such as {', '.join(lent[:3])}"
    return Vectors(table, known, said)


def stand_ins(word: str) -> list[tuple[str, ...]]:
    """Return what may stand for a word that a file lacks, the likeliest first; of several words the mean.

    Files differ in case and accents and in what their tokenizer cuts off; of a compound there may be the parts.
    """
    lower = word.lower()
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(sign))
    choices = [(lower,), (plain,), tuple(SPELLINGS.get(lower, lower).split()), (plain.removesuffix("."),)]
    parts = tuple(part for part in re.split(r"[-/\\.']", plain) if part)
    choices += [parts] if len(parts) > 1 else []
    return [choice for choice in dict.fromkeys(choices) if choice != (word,)]


def pieces(word: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the pieces of a word, each the longest that is known (Wu et al. 2016, as BERT has it); () if one is not.

    Pieces after the first are known with `PIECE` before them: `dreadfully` is `dread` and `##fully`.
    """
    found: list[str] = []
    begin = 0
    while begin < len(word):
        mark = PIECE if begin else ""
        ends = (end for end in range(len(word), begin, -1) if mark + word[begin:end] in known)
        end = next(ends, None)
        if end is None:
            return ()
        found.append(mark + word[begin:end])
        begin = end
    return tuple(found)


def frequent_words(file: Path, count: int) -> list[str]:
    """Return the first words of a file of vectors, which publishers sort by frequency.

    Raises:
        DataError: as in `load_vectors`.
    """
    return [word.decode("utf-8", "replace") for word, _, _ in islice(_lines(file), count)]


def _read(file: Path, wanted: Collection[str]) -> dict[str, Tensor]:
    """Return the vectors [E] of those words that the file has, and of all pieces of words."""
    known = {word.encode(errors="replace"): word for word in wanted}
    rows: dict[str, Tensor] = {}
    size = 0
    for word, numbers, where in _lines(file):
        size = size or len(numbers)
        first, *surplus = word.split() or [b""]
        if word not in known and first in known and _are_numbers(surplus + numbers):
            raise DataError(f"{where}: expected {size} numbers, got {len(surplus + numbers)}")
        if word in known or word.startswith(PIECE.encode()):
            if len(numbers) != size:
                raise DataError(f"{where}: expected {size} numbers, got {len(numbers)}")
            rows[known.get(word) or word.decode("utf-8", "replace")] = _numbers(numbers, where)
    if not size:
        raise DataError(f"{file} holds no word vectors; expected a word and its numbers in every line")
    return rows


def _lines(file: Path) -> Iterator[tuple[bytes, list[bytes], str]]:
    """Yield each line's word, its numbers, and where it stands; a word of GloVe may hold spaces."""
    place = file if file.is_file() else data_root() / file
    if not place.is_file():
        raise DataError(_how_to_get(str(file)))
    size = 0
    with reading_errors(place), open_bytes(place) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
            where = f"{file}, line {number}"
            if not size:
                size = len(line.split()) - 1
                if size < 2:  # the header: number of words, numbers of each
                    size = 0
                    continue
                _numbers(line.split()[1:], where)
            word, *numbers = line.rstrip().rsplit(b" ", size)
            yield word, numbers, where


def _are_numbers(parts: Sequence[bytes]) -> bool:
    try:
        return bool([float(part) for part in parts])
    except ValueError:
        return False


def _numbers(parts: Sequence[bytes], where: str) -> Tensor:
    try:
        vector = torch.tensor([float(number) for number in parts])
    except ValueError as error:
        raise DataError(f"{where}: expected a word followed by numbers ({str(error)[:200]})") from error
    if not torch.isfinite(vector).all():
        raise DataError(f"{where}: a number is not finite")
    return vector


def _how_to_get(source: str) -> str:
    """Return a message on a missing file; for a published one, or a file of such a name, where it can be had."""
    if Path(source).name == minilm.FILE:
        return f"{source} is not there; get it with `cnn data get {minilm.MINILM.name}`"
    names = load_torchtext().vocab.pretrained_aliases
    name = next((name for name in names if Path(source).name.startswith(name)), "")
    if not name:
        some = ", ".join(islice(names, 3))
        return f"no such file of word vectors: {source}; give a text file's path (published ones: {some} ...)"
    maker, chosen = names[name].func, names[name].keywords  # a class per publisher, and which of its files
    if "language" in chosen:
        address = maker.url_base.format(chosen["language"])
    else:
        address = maker.url[chosen["name"]] if "name" in chosen else maker.url
    return f"{source}: download the vectors from {address}, unpack them and give the file's path"
