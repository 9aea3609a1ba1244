"""The page on steering: what is shown is what is driven, pushes arrive, and corrections can be recorded and learned."""

import numpy as np
import pytest
from driving import address, charts, checked, figures, html, sent, table
from lab_pages import open_lab, run_shown_code

from cnn_core.errors import DataError
from components.drive_replay import COLUMNS, read_push, sheet
from components.lab import THUMBNAILS
from lab import drive as learning
from lab.steering import TEST_SEEDS
from views.lab_parts import drive as part


def test_it_opens_with_a_push_that_one_network_survives(monkeypatch):
    page = open_lab("drive")
    (replay,) = sent(page, "drive_replay")
    assert replay["said"] == "With corrections: all 200 m on the lane" and not replay["failed"]
    assert [path["name"] for path in replay["paths"]] == ["Always straight", "Perfect driving only", "With corrections"]
    assert [path["left"] for path in replay["paths"]] == [True, True, False]
    assert len(replay["metres"]) == len(replay["angles"]) == len(replay["paths"][-1]["points"])
    (chart,) = charts(page)
    names = run_shown_code(page, monkeypatch)
    line = chart.lines["With corrections"]
    assert [y for _, y in line] == pytest.approx(names["run"].offsets, abs=1e-3)
    assert names["run"].metres == 200


def test_the_table_is_what_was_measured():
    page = open_lab("drive", road="2", push="0")
    rows = table(page, "Score of every driver")
    found = learning.stored(THUMBNAILS)
    assert [row[0] for row in rows] == ["Always straight", "Perfect driving only", "With corrections"]
    for row, name in zip(rows, ("straight", "perfect", "corrections"), strict=True):
        assert row[1].startswith(f"{100 * np.mean(found[name].pushed):.1f}")
    assert "0.119" in html(page) and "0.135" in html(page)


def test_a_push_in_the_replay_becomes_the_push_of_the_page():
    page = open_lab("drive", driver="straight")
    page.session_state["push"], page.session_state["at"] = "1", "20"  # as the replay's callback writes them
    checked(page.run())
    assert address(page) == {"driver": "straight", "push": "1", "at": "20"}
    (replay,) = sent(page, "drive_replay")
    assert replay["said"].startswith("Always straight: left the lane after") and replay["failed"]
    assert "looks at nothing" in html(page)


@pytest.mark.parametrize("value", ["x", None, [1], [1, 0], [1, 2], ["1", 1], [float("nan"), 1], [True, 1], [1e9, 1]])
def test_a_forged_push_is_a_sentence(value):
    with pytest.raises(DataError, match="a push is a place"):
        read_push(value)


def test_a_push_goes_to_the_nearest_place_that_can_be_chosen():
    assert read_push([37.4, -1]) == (37.4, -1)
    assert part.nearest(37.4, part.PLACES) == "35" and part.nearest(-3, part.PLACES) == "5"
    assert part.moment_before([0, 1, 2, 3], 2.5) == 2 and part.moment_before([0, 1], -1) == 0


def test_pictures_are_laid_out_in_rows():
    pictures = np.arange(COLUMNS + 2, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 3), np.uint8)
    laid = sheet(pictures)
    assert laid.shape == (4, 4 * COLUMNS, 3)
    assert laid[0, 4].tolist() == [1, 1, 1] and laid[2, 4].tolist() == [COLUMNS + 1] * 3
    assert laid[3, 8].tolist() == [0, 0, 0]  # nothing is left


def test_corrections_are_recorded_learned_and_forgotten(monkeypatch):
    page = open_lab("drive", driver="perfect", road="1")  # the score is of two roads below
    monkeypatch.setattr(learning, "RETRAIN_STEPS", 2)  # that it helps is in the lab's own tests
    monkeypatch.setattr("lab.steering.TEST_SEEDS", TEST_SEEDS[:2])
    monkeypatch.setattr(learning, "VALIDATION_SEEDS", learning.VALIDATION_SEEDS[:1])
    monkeypatch.setattr(learning, "RETRAIN_SEEDS", learning.RETRAIN_SEEDS[:1])
    part._perfect.cache_clear()
    button = {one.label: one for one in page.button}
    assert not button["Record this push"].disabled and button["Forget all"].disabled and "Train on" not in button
    checked(button["Record this push"].click().run())
    assert "1 correction is recorded, 10 pictures" in html(page)
    checked(next(one for one in page.button if one.label == "Train on").click().run())
    part._perfect.cache_clear()
    assert page.pills(key="driver").value == "own"
    assert sent(page, "drive_replay")[0]["paths"][-1]["name"] == "Your corrections"
    assert len(table(page, "Score of every driver")) == 4
    checked(next(one for one in page.button if one.label == "Forget all").click().run())
    assert "No corrections are recorded" in html(page) and page.pills(key="driver").value == "corrections"


def test_without_a_push_there_is_nothing_to_record():
    page = open_lab("drive", push="0", driver="straight")
    assert next(one for one in page.button if one.label == "Record this push").disabled


def test_three_pictures_say_what_it_looks_at():
    page = open_lab("drive", method="gradient")
    shown = figures(page)
    assert [pixels.shape for _, pixels in shown] == [(64, 128, 3)] * 3
    assert shown[1][0].startswith("Gradient: what makes it steer left")  # it was pushed to the right
    assert "times their share" in html(page)


def test_nonsense_in_the_address_falls_back():
    page = open_lab("drive", driver="own", road="21", push="9", at="x", method="magic")
    assert page.pills(key="driver").value == "corrections" and not page.warning
    assert address(page) == {}


@pytest.mark.slow
def test_twenty_corrections_bring_most_of_the_cars_home():
    own = part.retrain(tuple(part.random_corrections(2 * part.RANDOM, seed=0)))
    assert own.pushed > learning.stored(THUMBNAILS)["perfect"].pushed[0] + 0.1
