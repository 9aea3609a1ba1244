"""Which pieces of a mask are lungs: drawn slices with lungs, gas, stool, a windpipe and islands, in HU."""

import numpy as np
import pytest

from medical_segmentation.lungs import is_gas, keep_lungs, without_islands

BODY = np.ones((100, 100, 2), bool)  # 10,000 voxels in a slice
RNG = np.random.default_rng(0)


def drawn(*pieces: tuple[tuple[slice, ...], float, float]) -> tuple[np.ndarray, np.ndarray]:
    """A mask and its HU: pieces of a mean and a standard deviation in a body of 40 HU."""
    mask, voxels = np.zeros(BODY.shape, np.uint8), np.full(BODY.shape, 40, np.int16)
    for place, mean, spread in pieces:
        mask[place] = 1
        voxels[place] = RNG.normal(mean, spread, mask[place].shape).round()
    return mask, voxels


LEFT = np.s_[5:45, 20:80, :], -860.0, 90.0
RIGHT = np.s_[55:95, 20:80, :], -700.0, 130.0


def test_lungs_stay_as_they_are() -> None:
    mask, voxels = drawn(LEFT, RIGHT)
    kept, said = keep_lungs(mask, voxels, BODY, (1.0, 1.0, 5.0))
    assert (kept == mask).all() and said == ()


@pytest.mark.parametrize(
    "gas",
    [(np.s_[5:45, 20:80, 1:], -990.0, 20.0), (np.s_[48:52, 4:16, :], -930.0, 15.0)],
    ids=["in the colon", "in the windpipe"],
)
def test_gas_is_dropped_and_how_much_is_said(gas) -> None:
    mask, voxels = drawn(RIGHT, gas)
    kept, said = keep_lungs(mask, voxels, BODY, (1.0, 1.0, 5.0))
    assert (kept == drawn(RIGHT)[0]).all()
    lost = mask.sum() - kept.sum()  # 2,400 voxels of 5 mm3, or 96
    much = f"{lost * 0.005:.0f}" if lost > 2000 else "0.48"
    assert said == (f"{much} mL as dark as gas in bowel, stomach or airways were dropped",)


def test_stool_is_no_lung_but_a_large_piece_with_vessels_is() -> None:
    mixed = np.concatenate([np.full(60, -980.0), np.full(140, -500.0)])  # spread 220 HU
    assert is_gas(mixed, 0.02) and is_gas(mixed, 0.06) and not is_gas(mixed, 0.2)  # a quarter is darker than -955
    stool = np.concatenate([np.full(60, -800.0), np.full(60, -300.0)])  # spread 250 HU
    assert is_gas(stool, 0.01) and not is_gas(stool, 0.03)
    assert not is_gas(RNG.normal(-916, 60, 500), 0.3)  # emphysema


def test_islands_are_small_in_3d_or_in_every_slice() -> None:
    mask = np.zeros((100, 100, 2), np.uint8)
    mask[:40, :50] = 1  # 4,000 voxels
    mask[60:70, :10] = 1  # 200: a twentieth
    mask[80:93, :15, 0] = 1  # 195
    kept, dropped = without_islands(mask, BODY)
    assert dropped == 1 and kept.sum() == 4200
    tip = np.zeros_like(mask)
    tip[:7, :7, 0] = 1  # 49 of 10,000
    assert without_islands(tip, BODY)[1] == 1 and not without_islands(tip, BODY)[0].any()
    tip[:5, :10, 1] = 1  # 50 in the other slice, in touch
    assert without_islands(tip, BODY)[1] == 0
    assert without_islands(tip * 0, BODY) == (pytest.approx(tip * 0), 0)
