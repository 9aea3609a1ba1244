"""U-Nets against published parameter counts, hand formulas, and a plain reference written with torch.nn alone."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError, UnknownNameError
from cnn_core.models import create_model, list_models, model_spec
from cnn_core.models.backbone import count_parameters
from cnn_core.models.unet import DECODER_OPTIONS, UNet, backbone_unet, create_unet, list_encoders
from cnn_core.nn.unet import plain_block

CHEAP = {
    "widths": (16, 32, 64, 132, 272), "depth": (1, 2, 2, 2, 2), "up_depth": 1, "strided": True, "stem_stride": 2,
    "merge": "add",
}  # fmt: skip
SMALL = {"base_channels": 4, "hidden": (8,), "grid": 1, "widths": (4, 8), "filters": 4}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
UP = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
BATCH = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def on_meta(name: str, **arguments: object) -> UNet:
    """Build without giving the weights memory."""
    with torch.device("meta"):
        return create_unet(name, **arguments)


def small(name: str, *, spatial_dims: int, **options: object) -> UNet:
    """Build a small form, with two input channels and three classes."""
    known = {*model_spec(name).options, *(() if name == "unet" else DECODER_OPTIONS)}
    fitting = {key: value for key, value in SMALL.items() if key in known}
    return create_unet(
        name, spatial_dims=spatial_dims, in_channels=2, num_classes=3, options={**fitting, **options}
    )  # fmt: skip


# ---- parameters


def test_the_form_of_2015_has_the_parameters_of_the_papers_figure() -> None:
    # Figure 1, one channel in and two classes. Convolutions of 9 * in * out, with two numbers of normalisation each.
    convs = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    convs += [(512, 1024), (1024, 1024), (1024, 512), (512, 512), (512, 256), (256, 256), (256, 128), (128, 128)]
    convs += [(128, 64), (64, 64)]
    ups = [(1024, 512), (512, 256), (256, 128), (128, 64)]  # 2 x 2 up-convolutions
    by_hand = sum(9 * i * o + 2 * o for i, o in convs) + sum(4 * i * o for i, o in ups) + 64 * 2 + 2
    assert count_parameters(on_meta("unet", in_channels=1, num_classes=2)) == by_hand
    # The widely used PyTorch code of that figure, 3 channels in, says 31,037,698; 960 are biases of up-convolutions.
    assert count_parameters(on_meta("unet", in_channels=3, num_classes=2)) == 31_037_698 - 960


def test_the_cheap_form_has_about_as_many_parameters_as_monais() -> None:
    monai = 4_806_481  # channels 16, 32, 64, 128, 256, strides 2, num_res_units 2, one channel in, two classes
    ours = count_parameters(on_meta("unet", spatial_dims=3, options=CHEAP))
    assert 1 <= ours / monai < 1.02


# ---- against a plain reference


class Reference(nn.Module):
    """The U-Net of the 2015 figure, padded, as one would write it in an afternoon."""

    def __init__(self, n: int, widths: list[int], norm: type[nn.Module], act: nn.Module, classes: int) -> None:
        super().__init__()

        def double(i: int, o: int) -> nn.Sequential:
            return nn.Sequential(
                CONV[n](i, o, 3, padding=1, bias=False), norm(o, affine=True), act,
                CONV[n](o, o, 3, padding=1, bias=False), norm(o, affine=True), act,
            )  # fmt: skip

        self.down = nn.ModuleList(double(i, o) for i, o in pairwise([1, *widths]))
        self.pool = POOL[n](2)
        steps = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(UP[n](i, o, 2, 2, bias=False) for i, o in steps)
        self.join = nn.ModuleList(double(2 * o, o) for _, o in steps)
        self.last = CONV[n](widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for i, block in enumerate(self.down):
            x = block(self.pool(x) if i else x)
            skips.append(x)
        skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skips.pop()], dim=1))
        return self.last(x)


def copy_weights(ours: UNet, reference: Reference) -> None:
    """Put random numbers into ours and the same ones into the reference, layer by layer as both are written down."""

    def layers(model: nn.Module, *kinds: type[nn.Module]) -> list[nn.Module]:
        return [module for module in model.modules() if isinstance(module, kinds)]

    down = layers(ours.encoder, *CONV.values())
    joins = [conv for up in ours.ups for conv in layers(up.block, *CONV.values())]
    pairs = list(zip(down, layers(reference.down, *CONV.values()), strict=True))
    pairs += zip(joins, layers(reference.join, *CONV.values()), strict=True)
    pairs += zip([up.up for up in ours.ups], reference.up, strict=True)
    kinds = (*BATCH.values(), *INSTANCE.values(), nn.GroupNorm)
    pairs += zip(layers(ours, *kinds), [*layers(reference.down, *kinds), *layers(reference.join, *kinds)], strict=True)
    pairs.append((ours.head.conv, reference.last))
    for own, other in pairs:
        for name, value in own.state_dict().items():
            if value.is_floating_point():
                fresh = torch.rand_like(value) + 0.5 if "var" in name or value.ndim == 1 else value
                getattr(own, name).data.copy_(fresh)
                getattr(other, name).data.copy_(fresh)
    assert count_parameters(ours) == count_parameters(reference)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
@pytest.mark.parametrize(("norm", "activation"), [("batch", "relu"), ("instance", "leaky_relu")])
@pytest.mark.parametrize("training", [False, True])
def test_equals_a_plain_reference_given_the_same_weights(spatial_dims, norm, activation, training):
    options = {"widths": (4, 8, 16), "norm": norm, "activation": activation}
    ours = create_unet("unet", spatial_dims=spatial_dims, num_classes=3, options=options)
    table = BATCH if norm == "batch" else INSTANCE
    act = nn.ReLU() if activation == "relu" else nn.LeakyReLU(0.01)
    reference = Reference(spatial_dims, [4, 8, 16], table[spatial_dims], act, classes=3)
    copy_weights(ours, reference)
    ours.train(training)
    reference.train(training)
    x = torch.randn(2, 1, *[16, 12, 8][:spatial_dims])
    one, other = ours(x), reference(x)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    goal = torch.randn_like(one)
    (one * goal).sum().backward()
    (other * goal).sum().backward()
    first, wanted = ours.encoder.stages["level0"][0].conv.weight, reference.down[0][0].weight
    torch.testing.assert_close(first.grad, wanted.grad, atol=1e-4, rtol=1e-4)


def test_memory_laid_out_channels_last_gives_the_same() -> None:
    model = create_unet("unet", spatial_dims=3, options={**CHEAP, "widths": (4, 8, 8), "depth": 2}).eval()
    x = torch.randn(2, 1, 13, 16, 9)
    with torch.no_grad():
        plain = model(x)
        model.to(memory_format=torch.channels_last_3d)
        torch.testing.assert_close(model(x.to(memory_format=torch.channels_last_3d)), plain, atol=1e-5, rtol=0)


# ---- every name


def one_of_each_family(names: list[str]) -> list[str]:
    """Return the first backbone of each paper."""
    return [*{model_spec(name).paper: name for name in reversed(names)}.values()]


EVERY = [(name, n) for n in (1, 2) for name in ["unet", *list_encoders(spatial_dims=n)]]
EVERY += [(name, 3) for name in ["unet", *one_of_each_family(list_encoders(spatial_dims=3))]]  # volumes are slow
every = pytest.mark.parametrize(("name", "spatial_dims"), EVERY)


def odd_size(model: UNet) -> list[int]:
    return [model.minimum_size + extra for extra in (9, 4, 3)][: model.spatial_dims]


@every
def test_scores_are_as_large_as_odd_inputs_and_every_parameter_learns(name: str, spatial_dims: int) -> None:
    model = small(name, spatial_dims=spatial_dims)
    if hasattr(model.encoder, "initialise"):
        model.initialise(torch.randn(4, 2, *odd_size(model)))
    x = torch.randn(2, 2, *odd_size(model))
    outputs = model(x)
    assert outputs.shape == (2, 3, *x.shape[2:])
    (outputs * torch.randn_like(outputs)).sum().backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    ours = [(n, p) for n, p in model.named_parameters() if not n.startswith("encoder.")]  # the backbones: elsewhere
    assert [n for n, p in ours if not p.grad.abs().any()] == []
    model.eval()
    with torch.no_grad():
        scores = model(x)
    assert scores.shape == outputs.shape
    assert scores.isfinite().all()


@every
def test_the_smallest_input_goes_in(name: str, spatial_dims: int) -> None:
    model = small(name, spatial_dims=spatial_dims).eval()
    edge = model.minimum_size
    with torch.no_grad():
        assert model(torch.randn(1, 2, *[edge] * spatial_dims)).shape == (1, 3, *[edge] * spatial_dims)
    if edge > 1:
        with pytest.raises(CnnError, match=f"at least {edge} pixels"):
            model(torch.randn(1, 2, *[edge - 1] * spatial_dims))


def test_one_batch_of_shapes_is_overfitted() -> None:
    model = small("unet", spatial_dims=2, widths=(8, 16))
    x = torch.randn(2, 2, 16, 16)
    mask = torch.zeros(2, 16, 16, dtype=torch.long)
    mask[0, 3:9, 5:12], mask[1, 8:, :7] = 1, 2
    model.initialise(x)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(x).argmax(1) == mask).double().mean() > 0.95


def test_scores_look_at_the_input_around_them() -> None:
    options = {"widths": (4, 8), "norm": "none", "stem_stride": 2, "activation": "leaky_relu"}
    model = create_unet("unet", spatial_dims=1, options=options).eval()
    x = torch.randn(1, 1, 64).requires_grad_()
    for place in (0, 5, 30, 63):
        (gradient,) = torch.autograd.grad(model(x)[0, :, place].sum(), x)
        reached = gradient[0, 0].nonzero().flatten()
        # two convolutions at stride 2, two at stride 4, two at stride 2: 1 + 2 + 2 * 2 * 2 ... below 24 to either side
        assert reached.min() <= place <= reached.max()
        assert (reached - place).abs().max() < 24


# ---- forms


def test_a_backbone_gives_its_last_map_of_each_size_as_skip() -> None:
    model = create_unet("resnet20", in_channels=1, options={"width": 4})
    assert model.levels == (1, 2, 3)  # stem and layer1 are both as large as the input
    assert [up.up.in_channels for up in model.ups] == [64, 8]
    assert [up.block[0].conv.in_channels for up in model.ups] == [8 + 32, 4 + 16]  # decoder: 4, twice as many below
    assert len(small("vgg11", spatial_dims=2).ups) == 5


def test_a_trained_backbone_keeps_its_weights() -> None:
    encoder = create_model("resnet20", in_channels=1, num_classes=10, options={"base_channels": 4}).eval()
    x = torch.randn(1, 1, 20, 20)
    with torch.no_grad():
        maps = encoder.forward_features(x)
        model = backbone_unet(encoder, 2, width=4).eval()
        assert torch.equal(model.encoder.forward_features(x)[-1], maps[-1])
    assert model(x).shape == (1, 2, 20, 20)


def test_added_skips_are_added() -> None:
    model = create_unet("unet", spatial_dims=1, options={"widths": (1, 1), "merge": "add", "norm": "none"})
    up = model.ups[0]
    up.up.weight.data.fill_(2.0)
    up.block = nn.Identity()
    coarse, skip = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[0.5, 0.0, 1.0, -6.0]]])
    assert up(coarse, skip).tolist() == [[[2.5, 2.0, 7.0, 0.0]]]


def test_a_fresh_head_shows_no_checkerboard() -> None:
    model = create_unet("unet", num_classes=3, options={"widths": (4, 8), "stem_stride": 2}).eval()
    with torch.no_grad():
        scores = model(torch.randn(1, 1, 16, 16))
    cells = scores.unfold(2, 2, 2).unfold(3, 2, 2)
    assert float((cells.amax((4, 5)) - cells.amin((4, 5))).max()) < 1e-6
    assert scores.std() > 0.01


def test_a_new_head_answers_other_classes_and_leaves_the_rest() -> None:
    model = create_unet("unet", options={"widths": (4, 8, 8), "stem_stride": 2})
    before = {k: v.clone() for k, v in model.state_dict().items() if "head" not in k}
    model.reset_head(7)
    assert model(torch.randn(2, 1, 16, 16)).shape == (2, 7, 16, 16)
    assert model.num_classes == 7
    after = model.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items() if "running" not in k and "tracked" not in k)


def test_instance_norm_takes_a_map_of_one_cell() -> None:
    model = create_unet("unet", options={"widths": (4, 8, 8), "norm": "instance"})
    assert model(torch.randn(1, 1, 4, 4)).isfinite().all()


# ---- refusals


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("unett", {}, "unknown model 'unett'; did you mean unet"),
        ("mlp", {}, "no maps"),
        ("unet", {"options": {"width": 4}}, "unknown option of unet 'width'; did you mean widths"),
        ("unet", {"options": {"widths": (4,)}}, "at least 2 items"),
        ("unet", {"options": {"widths": (4, 0)}}, r"widths\.1: expected a number greater than or equal to 1, got 0"),
        ("unet", {"options": {"widths": "48"}}, "widths"),
        ("unet", {"options": {"widths": (4, 8), "depth": (1, 2, 3)}}, "expected 2 depths"),
        ("unet", {"options": {"depth": True}}, "depth"),
        ("unet", {"options": {"norm": ["batch"]}}, "norm: expected 'batch', 'instance' or 'none'"),
        ("unet", {"options": {"nothing": None}}, "unknown option"),
        ("unet", {"options": {"norm": "group", "stem_stride": 0}}, "norm: .*; stem_stride: "),
        ("resnet20", {"options": {"up_depth": 0}}, "up_depth"),
        ("resnet20", {"options": {"base_channels": -3}}, "resnet20 cannot be built"),
        ("unet", {"num_classes": 0}, "num_classes"),
        ("unet", {"in_channels": 1.0}, "in_channels"),
        ("unet", {"spatial_dims": 4}, "spatial_dims"),
    ],
)
def test_what_cannot_be_built_is_said(name, arguments, message):
    with pytest.raises(CnnError, match=message):
        create_unet(name, **arguments)


def test_unknown_names_are_unknown_name_errors() -> None:
    with pytest.raises(UnknownNameError):
        create_unet("resnet19")


def test_the_encoders_are_the_networks_with_maps() -> None:
    names = list_encoders(spatial_dims=3)
    assert "resnet18" in names and "mlp" not in names and "unet" not in names
    assert list_models(segments=True) == ["unet"]


def test_wrong_channels_are_refused_with_the_expected_shape() -> None:
    with pytest.raises(CnnError, match=r"expected an input \[B, 1, D, H, W\], got \[1, 2, 8, 8, 8\]"):
        create_unet("unet", spatial_dims=3, options={"widths": (2, 2)})(torch.randn(1, 2, 8, 8, 8))


def test_fresh_scores_are_of_sensible_size() -> None:
    with torch.no_grad():
        scores = create_unet("unet", options={"widths": (8, 16, 32)}).eval()(torch.randn(2, 1, 32, 32))
    assert 0.05 < float(scores.std()) < 5
    assert math.isfinite(float(scores.sum()))


def test_the_first_convolution_of_a_level_strides() -> None:
    block = plain_block(spatial_dims=2, norm="batch", activation="relu")(3, 8, depth=3, stride=2)
    assert [unit.conv.stride for unit in block] == [(2, 2), (1, 1), (1, 1)]
    assert [unit.conv.in_channels for unit in block] == [3, 8, 8]
