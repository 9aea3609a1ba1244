"""Splits and folds; the embedded docstrings; missing and damaged sets."""

from pathlib import Path

import numpy as np
import pytest
from trips import write_table

from cnn_core.data.splits import fold_out
from cnn_core.errors import DataError, UnknownNameError
from text_classification import docstrings
from text_classification.contract import Encoded, TextContract
from text_classification.data import DATA_SETS, load_sets
from text_classification.splits import FOLDS, SPLIT_SEED, TextSet
from text_classification.tokenizers import CHUNKED, TOKENIZERS


def test_ten_folds_cover_everything_once_with_the_same_shares() -> None:
    targets = np.array([0] * 53 + [1] * 20 + [2] * 7)
    tests = [fold_out(targets, folds=FOLDS, fold=k, seed=SPLIT_SEED) for k in range(FOLDS)]
    assert np.sort(np.concatenate([inside for _, inside in tests])).tolist() == list(range(80))
    for rest, inside in tests:
        assert not set(rest) & set(inside)
        assert len(inside) == 8
        assert np.bincount(targets[inside], minlength=3)[1] == 2
        assert (np.bincount(targets[inside], minlength=3)[0]) in (5, 6)


def test_the_docstrings_are_sentences_of_the_library_with_their_area() -> None:
    table = docstrings.read()
    assert len(table.texts) > 3000
    assert set(table.labels) == set(docstrings.AREAS)
    assert len(set(table.texts)) == len(table.texts)
    row = next(i for i, text in enumerate(table.texts) if text.startswith("Heap queue algorithm"))
    assert table.labels[row] == "text and data"
    assert all(docstrings.SHORTEST <= len(text) <= docstrings.LONGEST for text in table.texts)


def test_the_splits_do_not_overlap_and_folds_change_them() -> None:
    first = load_sets("docstrings", splits=["train", "val", "test", "train+val"])
    assert not {*first["train"].texts} & {*first["test"].texts}
    assert not {*first["train"].texts} & {*first["val"].texts}
    assert {*first["train"].texts} | {*first["val"].texts} == {*first["train+val"].texts}
    other = load_sets("docstrings", splits=["test"], fold=1)["test"]
    assert not {*other.texts} & {*first["test"].texts}


def test_a_missing_set_says_what_is_expected_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = r"ag_news_10k is not there: expected train.tsv, test.tsv with .* in .*text/ag_news_10k; get it from Zh"
    with pytest.raises(DataError, match=expected):
        load_sets("ag_news_10k", splits=["test"], data_root=tmp_path)
    with pytest.raises(DataError, match=r"mr is not there: expected .*; get it with `cnn data get mr`"):
        load_sets("mr", splits=["test"], data_root=tmp_path)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="ag_news_10k is not there"):
        DATA_SETS["ag_news_10k"].fetch()
    with pytest.raises(UnknownNameError, match="did you mean trec"):
        load_sets("trecc", splits=["test"])
    for path in ("../trecc", "~nobody-here/reviews.csv"):
        with pytest.raises(DataError, match=f"there is no file or folder {path}; expected a table of texts"):
            load_sets(path, splits=["test"])
    assert "comes with the software" in DATA_SETS["docstrings"].fetch()


def test_a_set_with_official_parts_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "text" / "sst2"
    folder.mkdir(parents=True)
    for part, rows in {"train": 8, "dev": 3, "test": 2, "train_phrases": 30}.items():
        lines = [f"{('negative', 'positive')[i % 2]}\t{part} {i}" for i in range(rows)]
        (folder / f"{part}.tsv").write_text("label\ttext\n" + "\n".join(lines) + "\n")
    every = ["train", "val", "train+val", "test"]
    sets = load_sets("sst2", splits=every, data_root=tmp_path)
    assert [len(sets[split]) for split in every] == [8, 3, 11, 2]
    assert sets["val"].texts[0] == "dev 0" and sets["val"].targets.tolist() == [0, 1, 0]
    assert _pairs(sets["train+val"]) == _pairs(sets["train"]) + _pairs(sets["val"])
    phrases = load_sets("sst2", splits=every, phrases=True, data_root=tmp_path)
    assert [len(phrases[split]) for split in every] == [30, 3, 33, 2]
    (folder / "test.tsv").write_text("label\ttext\nmixed\tx\n")
    with pytest.raises(DataError, match=r"the label 'mixed' is none of negative, positive"):
        load_sets("sst2", splits=["test"], data_root=tmp_path)


@pytest.mark.parametrize("fold", [-1, FOLDS])
def test_there_are_ten_folds(fold: int) -> None:
    with pytest.raises(DataError, match="fold: expected 0 to 9"):
        load_sets("docstrings", splits=["test"], fold=fold)


def test_the_names_are_the_fields_own() -> None:
    assert {"mr", "subj", "cr", "mpqa", "sst1", "sst2", "trec", "trec_fine", "ag_news",
            "ag_news_10k", "docstrings"} == set(DATA_SETS)  # fmt: skip


def test_a_text_that_an_own_table_repeats_is_in_one_split(tmp_path: Path) -> None:
    rows = [("xy"[i % 2], f"text {i % 40}") for i in range(200)]
    rows += [("xy"[i % 2], f"text {i + 1}") for i in range(20)]  # with the other label
    every = ["train", "val", "train+val", "test"]
    sets = load_sets(write_table(tmp_path / "a.tsv", rows), splits=every)
    parts = [{*sets[split].texts} for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [32, 4, 4] and len(set().union(*parts)) == 40
    assert sum(len(sets[split]) for split in ("train", "val", "test")) == 220
    assert sorted(sets["train+val"].texts) == sorted(sets["train"].texts + sets["val"].texts)
    assert {*sets["test"].labels} == {"x", "y"}
    # By their first labels, x and y share the test set's texts evenly.
    assert sorted(int(text.split()[1]) % 2 for text in parts[2]) == [0, 0, 1, 1]
    every_row = [
        (sets["test"].labels[k], text) for split in ("train", "val", "test") for text, k in _pairs(sets[split])
    ]
    assert sorted(every_row) == sorted(rows)


def _pairs(texts: TextSet) -> list[tuple[str, int]]:
    return list(zip(texts.texts, texts.targets.tolist(), strict=True))


def test_named_sets_and_own_tables_without_repeats_keep_their_splits(tmp_path: Path) -> None:
    rows = [("xxy"[i % 3], f"text {i % 50}") for i in range(100)]
    targets = np.array(["xy".index(label) for label, _ in rows])
    rest, inside = fold_out(targets, folds=FOLDS, fold=3, seed=SPLIT_SEED)
    folder = tmp_path / "text" / "mr"
    folder.mkdir(parents=True)
    named = [(("negative", "positive")["xy".index(label)], text) for label, text in rows]
    write_table(folder / "all.tsv", named)
    sets = load_sets("mr", splits=["test", "train+val"], fold=3, data_root=tmp_path)
    assert sets["test"].texts == [rows[i][1] for i in inside]
    assert sets["train+val"].texts == [rows[i][1] for i in rest]
    single = [(label, f"{text} {i}") for i, (label, text) in enumerate(rows)]
    own = load_sets(write_table(tmp_path / "a.tsv", single), splits=["test", "train+val"], fold=3)
    assert own["test"].texts == [single[i][1] for i in inside]
    assert own["train+val"].texts == [single[i][1] for i in rest]


def test_a_part_of_encoded_texts_is_in_the_order_asked_for():
    whole = Encoded(np.array([5, 6, 7, 8], dtype=np.int32), np.array([0, 2, 2, 4]), length=3)  # "5 6", "", "7 8"
    part = whole.subset(np.array([2, 1]))
    assert part.numbers.tolist() == [7, 8] and part.numbers.dtype == np.int32
    assert part.ends.tolist() == [0, 2, 2] and part.ends.dtype == np.int64
    assert part.batch(np.array([0, 1])).tolist() == [[7, 8, 0], [0, 0, 0]]
    assert len(whole.subset(np.array([], dtype=np.int64))) == 0


ODD = [
    "It isn’t good",
    "It is n't GOOD <br/>at all",
    "",
    " ",
    "a--b c...",
    "½ é e\u0301",
    f"good {'x' * 40}-good",
    "good " * 9,
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_many_texts_are_encoded_as_their_tokens_are(tokenizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("text_classification.contract.MOST_KEPT", 5)
    words = ("good", "is", "n't", "not", "GOOD", "--", "g", "o", ".", "...")
    contract = TextContract(tokenizer=tokenizer, vocabulary=words, longest=7)
    for _ in range(2):
        encoded = contract.encode_all(ODD)
        for i, text in enumerate(ODD):
            wanted = contract.encode(contract.tokens(text))
            assert encoded.numbers[encoded.ends[i] : encoded.ends[i + 1]].tolist() == wanted
    assert len(encoded) == len(ODD) and encoded.lengths.max() == 7
    assert tokenizer not in CHUNKED or len(contract.chunks) == 5
