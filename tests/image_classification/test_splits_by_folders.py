"""Folders called like splits, with others beside them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_core.errors import DataError
from image_classification.folder import load_folder
from image_classification.preprocess import InputContract

CONTRACT = InputContract(3, (8, 8))


def written(root: Path, *parts: str) -> None:
    """Six pictures of cats and of dogs in each part."""
    for part in parts:
        for kind in ("cats", "dogs"):
            (root / part / kind).mkdir(parents=True)
            for i in range(6):
                noise = np.random.default_rng([i, *f"{part}{kind}".encode()]).integers(0, 256, (9, 9, 3), np.uint8)
                Image.fromarray(noise).save(root / part / kind / f"{i}.png")


def test_a_folder_beside_train_and_test_is_left_out_and_no_class(tmp_path: Path) -> None:
    written(tmp_path, "train", "test", "extra")
    summary = load_folder(tmp_path, CONTRACT).summary
    assert sorted(summary.classes) == ["cats", "dogs"] and summary.splits["test"] == 12
    assert [(entry.count, entry.reason) for entry in summary.left_out] == [(12, "files outside the class folders")]


def test_splits_of_an_unknown_name_are_no_classes(tmp_path: Path) -> None:
    written(tmp_path, "train", "evaluation")
    said = (
        r"evaluation and train hold the same folders \(cats, dogs\).*call the folders around them train, val and test"
    )
    with pytest.raises(DataError, match=said):
        load_folder(tmp_path, CONTRACT)


@pytest.mark.parametrize(("train", "test"), [("Train", "test"), ("train2017", "Testing_1")])
def test_folders_called_like_splits_inside_the_classes_divide(tmp_path: Path, train: str, test: str) -> None:
    written(tmp_path, "cats", "dogs")  # cats/cats, cats/dogs, ...
    for kind in ("cats", "dogs"):
        (tmp_path / kind / "cats").rename(tmp_path / kind / train)
        (tmp_path / kind / "dogs").rename(tmp_path / kind / test)
    data = load_folder(tmp_path, CONTRACT)
    assert {file.split("/")[1] for file in data.sets["test"].files} == {test} and len(data.sets["test"]) == 12
    assert {file.split("/")[1] for file in (*data.sets["train"].files, *data.sets["val"].files)} == {train}
    assert "the splits are the folders in the classes" in data.summary.read


def test_train_and_test1_are_splits_whatever_their_numbers(tmp_path: Path) -> None:
    written(tmp_path, "train2017", "test1")
    assert load_folder(tmp_path, CONTRACT).summary.splits["test"] == 12
    for part in ("train2017", "test1"):  # as Kaggle's cats and dogs: cat.0.jpg, without class folders
        for kind in ("cats", "dogs"):
            for i in range(6):
                (tmp_path / part / kind / f"{i}.png").rename(tmp_path / part / f"{kind}.{i}.png")
            (tmp_path / part / kind).rmdir()
    with pytest.raises(DataError, match="holds no class folders"):
        load_folder(tmp_path, CONTRACT)


@pytest.mark.parametrize("where", ["", "meta"])
def test_text_files_that_list_the_test_divide(tmp_path: Path, where: str) -> None:
    """As Food-101 (images and meta/test.txt, without suffixes) and ChestX-ray14 (test_list.txt)."""
    written(tmp_path / "set", "images")
    (tmp_path / "set" / where).mkdir(exist_ok=True)
    (tmp_path / "set" / where / "test.txt").write_text("cats/1\ndogs/3\n", "utf-8-sig")
    (tmp_path / "set" / where / "train.txt").write_text("cats/0\ndogs/1\n")
    data = load_folder(tmp_path, CONTRACT)
    assert {file.removeprefix("images/") for file in data.sets["test"].files} == {"cats/1.png", "dogs/3.png"}
    assert "divided as test.txt says" in data.summary.read and sorted(data.summary.classes) == ["cats", "dogs"]
    (tmp_path / "set" / where / "test.txt").write_text("".join(f"cats/{i}\n" for i in range(6)))
    assert not any("test.txt" in said for said in load_folder(tmp_path, CONTRACT).summary.read)  # no cat to learn


@pytest.mark.parametrize(("name", "said"), [("", "'dogs' is empty"), ("1.cr2", "pictures per class, at least two")])
def test_subfolders_are_no_classes_where_the_other_class_is_not_read(tmp_path: Path, name: str, said: str) -> None:
    written(tmp_path, "cats")  # cats/cats, cats/dogs
    (tmp_path / "dogs").mkdir()
    if name:
        (tmp_path / "dogs" / name).write_bytes(bytes(9))
    with pytest.raises(DataError, match=said):
        load_folder(tmp_path, CONTRACT)


def test_a_test_without_class_folders_is_labelled_by_its_table(tmp_path: Path) -> None:
    """As Kaggle's GTSRB: Train/0/1.png, Test/1.png, Meta/0.png and a table of each."""
    written(tmp_path, "Train")
    written(tmp_path / "more", "Test", "Meta")
    rows = {"Train": [f"{k},Train/{kind}/{i}.png" for k, kind in enumerate(("cats", "dogs")) for i in range(6)]}
    for part in ("Test", "Meta"):
        (tmp_path / part).mkdir()
        rows[part] = [f"{i % 2},{part}/{i}.png" for i in range(4)]
        for i in range(4):
            (tmp_path / "more" / part / "cats" / f"{i}.png").rename(tmp_path / part / f"{i}.png")
    for part, lines in rows.items():
        (tmp_path / f"{part}.csv").write_text("\n".join(["ClassId,Path", *lines]))
    for folder in sorted((tmp_path / "more").rglob("*"), reverse=True):
        folder.rmdir() if folder.is_dir() else folder.unlink()
    (tmp_path / "more").rmdir()
    data = load_folder(tmp_path, CONTRACT)
    assert sorted(data.sets["test"].files) == [f"Test/{i}.png" for i in range(4)]
    assert data.sets["test"].targets.tolist() == [0, 1, 0, 1] and data.sets["test"].labels == ("0", "1")
    left = {entry.reason: entry.count for entry in data.summary.left_out}
    assert left == {"pictures outside the folders of the splits": 4}


def test_a_test_folder_without_pictures_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test" / "cats").mkdir(parents=True)
    (tmp_path / "test" / "cats" / "1.txt").write_text("a cat")
    with pytest.raises(DataError, match="expected one subfolder of pictures per class"):
        load_folder(tmp_path, CONTRACT)
