"""The trace against published figures, numbers worked by hand, and the gradient, which knows what a cell sees."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.anatomy import ReceptiveField, format_table, total, trace
from cnn_core.errors import CnnError
from cnn_core.models import create_model
from cnn_core.models.backbone import count_parameters


def built(name: str, **arguments: object) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **arguments)


# Multiply-adds in millions for 224 pixels as torchvision's weight tables give them in billions; receptive fields before
# the head from Araujo et al. 2019 (AlexNet 195, VGG-16 212), ResNet-18 and -50 v1.5 by the same recurrence.
@pytest.mark.parametrize(
    ("name", "billions", "sees"),
    [
        ("alexnet", 0.714, 195),
        ("vgg16", 15.470, 212),
        ("vgg19", 19.632, 268),
        ("resnet18", 1.814, 435),
        ("resnet34", 3.664, 899),
        ("resnet50", 4.089, 427),
        ("googlenet", 1.498, None),
    ],
)
def test_published_figures(name: str, billions: float, sees: int | None) -> None:
    model = built(name)
    rows = trace(model, (3, 224, 224))
    assert total(rows).multiply_adds / 1e9 == pytest.approx(billions, abs=0.0005)
    assert total(rows).parameters == count_parameters(model)
    if sees is not None:
        last = [row for row in rows if row.name.startswith("stages.")][-1]
        assert last.receptive_field == (last.receptive_field[0],) * 2
        assert last.receptive_field[0].size == sees
        assert last.receptive_field[0].stride == 32


def test_lenet_worked_by_hand() -> None:
    rows = trace(create_model("lenet", in_channels=1, num_classes=10), (1, 32, 32))
    table = {row.name: row for row in rows}
    conv = table["stages.conv2.conv"]
    assert (conv.kind, conv.output_shape, conv.kernel, conv.stride, conv.padding) == (
        "Conv2d", (16, 10, 10), (5, 5), (1, 1), (0, 0),
    )  # fmt: skip
    assert conv.parameters == 16 * (6 * 25 + 1)
    assert conv.multiply_adds == 16 * 100 * 6 * 25
    # 5 -> pool: 5 + 1 = 6, step 2 -> 6 + 4 * 2 = 14 -> pool: 14 + 2 = 16, step 4 -> dense: 16 + 4 * 4 = 32.
    sizes = [table[name].receptive_field[0] for name in ("stages.conv1.conv", "stages.conv2.conv", "stages.conv2.pool")]
    assert sizes == [ReceptiveField(5), ReceptiveField(14, 2), ReceptiveField(16, 4)]
    assert table["head.dense0"].receptive_field[0].size == 32
    assert total(rows).parameters == 61_706
    assert total(rows).multiply_adds == 117_600 + 240_000 + 48_000 + 10_080 + 840


def test_padding_moves_the_start_outside_the_input() -> None:
    field = ReceptiveField().through(7, stride=2, padding=3).through(3, stride=2, padding=1)
    assert field == ReceptiveField(11, 4, -5)


def test_what_an_input_below_28_pixels_sees_is_counted_from_its_own_first_pixel() -> None:
    rows = trace(create_model("lenet", in_channels=1, num_classes=10), (1, 28, 28))
    assert rows[0].receptive_field[0] == ReceptiveField(1, 1, -2)


class Branches(nn.Module):
    """One branch sees 3 pixels, the other 7; added they see 7, concatenated with the input also 7."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv1d(2, 2, 3, padding=1)
        self.wide = nn.Conv1d(2, 2, 4, padding=3, dilation=2)
        self.last = nn.Conv1d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = self.narrow(x) + self.wide(x)
        return self.last(torch.cat([F.relu(both), x], 1))


def test_branches_take_everything_that_any_of_them_sees() -> None:
    assert trace(Branches(), (2, 20))[-1].receptive_field == (ReceptiveField(7, 1, -3),)


class ChannelGate(nn.Module):
    """Multiplies each channel by a number made of the means of all (Hu et al. 2018, arXiv:1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def test_a_gate_over_channels_sees_everything_and_leaves_the_stride() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), ChannelGate(4), nn.MaxPool2d(2))
    field = trace(model, (2, 16, 16))[-1].receptive_field[0]
    assert field.stride == 4
    assert field.size >= 16


class ChannelConvolution(nn.Module):
    """A convolution along the channels, whose kernel does not run over pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x.mean((2, 3))[:, None])
        return x * y[:, 0, :, None, None]


def test_reshaped_maps_count_as_seeing_everything() -> None:
    rows = trace(nn.Sequential(ChannelConvolution(), nn.MaxPool2d(2)), (5, 8, 8))
    assert rows[0].output_shape == (1, 5)
    assert rows[0].receptive_field[0].size == 8
    assert rows[0].multiply_adds == 15
    assert rows[1].receptive_field[0].stride == 2


def test_a_recurrent_network_can_be_traced() -> None:
    row = trace(nn.LSTM(6, 7, batch_first=True), (10, 6))[0]
    assert row.output_shape == (10, 7)
    assert row.parameters == 4 * 7 * (6 + 7 + 2)
    assert row.multiply_adds == 10 * 4 * 7 * (6 + 7)


def test_several_threads_can_trace_one_model() -> None:
    model = create_model("resnet20", num_classes=10)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda edge: trace(model, (3, edge, edge)), [32, 40, 32, 48]))
    assert results[0] == results[2] == trace(model, (3, 32, 32))
    assert results[1][0].output_shape == (16, 40, 40)


def seen_by_gradient(model: nn.Module, shape: tuple[int, ...], cell: int) -> tuple[int, int]:
    """First and last input pixel that output cell `cell` (1-D) depends on."""
    model = model.double().eval()
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.5, 1.0)  # nothing cancels and no ReLU is silent
    x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    model(x)[0, :, cell].sum().backward()
    touched = x.grad[0].abs().sum(0).nonzero()
    return int(touched.min()), int(touched.max())


class Functional(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x) * self.scale


CASES = {
    "strided": nn.Sequential(nn.Conv1d(1, 2, 5, stride=2, padding=2), nn.Conv1d(2, 1, 3, dilation=3, padding=1)),
    "mean": nn.Sequential(nn.AvgPool1d(3, 2, 1), nn.Conv1d(1, 1, 3)),
    "pad and slice": Functional(lambda x: F.pad(x, (2, 1))[..., 5::3]),
    "pointwise": nn.Conv1d(1, 1, 1, stride=4),
    "adaptive": nn.AdaptiveAvgPool1d(8),
    "mean over everything": Functional(lambda x: x.mean(-1, keepdim=True)),
    "residual": nn.Sequential(*create_model("resnet20", spatial_dims=1, in_channels=1).stages.values())[:3],
}


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_reaches_exactly_the_receptive_field(case: str) -> None:
    model = CASES[case]
    field = trace(model, (1, 96))[-1].receptive_field[0]
    cells = model(torch.zeros(1, 1, 96)).shape[2]
    cell = cells // 2
    first = field.start + cell * field.stride
    expected = max(first, 0), min(first + field.size - 1, 95)
    assert seen_by_gradient(model, (1, 96), cell) == expected


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (4, 2, 1), (5, 3, 0)])
def test_a_transposed_convolution_sees_at_most_what_is_said(kernel: int, stride: int, padding: int) -> None:
    model = nn.Sequential(nn.Conv1d(1, 1, 3, stride=2), nn.ConvTranspose1d(1, 1, kernel, stride, padding))
    field = trace(model, (1, 96))[-1].receptive_field[0]
    assert field.stride == Fraction(2, stride)
    spans = {cell: seen_by_gradient(model, (1, 96), cell) for cell in range(30, 30 + 2 * stride)}
    assert max(last - first + 1 for first, last in spans.values()) == field.size
    for cell in range(30, 30 + 2 * stride, stride):  # these see from where the field starts; others may start later
        assert spans[cell][0] == field.start + cell * field.stride


def test_behind_an_upsampling_the_field_is_the_true_one_rounded_up() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=4), nn.Conv1d(1, 1, 8, stride=4, padding=2))
    rows = trace(model, (1, 96))
    assert rows[-1].receptive_field == (ReceptiveField(Fraction(11, 4), 1, Fraction(-1, 2)),)
    first, last = seen_by_gradient(model, (1, 96), 20)
    assert last - first + 1 == 3
    assert format_table(rows).splitlines()[-3].split()[-1] == "3"


def test_transposed_and_grouped_convolutions_cost_what_their_products_cost() -> None:
    up = trace(nn.ConvTranspose2d(3, 5, 2, 2), (3, 4, 4))[0]
    assert up.output_shape == (5, 8, 8)
    assert up.multiply_adds == 16 * 3 * 5 * 4  # every input cell meets every weight once
    depthwise = trace(nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), (6, 4, 4))[0]
    assert (depthwise.parameters, depthwise.multiply_adds) == (54, 16 * 54)
    assert trace(nn.Conv2d(6, 4, 3, padding="same"), (6, 5, 5))[0].padding == "same"


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 3, padding=1)
        self.weight = nn.Parameter(torch.ones(3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.layer(self.layer(x)).mean((2, 3)), self.weight)


def test_a_layer_that_runs_twice_has_its_parameters_once_and_own_products_are_counted() -> None:
    rows = trace(Shared(), (2, 4, 4))
    assert [(row.name, row.parameters, row.multiply_adds) for row in rows] == [
        ("layer", 38, 16 * 36),
        ("layer", 0, 16 * 36),
        ("", 6, 6),
    ]
    assert rows[-1].receptive_field[0].size == 5 + 3  # two 3-wide layers, then all 4 cells


def test_the_model_is_left_as_it_was() -> None:
    model = create_model("resnet20", num_classes=10).train()
    calls: list[int] = []
    model.stages["stem"].register_forward_hook(lambda *a: calls.append(1))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trace(model, (3, 32, 32))
    assert calls == []  # not run, and somebody else's hooks are not called
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model(torch.zeros(2, 3, 32, 32))
    assert calls == [1]


def test_huge_inputs_cost_no_memory() -> None:
    rows = trace(built("resnet18", spatial_dims=3, in_channels=1), (1, 4096, 4096, 4096))
    assert rows[0].output_shape == (64, 2048, 2048, 2048)


@pytest.mark.parametrize("shape", [(), (3, 0, 8), (3, -1, 8), (3, 8.0, 8), (True, 8, 8)])
def test_impossible_shapes_are_refused(shape: tuple[object, ...]) -> None:
    with pytest.raises(CnnError, match="3x224x224"):
        trace(nn.Flatten(), shape)


def test_inputs_that_the_network_refuses_have_a_clear_message() -> None:
    with pytest.raises(CnnError, match="at least 32 pixels"):
        trace(built("vgg11"), (3, 16, 16))
    with pytest.raises(CnnError, match=r"expected an input \[B, 3, H, W\]"):
        trace(built("vgg11"), (1, 64, 64))
    with pytest.raises(CnnError, match="cannot run on an input of shape 2x8"):
        trace(nn.Conv1d(3, 4, 3), (2, 8))


def test_a_network_of_token_numbers() -> None:
    model = nn.Sequential(nn.Embedding(50, 6), nn.Flatten(), nn.Linear(60, 2))
    rows = trace(model, (10,), dtype=torch.long)
    assert [row.output_shape for row in rows] == [(10, 6), (60,), (2,)]
    assert total(rows).parameters == 300 + 122


def test_the_table() -> None:
    rows = trace(
        nn.Sequential(nn.Conv2d(1, 2, (3, 5), padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3)), (1, 10, 7)
    )
    lines = format_table(rows).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "kernel", "stride", "padding", "parameters",
                                "multiply-adds", "sees"]  # fmt: skip
    assert lines[2].split() == ["0", "Conv2d", "2x10x5", "3x5", "1", "1", "32", "1,500", "3x5"]
    assert lines[-1].split() == ["total", "335", "1,800"]
    with pytest.raises(CnnError):
        trace(nn.Linear(3, 3), (4,))
