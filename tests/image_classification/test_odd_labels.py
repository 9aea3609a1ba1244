"""Tables of labels beside pictures as programs write them: splits with gaps, names without zeros, an index in front."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnn_core.data.classes.division import SplitOptions
from cnn_core.errors import DataError
from image_classification.folder import load_folder
from image_classification.preprocess import InputContract

COUNT = 24


def loaded(root: Path, names: list[str], lines: list[str], **options: Any) -> Any:
    """Pictures, and a table of labels whose first line is its header."""
    (root / "images").mkdir(parents=True)
    for seed, name in enumerate(names):
        noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(noise).save(root / "images" / name)
    (root / "labels.csv").write_text("\n".join([*lines, ""]))
    return load_folder(root, InputContract(3, (8, 8)), **options)


def test_rows_without_a_split_are_for_training_and_the_others_stay_where_they_are(tmp_path: Path) -> None:
    splits = ["train"] * 12 + [""] * 4 + ["test"] * 8
    rows = [f"{i}.png,{'ab'[i % 2]},{split}" for i, split in enumerate(splits)]
    data = loaded(tmp_path, [f"{i}.png" for i in range(COUNT)], ["image,label,split", *rows])
    assert sorted(int(Path(file).stem) for file in data.sets["test"].files) == [*range(16, 24)]
    assert any("4 rows of labels.csv without a split are for training" in said for said in data.summary.read)


def test_another_word_among_the_splits_is_refused(tmp_path: Path) -> None:
    splits = ["train"] * 15 + ["unused"] + ["test"] * 8
    rows = [f"{i}.png,{'ab'[i % 2]},{split}" for i, split in enumerate(splits)]
    with pytest.raises(DataError, match=r"labels.csv: expected train, val or test in the column 'split', got 'unused'"):
        loaded(tmp_path, [f"{i}.png" for i in range(COUNT)], ["image,label,split", *rows])


def test_a_column_that_is_asked_for_as_the_labels_says_no_splits(tmp_path: Path) -> None:
    """Trains and planes: one class is called like a part of the data."""
    rows = [f"{i}.png,{('train', 'train', 'plane')[i % 3]}" for i in range(COUNT)]
    chosen = SplitOptions(label_column="set")
    data = loaded(tmp_path, [f"{i}.png" for i in range(COUNT)], ["image,set", *rows], options=chosen)
    assert data.sets["test"].labels == ("plane", "train")


def test_an_index_before_the_names_is_not_taken_for_them(tmp_path: Path) -> None:
    """Row i is of picture 23 - i, whose class is that of its number."""
    rows = [f"{i},{COUNT - 1 - i}.png,{'ab'[(COUNT - 1 - i) % 2]}" for i in range(COUNT)]
    for number, head in enumerate((",image,label", ",which,label")):
        data = loaded(tmp_path / str(number), [f"{i}.png" for i in range(COUNT)], [head, *rows])
        for part in data.sets.values():
            for file, target in zip(part.files, part.targets, strict=True):
                assert int(Path(file).stem) % 2 == target


def test_numbers_stand_for_names_with_zeros_before_them(tmp_path: Path) -> None:
    names = [f"{i:04}.png" for i in range(COUNT)]
    data = loaded(tmp_path / "a", names, ["id,label", *(f"{i},{'ab'[i % 2]}" for i in range(COUNT))])
    assert sum(len(data.sets[split]) for split in ("train", "val", "test")) == COUNT
    assert any("in column 'id', whose numbers lack the zeros before them" in said for said in data.summary.read)
    names[0] = "0.png"  # where names differ in zeros alone nothing is guessed
    twice = [*names, "000.png"]
    data = loaded(tmp_path / "b", twice, ["id,label", *(f"{i},{'ab'[i % 2]}" for i in range(COUNT))])
    assert sum(len(data.sets[split]) for split in ("train", "val", "test")) == COUNT - 1


def test_what_is_said_of_reading_a_table_is_said(tmp_path: Path) -> None:
    rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(COUNT)]
    rows[5] += "\0"
    data = loaded(tmp_path, [f"{i}.png" for i in range(COUNT)], ["image,label", *rows])
    assert "in labels.csv: 1 NUL character (zero bytes, as in damaged files) left out" in data.summary.read


def test_rows_without_a_class_among_columns_of_marks_are_refused(tmp_path: Path) -> None:
    rows = [f"{i}.png,{i % 2},{i % 3 == 0:d},0" for i in range(COUNT)]  # as i = 0 .. 5: 1, 1, 0, 2, 0, 1 marks
    with pytest.raises(
        DataError, match=r"labels\.csv: expected a 1 in one of the columns rust, scab, frog, but 12 of 24"
    ):
        loaded(tmp_path, [f"{i}.png" for i in range(COUNT)], ["image,rust,scab,frog", *rows])


def test_a_table_names_the_pictures_of_its_own_folder_first(tmp_path: Path) -> None:
    """The layout of Hugging Face's imagefolder: 0.png of train is an a, 0.png of test a b."""
    for part, letters in (("train", "ab"), ("test", "ba")):
        lines = [f'{{"file_name": "{i}.png", "label": "{letters[i % 2]}"}}' for i in range(COUNT)]
        for seed in range(COUNT):
            noise = np.random.default_rng([seed, len(part)]).integers(0, 256, (12, 12, 3), np.uint8)
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(noise).save(tmp_path / part / f"{seed}.png")
        (tmp_path / part / "metadata.jsonl").write_text("\n".join(lines))
    data = load_folder(tmp_path, InputContract(3, (8, 8)))
    assert data.summary.splits["test"] == COUNT and sum(data.summary.splits.values()) == 2 * COUNT
    for split, part in data.sets.items():
        for file, target in zip(part.files, part.targets, strict=True):
            assert target == (int(Path(file).stem) + (split == "test")) % 2


def test_a_table_of_a_kind_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"labels\.xlsx is not read: save it as \.csv if it holds the labels"):
        loaded(tmp_path, ["1.png", "2.png"], ["image,label"])


def test_several_labels_in_a_cell_are_said(tmp_path: Path) -> None:
    labels = ("Mass", "Edema", "Edema|Mass")
    rows = [f"{i}.png,{labels[i % 3]}" for i in range(COUNT)]
    data = loaded(tmp_path, [f"{i}.png" for i in range(COUNT)], ["Image Index,Finding Labels", *rows])
    said = "1 label seems to be several in one cell, learned as a class of its own (such as 'Edema|Mass')"
    assert any(said in warning for warning in data.summary.warnings)


@pytest.mark.parametrize("name", ["folds.csv", "train_folds.csv"])
def test_a_column_of_folds_divides(tmp_path: Path, name: str) -> None:
    rows = [f"{i},{i % 3},{'uvwxy'[i % 5]}" for i in range(45)]
    (tmp_path / name).write_text("\n".join(["image_id,kfold,kind", *rows]))
    (tmp_path / "images").mkdir()
    for i in range(45):
        noise = np.random.default_rng(i).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / f"{i}.png")
    data = load_folder(tmp_path, InputContract(3, (8, 8)))
    folds = {split: {int(Path(file).stem) % 3 for file in data.sets[split].files} for split in ("train", "val", "test")}
    assert folds == {"train": {0}, "val": {1}, "test": {2}} and data.sets["test"].labels == tuple("uvwxy")
