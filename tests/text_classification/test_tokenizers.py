"""Tokenizers and vocabulary against torchtext's, on odd texts and on every sentence of every set that is at hand."""

import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchtext.data.utils import get_tokenizer
from torchtext.vocab import Vocab

from cnn_core.data.files import data_root
from text_classification.data import DATA_SETS, load_sets
from text_classification.tokenizers import (
    CHUNKED,
    TOKENIZERS,
    basic_english,
    cased_english,
    characters,
    kim,
    whitespace,
)
from text_classification.vocabulary import build_vocabulary

THEIRS = get_tokenizer("basic_english")
SIGNS = st.text(alphabet="aB'\".,()!?;:<br />\t\n \u00a0\u2028é你", max_size=40)


@settings(max_examples=400)
@given(SIGNS)
def test_basic_english_is_torchtexts_on_any_mixture_of_its_signs(text: str) -> None:
    assert basic_english(text) == THEIRS(text)


@settings(max_examples=200)
@given(st.text(max_size=60))
def test_basic_english_is_torchtexts_on_any_text(text: str) -> None:
    assert basic_english(text) == THEIRS(text)


@pytest.mark.parametrize("name", CHUNKED)
@settings(max_examples=150)
@given(text=st.one_of(SIGNS, st.text(max_size=60), st.text(alphabet="<BRbr />'\"n’t`-. ΣSİ½", max_size=40)))
def test_what_stands_between_two_spaces_is_cut_by_itself(name: str, text: str) -> None:
    chunks, tokens = CHUNKED[name]
    assert [token for chunk in chunks(text) for token in tokens(chunk)] == TOKENIZERS[name](text)


def test_a_line_break_that_a_quote_was_in() -> None:
    assert basic_english('x<b"r />y') == THEIRS('x<b"r />y') == ["x", "y"]


@pytest.mark.parametrize("name", DATA_SETS)
def test_tokens_and_vocabulary_are_torchtexts_on_every_text_of_the_set(name: str) -> None:
    if name != "docstrings" and not (data_root() / DATA_SETS[name].folder).is_dir():
        pytest.skip(f"needs the real {name} (CNN_DATA_DIR is {os.environ.get('CNN_DATA_DIR', 'not set')})")
    sets = load_sets(name, splits=["train+val", "test"])
    texts = sets["train+val"].texts + sets["test"].texts
    ours = [basic_english(text) for text in texts]
    assert ours == [THEIRS(text) for text in texts]
    counts = Counter(token for text in ours for token in text)
    assert build_vocabulary(ours, min_count=2) == tuple(Vocab(counts, min_freq=2, specials=[]).itos)


def test_kims_cleaning() -> None:
    assert kim("It's NOT good, isn't it? (well) -- 3.5/5!") == [
        "it", "'s", "not", "good", ",", "is", "n't", "it", "?", "(", "well", ")", "3", "5", "5", "!",
    ]  # fmt: skip


def test_case_is_kept_where_it_is_wanted() -> None:
    assert cased_english('Who\'s Anna, "A"?') == ["Who", "'", "s", "Anna", ",", "A", "?"]


def test_whitespace_and_characters() -> None:
    assert whitespace(" One  two\tThree ") == ["One", "two", "Three"]
    assert characters(" Aé\n\n你 ") == ["a", "é", " ", "你"]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_nothing_gives_nothing(tokenizer: str) -> None:
    assert TOKENIZERS[tokenizer]("") == TOKENIZERS[tokenizer](" \n\t") == []
