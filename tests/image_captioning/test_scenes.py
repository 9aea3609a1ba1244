"""Scenes and their language: what is drawn, what is said, and whether that is true."""

import numpy as np
import pytest
import torch
from tiny_captions import FEW

from image_captioning.grammar import Meaning, Phrase, is_true, parse, share_named, write_captions
from image_captioning.scenes import COLOURS, HELD_OUT, SEEN, Thing, make_scenes, render

# A red circle at the left, above; a large blue square in the middle, below; a red circle at the right, below it.
SCENE = (
    Thing("red", "circle", "small", 10, 10, 6), Thing("blue", "square", "large", 30, 40, 11),
    Thing("red", "circle", "small", 50, 55, 6),
)  # fmt: skip


@pytest.mark.parametrize(
    ("caption", "true"),
    [
        ("a red circle", True),
        ("a small red circle", True),
        ("a large red circle", False),
        ("a green circle", False),
        ("a red circle and a red circle", True),
        ("a red circle and a red circle and a red circle", False),  # there are two
        ("there is a blue square", True),
        ("a picture of a blue square", True),
        ("a red circle above a blue square", True),
        ("a red circle below a blue square", True),  # the other one
        ("a red circle above a blue square and below a red circle", False),  # no one is both
        ("a blue square right of a red circle and left of a red circle", True),
        ("a blue square left of a red circle and left of a red circle", False),
        ("from left to right a red circle and a blue square and a red circle", True),
        ("from left to right a blue square and a red circle and a red circle", False),
        ("three shapes namely a red circle and a blue square and a red circle", True),
        ("two shapes namely a red circle and a blue square", False),
        ("a red circle a blue square", False),  # not of the language
        ("a circle", False),
        ("a red", False),
        ("a red circle and", False),
        ("left of a red circle", False),
        ("", False),
        ("there is", False),
        ("dogs play on the beach", False),
    ],
)
def test_truth(caption: str, true: bool) -> None:
    assert is_true(caption, SCENE) is true


def test_what_is_parsed() -> None:
    found = parse("two shapes namely a large red star and left of a blue cross")
    assert found == Meaning((Phrase("red", "star", "large"), Phrase("blue", "cross")), (("left of", 1),), count=2)
    assert share_named("a red circle and a blue square", SCENE) == pytest.approx(2 / 3)
    assert share_named("no such sentence", SCENE) == 0


@pytest.mark.parametrize("split", ["train", "test"])
def test_all_captions_are_true_and_name_everything(split: str) -> None:
    random = np.random.RandomState(0)
    scenes = make_scenes(split, count=150)
    assert {len(scene) for scene in scenes} == {1, 2, 3, 4}
    for scene in scenes:
        captions = write_captions(scene, random)
        assert len(captions) == 5
        for caption in captions:
            assert is_true(caption, scene) and share_named(caption, scene) == 1


def test_a_split_has_its_own_held_out_combinations_in_every_scene_and_training_has_none() -> None:
    groups = [{*HELD_OUT["val"]}, {*HELD_OUT["test"]}, {*SEEN}]
    assert [len(group) for group in groups] == [6, 12, 42] and len(set.union(*groups)) == 60
    for kinds in (lambda t: t.colour, lambda t: t.shape, lambda t: (t.colour, t.shape), lambda t: (t.size, t.shape)):
        train = {kinds(thing) for scene in make_scenes("train", count=1500) for thing in scene}
        held = {kinds(Thing(c, s, z, 0, 0, 0)) for z, c, s in (*HELD_OUT["val"], *HELD_OUT["test"])}
        assert held <= train  # each part of a held-out combination is learned, and each two
    for split in ("train", "val", "test"):
        for scene in make_scenes(split, count=300):
            held = {group for group in HELD_OUT for t in scene if (t.size, t.colour, t.shape) in HELD_OUT[group]}
            assert held == ({split} & {*HELD_OUT})


def test_scenes_are_the_same_every_time_and_things_do_not_touch() -> None:
    once, again = make_scenes("val", count=50), make_scenes("val", count=60)
    assert once == again[:50] and FEW["val"] < 60
    assert torch.equal(render(once[:5], seed=1), render(once[:5], seed=1))
    for scene in once:
        for i, one in enumerate(scene):
            for other in scene[:i]:
                assert np.hypot(one.x - other.x, one.y - other.y) > one.radius + other.radius


def test_a_thing_is_drawn_where_and_how_it_is() -> None:
    for colour, rgb in COLOURS.items():
        picture = render([(Thing(colour, "square", "large", 40, 20, 12),)])[0].float()
        assert (picture[:, 20, 40] - torch.tensor(rgb)).abs().max() <= 22  # tint and grain
        assert picture[:, 50, 10].min() > 190  # the light ground
    circle, square = (render([(Thing("red", s, "large", 32, 32, 12),)])[0] for s in ("circle", "square"))
    areas = [(p[1] < 130).sum().item() for p in (circle, square)]  # red has little green
    assert areas == pytest.approx([np.pi * 10.8**2, (2 * 0.78 * 12) ** 2], rel=0.06)
