"""Vocabularies and pretrained vectors, against torchtext's."""

import ssl
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
import torchtext.vocab
from trips import sentences

from cnn_core.errors import DataError
from text_classification import load, train
from text_classification.vocabulary import build_vocabulary, load_vectors


def test_the_most_frequent_come_first_and_equals_in_alphabetical_order() -> None:
    texts = [["b", "a", "c"], ["c", "b", "é"], ["c", "<unk>"]]
    assert build_vocabulary(texts) == ("c", "b", "<unk>", "a", "é")
    assert build_vocabulary(texts, min_count=2) == ("c", "b")
    assert build_vocabulary(texts, largest=3) == ("c", "b", "<unk>")
    assert build_vocabulary([]) == ()


def test_it_is_the_vocabulary_that_sorting_gives() -> None:
    texts = [text.split() for _, text in sentences(300)]
    counts = Counter(token for text in texts for token in text)
    expected = tuple(sorted(counts, key=lambda token: (-counts[token], token)))
    assert build_vocabulary(texts) == expected
    assert build_vocabulary(texts, largest=7) == expected[:7]
    assert build_vocabulary(texts, min_count=60) == tuple(token for token in expected if counts[token] >= 60)


@pytest.mark.parametrize("header", ["", "4 3\n"])
def test_vectors_are_those_that_torchtext_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_default_https_context)  # torchtext changes it
    file = tmp_path / "vectors.txt"
    file.write_text(f"{header}boat 1 -2 3e-1\nna\u00efve 4 5 6\nzero 0 0 0\nelsewhere 7 8 9\n", "utf-8")
    words = ["zero", "boat", "missing", "naïve"]
    theirs = torchtext.vocab.Vectors(str(file), cache=str(tmp_path / "cache"))
    table, known = load_vectors(file, words)
    assert torch.equal(table, theirs.get_vecs_by_tokens(words))
    assert known.tolist() == [word in theirs.stoi for word in words] == [True, True, False, True]
    assert {path.name for path in tmp_path.iterdir()} == {"vectors.txt", "cache"}


@pytest.mark.parametrize(("name", "address"), [
    ("glove.6B.300d", r"nlp.stanford.edu/data/glove.6B.zip"),
    ("fasttext.simple.300d", r"vectors-wiki/wiki.simple.vec"),
    ("charngram.100d", r"jmt_pre-trained_embeddings.tar.gz"),
])  # fmt: skip
def test_a_published_name_is_answered_with_its_address(name: str, address: str) -> None:
    with pytest.raises(DataError, match=f"{name}: download the vectors from http.*{address}, unpack them"):
        load_vectors(Path(name), ["boat"])


def test_only_training_needs_torchtext(run_folder: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"torchtext", *(name for name in sys.modules if name.startswith("torchtext."))}:
        monkeypatch.setitem(sys.modules, name, None)
    assert load(run_folder, device="cpu").predict("a boat")[0].labels[0] == "sea"
    with pytest.raises(Exception, match=r"torchtext.*install"):
        train("docstrings", folder=run_folder.parent / "none", settings={"data": str(table)})
