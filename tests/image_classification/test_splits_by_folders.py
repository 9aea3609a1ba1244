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
