"""Learning to steer: what is recorded, what is stored, and the score of the stored networks on the 20 roads."""

import numpy as np
import pytest
import torch

from cnn_core.errors import CnnError, UnknownNameError
from components.lab import THUMBNAILS
from lab.camera import render
from lab.demonstrations import FRAMES, Recording, random_pushes, record_correction
from lab.drive import (
    PER_UNIT,
    PERFECT_SEEDS,
    RECOVERY_SEEDS,
    VALIDATION_SEEDS,
    WAYS,
    as_input,
    explain_view,
    load_network,
    near_lines,
    new_network,
    rmse,
    steered_by,
    stored,
    train,
)
from lab.roads import AHEAD, BEFORE, LENGTH, SPACING, draw_road, draw_roads, road_from
from lab.steering import TEST_SEEDS, Push, demonstrator, drive, score, score_pushes, straight


def scored(driver) -> float:
    return score(drive(driver, draw_roads(TEST_SEEDS), score_pushes()))


def test_the_shipped_network_keeps_at_least_95_percent_of_4_km_on_the_lane():
    share = scored(steered_by(load_network(THUMBNAILS, "corrections")))
    assert share >= 0.95
    assert share == pytest.approx(stored(THUMBNAILS)["corrections"].pushed[0], abs=0.02)


def test_always_straight_and_perfect_driving_come_far_less_far():
    found = stored(THUMBNAILS)
    assert scored(straight) == pytest.approx(found["straight"].pushed[0], abs=1e-3)
    assert found["straight"].pushed[0] < 0.4
    perfect = scored(steered_by(load_network(THUMBNAILS, "perfect")))
    assert perfect == pytest.approx(found["perfect"].pushed[0], abs=0.05)
    assert np.mean(found["perfect"].rmse) < np.mean(found["corrections"].rmse)  # as the page says
    assert max(found["perfect"].pushed) < min(found["corrections"].pushed) - 0.1


def test_roads_of_the_score_are_learned_from_by_nobody():
    learned = {*PERFECT_SEEDS, *RECOVERY_SEEDS}
    assert len(TEST_SEEDS) == 20 and not learned & {*TEST_SEEDS} and not {*VALIDATION_SEEDS} & {*TEST_SEEDS, *learned}


def test_a_correction_begins_where_the_push_ends_and_steers_back():
    straight_road = road_from(np.zeros(round((BEFORE + LENGTH + AHEAD) / SPACING) + 1))
    recording = record_correction(straight_road, Push(4, 1.0), frames=4)
    assert recording.pictures.shape == (4, 64, 128, 3)
    assert recording.curvatures[0] == pytest.approx(-2 / 65, abs=1e-4)  # a point 8 m on and 1 m to the right
    assert (np.diff(recording.curvatures) > 0).all()  # less and less
    assert len(record_correction(draw_road(100), Push(4, 1.0)).curvatures) == FRAMES


def test_pictures_go_in_from_minus_1_to_1():
    pictures = np.zeros((1, 2, 3, 3), np.uint8)
    pictures[0, 1, 2] = (255, 51, 0)
    x = as_input(pictures)
    assert x.shape == (1, 3, 2, 3) and x[0, :, 1, 2].tolist() == pytest.approx([1, -0.6, -1])


def test_the_error_of_always_straight_is_the_size_of_what_is_right():
    right: list[float] = []

    def noted(views):
        right.extend(demonstrator(views))
        return straight(views)

    found = rmse(noted, draw_roads(VALIDATION_SEEDS[:1]))
    assert found == pytest.approx(np.sqrt(np.mean(np.square(right))))


def test_training_is_the_same_for_a_seed_and_lowers_the_error():
    recording = record_correction(draw_road(101), Push(60, 1.2), frames=12)

    def trained(steps: int) -> torch.Tensor:
        network = train(new_network(seed=1), [recording], steps=steps, batch=8, rate=2e-3)
        with torch.no_grad():
            return PER_UNIT * network(as_input(recording.pictures))[:, 0]

    after = trained(20)
    assert torch.equal(after, trained(20))
    right = torch.from_numpy(recording.curvatures).float()
    assert (after - right).square().mean() < 0.5 * (trained(1) - right).square().mean()


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(CnnError, match="expected pictures"):
        Recording(np.zeros((2, 64, 128, 3), np.uint8), np.zeros(3))
    with pytest.raises(CnnError, match="expected pictures"):
        Recording(np.zeros((0, 64, 128, 3), np.uint8), np.zeros(0))
    with pytest.raises(CnnError, match="at least one picture"):
        record_correction(draw_road(100), Push(4, 1.0), frames=0)
    recording = Recording(np.zeros((2, 64, 128, 3), np.uint8), np.zeros(2))
    for recordings, steps, rate in (([], 1, 0.1), ([recording], 0, 0.1), ([recording], 1, 0.0)):
        with pytest.raises(CnnError, match="expected recordings and steps, batch, rate above 0"):
            train(new_network(), recordings, steps=steps, batch=2, rate=rate)
    with pytest.raises(UnknownNameError, match="corrections"):
        load_network(THUMBNAILS, "correction")


def test_random_pushes_are_the_same_for_a_seed():
    assert random_pushes(5, 3, seed=1) == random_pushes(5, 3, seed=1) != random_pushes(5, 3, seed=2)


@pytest.mark.parametrize("method", ["gradient", "integrated-gradients", "layer-cam"])
def test_the_network_looks_at_the_lines(method):
    """More of the heat is on lines than of the pixels: where the car was pushed, on the roads of the score."""
    network = load_network(THUMBNAILS, "corrections")
    shares = []
    for seed in TEST_SEEDS[:6]:
        road = draw_road(seed)
        x, y, heading = road.at(61)
        pose = (float(x - np.sin(heading)), float(y + np.cos(heading)), float(heading))
        answer, explained = explain_view(network, render(road, pose), method=method)
        near, heat = near_lines(road, pose), explained.heat[0].abs().numpy()
        assert np.isfinite(answer) and heat.shape == near.shape == (64, 128)
        shares.append((heat[near].sum() / heat.sum()) / near.mean())
    assert np.mean(shares) > 1.5, shares


def test_the_stored_networks_are_small():
    files = [THUMBNAILS / f"drive-{way}.safetensors" for way in WAYS]
    assert all(file.stat().st_size < 100_000 for file in files)
