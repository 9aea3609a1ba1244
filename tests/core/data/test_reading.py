"""Inputs in batches: every failure in its place, and nothing read before it is needed."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from cnn_core.data.images import input_name
from cnn_core.data.reading import Unreadable, pictures_in, pictures_of, read_batches
from cnn_core.errors import DataError


def doubled(entry: int, name: str) -> int:
    if entry < 0:
        raise DataError(f"{name}: it is negative")
    return 2 * entry


def test_failures_stand_in_their_place() -> None:
    batches = list(read_batches([1, -2, Unreadable("gone", "it is gone"), 4, 5], doubled, size=2))
    assert batches == [
        (["picture 1", "picture 2"], [2, "it is negative"]),
        (["gone", "picture 4"], ["it is gone", 8]),
        (["picture 5"], [10]),
    ]


def test_defects_are_not_taken_for_bad_input() -> None:
    def defect(entry: int, name: str) -> int:
        raise KeyError(name)

    with pytest.raises(KeyError):
        list(read_batches([1], defect, size=1))


def test_a_batch_is_read_when_it_is_needed() -> None:
    taken: list[int] = []

    def inputs() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    batches = read_batches(inputs(), doubled, size=3)
    assert next(batches)[1] == [0, 2, 4] and taken == [0, 1, 2]


def test_names_of_inputs(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    with (tmp_path / "a.bin").open("rb") as stream:
        assert input_name(stream, 0) == str(tmp_path / "a.bin")
    assert input_name(Path("b.png"), 3) == "b.png"
    assert input_name(io.BytesIO(b""), 3) == "picture 4"


def test_folders_stand_for_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "full" / "deep").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for place in ("full/b.png", "full/deep/a.png"):
        Image.new("L", (2, 2)).save(tmp_path / place)
    (tmp_path / "full" / "notes.txt").write_text("x")
    found = list(pictures_in([tmp_path / "full", "elsewhere.png", tmp_path / "empty"]))
    assert found == [
        tmp_path / "full" / "b.png", tmp_path / "full" / "deep" / "a.png", Path("elsewhere.png"),
        Unreadable(str(tmp_path / "empty"), "the folder holds no pictures"),
    ]  # fmt: skip
    assert pictures_of(tmp_path / "full") == found[:2]
    with pytest.raises(DataError, match="found none in it"):
        pictures_of(tmp_path / "empty")
