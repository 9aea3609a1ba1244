"""The wiring of networks against papers and against wirings written down by hand."""

import torch
from torch import Tensor, nn

from cnn_core.anatomy import trace, trace_graph


class Net(nn.Module):
    """conv a, then b beside c, summed; the sum and a are concatenated; a layer whose output nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(1, 1, 1) for _ in range(3))
        self.unused = nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        self.unused(a)
        return torch.cat([self.b(a).relu() + self.c(a), a], 1)


def test_a_wiring_written_down_by_hand():
    rows, nodes = trace_graph(Net(), (1, 4, 4))
    assert [(n.kind, n.inputs) for n in nodes] == [
        ("input", ()), ("Conv2d", (0,)), ("Conv2d", (1,)), ("Conv2d", (1,)), ("add", (2, 3)), ("cat", (4, 1)),
    ]  # fmt: skip
    assert [n.row.name for n in nodes if n.row] == ["a", "b", "c"]
    assert nodes[5].output_shape == (2, 4, 4)
    assert rows == trace(Net(), (1, 4, 4))


def test_a_layer_that_runs_twice_has_two_nodes():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x))

    assert [n.kind for n in trace_graph(Twice(), (1, 2, 2))[1]] == ["input", "Conv2d", "Conv2d"]
