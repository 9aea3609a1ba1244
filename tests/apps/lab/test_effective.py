"""Receptive fields by gradient lie inside the theoretical ones, and augmentations say what they do."""

import pytest
import torch

from cnn_core.errors import CnnError
from cnn_core.models.registry import create_model
from lab.augmentations import AUGMENTATIONS, augmented
from lab.effective import effective_field, stage_fields

TITLES = {one.name: one for one in AUGMENTATIONS}


@pytest.fixture(scope="module")
def lenet():
    model = create_model("lenet", in_channels=1, num_classes=10)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)  # nothing cancels: every pixel of the field moves the unit
    return model


def test_what_moves_a_unit_is_its_theoretical_field(lenet):
    x = torch.ones(1, 32, 32) + torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1
    stages = stage_fields(lenet, x)
    # 5 x 5, pool 2: 6 pixels, step 2; again: 6 + 4 * 2 = 14, pool + 2 = 16, step 4
    assert [(int(s.fields[0].size), int(s.fields[0].stride)) for s in stages] == [(6, 2), (16, 4)]
    heat = effective_field(lenet, x, stage=1, position=(2, 1))
    rows, columns = heat.nonzero().unbind(1)
    first, last = int(rows.min()), int(rows.max())
    assert first >= 8 and last <= 8 + 15  # max pooling picks one of two, so a rim of a pixel may be missing
    assert last - first >= 13
    assert int(columns.min()) >= 4 and int(columns.max()) <= 4 + 15
    assert float(heat.max()) == 1
    assert all(parameter.grad is None for parameter in lenet.parameters())


def test_channels_that_pull_in_opposite_directions_do_not_cancel():
    model = create_model("lenet", in_channels=2, num_classes=10)
    first = next(parameter for parameter in model.parameters() if parameter.ndim == 4)
    with torch.no_grad():
        first[:, 1] = -first[:, 0]
    heat = effective_field(model, torch.rand(2, 32, 32), stage=0, position=(2, 1))
    assert float(heat.max()) == 1


# Field and step by hand: a kernel of k adds (k - 1) times the step before it.
@pytest.mark.parametrize(
    ("name", "size", "options", "fields"),
    [
        (  # pooling of 3 before conv2 and conv3, and at the end
            "alexnet", 64, {"hidden": (1,)}, [(11, 4), (51, 8), (99, 16), (131, 16), (163, 16), (195, 32)],
        ),
        (  # two, two, three, three, three convolutions, with pooling of 2 after each
            "vgg16", 448, {"hidden": (1,)}, [(5, 1), (14, 2), (40, 4), (92, 8), (196, 16), (212, 32)],
        ),
        (  # one kernel of 3 per stage; those of 1 add nothing
            "mobilenet", 64, {}, [(3, 2), (7, 2), (11, 4), (19, 4), (27, 8), (43, 8), (59, 16), (91, 16), (123, 16),
                                  (155, 16), (187, 16), (219, 16), (251, 32), (315, 32)],
        ),
    ],
)  # fmt: skip
def test_a_stage_has_its_own_field_whatever_layers_elsewhere_are_called(name, size, options, fields):
    model = create_model(name, in_channels=1, num_classes=2, options={"base_channels": 1, **options})
    stages = stage_fields(model, torch.zeros(1, size, size))
    assert [tuple((int(f.size), int(f.stride)) for f in stage.fields) for stage in stages] == [(f, f) for f in fields]


def test_what_is_not_there_is_said(lenet):
    x = torch.zeros(1, 32, 32)
    with pytest.raises(CnnError, match="stage from 0 to 1"):
        effective_field(lenet, x, stage=2, position=(0, 0))
    with pytest.raises(CnnError, match="inside the map"):
        effective_field(lenet, x, stage=1, position=(0, 5))


def test_a_shift_is_as_said():
    x = torch.zeros(1, 16, 16)
    x[0, 8, 8] = 1
    found = augmented(x, TITLES["shift"], seed=3)
    ((_, row, column),) = found.picture.nonzero().tolist()
    right, down = (int(text.split()[0].replace("−", "-")) for text in found.description.split(", ")[:2])
    assert (row, column) == (8 + down, 8 + right)


def test_a_turn_is_as_said():
    x = torch.zeros(1, 65, 65)
    x[0, 32, 33:60] = 1  # a ray to the right
    found = augmented(x, TITLES["rotate"], seed=1)
    degrees = float(found.description.split()[1].rstrip("°").replace("−", "-"))
    rows, columns = (found.picture[0] > 0.3).nonzero().double().unbind(1)
    seen = torch.atan2(-(rows - 32).mean(), (columns - 32).mean()).rad2deg()  # y points down
    assert abs(degrees) > 2
    assert float(seen) == pytest.approx(degrees, abs=1)


@pytest.mark.parametrize("one", AUGMENTATIONS, ids=lambda one: one.name)
def test_each_is_repeatable_and_keeps_the_range(one):
    x = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))
    first, second = augmented(x, one, seed=5, strength=2), augmented(x, one, seed=5, strength=2)
    assert torch.equal(first.picture, second.picture)
    assert first.description == second.description
    assert first.picture.shape == x.shape
    assert float(first.picture.min()) >= 0 and float(first.picture.max()) <= 1
    others = [augmented(x, one, seed=seed).description for seed in range(6)]
    assert len(set(others)) > 1
    with pytest.raises(CnnError, match="strength"):
        augmented(x, one, seed=0, strength=3)
