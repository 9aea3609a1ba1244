"""From locations to boxes and figures, by hand: what learns what, the loss, suppression, moved boxes, precision."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from cnn_core.data.augment import Draws, apply, draw
from cnn_core.data.augment_config import AugmentConfig
from cnn_core.data.fits import Placement
from cnn_core.errors import CnnError, ConfigError, DataError
from cnn_core.models import list_models
from object_detection.augment import move_boxes
from object_detection.box_set import Truth, as_batch
from object_detection.contract import BoxContract, to_input, to_picture
from object_detection.finding import Found, boxes_in
from object_detection.losses import assign, detection_loss
from object_detection.metrics import average_precision, best_threshold, match, measure_boxes
from object_detection.model import boxes_of, build_detector, locations, scores_of

SMALL = {"strides": [8, 16], "channels": 16, "depth": 1, "backbone": {"widths": [8, 8, 8], "stem_stride": 2}}


def found(*boxes: tuple[float, ...], classes: list[int], scores: list[float]) -> Found:
    return Found(torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(scores), torch.tensor(classes).long())


def test_locations_lie_in_the_middle_of_their_cells_row_by_row() -> None:
    places, strides = locations((16, 32), (8, 16))
    assert places.tolist() == [
        [4, 4],
        [12, 4],
        [20, 4],
        [28, 4],
        [4, 12],
        [12, 12],
        [20, 12],
        [28, 12],
        [8, 8],
        [24, 8],
    ]
    assert strides.tolist() == [8.0] * 8 + [16.0] * 2


def test_a_level_learns_the_boxes_of_its_size_near_their_centres() -> None:
    places, strides = locations((64, 64), (8, 16))
    boxes = torch.tensor([[[16.0, 16, 32, 32], [0, 0, 64, 64], [40, 40, 43, 42]]])
    chosen = assign(boxes, torch.tensor([[0, 1, 2]]), places, strides)[0]
    small = places[(chosen == 0)].tolist()
    assert sorted(small) == [[20, 20], [20, 28], [28, 20], [28, 28]]  # inside, and within 12 pixels of (24, 24)
    assert (strides[chosen == 0] == 8).all()
    large = places[chosen == 1]  # its farthest edge is at least 32 away: the level of stride 16, within 24 of (32, 32)
    assert sorted(large.tolist()) == [[x, y] for x in (8, 24, 40, 56) for y in (8, 24, 40, 56)]
    assert places[chosen == 2].tolist() == [[44, 44]]  # smaller than a stride: the location next to it
    ambiguous = assign(torch.tensor([[[0.0, 0, 32, 32], [8, 8, 24, 24]]]), torch.tensor([[0, 1]]), places, strides)[0]
    assert ambiguous[(places == 12).all(1)].tolist() == [1]  # the smaller one
    assert (assign(boxes, torch.tensor([[-1, -1, -1]]), places, strides) == -1).all()
    assert assign(torch.zeros(1, 0, 4), torch.zeros(1, 0).long(), places, strides).shape == (1, len(places))


def test_the_loss_is_what_its_terms_are_by_hand() -> None:
    places, strides = locations((8, 16), (8,))
    boxes, classes = torch.tensor([[[0.0, 0, 8, 8]]]), torch.tensor([[0]])
    output = torch.zeros(1, 2, 6)  # one class; logits 0: a probability of a half
    output[..., -4:] = 4.0  # at (4, 4) exactly the box
    # Focal loss with p = 0.5: 0.25 * 0.25 * ln 2 for the one that is there, 0.75 * 0.25 * ln 2 for the other. GIoU 0.
    # Quality: ln 2, since the IoU is 1 and the probability a half.
    assert detection_loss(output, boxes, classes, places, strides).item() == pytest.approx(1.25 * np.log(2), rel=1e-5)
    output[0, 0, -2] = 0.0  # the right edge at 4: half of the box, an IoU and a GIoU of 0.5
    assert detection_loss(output, boxes, classes, places, strides).item() == pytest.approx(
        1.25 * np.log(2) + 0.5, rel=1e-5
    )
    background = detection_loss(output, boxes, torch.tensor([[-1]]), places, strides)
    assert background.item() == pytest.approx(2 * 0.75 * 0.25 * np.log(2), rel=1e-5)


def test_doubles_are_suppressed_within_a_class_and_boxes_go_back_to_the_picture() -> None:
    contract = BoxContract((16, 32), (8,), overlap=0.5)
    places, _ = locations(contract.size, contract.strides)
    output = torch.full((1, 8, 7), -9.0)
    output[..., 2] = 9.0  # quality
    output[0, 0, 0], output[0, 0, -4:] = 9.0, torch.tensor([4.0, 4, 4, 4])  # (0, 0, 8, 8), class 0
    output[0, 1, 0], output[0, 1, -4:] = 2.0, torch.tensor([11.0, 4, -4, 4])  # (1, 0, 8, 8): a double
    output[0, 2, 1], output[0, 2, -4:] = 1.0, torch.tensor([20.0, 4, -12, 4])  # (0, 0, 8, 8), class 1
    placement = Placement((0, 0, 48, 32), (4, 0, 28, 16))  # half the size, 4 pixels to the right
    one = boxes_in(output, places, contract, [placement], [(48, 32)])[0]
    assert one.classes.tolist() == [0, 1]
    assert one.boxes.tolist() == [[0, 0, 8, 16], [0, 0, 8, 16]]  # cut off at the picture's left edge
    assert one.scores[0].item() == pytest.approx(torch.tensor(9.0).sigmoid().item(), rel=1e-5)
    there = torch.tensor([[10.0, 4, 20, 30]])
    assert torch.allclose(to_picture(to_input(there, placement), placement, (48, 32)), there)


def test_boxes_move_with_their_pictures() -> None:
    size, chance = (48, 64), torch.Generator().manual_seed(3)
    config = AugmentConfig(flip="all", scale=0.2, shift=6, crop=0.8)
    x, boxes = torch.zeros(12, 1, *size), torch.zeros(12, 1, 4)
    for number in range(12):
        left, top = 14 + number, 12 + number % 7
        x[number, 0, top : top + 14, left : left + 20] = 1.0
        boxes[number, 0] = torch.tensor([left, top, left + 20, top + 14])
    draws = draw(config, size, count=12, generator=chance)
    moved, classes = move_boxes(boxes, torch.zeros(12, 1).long(), draws, size)
    for picture, box in zip(apply(x, draws, config), moved[:, 0], strict=True):
        rows, columns = (picture[0] > 0.5).nonzero(as_tuple=True)
        seen = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (seen - box).abs().max() <= 1.0, (seen, box)
    assert (classes == 0).all()
    aside = Draws(shift=torch.tensor([[0, 34]]))  # 34 of 40 pixels of the box leave on the right
    assert move_boxes(torch.tensor([[[24.0, 8, 64, 20]]]), torch.tensor([[1]]), aside, size)[1].tolist() == [[-1]]


def test_average_precision_is_cocos() -> None:
    truth = [Truth.of([(0, 0, 10, 10), (20, 0, 30, 10)], [0, 0]), Truth.of([(0, 0, 10, 10)], [0])]
    # By score: right, wrong, right; one is never found. Precision at recall 1/3 is 1, at 2/3 it is 2/3.
    answers = [
        found((0, 0, 10, 10), (50, 50, 60, 60), classes=[0, 0], scores=[0.9, 0.8]),
        found((0, 0, 10, 9), classes=[0], scores=[0.7]),
    ]
    precision = average_precision(answers, truth, classes=2)
    assert precision[0, :, 0].mean() == pytest.approx((34 * 1.0 + 33 * 2 / 3) / 101)
    assert precision[8, :, 0].mean() == pytest.approx((34 * 1.0 + 33 * 2 / 3) / 101)  # an IoU of 0.9 reaches 0.9
    assert precision[9, :, 0].mean() == pytest.approx(34 / 101)  # but not 0.95
    assert (precision[:, :, 1] == -1).all()  # of a class without boxes nothing is said
    report = measure_boxes(answers, truth, labels=["a", "b"], threshold=0.75, item_name=str, source="x")
    assert report.metrics["map50"] == pytest.approx((34 + 22) / 101)
    assert (report.figures[0].precision, report.figures[0].recall) == (0.5, pytest.approx(1 / 3))
    assert report.box_confusion == [[1, 0, 2], [0, 0, 0], [1, 0, 0]]
    assert report.metrics["counts"] == 0.75  # of "a" 2 in the first picture, none in the second; of "b" none in both
    assert [(miss.input, miss.missed, miss.invented) for miss in report.worst] == [("0", 1, 1), ("1", 1, 0)]
    assert report.from_json(report.to_json()) == report
    nothing = [found(classes=[], scores=[])] * 2
    assert measure_boxes(nothing, truth, labels=["a", "b"], threshold=0.5, item_name=str, source="x").metrics == {
        "map50": 0.0, "map": 0.0, "counts": 0.5,
    }  # fmt: skip
    with pytest.raises(DataError, match="no boxes"):
        measure_boxes(nothing[:1], [Truth.of([], [])], labels=["a"], threshold=0.5, item_name=str, source="x")


def test_ignored_boxes_count_neither_way() -> None:
    truth = [Truth.of([(0, 0, 10, 10), (20, 0, 30, 10)], [0, 0], [False, True])]
    answers = [found((0, 0, 10, 10), (20, 0, 30, 10), classes=[0, 0], scores=[0.9, 0.8])]
    report = measure_boxes(answers, truth, labels=["a"], threshold=0.5, item_name=str, source="x")
    assert report.metrics["map50"] == pytest.approx(1.0) and report.box_confusion == [[1, 0], [0, 0]]
    assert match(answers[0], truth[0]) == ([(0, 0)], {1})
    boxes, classes = as_batch(truth, [Placement((0, 0, 40, 20), (0, 0, 40, 20))])
    assert boxes.shape == (1, 1, 4) and classes.tolist() == [[0]]


def test_the_threshold_is_where_boxes_agree_best() -> None:
    truth = [Truth.of([(0, 0, 10, 10)], [0])] * 4
    answers = [found((0, 0, 10, 10), (50, 50, 60, 60), classes=[0, 0], scores=[0.6, 0.4])] * 4
    assert 0.4 < best_threshold(answers, truth, classes=1) <= 0.6


def test_a_detector_stands_on_any_backbone_with_stages() -> None:
    for name in ("efficientnet_lite0", "resnet18", "fastnet"):
        options = {**SMALL, "backbone": SMALL["backbone"] if name == "fastnet" else {}, "strides": [8, 16, 32]}
        assert name in list_models(spatial_dims=2)
        with torch.device("meta"):
            model = build_detector(name, 3, options=options)
            output = model(torch.zeros(2, 3, 64, 96))
        assert output.shape == (2, 8 * 12 + 4 * 6 + 2 * 3, 8)
    fewer = build_detector("fastnet", 2, options={**SMALL, "strides": [8, 16, 32, 64]})  # 32 and 64 are made
    x = torch.randn(1, 3, 64, 64)
    output = fewer(x)
    assert output.shape == (1, 64 + 16 + 4 + 1, 7)
    assert (output[..., -4:] >= 0).all() and boxes_of(output, locations((64, 64), (8, 16, 32, 64))[0]).shape[-1] == 4
    assert 0.05 < scores_of(output).max() < 0.3  # it begins at the prior: almost everything is background
    output.sum().backward()
    assert all(p.grad is not None for p in fewer.parameters() if p.requires_grad)
    with pytest.raises(CnnError, match="strides: expected the first to be one of the network's, 2, 4, 8, 16, got 32"):
        build_detector("fastnet", 2, options={**SMALL, "strides": [32]})


def test_an_input_that_does_not_fit_the_levels_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"multiples of the largest stride, 32, got \[200, 320\]"):
        BoxContract((200, 320), (8, 16, 32))
    with pytest.raises(ConfigError, match="each to be a multiple of the one before"):
        BoxContract((64, 64), (16, 8))


def test_interpolated_levels_line_up_with_their_finer_ones() -> None:
    model = build_detector("fastnet", 1, options=SMALL)
    shapes = [tuple(level.shape[2:]) for level in model.pyramid(torch.zeros(1, 3, 32, 48))]
    assert shapes == [(4, 6), (2, 3)]
    assert interpolate(torch.arange(2.0).view(1, 1, 1, 2), size=(1, 4)).flatten().tolist() == [0, 0, 1, 1]
