"""What the viewer sends to the browser, taken apart again."""

import gzip
import json
import struct
from typing import Any

import numpy as np
import pytest
from driving import joined, unpack

from components import viewer as parts
from components import volumes
from components.viewer import Packed, View, niivue, pack, pack_rest, viewer, with_heat
from components.volumes import middle, pooled, slabs

WINDOWS = {"Lung": (-600.0, 1500.0), "Bone": (400.0, 1800.0)}


def view(shape: tuple[int, int, int] = (4, 3, 2), **changes: Any) -> View:
    voxels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 1000
    mask = np.zeros(shape, np.uint8)
    mask[1, 2, 1] = 1
    values = {"voxels": voxels, "spacing": (1.0, 2.0, 3.0), "mask": mask, "labels": ["lung"], "colours": [(1, 2, 3)],
              "windows": WINDOWS, **changes}  # fmt: skip
    return View(**values)


@pytest.fixture
def small_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that gets 60 voxels at once and 150 in a slab."""
    monkeypatch.setattr(parts, "MOST_AT_ONCE", 60)
    monkeypatch.setattr(volumes, "SLAB", 150)


def test_everything_arrives_in_its_place() -> None:
    given = view(heat=np.full((4, 3, 2), 0.5))
    header, voxels, mask, heat = unpack(pack(given))
    assert (voxels == given.voxels).all() and (mask == given.mask).all() and (heat == 128).all()
    assert header["spacing"] == [1.0, 2.0, 3.0] and header["shape"] == [4, 3, 2] and header["step"] == 1
    assert not pack(given).waiting and not pack(given).full and header["unit"] == "HU"
    assert header["window"] == [-600.0, 1500.0] and list(header["windows"]) == ["Lung", "Bone"]
    assert header["labels"] == ["lung"] and header["colours"] == [[0, 0, 0], [1, 2, 3]]
    assert header["start"] == [1, 2, 1] and header["values"] == [1.0, 0.0]
    assert unpack(pack(view()))[3] is None


def sent(packed: Packed, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], bytes]:
    """Return the header and the arrays of the message that the component gets."""
    messages = []
    monkeypatch.setattr(parts, "component", lambda *_, **__: lambda **given: messages.append(given["data"]))
    viewer(packed, key="viewer")
    length = struct.unpack("<I", messages[0][:4])[0]
    return json.loads(messages[0][4 : 4 + length]), messages[0][4 + length :]


def test_the_message_says_where_its_arrays_end(monkeypatch: pytest.MonkeyPatch, small_browser: None) -> None:
    packed = pack_rest(pack(view((7, 6, 5))))
    header, body = sent(packed, monkeypatch)
    ends = np.cumsum(list(header["overview"].values()))
    for name, start, end in zip(header["overview"], [0, *ends[:-1]], ends, strict=True):
        assert body[start:end] == packed.overview[name]
    assert ends[-1] == len(body) and header["full"]["voxels"]["ends"] == packed.full["voxels"].ends


def test_the_same_scan_has_the_same_name_whatever_lies_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, warm = (sent(pack(view(heat=heat)), monkeypatch)[0]["ids"] for heat in (None, np.zeros((4, 3, 2))))
    other = sent(pack(view(voxels=view().voxels + 1)), monkeypatch)[0]["ids"]
    assert plain["voxels"] == warm["voxels"] != other["voxels"] and plain["mask"] == warm["mask"] == other["mask"]
    assert "heat" in warm and "heat" not in plain


@pytest.mark.usefixtures("small_browser")
def test_every_voxel_of_a_large_scan_is_sent_after_its_overview() -> None:
    shape = (7, 6, 11)
    rng = np.random.default_rng(0)
    voxels = rng.integers(-32768, 32767, shape).astype(np.int16)
    mask, heat = rng.integers(0, 3, shape).astype(np.uint8), rng.random(shape).astype(np.float32)
    packed = pack(view(shape, voxels=voxels, mask=mask, heat=heat, start=(6, 5, 4)))
    header, thin, _, _ = unpack(packed)
    assert header["step"] == 2 and header["shape"] == [7, 6, 11] and header["start"] == [6, 5, 4]
    assert (thin == voxels[::2, ::2, ::2]).all()
    first = np.frombuffer(gzip.decompress(packed.overview["voxels-first"]), "<i2").reshape(7, 6, order="F")
    assert (first == voxels[:, :, 4]).all()  # the slice that is seen first needs no waiting
    assert set(packed.waiting) == {"voxels", "mask", "heat"} and not packed.full
    whole = pack_rest(packed)
    assert not whole.waiting and whole.full["voxels"].depth == 3 and len(whole.full["voxels"].ends) == 4
    assert (joined(whole.full["voxels"], shape, wide=True) == voxels).all()
    assert (joined(whole.full["mask"], shape, wide=False) == mask).all()
    assert np.abs(joined(whole.full["heat"], shape, wide=False) / 255 - heat).max() < 0.002
    assert with_heat(pack_rest(pack(view(shape, voxels=voxels, mask=mask))), heat).waiting.keys() == {"heat"}


def test_the_overview_is_all_that_a_browser_gets_of_a_scan_that_is_too_large_for_it(
    monkeypatch: pytest.MonkeyPatch, small_browser: None
) -> None:
    monkeypatch.setattr(parts, "MOST_VOXELS", 7 * 6 * 5 - 1)
    packed = pack(view((7, 6, 5)))
    assert packed.header["tooLarge"] == 209 and not packed.waiting and set(packed.overview) == {"voxels", "mask"}


def test_no_label_vanishes_from_an_overview_and_of_two_in_one_block_the_rarer_stays() -> None:
    mask = np.zeros((6, 4, 5), np.uint8)
    mask[:3] = 2  # 60 voxels
    mask[1, 1, 1] = 1  # a slice, a row and a column that every second voxel misses, among those of 2
    mask[5, 3, 3:] = 3  # 2 voxels; the last slices make a block of one
    thin = pooled(mask, 2)
    assert thin.shape == (3, 2, 3) and not (mask[::2, ::2, ::2] == 1).any()
    assert thin[0, 0, 0] == 1 and (thin == 1).sum() == 1
    assert thin[2, 1].tolist() == [0, 3, 3] and thin[1, 0].tolist() == [2, 2, 2] and thin[2, 0].tolist() == [0, 0, 0]
    assert (pooled(mask, 1) == mask).all() and pooled(np.full((3, 3, 3), 255, np.uint8), 3).tolist() == [[[255]]]


@pytest.mark.usefixtures("small_browser")
def test_nothing_bright_vanishes_from_the_overview_of_a_heat_map() -> None:
    heat = np.zeros((7, 6, 5), np.float32)
    heat[1, 1, 1] = 1.0
    thin = unpack(pack(view((7, 6, 5), heat=heat)))[3]
    assert thin[0, 0, 0] == 255 and (thin > 0).sum() == 1


def test_slabs_that_differ_in_one_voxel_are_kept_under_two_names() -> None:
    one = np.zeros((8, 8, 8), np.int16)
    other = one.copy()
    other[3, 4, 5] = 1
    assert slabs(one, np.asarray).digest != slabs(other, np.asarray).digest


def test_niivue_is_found_in_its_package_without_the_page_around_it() -> None:
    script = niivue()
    assert script is not None and b'getElementById("root")' not in script.data
    assert script.data.rstrip().endswith(b"as Niivue};") and b"setVolumeRenderIllumination" in script.data


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
