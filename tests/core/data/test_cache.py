"""Arrays on disk: computed once, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cnn_core.data.cache import cache_key, cached_array


def parts(seen: list[int], *, stop: int = 3) -> Iterator[np.ndarray]:
    for i in range(stop):
        seen.append(i)
        yield np.full((2, 3), i, dtype=np.float32)


def test_an_array_is_computed_once_and_memory_mapped(tmp_path: Path) -> None:
    seen: list[int] = []
    first = cached_array("k", parts(seen), shape=(6, 3), dtype="float16", folder=tmp_path)
    again = cached_array("k", parts(seen), shape=(6, 3), dtype="float16", folder=tmp_path)
    assert seen == [0, 1, 2]
    assert isinstance(again, np.memmap) and again.dtype == np.float16
    assert first.tolist() == again.tolist() == [[i] * 3 for i in (0, 0, 1, 1, 2, 2)]


def test_a_broken_off_computation_leaves_nothing(tmp_path: Path) -> None:
    def breaks() -> Iterator[np.ndarray]:
        yield np.zeros((2, 3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_array("k", breaks(), shape=(6, 3), dtype="float32", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [2, 4])
def test_too_few_and_too_many_rows_are_a_defect(tmp_path: Path, stop: int) -> None:
    with pytest.raises(ValueError, match="rows"):
        cached_array("k", parts([], stop=stop), shape=(6, 3), dtype="float32", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_foreign_file_is_replaced(tmp_path: Path) -> None:
    cached_array("k", parts([]), shape=(6, 3), dtype="float32", folder=tmp_path)
    file = tmp_path / "k.npy"
    for damage in (file.read_bytes()[:-8], b"", b"no array"):
        file.write_bytes(damage)
        assert cached_array("k", parts([]), shape=(6, 3), dtype="float32", folder=tmp_path).sum() == 18
    np.save(file, np.zeros((5, 3), np.float32))
    assert cached_array("k", parts([]), shape=(6, 3), dtype="float32", folder=tmp_path).shape == (6, 3)


def test_the_key_tells_every_part_apart() -> None:
    array = np.arange(6, dtype=np.uint8)
    keys = [
        cache_key(array, "a"), cache_key(array, "b"), cache_key(array[::-1], "a"), cache_key("ab", "c"),
        cache_key("a", "bc"), cache_key(b"a", "bc"), cache_key(("a", 1)), cache_key(("a", 2)),
    ]  # fmt: skip
    assert len({*keys}) == len(keys)
    assert cache_key(array, "a") == keys[0]


def test_room_for_all_bytes_is_asked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("cnn_core.data.cache.check_space", lambda file, size: asked.append(size))
    cached_array("key", [np.zeros((3, 5), "float16")], shape=(3, 5), dtype="float16", folder=tmp_path)
    assert asked == [30]
