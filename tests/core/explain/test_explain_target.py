"""What can be explained, and what is refused with a sentence."""

import numpy as np
import pytest
import torch
from torch import nn

from cnn_core.errors import CnnError, DataError, UnknownNameError
from cnn_core.explain import explain, list_methods
from cnn_core.models.backbone import FeatureInfo


@pytest.mark.parametrize("method", list_methods())
def test_a_function_as_target_equals_the_class_it_picks(tiny, method):
    model, x = tiny().eval(), torch.randn(2, 2, 8, 8)
    by_class = explain(model, x, method=method, target=[2, 0])
    # The function sees exactly the batch, row by row, also where a method runs many copies of it at once.
    by_function = explain(model, x, method=method, target=lambda logits: logits[[0, 1], [2, 0]])
    torch.testing.assert_close(by_class.heat, by_function.heat)
    assert by_function.target is None


def test_without_a_target_the_most_probable_class_of_each_sample_is_explained(tiny):
    model, x = tiny().eval(), torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(3)) * 3
    with torch.no_grad():
        best = model(x).argmax(1)
    result = explain(model, x, method="gradient")
    assert torch.equal(result.target, best)
    torch.testing.assert_close(result.heat, explain(model, x, method="gradient", target=best).heat)


@pytest.mark.parametrize("target", [1, np.int64(1), [1, 1], (1, 1), np.array([1, 1]), torch.tensor([1, 1])])
def test_classes_in_any_clothes(tiny, target):
    result = explain(tiny().eval(), torch.randn(2, 2, 8, 8), target=target)
    assert result.target.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (3, r"a class 0\.\.2.*got 3"),
        (-1, r"a class 0\.\.2.*got -1"),
        ([0, 1, 2], r"each of the 2 samples.*shape \[3\]"),
        ([], r"each of the 2 samples"),
        ([0, 7], r"got \[0, 7\]"),
        (1.0, "got 1.0"),
        (True, "got True"),
        ("cat", "got 'cat'"),
        (torch.tensor([[0], [1]]), r"shape \[2, 1\]"),
        (lambda logits: logits.sum(), r"one number per sample, shape \[2\], got \[\]"),
        (lambda logits: logits, r"one number per sample, shape \[2\], got \[2, 3\]"),
        (lambda logits: 1.0, "got float"),
        (lambda logits: logits.argmax(1), "no gradient"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(tiny, target, sentence):
    with pytest.raises(CnnError, match=sentence):
        explain(tiny(), torch.randn(2, 2, 8, 8), target=target)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.zeros(2, 8, 8), r"expected an input \[B, 2, H, W\], got \[2, 8, 8\]"),
        (torch.zeros(1, 3, 8, 8), r"expected an input \[B, 2, H, W\], got \[1, 3, 8, 8\]"),
        (torch.zeros(0, 2, 8, 8), r"at least one sample.*\[0, 2, 8, 8\]"),
        (torch.zeros(1, 2, 0, 8), "at least one"),
        (torch.zeros(1, 2, 1, 8), "at least 2 pixels"),
        (torch.full((1, 2, 8, 8), torch.nan), "128 values that are NaN"),
        (torch.full((1, 2, 8, 8), -torch.inf), "infinite"),
        (torch.zeros(1, 2, 8, 8, dtype=torch.uint8), "floating-point input, got torch.uint8"),
        (torch.zeros(1, 2, 8, 8, dtype=torch.float64), "computes in torch.float32, the input is torch.float64"),
        (torch.zeros(1, 2, 8, 8, device="meta"), "the model is on cpu, the input on meta"),
        (np.zeros((1, 2, 8, 8), dtype=np.float32), "expected a tensor.*ndarray"),
        (None, "expected a tensor"),
    ],
)
def test_an_input_that_is_none_is_refused(tiny, x, sentence):
    with pytest.raises(CnnError, match=sentence):
        explain(tiny(), x)


def test_damaged_weights_are_named(tiny):
    model = tiny()
    model.head.classifier.weight.data[0, 0] = torch.nan
    with pytest.raises(CnnError, match=r"not finite.*weights"):
        explain(model, torch.randn(1, 2, 8, 8))


@pytest.mark.parametrize(
    ("method", "options", "sentence"),
    [
        ("occlusion", {"window": 9}, r"window 9 is too large; at most \[8, 8\]"),
        ("occlusion", {"window": 0}, "window must be a whole number, at least 1, got 0"),
        ("occlusion", {"window": [2, 2, 2]}, "each of the 2 axes"),
        ("occlusion", {"window": 2, "stride": 3}, "stride 3 is too large"),
        ("occlusion", {"window": 2.5}, "window"),
        ("occlusion", {"window": "big"}, "window"),
        ("occlusion", {"rows": 0}, "rows must be"),
        ("occlusion", {"baseline": torch.zeros(3, 3)}, "baseline must be a number or a tensor that broadcasts"),
        ("integrated-gradients", {"baseline": torch.nan}, "baseline has values"),
        ("integrated-gradients", {"baseline": "black"}, "baseline must be"),
        ("integrated-gradients", {"steps": 0}, "steps must be"),
        ("integrated-gradients", {"rows": True}, "rows must be"),
        ("smooth-grad", {"copies": 0}, "copies must be"),
        ("smooth-grad", {"noise": -1.0}, "noise must be"),
        ("smooth-grad", {"noise": torch.nan}, "noise must be"),
        ("smooth-grad", {"seed": "x"}, "seed must be"),
        ("grad-cam", {"layer": "head"}, r"'head' returns \[1, 3\], which is not a map"),
        ("grad-cam", {"layer": ""}, "unknown layer ''"),
        ("grad-cam", {"layer": 3}, "unknown layer '3'"),
    ],
)
def test_an_option_without_sense_is_refused(tiny, method, options, sentence):
    with pytest.raises(CnnError, match=sentence):
        explain(tiny(), torch.randn(1, 2, 8, 8), method=method, options=options)


def test_a_layer_is_a_stage_or_a_path_and_a_wrong_one_answers_with_the_nearest(tiny):
    model, x = tiny().eval(), torch.randn(1, 2, 8, 8)
    by_stage = explain(model, x, target=0, options={"layer": "first"})
    by_path = explain(model, x, target=0, options={"layer": "stages.first.act"})
    torch.testing.assert_close(by_stage.heat, by_path.heat)
    with pytest.raises(UnknownNameError, match="unknown layer 'frist'; did you mean first"):
        explain(model, x, options={"layer": "frist"})
    model.spare = nn.Conv2d(2, 2, 1)
    with pytest.raises(CnnError, match="'spare' takes no part"):
        explain(model, x, options={"layer": "spare"})


def test_the_default_layer_is_the_last_one_that_knows_places(tiny):
    # Two stages, the second halves: from 2 pixels on it has one cell only, which says nothing.
    model = tiny().eval()
    assert explain(model, torch.randn(1, 2, 8, 8)).options["layer"] == "second"
    assert explain(model, torch.randn(1, 2, 2, 2)).options["layer"] == "first"
    # A pooling stage to a fixed 3 x 3 grid, as VGG has it, only repeats the one cell of a small input.
    model.stages["grid"] = nn.AdaptiveAvgPool2d(3)
    model.feature_info = (*model.feature_info, FeatureInfo("grid", 6, 2))
    assert explain(model, torch.randn(1, 2, 8, 8)).options["layer"] == "grid"
    assert explain(model, torch.randn(1, 2, 2, 2)).options["layer"] == "first"
    lone = tiny(minimum_size=1).eval()
    with pytest.raises(CnnError, match="no stage of this network has a map with more than one cell"):
        explain(lone, torch.randn(1, 2, 1, 1))


def test_any_module_will_do_when_the_layer_is_named():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 1))  # a map of class scores [B, 3, H, W]
    x = torch.randn(2, 1, 6, 6)
    with pytest.raises(CnnError, match="names no stages; give the option 'layer'"):
        explain(net, x, target=lambda scores: scores[:, 1].mean((1, 2)))
    with pytest.raises(CnnError, match=r"outputs \[B, K\] only, this model gives \[2, 3, 4, 4\]"):
        explain(net, x, target=1, options={"layer": "1"})
    result = explain(net, x, target=lambda scores: scores[:, 1].mean((1, 2)), options={"layer": "1"})
    assert result.heat.shape == (2, 6, 6)


def test_data_errors_are_data_errors(tiny):
    with pytest.raises(DataError):
        explain(tiny(), torch.full((1, 2, 8, 8), torch.nan))
