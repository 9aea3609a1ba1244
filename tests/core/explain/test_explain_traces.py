"""Explaining leaves no trace in the model, the input or the caller's settings, also after an error."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from cnn_core.explain import explain, feature_maps, list_methods
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.nn.blocks import Head

METHODS = list_methods()


def state_of(model: nn.Module) -> dict[str, object]:
    """Everything of a model that explaining could change."""
    hooks = [
        sum(len(value) for key, value in vars(module).items() if "hook" in key and hasattr(value, "__len__"))
        for module in model.modules()
    ]
    return {
        "training": [module.training for module in model.modules()],
        "hooks": hooks,
        "frozen": [p.requires_grad for p in model.parameters()],
        "grads": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "values": [t.tolist() for t in model.state_dict().values()],
    }


@pytest.fixture
def marked(tiny) -> Backbone:
    """A model in which mode, freezing, gradients and hooks all differ from module to module."""
    model = tiny().train()
    model.stages["first"].norm.training = False
    model.stages["first"].requires_grad_(False)
    model.head.classifier.weight.grad = torch.ones_like(model.head.classifier.weight)
    model.stages["second"].register_forward_hook(lambda *_: None)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_as_before(marked, method):
    before = state_of(marked)
    x = torch.randn(2, 2, 8, 8)
    kept = x.clone()
    explain(marked, x, method=method)
    assert state_of(marked) == before
    assert torch.equal(x, kept)
    assert not x.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_as_before_after_an_error(marked, method):
    before = state_of(marked)
    calls = []

    def fails_the_second_time(logits: Tensor) -> Tensor:
        calls.append(len(logits))
        if len(calls) > 1:
            raise RuntimeError("from the target")
        return logits[:, 0]

    with pytest.raises(RuntimeError, match="from the target"):
        explain(marked, torch.randn(2, 2, 8, 8), method=method, target=fails_the_second_time)
    assert state_of(marked) == before


def test_maps_leave_the_model_as_before(marked):
    before = state_of(marked)
    x = torch.randn(2, 2, 8, 8)
    maps = feature_maps(marked, x)
    assert state_of(marked) == before
    assert not any(m.requires_grad for m in maps.values())


@pytest.mark.parametrize("method", METHODS)
def test_works_whatever_the_caller_has_switched_off(tiny, method):
    model, x = tiny().eval(), torch.randn(1, 2, 8, 8)
    expected = explain(model, x, method=method, target=0).heat
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            heat = explain(model, x * 1, method=method, target=0).heat  # * 1: an input made in that mode
            assert not torch.is_grad_enabled()
        torch.testing.assert_close(heat, expected)
        assert not heat.is_inference()


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_model_and_an_input_with_history_are_explained_too(tiny, method):
    model = tiny().eval()
    x = torch.randn(1, 2, 8, 8)
    expected = explain(model, x, method=method, target=0).heat
    model.requires_grad_(False)
    source = x.clone().requires_grad_()
    torch.testing.assert_close(explain(model, source * 1, method=method, target=0).heat, expected)
    assert source.grad is None


def two_stage(*, inplace: bool) -> Backbone:
    """Both stages open with a leaky ReLU: in place, it overwrites the input, and the map of the stage before.

    Leaky, because a plain ReLU that is applied to its own result changes nothing.
    """
    torch.manual_seed(0)
    stages = {
        name: nn.Sequential(nn.LeakyReLU(0.3, inplace=inplace), nn.Conv2d(3, 3, 3, padding=1))
        for name in ("one", "two")
    }
    info = [FeatureInfo("one", 3, 1), FeatureInfo("two", 3, 1)]
    return Backbone(stages, info, head=Head(3, 2, spatial_dims=2), spatial_dims=2, in_channels=3).eval()


@pytest.mark.parametrize("method", METHODS)
def test_layers_that_work_in_place_change_nothing(method):
    x = torch.randn(2, 3, 8, 8)
    kept = x.clone()
    options = {"layer": "one"} if "cam" in method else {}
    clean, inplace = (
        explain(two_stage(inplace=flag), x, method=method, target=0, options=options).heat for flag in (False, True)
    )
    torch.testing.assert_close(inplace, clean)
    assert torch.equal(x, kept)


def test_feature_maps_are_not_overwritten_by_the_next_stage():
    x = torch.randn(1, 3, 8, 8)
    kept = x.clone()
    maps = feature_maps(two_stage(inplace=True), x)
    assert maps["one"].min() < 0
    for name, expected in feature_maps(two_stage(inplace=False), x).items():
        torch.testing.assert_close(maps[name], expected)
    assert torch.equal(x, kept)


class Meanwhile(nn.Module):
    """Lets another thread run the whole model in the middle of this thread's pass through it."""

    def __init__(self) -> None:
        super().__init__()
        self.work = None

    def forward(self, x: Tensor) -> Tensor:
        work, self.work = self.work, None
        if work is not None:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(work).result()
        return x


def test_a_pass_of_another_thread_in_the_middle_is_left_alone(tiny):
    model, x = tiny().eval(), torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    expected, maps = explain(model, x, target=0).heat, feature_maps(model, x)
    meanwhile = Meanwhile()
    model.head.dropout0 = meanwhile  # does nothing in evaluation mode
    other = torch.randn(1, 2, 8, 8)

    def target(logits: Tensor) -> Tensor:
        meanwhile.work = lambda: model(other)  # in the next pass, which is the one that Grad-CAM looks at
        return logits[:, 0]

    torch.testing.assert_close(explain(model, x, target=target, options={"layer": "second"}).heat, expected)
    meanwhile.work = lambda: explain(model, other)  # this one brings hooks of its own
    torch.testing.assert_close(feature_maps(model, x), maps)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_compiled_model_is_explained_as_the_plain_one(tiny):
    model, x = tiny().eval(), torch.randn(1, 2, 8, 8)
    expected = explain(model, x, target=0).heat
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        compiled(x)  # compiled before any hook exists
    torch.testing.assert_close(explain(compiled, x, target=0).heat, expected)
    assert set(feature_maps(compiled, x)) == {"first", "second"}
