"""Every registered model, by name, in every dimension that it declares."""

from functools import cache
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from cnn_core.anatomy import trace
from cnn_core.errors import CnnError
from cnn_core.models import Backbone, create_model, list_models, model_spec
from cnn_core.models.backbone import count_parameters

# Options that make any model small; a model takes those that it has.
SMALL = {"base_channels": 4, "hidden": (16,), "widths": (8, 8), "grid": 1, "dropout": 0.0, "filters": 8, "dense": 16,
         "blocks": 3, "width": 0.25, "drop_path": 0.0,
         "first_kernel": 8}  # fmt: skip
EDGES = {"char_cnn": 123, "pilotnet": 61}  # of the smallest input, where 8 are too few
CLASSES = 3

# From the papers, torchvision's tables, or both: name -> (channels, size, classes, parameters). ResNet paper, table 6:
# 0.27, 0.46, 0.66, 0.85 million. LeNet-5: 156 + 2,416 + 48,120 + 10,164 + 850 (C3 fully connected). PilotNet, figure 4:
# about 250 thousand; the sum is in test_pilotnet.py.
PUBLISHED = {
    "mlp": (1, 28, 10, 669_706),
    "lenet": (1, 32, 10, 61_706),
    "alexnet": (3, 224, 1000, 61_100_840),
    "vgg11": (3, 224, 1000, 132_863_336),
    "vgg13": (3, 224, 1000, 133_047_848),
    "vgg16": (3, 224, 1000, 138_357_544),
    "vgg19": (3, 224, 1000, 143_667_240),
    "vgg11_bn": (3, 224, 1000, 132_868_840),
    "vgg13_bn": (3, 224, 1000, 133_053_736),
    "vgg16_bn": (3, 224, 1000, 138_365_992),
    "vgg19_bn": (3, 224, 1000, 143_678_248),
    "inception": (3, 224, 1000, 6_624_904),
    "mobilenet": (3, 224, 1000, 4_231_976),
    "efficientnet_lite0": (3, 224, 1000, 4_652_008),
    "pilotnet": (3, (66, 200), 1, 252_219),
    "resnet18": (3, 224, 1000, 11_689_512),
    "resnet34": (3, 224, 1000, 21_797_672),
    "resnet50": (3, 224, 1000, 25_557_032),
    "resnet20": (3, 32, 10, 269_722),
    "resnet32": (3, 32, 10, 464_154),
    "resnet44": (3, 32, 10, 658_586),
    "resnet56": (3, 32, 10, 853_018),
}
# Networks of texts and waves: name -> (channels, length, classes, parameters). Kim 2014, section 3.1, without vectors:
# widths 3, 4, 5 with 100 filters over 300 numbers per word: 100 x (300 x 12 + 3) + 2 x 301. Zhang et al. 2015, tables
# 1 and 2: 125,696 + 459,008 + 4 x 196,864 + 8,704 x 1,024 + 1,024 + 1,049,600 + 4,100. Johnson, Zhang 2017, 250 maps
# in 15 layers: 3 x 300 x 250 + 250 + 14 x (3 x 250 x 250 + 250) + 502. Dai et al. 2016, table 1: 0.5, 1.8, 3.7 million.
PUBLISHED_TEXT = {
    "kim_cnn": (300, 64, 2, 360_902),
    "char_cnn": (70, 1014, 4, 11_339_780),
    "dpcnn": (300, 128, 2, 2_854_252),
    "m5": (1, 32_000, 10, 558_090),
    "m11": (1, 32_000, 10, 1_784_202),
    "m18": (1, 32_000, 10, 3_679_882),
}
OWN = {"fastnet"}  # designed here: nothing is published

# name -> channels and edge of every stage for the paper's input; VGG: table 1, ResNet: table 1, GoogLeNet: table 1,
# MobileNet: table 1, EfficientNet: table 1 (B0, of which Lite0 has the stages).
VGG = [(64, 224), (128, 112), (256, 56), (512, 28), (512, 14), (512, 7)]
CIFAR = [(16, 32), (16, 32), (32, 16), (64, 8)]
SHAPES = {
    "mlp": [(512, 1), (512, 1)],
    "lenet": [(6, 14), (16, 5)],
    "alexnet": [(64, 55), (192, 27), (384, 13), (256, 13), (256, 13), (256, 6)],
    **{f"vgg{depth}{norm}": VGG for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    "inception": [(64, 112), (192, 56), (480, 28), (512, 14), (528, 14), (832, 14), (1024, 7)],
    "mobilenet": [
        (32, 112),
        (64, 112),
        (128, 56),
        (128, 56),
        (256, 28),
        (256, 28),
        *[(512, 14)] * 6,
        (1024, 7),
        (1024, 7),
    ],
    "efficientnet_lite0": [
        (32, 112),
        (16, 112),
        (24, 56),
        (40, 28),
        (80, 14),
        (112, 14),
        (192, 7),
        (320, 7),
        (1280, 7),
    ],
    "pilotnet": [(24, 31), (36, 14), (48, 5), (64, 3), (64, 1)],
    "resnet18": [(64, 112), (64, 56), (128, 28), (256, 14), (512, 7)],
    "resnet34": [(64, 112), (64, 56), (128, 28), (256, 14), (512, 7)],
    "resnet50": [(64, 112), (256, 56), (512, 28), (1024, 14), (2048, 7)],
    **{f"resnet{depth}": CIFAR for depth in (20, 32, 44, 56)},
}
SHAPES_TEXT = {
    "kim_cnn": [(300, 69)],
    "char_cnn": [(256, 336), (256, 110), (256, 108), (256, 106), (256, 104), (256, 34)],
    "m5": [(128, 8000), (128, 2000), (256, 500), (512, 125)],
    **{name: [(64, 8000), (64, 2000), (128, 500), (256, 125), (512, 32)] for name in ("m11", "m18")},
    "dpcnn": [(250, 128), (250, 128), (250, 64), (250, 32), (250, 16), (250, 8), (250, 4), (250, 2)],
}

ALL = [(name, d) for name, d in product(list_models(), (1, 2, 3)) if d in model_spec(name).spatial_dims]
each = pytest.mark.parametrize(("name", "spatial_dims"), ALL)
each_name = pytest.mark.parametrize("name", list_models())


def small(name: str, spatial_dims: int, *, edge: int | None = None, in_channels: int = 2) -> tuple[Backbone, int]:
    """Build a small form of the model and return it with an edge of input that it takes."""
    spec = model_spec(name)
    options = {key: value for key, value in SMALL.items() if key in spec.options}
    edge = edge or EDGES.get(name, 8)
    model = create_model(
        name, spatial_dims=spatial_dims, in_channels=in_channels, num_classes=CLASSES,
        input_size=[edge] * spatial_dims, options=options,
    )  # fmt: skip
    return model, max(edge, model.minimum_size)


def sizes(size: int | tuple[int, ...], dims: int) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (size,) * dims


@cache
def published(name: str) -> Backbone:
    """Build the published form without giving its weights memory, in evaluation mode."""
    channels, size, classes, _ = (PUBLISHED | PUBLISHED_TEXT)[name]
    dims = 1 if name in PUBLISHED_TEXT else 2
    with torch.device("meta"):
        return create_model(
            name, spatial_dims=dims, in_channels=channels, num_classes=classes, input_size=sizes(size, dims)
        ).eval()


def example(model: Backbone, edge: int, *, batch: int = 2) -> Tensor:
    return torch.randn(batch, model.in_channels, *[edge] * model.spatial_dims)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_every_model_has_published_figures_or_is_our_own() -> None:
    assert set(list_models()) - OWN == {*PUBLISHED, *PUBLISHED_TEXT} == {*SHAPES, *SHAPES_TEXT}


@pytest.mark.parametrize("name", PUBLISHED | PUBLISHED_TEXT)
def test_parameter_count_is_the_published_one(name: str) -> None:
    assert count_parameters(published(name)) == (PUBLISHED | PUBLISHED_TEXT)[name][3]


@pytest.mark.parametrize("name", PUBLISHED | PUBLISHED_TEXT)
def test_stages_have_the_shapes_of_the_papers_table(name: str) -> None:
    channels, size, classes, _ = (PUBLISHED | PUBLISHED_TEXT)[name]
    model = published(name)
    x = torch.empty(1, channels, *sizes(size, model.spatial_dims), device="meta")
    assert [(m.shape[1], m.shape[2]) for m in model.forward_features(x)] == (SHAPES | SHAPES_TEXT)[name]
    assert model(x).shape == (1, classes)


@each
def test_every_parameter_that_learns_gets_a_gradient(name: str, spatial_dims: int) -> None:
    """From one of several networks and inputs: in one alone a ReLU of a single channel may be zero everywhere."""
    dead = None
    for _ in range(40):
        model, edge = small(name, spatial_dims)
        scores = model(example(model, max(edge, 16) if model.input_size is None else edge))
        assert scores.shape == (2, CLASSES)
        (scores * torch.randn_like(scores)).sum().backward()
        still = {n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
        dead = still if dead is None else dead & still
        # A bias that a later normalisation subtracts again has a gradient of rounding error or zero.
        dead = {n for n in dead if not (n.endswith("bias") and "conv" in n and "_bn" in name)}
        dead = {n for n in dead if not n.endswith("project.norm.bias")}
        if not dead:
            return
    pytest.fail(f"no gradient in {sorted(dead)}")


@each
def test_feature_info_tells_channels_and_stride(name: str, spatial_dims: int) -> None:
    model, edge = small(name, spatial_dims)
    model.eval()
    if model.input_size is not None:
        maps = model.forward_features(example(model, edge, batch=1))
        assert [m.shape[1] for m in maps] == [info.channels for info in model.feature_info]
        return
    long, others = max(edge, 32), [max(edge, 16)] * (spatial_dims - 1)
    longer = long + 2 * model.feature_info[-1].stride
    with torch.no_grad():
        maps = model.forward_features(torch.randn(1, 2, long, *others))
        longer_maps = model.forward_features(torch.randn(1, 2, longer, *others))
    assert [m.shape[1] for m in maps] == [info.channels for info in model.feature_info]
    for info, one, more in zip(model.feature_info, maps, longer_maps, strict=True):
        assert (more.shape[2] - one.shape[2]) * info.stride == longer - long  # `stride` pixels more are one cell more


@each
def test_maps_are_not_changed_by_later_stages(name: str, spatial_dims: int) -> None:
    model, edge = small(name, spatial_dims)
    model.eval()
    x = example(model, edge)
    before = x.clone()
    with torch.no_grad():
        maps = model.forward_features(x)
        assert torch.equal(x, before)
        for kept, stage in zip(maps, model.stages.values(), strict=True):
            before = stage(before)
            assert torch.equal(kept, before)
            before = before.clone()
        assert torch.equal(model(x), model.head(maps[-1]))


@each
def test_odd_sizes_go_in(name: str, spatial_dims: int) -> None:
    size = [max(n, EDGES.get(name, 0) + i) for i, n in enumerate((9, 14, 11)[:spatial_dims])]
    options = {key: value for key, value in SMALL.items() if key in model_spec(name).options}
    model = create_model(
        name, spatial_dims=spatial_dims, in_channels=1, num_classes=2, input_size=size, options=options
    )
    if model.input_size is None:
        size = [model.minimum_size + extra for extra in (3, 12, 7)][:spatial_dims]
    with torch.no_grad():
        assert model.eval()(torch.randn(1, 1, *size)).isfinite().all()


@each
def test_the_minimum_size_is_true_and_less_is_refused(name: str, spatial_dims: int) -> None:
    model, edge = small(name, spatial_dims)
    smallest = edge if model.input_size else model.minimum_size
    model.eval()
    with torch.no_grad():
        assert model(example(model, smallest)).shape == (2, CLASSES)
    if smallest > 1:
        with pytest.raises(CnnError, match=str(smallest)):
            model(example(model, smallest - 1))


@each_name
def test_wrong_channels_and_wrong_number_of_axes_are_refused(name: str) -> None:
    model, edge = small(name, 2)
    for shape in ([1, 3, edge, edge], [2, edge, edge], [1, 2, edge], [1, 2, edge, edge, edge]):
        with pytest.raises(CnnError, match=r"expected an input \[B, 2, H, W\]"):
            model(torch.randn(shape))


@each_name
def test_one_batch_is_learned_by_heart(name: str) -> None:
    options = {k: v for k, v in {**SMALL, "base_channels": 8, "hidden": (32,)}.items() if k in model_spec(name).options}
    model = create_model(name, in_channels=1, num_classes=2, input_size=[EDGES.get(name, 8)] * 2, options=options)
    x = example(model, EDGES.get(name, 8) if model.input_size else max(16, model.minimum_size), batch=6)
    labels = torch.tensor([0, 1, 0, 1, 1, 0])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    first = loss = None
    for _ in range(200):
        loss = nn.functional.cross_entropy(model(x), labels)
        first = loss.item() if first is None else first
        if loss < 0.2 * first:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"the loss went from {first:.3f} to {loss:.3f} only")


@each_name
def test_reset_head_changes_the_classes_and_nothing_else(name: str) -> None:
    model, edge = small(name, 2)
    model = model.double().eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.reset_head(7)
    assert model(example(model, edge).double()).shape == (2, 7)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"head.classifier.weight", "head.classifier.bias"}


@each
def test_the_trace_has_the_shapes_and_parameters_of_the_real_network(name: str, spatial_dims: int) -> None:
    model, edge = small(name, spatial_dims)
    model.eval()
    x = example(model, edge, batch=1)
    seen: list[tuple[str, tuple[int, ...]]] = []
    for path, module in model.named_modules():
        if not list(module.children()) and not isinstance(module, nn.Identity):
            module.register_forward_hook(lambda m, a, out, path=path: seen.append((path, tuple(out.shape[1:]))))
    with torch.no_grad():
        model(x)
    rows = trace(model, x.shape[1:])
    assert [(row.name, row.output_shape) for row in rows] == seen
    assert sum(row.parameters for row in rows) == count_parameters(model)
