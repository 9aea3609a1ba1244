"""The published text sets: their files, verified, and how each is read. They stay as published.

The addresses of TREC, the Treebank and AG's news are torchtext's, and so are the names of the files; only AG's news
have a later one: torchtext 0.6.0 points to an archive on Google Drive without a published checksum, later releases to
the two files of it and their MD5. MR is Pang and Lee's archive, whose SHA-256 Hugging Face publishes. Subj, CR and MPQA
in the sentences of Kim (2014) are files of Harvard's NLP group: Hu and Liu publish reviews with marks instead, and MPQA
asks for a registration. The other checksums are SHA-256 of the publishers' files.

torchtext's own readers are not used. They download without a check and unpack without limits, and read in the
encoding of the machine. That of TREC puts a space in place of the one letter that is not ASCII, that of the Treebank
needs nltk, and that of AG's news gives n-grams of tokens instead of texts.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from cnn_core.data.files import Progress, fetch
from cnn_core.data.published import put_in_place
from cnn_core.errors import missing_package

TREC_FILES = {"train": "train_5500.label", "test": "TREC_10.label"}
TREC_SHA256 = {
    "train": "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
    "test": "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
}
TREEBANK_SHA256 = "5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc"
AG_NEWS_MD5 = {"train": "b1a00f826fdfbd249f79597b59e1dc12", "test": "d52ea96a97a2d943681189a97654912d"}
AG_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
POLARITY = "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz"
POLARITY_SHA256 = "a05befe52aafda71d458d188a1c54506a998b1308613ba76bbda2e5029409ce9"
SENTENCES = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/"
SENTENCES_SHA256 = {
    "subj.all": "f3ffbe2aa8e4f3ba3e63e46dce51613854edbca122fb3aa758b9bce047ded23c",
    "custrev.all": "a3839a79bd3285177a07158c6104b49038a7a06ab2abe897734cde5d22e5e325",
    "mpqa.all": "661de8a069da4b9845fc8b9ae59cc97ffe554f3018fa6bf0e640e3d626a4eaf7",
}

ARCHIVE_LIMIT = 64 << 20  # bytes unpacked

_TREE = re.compile(r"\((\d) |([^()\s]+)|(\))")  # a node opens with its grade, a word, a node closes
_SPACES = str.maketrans("\t\r\n", "   ")

Rows = Iterator[tuple[str, str]]  # labels and texts


def load_torchtext() -> ModuleType:
    """Import torchtext, which training and downloads need, and trained models do not.

    torchtext 0.6.0 is its last release in pure Python; later ones load a C++ library that is bound to one torch
    release.

    Raises:
        CnnError: torchtext is not installed; says the command that installs it.
    """
    try:
        import torchtext
    except ImportError as error:
        raise missing_package("torchtext") from error
    return torchtext


@dataclass(frozen=True)
class Published:
    """A set as its publisher offers it.

    Args:
        get: (folder, progress) -> downloads what is missing or damaged there; raises DataError where that fails or is
            not the published file, StorageError where it cannot be written.
        rows: (folder, part) -> labels and texts of "train", "dev", "test", "train_phrases" or "all"; raises OSError
            where the file is missing, ValueError, LookupError or csv.Error where it is another one.
    """

    get: Callable[[Path, Progress | None], object]
    rows: Callable[[Path, str], Rows]


def get_trec(folder: Path, progress: Progress | None = None) -> None:
    """Download the questions into `folder`."""
    for part, address in zip(TREC_FILES, load_torchtext().datasets.TREC.urls, strict=True):
        fetch(address, name=TREC_FILES[part], folder=folder, sha256=TREC_SHA256[part], progress=progress)


def trec_rows(folder: Path, part: str, *, fine: bool = False) -> Rows:
    """Yield the questions; `fine`: with 50 classes such as "NUM:dist" instead of 6 such as "NUM"."""
    for line in _lines(folder / TREC_FILES[part], "latin-1"):
        label, text = line.split(" ", 1)
        yield label if fine else label.partition(":")[0], text


def get_treebank(folder: Path, progress: Progress | None = None) -> None:
    """Download the trees and unpack them into `folder / "trees"`."""
    (address,) = load_torchtext().datasets.SST.urls
    name = address.rsplit("/", 1)[1]
    archive = fetch(address, name=name, folder=folder, sha256=TREEBANK_SHA256, progress=progress)
    put_in_place(archive, folder / "trees", inside="trees", max_members=64, max_bytes=ARCHIVE_LIMIT)


def treebank_rows(folder: Path, part: str, *, labels: Sequence[str | None]) -> Rows:
    """Yield sentences, or all phrases, in lower case, as papers have them.

    Args:
        folder: that holds `trees`.
        part: of the set; "train_phrases": every node of the training trees.
        labels: of the grades 0 to 4; what has None is left out.
    """
    for line in _lines(folder / "trees" / f"{part.partition('_')[0]}.txt", "utf-8"):
        phrases = tree_phrases(line)
        for grade, text in phrases if part == "train_phrases" else phrases[-1:]:
            if label := labels[grade]:
                yield label, text


def tree_phrases(line: str) -> list[tuple[int, str]]:
    """Return the grade and the text of every node of a tree such as "(3 (2 A) (4 joy))", the whole sentence last.

    Raises:
        ValueError, IndexError: the brackets do not match.
    """
    phrases: list[tuple[int, str]] = []
    nodes: list[tuple[int, int]] = []
    words: list[str] = []
    for grade, word, _ in _TREE.findall(line):
        if grade:
            nodes.append((int(grade), len(words)))
        elif word:
            words.append(word.lower())
        else:
            root, begin = nodes.pop()
            phrases.append((root, " ".join(words[begin:])))
    if nodes:
        raise ValueError(f"a tree is cut off: {line[:80]!r}")
    return phrases


def get_ag_news(folder: Path, progress: Progress | None = None) -> None:
    """Download all 120,000 + 7,600 news into `folder`."""
    for part, md5 in AG_NEWS_MD5.items():
        fetch(f"{AG_NEWS}{part}.csv", name=f"{part}.csv", folder=folder, md5=md5, progress=progress)


def ag_news_rows(folder: Path, part: str, *, labels: Sequence[str]) -> Rows:
    """Yield title and first lines in one, with " . " between them; `labels`: of the published classes 1 to 4."""
    names = dict(zip("1234", labels, strict=True))
    with (folder / f"{part}.csv").open(encoding="utf-8", newline="") as stream:
        for label, title, text in csv.reader(stream):
            yield names[label], f"{title} . {text}".translate(_SPACES).strip()


def get_polarity(folder: Path, progress: Progress | None = None) -> None:
    """Download MR's archive and unpack it into `folder / "rt-polaritydata"`."""
    name = POLARITY.rsplit("/", 1)[1]
    archive = fetch(POLARITY, name=name, folder=folder, sha256=POLARITY_SHA256, progress=progress)
    inside = "rt-polaritydata"
    put_in_place(archive, folder / inside, inside=inside, max_members=64, max_bytes=ARCHIVE_LIMIT)


def polarity_rows(folder: Path, part: str) -> Rows:
    """Yield the sentences of film reviews, a file per class."""
    for label, ending in (("negative", "neg"), ("positive", "pos")):
        for line in _lines(folder / "rt-polaritydata" / f"rt-polarity.{ending}", "cp1252"):
            yield label, line.strip()


def get_sentences(folder: Path, progress: Progress | None = None, *, file: str) -> None:
    """Download one of Harvard's files into `folder`."""
    fetch(SENTENCES + file, name=file, folder=folder, sha256=SENTENCES_SHA256[file], progress=progress)


def sentence_rows(folder: Path, part: str, *, file: str, labels: Sequence[str]) -> Rows:
    """Yield the sentences of a file with a class 0 or 1 before each; a few sentences are empty and left out."""
    names = dict(zip("01", labels, strict=True))
    for line in _lines(folder / file, "cp1252"):
        label, _, text = line.strip().partition(" ")
        if text or label not in names:
            yield names[label], text.strip()


def _lines(file: Path, encoding: str) -> Iterator[str]:
    """Yield the lines that are not empty; only the line feed ends one."""
    yield from (line for line in file.read_text(encoding).split("\n") if line.strip())
