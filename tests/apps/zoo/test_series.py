"""Networks as rows of layers with forks, against papers and a wiring written down by hand."""

import pytest
import torch
from torch import Tensor, nn

from cnn_core.anatomy import Node, trace_graph
from cnn_core.models import create_model, list_models, model_spec
from zoo.series import Fork, as_series


def graph(name: str, shape: tuple[int, ...], **arguments: object):
    with torch.device("meta"):
        model = create_model(name, spatial_dims=len(shape) - 1, in_channels=shape[0], input_size=shape[1:], **arguments)
    return trace_graph(model, shape)[1]


def forks(series) -> list[Fork]:
    return [part for part in series if isinstance(part, Fork)]


def flat(series) -> list[int]:
    found = []
    for part in series:
        found += [part] if isinstance(part, int) else [n for lane in part.lanes for n in flat(lane)]
    return found


def test_a_wiring_written_down_by_hand():
    """Layer 1, then 2 beside 3, summed in 4; the sum and layer 1 are concatenated in 5."""
    inputs = [(), (0,), (1,), (1,), (2, 3), (4, 1)]
    nodes = [Node("Conv2d", before, (1, 4, 4), None) for before in inputs]
    assert as_series(nodes) == (0, 1, Fork(((Fork(((2,), (3,))), 4), ())), 5)


# ResNet-18: eight blocks, three of which change the shape (table 1); GoogLeNet: nine modules with four branches.
@pytest.mark.parametrize(
    ("name", "count", "lanes", "empty"), [("resnet18", 8, 2, 5), ("resnet50", 16, 2, 12), ("inception", 9, 4, 0)]
)
def test_blocks_of_the_papers_are_forks(name: str, count: int, lanes: int, empty: int):
    found = forks(as_series(graph(name, (3, 224, 224))))
    assert len(found) == count
    assert {len(fork.lanes) for fork in found} == {lanes}
    assert sum(() in fork.lanes for fork in found) == empty


def test_vgg_has_no_forks_and_kim_has_one_lane_per_width():
    assert forks(as_series(graph("vgg16", (3, 224, 224)))) == []
    (fork,) = forks(as_series(graph("kim_cnn", (300, 64))))
    assert [len(lane) for lane in fork.lanes] == [1, 1, 1]


def test_a_u_net_forks_within_forks_once_per_skip():
    from cnn_core.models.unet import create_unet

    with torch.device("meta"):
        model = create_unet("unet", spatial_dims=2)
    series, depth = as_series(trace_graph(model, (1, 64, 64))[1]), 0
    while forks(series):
        (fork,) = forks(series)
        assert fork.lanes[1] == ()
        series, depth = fork.lanes[0], depth + 1
    assert depth == 4


@pytest.mark.parametrize("name", list_models())
def test_every_node_is_in_the_series_once_and_behind_its_inputs(name: str):
    nodes = graph(name, model_spec(name).input_shape)
    order = flat(as_series(nodes))
    assert sorted(order) == [*range(len(nodes))]
    place = {number: i for i, number in enumerate(order)}
    assert all(place[i] < place[n] for n, node in enumerate(nodes) for i in node.inputs)
    assert nodes[-1].output_shape == (1000,)


def test_a_densely_woven_part_is_one_after_another():
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Conv2d(1, 1, 1) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            a, b = self.a(x), self.b(x)
            return self.c(a + b) + self.d(a - b)  # every pair of ways meets

    nodes = trace_graph(Dense(), (1, 4, 4))[1]
    assert sorted(flat(as_series(nodes))) == [*range(len(nodes))]
