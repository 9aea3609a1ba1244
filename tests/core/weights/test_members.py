from pathlib import Path

import numpy as np
import pytest

from cnn_core.errors import WeightsError
from cnn_core.weights.members import MEMBERS_FILE, choose_items, content_hashes, read_members, write_members

NAMES = [f"item {i}" for i in range(10)]
HASHES = content_hashes(NAMES)
MEMBERS = {"train": HASHES[:6], "val": HASHES[6:8], "test": HASHES[8:]}


def test_hashes_are_of_the_content() -> None:
    assert content_hashes(["a", b"a", "b"]).tolist()[0] == content_hashes(["a"])[0] == content_hashes([b"a"])[0]
    # SHA-256 of "abc" begins ba7816bf 8f01cfea (FIPS 180-4); here as a little-endian number.
    assert content_hashes(["abc"])[0] == int.from_bytes(bytes.fromhex("ba7816bf8f01cfea"), "little")


def test_they_are_kept_beside_the_weights(tmp_path: Path) -> None:
    assert read_members(tmp_path) is None
    write_members(tmp_path, MEMBERS)
    restored = read_members(tmp_path)
    assert restored is not None
    assert {split: values.tolist() for split, values in restored.items()} == {
        split: values.tolist() for split, values in MEMBERS.items()
    }
    (tmp_path / MEMBERS_FILE).write_bytes(b"\xff" * 40)
    with pytest.raises(WeightsError, match=r"members.safetensors cannot be read"):
        read_members(tmp_path)


def test_the_test_split_is_found_again_in_sorted_and_grown_data() -> None:
    order = [9, 3, 0, 1, 2, 8, 4, 5, 6, 7]
    data = np.concatenate([HASHES[order], content_hashes(["new 1", "new 2"])])
    choice = choose_items(data, MEMBERS, items="texts")
    assert choice.own
    assert choice.items.tolist() == [0, 5]
    assert choice.unseen.all()
    assert choice.sentences == (
        "these are the training data: of 12 texts the 2 of the test split are measured",
        "2 texts were not there in training and are not measured: measure them on their own",
    )
    assert choose_items(data, MEMBERS, split="val").items.tolist() == [8, 9]


def test_items_that_went_missing_are_counted() -> None:
    choice = choose_items(HASHES[:9], MEMBERS)
    assert choice.items.tolist() == [8]
    assert choice.sentences[-1] == "1 items of that split are not in these data any more"


def test_other_data_are_measured_whole_and_copies_in_them_are_counted() -> None:
    data = np.concatenate([HASHES[:2], content_hashes(["new 1", "new 2", "new 3"])])
    choice = choose_items(data, MEMBERS, items="texts")
    assert not choice.own
    assert choice.items.tolist() == [0, 1, 2, 3, 4]
    assert choice.unseen.tolist() == [False, False, True, True, True]
    assert choice.sentences == ("all 5 texts are measured",)
    assert choice.warnings == ("2 of 5 texts are copies of what these weights learned from, which flatters",)


def test_weights_that_kept_nothing_say_so() -> None:
    choice = choose_items(HASHES, None)
    assert choice.items.tolist() == list(range(10))
    assert "have not kept which items they learned from" in choice.warnings[0]


def test_an_item_of_test_that_was_learned_too_is_not_measured() -> None:
    members = {"train": HASHES[:9], "test": HASHES[8:]}
    assert choose_items(HASHES, members).items.tolist() == [9]
