"""What the viewer sends to the browser, taken apart again."""

import gzip
import json
import struct
from typing import Any

import numpy as np
import pytest

from components.viewer import MOST_VOXELS, View, middle, pack

WINDOWS = {"Lung": (-600.0, 1500.0), "Bone": (400.0, 1800.0)}


def unpack(block: bytes) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray | None]:
    """Return header, voxels, mask and heat as the browser sees them: [X, Y, Z]."""
    length = struct.unpack("<I", block[:4])[0]
    header = json.loads(block[4 : 4 + length])
    body = gzip.decompress(block[4 + length :])
    shape, count = header["shape"], int(np.prod(header["shape"]))
    voxels = np.frombuffer(body, "<i2", count).reshape(shape, order="F")
    mask = np.frombuffer(body, np.uint8, count, 2 * count).reshape(shape, order="F")
    heat = np.frombuffer(body, np.uint8, count, 3 * count).reshape(shape, order="F") if header["heat"] else None
    assert len(body) == count * (4 if header["heat"] else 3)
    return header, voxels, mask, heat


def view(shape: tuple[int, int, int] = (4, 3, 2), **changes: Any) -> View:
    voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 1000
    mask = np.zeros(shape, np.uint8)
    mask[1, 2, 1] = 1
    values = {"voxels": voxels, "spacing": (1.0, 2.0, 3.0), "mask": mask, "labels": ["lung"], "colours": [(1, 2, 3)],
              "windows": WINDOWS, **changes}  # fmt: skip
    return View(**values)


def test_everything_arrives_in_its_place() -> None:
    given = view(heat=np.full((4, 3, 2), 0.5))
    header, voxels, mask, heat = unpack(pack(given))
    assert (voxels == given.voxels).all() and (mask == given.mask).all() and (heat == 128).all()
    assert header["spacing"] == [1.0, 2.0, 3.0] and header["factor"] == [1, 1, 1] and header["unit"] == "HU"
    assert header["window"] == [-600.0, 1500.0] and list(header["windows"]) == ["Lung", "Bone"]
    assert header["labels"] == ["lung"] and header["colours"] == [[0, 0, 0], [1, 2, 3]]
    assert header["start"] == [1, 2, 1] and header["values"] == [1.0, 0.0]
    assert unpack(pack(view()))[3] is None


def test_the_same_scan_has_the_same_name_whatever_lies_over_it() -> None:
    plain, warm = (unpack(pack(view(heat=heat)))[0]["id"] for heat in (None, np.zeros((4, 3, 2))))
    other = view()
    assert plain == warm != unpack(pack(view(voxels=other.voxels + 1)))[0]["id"]


def test_large_scans_are_thinned_out_for_the_browser() -> None:
    shape = (400, 300, 100)
    given = view(shape, mask=np.zeros(shape, np.uint8), start=(399, 299, 99))
    header, voxels, _, _ = unpack(pack(given))
    assert given.step == 2 and header["shape"] == [200, 150, 50] and voxels.size <= MOST_VOXELS
    assert (voxels == given.voxels[::2, ::2, ::2]).all()
    assert header["spacing"] == [2.0, 4.0, 6.0] and header["start"] == [199, 149, 49]


def test_hounsfield_units_stay_what_the_windows_are_in_however_few_of_them_a_scan_has() -> None:
    steps = np.linspace(-160, 240, 9, dtype=np.float32).reshape(9, 1, 1)
    header, voxels, _, _ = unpack(pack(view(voxels=steps, mask=np.zeros((9, 1, 1), np.uint8))))
    assert voxels.ravel().tolist() == [-160, -110, -60, -10, 40, 90, 140, 190, 240]
    assert header["values"] == [1.0, 0.0] and header["unit"] == "HU"
    far = np.array([-4e4, -0.6, 4e4], np.float32).reshape(3, 1, 1)
    _, voxels, _, _ = unpack(pack(view(voxels=far, mask=np.zeros((3, 1, 1), np.uint8))))
    assert voxels.ravel().tolist() == [-32768, -1, 32767]


def test_intensities_without_a_unit_keep_their_values() -> None:
    fine = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 3, 2)
    header, voxels, _, _ = unpack(pack(view(voxels=fine, windows={})))
    factor, offset = header["values"]
    assert np.abs(voxels * factor + offset - fine).max() < 2e-4
    assert header["unit"] == "" and list(header["windows"]) == ["Whole range"]
    flat = unpack(pack(view(voxels=np.zeros((4, 3, 2), np.float32), windows={})))[0]
    assert flat["range"][0] < flat["range"][1] and flat["windows"]["Whole range"][1] >= 2


@pytest.mark.parametrize(("cells", "place"), [
    ([], (2, 1, 1)),
    ([(0, 0, 0), (3, 0, 0), (3, 1, 0), (1, 2, 1)], (3, 0, 0)),  # slice 0 has most; its mean is (2, 1/3)
])  # fmt: skip
def test_one_begins_in_the_middle_of_what_is_labelled(cells: list, place: tuple) -> None:
    mask = np.zeros((4, 3, 2), np.uint8)
    for cell in cells:
        mask[cell] = 1
    assert middle(mask) == place
