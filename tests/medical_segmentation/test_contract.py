"""Preprocessing: the contracts, what is derived from a set, cutting and cleaning, what a network is shown."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cnn_core.errors import ConfigError, WeightsError
from medical_segmentation.checker import Facts, Volume
from medical_segmentation.contract import VolumeContract
from medical_segmentation.fingerprint import PlanSettings, network_options, plan
from medical_segmentation.nodules import NoduleContract
from medical_segmentation.segmenter import Segmenter, clean, cut_centre, resample_labels
from medical_segmentation.task import training_blocks
from medical_segmentation.weights_io import DOMAIN_NAME, nodule_contract_of, volume_contract_of

PLAIN = VolumeContract(3, -1000.0, 1000.0, 0.25, 0.5, (8, 8, 8))


def test_contracts_survive_json() -> None:
    full = VolumeContract(
        3, 0.01, 0.99, 0.4, 0.2, (16, 16, 8), spacing=(1.0, 1.0, 2.5), own_scale=True, centre=(-1.5, 0.0, 0.5),
        flips=(0, 2), keep="central", modality="MRI",
    )  # fmt: skip
    nodule = NoduleContract(2, (40, 40), 0.0, 255.0, 0.1, 0.3, mirror=True, slope=1.5, offset=-0.2)
    more = [replace(PLAIN, usual_spacing=(0.7, 0.7, 5.0)), replace(PLAIN, label_numbers=(0, 3, 6))]
    for contract in (PLAIN, full, nodule, *more):
        assert type(contract).from_json(json.loads(json.dumps(contract.to_json()))) == contract
    assert not {"usual_spacing", "label_numbers"} & {*PLAIN.to_json()}  # as in older cards
    assert more[1].numbers_of(3) == (0, 3, 6) and PLAIN.numbers_of(3) == (0, 1, 2)


@pytest.mark.parametrize(("change", "said"), [
    ({"dims": 4}, "dims: expected 2 or 3"),
    ({"low": 5.0, "high": 5.0}, "expected low < high"),
    ({"std": 0.0}, "std: expected a number greater than 0"),
    ({"mean": float("nan")}, "mean: expected a finite number"),
    ({"patch": [8, 8]}, "patch: expected 3 edges"),
    ({"patch": [10**6, 10**6, 10**6]}, "patch: expected at most"),
    ({"spacing": [1, 1, 0]}, r"spacing\.2: expected a number"),
    ({"usual_spacing": [1, 1]}, r"usual_spacing\.2' is missing"),
    ({"centre": [1, 2]}, r"centre\.2' is missing"),
    ({"flips": [0, 0]}, "flips: expected different axes"),
    ({"label_numbers": [1, 2]}, "label_numbers: expected 0 and different numbers"),
    ({"label_numbers": [0, 2, 2]}, "label_numbers: expected 0 and different numbers"),
    ({"keep": "some"}, "keep: expected 'all', 'largest', 'central' or 'lungs'"),
    ({"own_scale": True}, "expected shares from 0 to 1"),
    ({"colour": 1}, "unknown field 'colour'"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        VolumeContract.from_json({**PLAIN.to_json(), **change})
    with pytest.raises(ConfigError, match="'patch' is missing"):
        VolumeContract.from_json({"dims": 2})


def test_intensities_become_inputs() -> None:
    unit = PLAIN.unit(torch.tensor([-3000, -1000, 0, 500, 4000], dtype=torch.int16))
    assert unit.tolist() == [0, 0, 0.5, 0.75, 1]
    assert PLAIN.inputs(unit.view(1, 1, -1)).flatten().tolist() == [-0.5, -0.5, 0.5, 1.0, 1.5]


def test_a_scan_of_its_own_scale_reaches_from_0_to_1() -> None:
    own = replace(PLAIN, own_scale=True, low=0.0, high=1.0)
    x = torch.arange(50, 250, dtype=torch.float32)
    assert own.unit(x).min() == 0 and own.unit(x).max() == 1
    assert torch.allclose(own.unit(x), own.unit(x * 7 + 3), atol=1e-5)
    assert torch.isfinite(own.unit(torch.ones(10))).all()


def test_the_scale_of_a_scan_is_taken_from_all_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_segmentation.contract.SAMPLE", 10)
    own = replace(PLAIN, own_scale=True, low=0.0, high=1.0)
    assert own.ends(torch.arange(100.0)) == (0, 90)  # every tenth


def test_the_centre_gets_a_channel() -> None:
    contract = replace(PLAIN, patch=(5, 5, 5), centre=(0.0, 0.0, 0.0))
    x = contract.inputs(torch.zeros(2, 1, 5, 5, 5))
    assert contract.in_channels == 2 and x.shape == (2, 2, 5, 5, 5)
    assert x[0, 1, 2, 2, 2] == 0 and x[1, 1, 2, 2, 4] == pytest.approx(2 / 2.5)
    assert torch.equal(x[:, 1], x[:, 1].flip(1)) and torch.equal(x[:, 1], x[:, 1].flip(3))
    # of any shape in halves of the patch's first edge, 5: here 3 and 4 cells from the middle, which are 5
    assert contract.distance((7, 1, 9))[0, 0, 0] == 5 / 2.5


def test_the_patch_around_the_centre() -> None:
    cube = np.arange(51**3, dtype=np.int32).reshape(51, 51, 51)
    contract = replace(PLAIN, patch=(40, 40, 40), centre=(-1.5, -1.5, -1.5))
    piece, place, inside = cut_centre(cube, contract)
    assert place == (slice(4, 44),) * 3 and inside == (slice(0, 40),) * 3  # 4 + 19.5 = 25 - 1.5
    assert (piece == cube[4:44, 4:44, 4:44]).all()
    small = cube[:30, :51, :51]  # smaller than the patch along one axis: the edge is repeated
    piece, place, inside = cut_centre(small, contract)
    assert piece.shape == (40, 40, 40) and (piece[inside] == small[place]).all()
    assert (piece[: inside[0].start] == piece[inside[0].start]).all()


# ---- cleaning


def test_pieces_that_are_kept() -> None:
    mask = np.zeros((9, 9, 9), np.uint8)
    mask[0:3, 0:3, 0:3] = 1  # 27 voxels in a corner
    mask[4, 4, 4] = 1  # one in the middle
    mask[8, 8, 7:9] = 2
    mask[8, 0, 0] = 2
    assert (clean(mask, PLAIN) == mask).all()
    largest = clean(mask, replace(PLAIN, keep="largest"))
    assert (largest == 1).sum() == 27 and (largest == 2).sum() == 2 and largest[4, 4, 4] == 0
    central = clean(mask, replace(PLAIN, keep="central"))
    assert np.argwhere(central == 1).tolist() == [[4, 4, 4]]
    off = clean(mask, replace(PLAIN, keep="central", centre=(-3.0, -3.0, -3.0)))
    assert (off == 1).sum() == 27


def test_slices_are_cleaned_one_by_one() -> None:
    mask = np.zeros((6, 6, 2), np.uint8)
    mask[0:2, 0:2], mask[5, 5] = 1, 1
    flat = VolumeContract(2, 0.0, 1.0, 0.0, 1.0, (6, 6), keep="largest")
    assert clean(mask, flat).sum(axis=(0, 1)).tolist() == [4, 4]


def test_of_each_slice_the_piece_nearest_its_middle_is_kept() -> None:
    mask = np.zeros((7, 7, 3), np.uint8)
    mask[0, 0, 0], mask[2, 3, 0] = 1, 1
    mask[6, 6, 1], mask[5, 3, 1] = 1, 1
    mask[0, 0, 2] = 1
    flat = VolumeContract(2, 0.0, 1.0, 0.0, 1.0, (7, 7), keep="central")
    assert np.argwhere(clean(mask, flat)).tolist() == [[0, 0, 2], [2, 3, 0], [5, 3, 1]]


def test_the_nearest_piece_is_nearest_in_mm() -> None:
    mask = np.zeros((21, 21, 11), np.uint8)
    mask[10, 10, 8] = 1  # 3 slices from the middle: 15 mm
    mask[15, 10, 5] = 1  # 5 pixels from it: 3.5 mm
    central = replace(PLAIN, keep="central")
    thick = (0.7, 0.7, 5.0)
    assert np.argwhere(clean(mask, central, spacing=thick)).tolist() == [[15, 10, 5]]
    assert np.argwhere(clean(mask, replace(central, spacing=thick))).tolist() == [[15, 10, 5]]
    assert np.argwhere(clean(mask, central)).tolist() == [[10, 10, 8]]  # cubes: 3 voxels against 5


def test_the_centre_is_in_voxels_of_the_network_and_moves_with_the_grid() -> None:
    cases = [replace(facts((40, 40, 40), (2.0, 2.0, 2.0)), middle=(4.0, 0.0, -2.0)),
             replace(facts((40, 40, 40), (1.0, 1.0, 1.0)), middle=(8.0, 0.0, -4.0))]  # fmt: skip
    requested = PlanSettings(dims=3, spacing=[1.0, 1.0, 1.0], patch=[16, 16, 16], centred=True, keep="central")
    contract, _ = plan(cases, requested, modality="CT")
    assert contract.centre == (8.0, 0.0, -4.0)  # mm
    mask = np.zeros((21, 21, 21), np.uint8)
    mask[14, 10, 8] = 1  # (4, 0, -2) from the middle: 8 and -4 mm in voxels of 2 mm
    mask[18, 10, 6] = 1
    assert np.argwhere(clean(mask, contract, spacing=(2.0, 2.0, 2.0))).tolist() == [[14, 10, 8]]
    assert np.argwhere(clean(mask, contract, spacing=(1.0, 1.0, 1.0))).tolist() == [[18, 10, 6]]


def test_labels_on_another_grid_keep_their_volume() -> None:
    mask = np.zeros((10, 10, 10), np.uint8)
    mask[2:7, 2:7, 2:7], mask[7:9] = 1, 3
    finer = resample_labels(mask, (20, 20, 20))
    assert {*np.unique(finer)} == {0, 1, 3}
    assert (finer == 1).mean() == pytest.approx((mask == 1).mean(), rel=0.05)
    assert (resample_labels(mask, mask.shape) == mask).all()


# ---- through the network


class Half(torch.nn.Module):
    """Label 1 where the intensity is above the middle of the scale; `seen` gets every input."""

    def __init__(self, seen: list[torch.Tensor]) -> None:
        super().__init__()
        self.record = seen.append  # the segmenter copies its network, but no function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.record(x)
        return torch.cat([0.5 - x[:, :1], x[:, :1] - 0.5], dim=1)


UNIT = replace(PLAIN, mean=0.0, std=1.0)


def test_a_scan_is_seen_on_the_networks_spacing_and_answered_on_its_own() -> None:
    seen: list[torch.Tensor] = []
    voxels = np.full((12, 6, 4), -1000, np.int16)
    voxels[6:, :, 2:] = 1000
    segmenter = Segmenter(Half(seen), replace(UNIT, spacing=(2.0, 1.0, 1.5)))
    answer = segmenter(voxels, (1.0, 2.0, 3.0), maps=("foreground",))
    # 12, 12 and 12 mm are 6, 12 and 8 voxels; the patch has 8, so two are added, of air and not of water
    assert [tuple(x.shape[2:]) for x in seen] == [(8, 12, 8)]
    assert seen[0][0, 0, [0, 7]].eq(0).all() and seen[0][0, 0, 4:7, :, 4:].min() > 0.5
    assert (answer.mask == (voxels > 0)).all()
    assert answer.maps["foreground"].shape == voxels.shape and ((answer.maps["foreground"] > 0.5) == (voxels > 0)).all()


def test_slices_keep_their_distance() -> None:
    seen: list[torch.Tensor] = []
    flat = replace(UNIT, dims=2, patch=(4, 4), spacing=(2.0, 2.0, 1.0))
    voxels = np.full((8, 12, 3), -1000, np.int16)
    voxels[4:, :6, 1] = 1000
    answer = Segmenter(Half(seen), flat)(voxels, (1.0, 1.0, 5.0))
    assert [tuple(x.shape) for x in seen] == [(1, 1, 4, 6)] * 3 and (answer.mask == (voxels > 0)).all()
    blocks = [*training_blocks(Volume("a", voxels, (voxels > 0).astype(np.uint8), (1.0, 1.0, 5.0)), flat)]
    assert [tuple(x.shape) for x, _ in blocks] == [(1, 4, 6)] * 3
    assert [int(y.sum()) for _, y in blocks] == [0, 6, 0]


def test_windows_share_the_scale_of_their_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_segmentation.segmenter.WHOLE", {2: 0, 3: 0})
    own = replace(UNIT, own_scale=True, low=0.0, high=1.0)
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32)[:, None, None], (32, 8, 8)).copy()
    seen: list[torch.Tensor] = []
    assert (Segmenter(Half(seen), own)(ramp, (1.0, 1.0, 1.0)).mask == (ramp > 15.5)).all() and len(seen) > 3


def test_mirror_images_are_those_of_the_contract_unless_others_are_asked_for() -> None:
    voxels = np.full((8, 8, 8), 1000, np.int16)
    for flips, views in ((None, 2), ((), 1), ((0, 1), 4)):
        seen: list[torch.Tensor] = []
        Segmenter(Half(seen), replace(UNIT, flips=(2,)))(voxels, (1.0, 1.0, 1.0), flips=flips)
        assert len(seen) == views


def test_outside_of_the_patch_around_the_centre_all_is_surely_background() -> None:
    bright = np.full((12, 12, 12), 1000, np.int16)
    segmenter = Segmenter(Half([]), replace(UNIT, centre=(0.0, 0.0, 0.0)))
    found = segmenter(bright, (1.0, 1.0, 1.0), maps=("foreground", "confidence", "entropy"))
    inside = np.zeros(bright.shape, bool)
    inside[2:10, 2:10, 2:10] = True
    assert (found.mask == inside).all()
    sure = 1 / (1 + np.exp(-1))  # of scores 0.5 and -0.5
    for name, (within, beyond) in {"foreground": (sure, 0), "confidence": (sure, 1)}.items():
        assert found.maps[name][inside] == pytest.approx(within, abs=1e-3)
        assert (found.maps[name][~inside] == beyond).all()
    assert (found.maps["entropy"][inside] > 0.5).all() and (found.maps["entropy"][~inside] == 0).all()


def test_patches_to_learn_from_are_seen_as_the_network_sees_scans() -> None:
    mask = np.zeros((12, 6, 4), np.uint8)
    mask[7:, :, 2:], mask[7:, :3, 2:] = 3, 1
    volume = Volume("a", np.where(mask > 0, 900, 500).astype(np.int16), mask, (1.0, 2.0, 3.0))
    own = replace(UNIT, own_scale=True, low=0.0, high=1.0, spacing=(0.5, 1.0, 1.5))
    ((x, y),) = training_blocks(volume, own)
    assert x.shape == (1, 24, 12, 8) and y.shape == (24, 12, 8)
    assert set(y.unique().tolist()) == {0, 1, 3}  # no label in between
    assert (x.min(), x.max()) == (0, 1) and ((x[0] > 0.5) == (y > 0)).all()
    ((x, y),) = training_blocks(volume, replace(own, spacing=None, centre=(2.0, 0.0, 1.0), patch=(4, 4, 4)))
    assert x.shape == (1, 4, 4, 4) and ((x[0] > 0.5) == (y > 0)).all() and 0 < (y > 0).sum() < 64


# ---- what is derived


def facts(shape: tuple[int, int, int], spacing: tuple[float, float, float], *, name: str = "a") -> Facts:
    inside = np.linspace(-100, 300, 1001).astype(np.float32)
    return Facts(name, shape, spacing, np.array([100, 10]), inside, np.linspace(-1000, 1000, 1001), (1.1, -0.4, 0.0))


def test_spacing_intensities_and_patch_follow_the_set() -> None:
    cases = [facts((512, 512, 90), (0.7, 0.7, 5.0)), facts((512, 512, 110), (0.8, 0.8, 4.0)),
             facts((512, 512, 100), (0.9, 0.9, 1.0))]  # fmt: skip
    contract, said = plan(cases, PlanSettings(), modality="CT")
    assert contract.dims == 3 and contract.spacing[:2] == (0.8, 0.8)
    assert contract.spacing[2] == 1.6  # uneven: a tenth of the way from the finest, 1 + 0.2 * (4 - 1)
    assert contract.usual_spacing is None  # resampled
    assert (contract.low, contract.high) == (-98, 298)  # 0.5 % from either end
    assert np.prod(contract.patch) <= 64**3 and all(edge % 16 == 0 for edge in contract.patch)
    assert contract.patch == (64, 64, 64)  # the median scan has 512 x 512 x 275 of these voxels, far above the budget
    assert any("median spacing" in sentence for sentence in said) and any("-98 .. 298" in s for s in said)


def test_slices_make_a_2d_network_and_equal_spacing_is_left_alone() -> None:
    contract, said = plan([facts((256, 256, 1), (1, 1, 1))] * 3, PlanSettings(window=[-1000, 400]), modality="CT")
    assert contract.dims == 2 and contract.patch == (256, 256) and contract.spacing is None
    assert contract.usual_spacing is None and contract.usual_pixels == 256  # 1 mm everywhere says nothing
    assert (contract.low, contract.high) == (-1000, 400) and "2-D" in said[0]
    unit = (np.linspace(-1000, 1000, 1001) + 1000) / 1400
    assert contract.mean == pytest.approx(unit.clip(0, 1).mean(), abs=1e-3)


def test_other_modalities_have_a_scale_of_their_own() -> None:
    contract, _ = plan([facts((64, 64, 64), (1, 1, 1))], PlanSettings(centred=True, patch=[32, 32, 32]), modality="MRI")
    assert contract.own_scale and (contract.low, contract.high) == (0.005, 0.995)
    assert contract.centre == (1.0, -0.5, 0.0)


@pytest.mark.parametrize(("requested", "said"), [
    ({"spacing": [1.0, 1.0]}, "spacing: expected three lengths"),
    ({"window": [100, -100]}, "window: expected a low and a high"),
    ({"patch": [32, 32]}, "patch: expected 3 edges"),
])  # fmt: skip
def test_settings_that_cannot_be_met(requested: dict[str, list[float]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan([facts((64, 64, 64), (1, 1, 1))], PlanSettings(**requested), modality="CT")


def test_the_network_is_as_deep_as_the_patch_can_be_halved() -> None:
    assert network_options((64, 64, 64), name="unet", given={})[0]["widths"] == [16, 32, 64, 128, 128]
    assert network_options((64, 64, 16), name="unet", given={})[0]["widths"] == [16, 32, 64]
    assert network_options((64, 64, 16), name="unet", given={"widths": [4, 8]}) == ({"widths": [4, 8]}, [])
    assert network_options((64, 64), name="resnet18", given={}) == ({}, [])


def test_weights_are_asked_for_the_contract_of_their_goal() -> None:
    judging = NoduleContract(2, (8, 8), 0.0, 255.0, 0.0, 1.0)
    card = SimpleNamespace(
        name="a", domain=DOMAIN_NAME, input={**judging.to_json(), "goal": "malignancy"},
        arguments={"spatial_dims": 2, "in_channels": 1},
    )  # fmt: skip
    assert nodule_contract_of(card) == judging
    with pytest.raises(WeightsError, match="'a' are for the goal 'malignancy', expected 'segment'"):
        volume_contract_of(card)


@pytest.mark.parametrize(("fields", "spacing", "shape", "wanted"), [
    ({}, (1, 1, 1), (9, 9, 9), None),
    ({"usual_spacing": (1, 1, 2)}, (1.05, 0.95, 2.1), (9, 9, 9), None),  # like those that were learned from
    ({"usual_spacing": (1, 1, 2)}, (0.5, 1, 2), (9, 9, 9), (1, 1, 2)),
    ({"usual_spacing": (1, 1, 2), "dims": 2, "patch": (8, 8)}, (0.5, 0.5, 7), (9, 9, 9), (1, 1, 7)),
    ({"spacing": (3, 3, 3), "usual_spacing": (1, 1, 2)}, (1, 1, 2), (9, 9, 9), (3, 3, 3)),
    ({"usual_pixels": 256, "dims": 2, "patch": (8, 8)}, (1, 1, 3), (167, 167, 22), None),
    ({"usual_pixels": 256, "dims": 2, "patch": (8, 8)}, (1, 1, 3), (64, 32, 22), (0.25, 0.25, 3)),
    ({"usual_pixels": 256, "dims": 2, "patch": (8, 8)}, (0.7, 0.7, 5), (512, 512, 60), (1.4, 1.4, 5)),
])  # fmt: skip
def test_scans_are_shown_in_the_size_that_was_learned(fields, spacing, shape, wanted):
    contract = replace(PLAIN, **{"dims": 3, "patch": (8, 8, 8), "spacing": None, "flips": (), "centre": None, **fields})
    assert contract.working_spacing(spacing, shape) == (None if wanted is None else pytest.approx(wanted))
