"""Download the published text sets: verified files, written as the tables that are read here.

The addresses are those of torchtext 0.6.0, which has no checksums; ours are SHA-256 of the publishers' files. Only AG's
news have another address: torchtext 0.6.0 points to an archive on Google Drive without a published checksum, later
releases to the two files of it and their MD5.

torchtext's own readers are not used. They download without a check and unpack without limits, and read in the
encoding of the machine. That of TREC puts a space in place of the one letter that is not ASCII, that of the Treebank
needs nltk, and that of AG's news gives n-grams of tokens instead of texts.
"""

import csv
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from cnn_core.data.archives import extract
from cnn_core.data.files import Progress, fetch
from cnn_core.errors import missing_package
from cnn_core.storage import write_text

TREC_SHA256 = {
    "train": "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
    "test": "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
}
TREEBANK_SHA256 = "5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc"
TREEBANK_LIMIT = 64 << 20  # bytes unpacked
AG_NEWS_MD5 = {"train": "b1a00f826fdfbd249f79597b59e1dc12", "test": "d52ea96a97a2d943681189a97654912d"}
AG_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"

_TREE = re.compile(r"\((\d) |([^()\s]+)|(\))")  # a node opens with its grade, a word, a node closes
_SPACES = str.maketrans("\t\r\n", "   ")


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


def get_trec(folder: Path, progress: Progress | None = None, *, fine: bool = False) -> None:
    """Download the questions and write train.tsv and test.tsv into `folder`.

    Args:
        folder: of the set; the published files stay in the one above it.
        progress: as in `cnn_core.data.files.fetch`.
        fine: 50 classes such as "NUM:dist" instead of 6 such as "NUM".

    Raises:
        DataError: the download failed or is not the published file.
        StorageError: it cannot be written.
    """
    for part, address in zip(("train", "test"), load_torchtext().datasets.TREC.urls, strict=True):
        name = address.rsplit("/", 1)[1]
        file = fetch(address, name=name, folder=folder.parent, sha256=TREC_SHA256[part], progress=progress)
        rows = (line.partition(" ") for line in file.read_text("latin-1").split("\n") if line.strip())
        _write(folder, part, ((label if fine else label.partition(":")[0], text) for label, _, text in rows))


def get_treebank(folder: Path, progress: Progress | None = None, *, labels: Sequence[str | None]) -> None:
    """Download the trees and write train, dev, test and train_phrases.tsv into `folder`, in lower case.

    Args:
        folder: of the set; the published archive stays in the one above it.
        progress: as in `cnn_core.data.files.fetch`.
        labels: of the grades 0 to 4; what has None is left out.

    Raises:
        DataError: the download failed or is not the published archive.
        StorageError: it cannot be written.
    """
    (address,) = load_torchtext().datasets.SST.urls
    name = address.rsplit("/", 1)[1]
    archive = fetch(address, name=name, folder=folder.parent, sha256=TREEBANK_SHA256, progress=progress)
    with tempfile.TemporaryDirectory() as temporary:
        trees = extract(archive, Path(temporary) / "unpacked", max_members=64, max_bytes=TREEBANK_LIMIT) / "trees"
        for part in ("train", "dev", "test"):
            lines = (trees / f"{part}.txt").read_text("utf-8").split("\n")
            phrases = [tree_phrases(line) for line in lines if line.strip()]
            parts = {part: [nodes[-1] for nodes in phrases]}
            if part == "train":
                parts["train_phrases"] = [node for nodes in phrases for node in nodes]
            for table, nodes in parts.items():
                _write(folder, table, ((label, text) for grade, text in nodes if (label := labels[grade])))


def tree_phrases(line: str) -> list[tuple[int, str]]:
    """Return the grade and the text of every node of a tree such as "(3 (2 A) (4 joy))", the whole sentence last."""
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
    return phrases


def get_ag_news(folder: Path, progress: Progress | None = None, *, labels: Sequence[str]) -> None:
    """Download all 120,000 + 7,600 news into `folder` and write train.tsv and test.tsv: title, " . ", first lines.

    Args:
        folder: of the set.
        progress: as in `cnn_core.data.files.fetch`.
        labels: of the published classes 1 to 4.

    Raises:
        DataError: the download failed or is not the published file.
        StorageError: it cannot be written.
    """
    for part, md5 in AG_NEWS_MD5.items():
        name = f"{part}.csv"
        file = fetch(AG_NEWS + name, name=name, folder=folder, md5=md5, progress=progress)
        with file.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            _write(folder, part, ((labels[int(label) - 1], f"{title} . {text}") for label, title, text in rows))


def _write(folder: Path, part: str, rows: Iterable[tuple[str, str]]) -> None:
    """Write a table of labels and texts without quoting, each text on one line."""
    lines = (f"{label}\t{text.translate(_SPACES).strip()}\n" for label, text in rows)
    write_text(folder / f"{part}.tsv", "label\ttext\n" + "".join(lines))
