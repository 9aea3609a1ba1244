"""Vocabularies and pretrained vectors, against torchtext's."""

import ssl
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
import torchtext.vocab
from trips import sentences

from cnn_core.errors import ConfigError, DataError
from cnn_core.train.config import override
from text_classification import load, train
from text_classification.recipe import Recipe
from text_classification.task import TextTask
from text_classification.vectors import load_vectors, pieces
from text_classification.vocabulary import build_vocabulary


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
    read = load_vectors(file, words)
    assert torch.equal(read.table, theirs.get_vecs_by_tokens(words))
    assert read.known.tolist() == [word in theirs.stoi for word in words] == [True, True, False, True]
    assert {path.name for path in tmp_path.iterdir()} == {"vectors.txt", "cache"}


@pytest.mark.parametrize(("name", "address"), [
    ("glove.6B.300d", r"nlp.stanford.edu/data/glove.6B.zip"),
    ("fasttext.simple.300d", r"vectors-wiki/wiki.simple.vec"),
    ("charngram.100d", r"jmt_pre-trained_embeddings.tar.gz"),
])  # fmt: skip
def test_a_published_name_is_answered_with_its_address(name: str, address: str) -> None:
    with pytest.raises(DataError, match=f"{name}: download the vectors from http.*{address}, unpack them"):
        load_vectors(Path(name), ["boat"])


def test_a_word_without_a_vector_takes_that_of_another_spelling(tmp_path: Path) -> None:
    rows = {"what": 1, "not": 2, "cliches": 3, "half": 4, "baked": 6, "mr": 7, "united": 8, "states": 10, "Boat": 11}
    file = tmp_path / "v.txt"
    file.write_text("".join(f"{word} {value} {-value}\n" for word, value in rows.items()))
    words = ["Boat", "What", "n't", "clichés", "half-baked", "Mr.", "U.S.", "half-done", "nothing"]
    read = load_vectors(file, words)
    assert read.table[:, 0].tolist() == [11, 1, 2, 3, 5, 7, 9, 0, 0]
    assert torch.equal(read.table[:, 1], -read.table[:, 0])
    assert read.known.tolist() == [True] * 7 + [False] * 2
    assert read.said == (
        "v.txt has vectors for 1 of the 9 words of the vocabulary (11%); 6 more take those of other words, such as "
        "What (what), n't (not), clichés (cliches)"
    )
    with pytest.raises(DataError, match="a vector for none of the 2 words"):  # though "not" stands for one
        load_vectors(file, ["n't", "boat"])


def test_a_word_without_a_vector_takes_the_mean_of_its_pieces(tmp_path: Path) -> None:
    rows = {"dread": 1, "dre": 7, "##ful": 2, "##fully": 3, "##l": 5, "un": 8, "##y": 4, "help": 6}
    file = tmp_path / "v.txt"
    file.write_text("".join(f"{word} {value} {-value}\n" for word, value in rows.items()))
    assert pieces("dreadfully", rows) == ("dread", "##fully")  # the longest first: not "dre", not "##ful"
    assert pieces("fully", rows) == pieces("", rows) == ()
    words = ["help", "dreadfully", "Undreadful", "helpfully", "dreadfull", "unx", "y", "n't"]
    read = load_vectors(file, words)
    # "Undreadful" is un + ?, as "##dread" is no piece; a piece alone is no word.
    assert read.table[:, 0].tolist() == [6, 2, 0, 4.5, pytest.approx((1 + 2 + 5) / 3), 0, 0, 0]
    assert read.known.tolist() == [True, True, False, True, True, False, False, False]
    assert "such as dreadfully (dread + ##fully), helpfully (help + ##fully), dreadfull (dread +" in read.said


def test_vectors_that_can_be_had_by_command_say_so() -> None:
    with pytest.raises(DataError, match=r"minilm.200d.txt is not there; get it with `cnn data get minilm`"):
        load_vectors(Path("minilm/minilm.200d.txt"), ["boat"])


def test_words_of_the_file_join_the_vocabulary(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    (tmp_path / "glove").mkdir()
    words = ["boat", "ship", "new-york", "New", "don't", "peak", "lake"]
    (tmp_path / "glove" / "v.txt").write_text("".join(f"{word} {i} 1\n" for i, word in enumerate(words)))
    changes = {"data": str(table), "vectors": "non-static", "vector_file": "glove/v.txt", "more_words": 6}
    task = TextTask(override(Recipe(), changes))
    task.build_data(torch.device("cpu"))
    # Not "New" and "don't", which the tokenizer never gives, and not the seventh.
    assert task.contract.vocabulary[-2:] == ("ship", "new-york") and "lake" not in task.contract.vocabulary
    assert len({*task.contract.vocabulary}) == len(task.contract.vocabulary)
    assert task.build_model().learned[task.contract.numbers["ship"]].tolist() == [1, 1]
    with pytest.raises(ConfigError, match="more_words: they come from a vector_file, and there is none"):
        override(Recipe(), {"more_words": 5})
    with pytest.raises(DataError, match=r"glove.6B.100d.30k.txt: download the vectors from http.*glove.6B.zip"):
        load_vectors(Path("glove/glove.6B.100d.30k.txt"), ["boat"])


def test_only_training_needs_torchtext(run_folder: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"torchtext", *(name for name in sys.modules if name.startswith("torchtext."))}:
        monkeypatch.setitem(sys.modules, name, None)
    assert load(run_folder, device="cpu").predict("a boat")[0].labels[0] == "sea"
    with pytest.raises(Exception, match=r"torchtext.*install"):
        train("docstrings", folder=run_folder.parent / "none", settings={"data": str(table)})
