"""Every method: does the heat land where the network looks, and are the numbers those worked by hand?"""

import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn

from cnn_core.errors import UnknownNameError
from cnn_core.explain import explain, list_methods, method_spec, register_method

METHODS = list_methods()
SIGNED = {"integrated-gradients", "occlusion"}
SIZES = [(32,), (16, 24), (16, 16, 8)]


def test_the_promised_methods_are_registered():
    assert METHODS == [
        "grad-cam", "grad-cam++", "gradient", "integrated-gradients", "layer-cam", "occlusion", "smooth-grad",
    ]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=["1d", "2d", "3d"])
@pytest.mark.parametrize("method", METHODS)
def test_heat_lands_where_the_network_looks(looker, region, method, size):
    model = looker(size).eval()
    x = 0.5 + torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
    result = explain(model, x, method=method, target=[0, 1])  # sample 0 looks at one box, sample 1 at the other
    assert result.heat.shape == (2, *size)
    assert result.heat.dtype == torch.float32
    assert result.target.tolist() == [0, 1]
    assert (result.method, result.signed) == (method, method in SIGNED)
    for k in (0, 1):
        heat = result.heat[k].abs()
        # Windows, and the upscaled 2 x coarser grid, reach over the edge of the box; most of the heat does not.
        assert heat[region(size, k)].sum() > 0.7 * heat.sum() > 0
        assert heat[region(size, 1 - k)].sum() == 0


@pytest.mark.parametrize("method", METHODS)
def test_other_weights_give_another_map(tiny, method):
    x = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    maps = [explain(tiny(seed=seed).eval(), x, method=method, target=0).heat.flatten() for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1])
    # CAM maps of an untrained network may be empty, which is another map too.
    alike = torch.corrcoef(torch.stack([maps[0], maps[2]]))[0, 1]
    assert maps[0].max() > 0
    assert alike.isnan() or alike < 0.8


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_its_samples(tiny, method, spatial_dims):
    model = tiny(spatial_dims).eval()
    x = torch.randn(3, 2, *[8] * spatial_dims, generator=torch.Generator().manual_seed(0))
    together = explain(model, x, method=method, target=[2, 0, 1]).heat
    for i, k in enumerate([2, 0, 1]):
        alone = explain(model, x[i : i + 1], method=method, target=k).heat[0]
        torch.testing.assert_close(together[i], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_signed_says_what_the_heat_is(tiny, method):
    x = torch.randn(4, 2, 10, 10, generator=torch.Generator().manual_seed(0))
    heat = explain(tiny().eval(), x, method=method, target=0).heat
    assert bool(heat.min() < 0) == method_spec(method).signed


def test_grad_cam_worked_by_hand(by_hand):
    # Gradients in A0 are 1 2 3 6, mean 3; in A1 0 -4 0 0, mean -1. ReLU(3 x + (-1)(-x)) = ReLU(4 x).
    x = torch.tensor([[[[4.0, -8.0], [0.0, 2.0]]]])
    result = explain(by_hand, x, target=0)
    assert result.heat.tolist() == [[[16, 0], [0, 8]]]
    assert result.options == {"layer": "only"}


def test_layer_cam_worked_by_hand(by_hand):
    # ReLU of the gradients, cell by cell: 1 2 3 6 on A0, nothing on A1, so [4, 10, -3, 12] before the last ReLU.
    x = torch.tensor([[[[4.0, 5.0], [-1.0, 2.0]]]])
    assert explain(by_hand, x, method="layer-cam", target=0).heat.tolist() == [[[4, 10], [0, 12]]]


def test_grad_cam_plus_plus_worked_by_hand(by_hand):
    # Sum of A0 is 8; g = 1 2 3 6; alpha = g^2 / (2 g^2 + 8 g^3) = 1/10, 1/18, 1/26, 1/50.
    # Weight of A0 = 1/10 + 2/18 + 3/26 + 6/50; A1 has no positive gradient.
    x = torch.tensor([[[[4.0, 0.0], [1.0, 3.0]]]])
    heat = explain(by_hand, x, method="grad-cam++", target=0).heat
    torch.testing.assert_close(heat, (1 / 10 + 2 / 18 + 3 / 26 + 6 / 50) * x[:, 0])


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_grad_cam_equals_captum(tiny, spatial_dims):
    model = tiny(spatial_dims).eval()
    x = torch.randn(2, 2, *[8] * spatial_dims)
    ours = explain(model, x, target=1, options={"layer": "first"}).heat
    theirs = LayerGradCam(model, model.stages["first"]).attribute(x, 1, relu_attributions=True)
    torch.testing.assert_close(ours, theirs[:, 0].detach())


def test_the_coarse_map_is_centred_on_the_input(looker):
    # A 2-cell map [1, 0] on 4 pixels, cell centres at 0.5 and 2.5: 1, 0.75, 0.25, 0.
    model = looker((8,)).eval()
    x = torch.zeros(1, 1, 8)
    x[0, 0, :2] = 8.0
    heat = explain(model, x, target=0).heat[0]
    torch.testing.assert_close(heat / heat[0], torch.tensor([1, 0.75, 0.25, 0, 0, 0, 0, 0]))


def linear_net(weight: torch.Tensor) -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(weight.numel(), 1, bias=False))
    net[1].weight.data = weight.reshape(1, -1)
    return net


def test_gradient_and_smooth_grad_of_a_linear_net_are_its_largest_weights():
    weight = torch.tensor([[[1.0, -5.0], [2.0, 0.0]], [[-3.0, 4.0], [0.0, 0.0]]])  # [C, H, W]
    x = torch.randn(1, 2, 2, 2)
    for method in ("gradient", "smooth-grad"):
        torch.testing.assert_close(
            explain(linear_net(weight), x, method=method).heat[0], torch.tensor([[3.0, 5.0], [2.0, 0.0]])
        )


def test_smooth_grad_depends_on_its_seed_alone(tiny):
    model, x = tiny().eval(), torch.randn(1, 2, 8, 8)
    state = torch.get_rng_state()
    heats = [explain(model, x, method="smooth-grad", target=0, options={"seed": s}).heat for s in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(heats[0], heats[1])
    assert not torch.allclose(heats[0], heats[2])


class HalfSquare(nn.Module):
    """Logit = sum of x ** 2 / 2, so that the gradient is x itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.square().flatten(1).sum(1, keepdim=True) / 2


def test_smooth_grad_adds_noise_in_proportion_to_the_range_of_each_input():
    x = torch.stack([torch.linspace(10, 12, 4000), torch.linspace(100, 140, 4000)])[:, None]  # ranges 2 and 40
    heat = explain(HalfSquare(), x, method="smooth-grad", options={"copies": 4, "noise": 0.1}).heat
    # The mean of 4 copies x + noise deviates from x by 0.1 * range / sqrt(4).
    torch.testing.assert_close((heat - x[:, 0]).std(1), torch.tensor([0.1, 2.0]), rtol=0.05, atol=0)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_integrated_gradients_are_complete(tiny, spatial_dims):
    model = tiny(spatial_dims).eval()
    x = 5 * torch.randn(2, 2, *[8] * spatial_dims, generator=torch.Generator().manual_seed(0))
    baseline = torch.full((2, *[8] * spatial_dims), 0.3)
    result = explain(
        model, x, method="integrated-gradients", target=[1, 2], options={"baseline": baseline, "steps": 256}
    )
    with torch.no_grad():
        rise = (model(x) - model(baseline[None].expand_as(x)))[[0, 1], [1, 2]]
    assert rise.abs().min() > 0.01  # or the comparison below would say nothing
    torch.testing.assert_close(result.heat.flatten(1).sum(1), rise, rtol=0.01, atol=2e-4)


def test_integrated_gradients_of_a_linear_net_are_weight_times_step():
    weight = torch.tensor([[[1.0, -5.0], [2.0, 0.0]], [[-3.0, 4.0], [0.0, 0.0]]])
    x = torch.tensor([[[[2.0, 2.0], [3.0, 1.0]], [[1.0, 2.0], [1.0, 1.0]]]])
    # Baseline 1: [1*1 + -3*0, -5*1 + 4*1], [2*2 + 0, 0].
    heat = explain(linear_net(weight), x, method="integrated-gradients", options={"baseline": 1.0, "rows": 1}).heat
    torch.testing.assert_close(heat[0], torch.tensor([[1.0, -1.0], [4.0, 0.0]]))


def test_occlusion_worked_by_hand():
    # Logit = sum of the pixels. Windows of 2 by 1 cell, step 1, covered by 10; fall = sum of (x - 10) in the window.
    x = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    options = {"window": [1, 2], "stride": 1, "baseline": 10.0}
    heat = explain(linear_net(torch.ones(1, 2, 3)), x, method="occlusion", options=options).heat
    # Row 0: windows fall -17 (cells 0, 1) and -15 (cells 1, 2); row 1: -11 and -9; a cell has the mean of its windows.
    torch.testing.assert_close(heat[0], torch.tensor([[-17.0, -16.0, -15.0], [-11.0, -10.0, -9.0]]))


def test_occlusion_takes_windows_of_a_sixteenth_and_steps_of_half_a_window_in_1d():
    # 64 pixels: window 4, step 2. The windows from 8 and from 10 cover the one bright pixel, 10.
    x = torch.zeros(1, 1, 64)
    x[0, 0, 10] = 1.0
    heat = explain(linear_net(torch.ones(1, 64)), x, method="occlusion").heat[0]
    assert heat[6:16].tolist() == [0, 0, 0.5, 0.5, 1, 1, 0.5, 0.5, 0, 0]


def test_occlusion_takes_windows_of_a_sixth_side_by_side_in_3d():
    x = torch.zeros(1, 1, 12, 12, 12)
    x[0, 0, 5, 6, 0] = 1.0
    heat = explain(linear_net(torch.ones(1, 12, 12, 12)), x, method="occlusion").heat[0]
    expected = torch.zeros(12, 12, 12)
    expected[4:6, 6:8, 0:2] = 1.0
    torch.testing.assert_close(heat, expected)


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_occlusion_does_not_depend_on_rows_per_pass(tiny, rows):
    model, x = tiny().eval(), torch.randn(2, 2, 9, 7)
    baseline = torch.randn(2, 2, 9, 7)
    one, other = (
        explain(model, x, method="occlusion", target=0, options={"rows": r, "window": 3, "baseline": baseline}).heat
        for r in (64, rows)
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_occlusion_with_one_window_over_everything(tiny):
    model, x = tiny().eval(), torch.randn(1, 2, 6, 6)
    heat = explain(model, x, method="occlusion", target=0, options={"window": 6}).heat
    with torch.no_grad():
        fall = model(x)[0, 0] - model(torch.zeros_like(x))[0, 0]
    torch.testing.assert_close(heat, fall.expand(1, 6, 6))


def test_an_unknown_method_or_option_answers_with_the_nearest_names(tiny):
    x = torch.randn(1, 2, 8, 8)
    with pytest.raises(UnknownNameError, match=r"unknown explanation method 'gradcam'; did you mean grad-cam"):
        explain(tiny(), x, method="gradcam")
    with pytest.raises(UnknownNameError, match=r"unknown option of occlusion 'windows'; did you mean window"):
        explain(tiny(), x, method="occlusion", options={"windows": 3})


def test_a_method_name_is_registered_once():
    with pytest.raises(ValueError, match="registered twice"):
        register_method("grad-cam", signed=False, paper="", url="")(lambda: None)
