"""Learning by numbers equals autograd, small networks are what they say, and they learn."""

import pytest
import torch
import torch.nn.functional as F

from cnn_core.errors import CnnError, UnknownNameError
from lab.learning import backward_step, digits, learn, moved
from lab.small import LocalConnection, first_layer_cost, small_network


def test_the_gradient_by_its_formula_is_autograds():
    generator = torch.Generator().manual_seed(0)
    x, target = torch.randn(5, 6, generator=generator), torch.randn(3, 4, generator=generator)
    kernel = torch.randn(3, 3, generator=generator, requires_grad=True)
    loss = (F.conv2d(x[None, None], kernel[None, None])[0, 0] - target).square().sum() / 2
    loss.backward()
    found = backward_step(x, kernel.detach(), target, rate=0.1)
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(found.gradient, kernel.grad)
    torch.testing.assert_close(found.kernel, kernel.detach() - 0.1 * kernel.grad)
    with pytest.raises(CnnError, match="target"):
        backward_step(x, kernel.detach(), target.T, rate=0.1)


def test_a_local_connection_with_equal_kernels_is_a_convolution():
    layer = LocalConnection(2, edge=8, kernel_size=3)
    kernels = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.weight.copy_(kernels.reshape(2, 1, 9).expand(2, 64, 9))
    x = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(layer(x), F.conv2d(x, kernels, padding=1), atol=1e-5, rtol=1e-5)


def test_costs_worked_by_hand():
    # 6 maps of 64 cells: 6 kernels of 9 and 6 biases; 384 of both; 384 times 64 pixels and 384 biases
    assert first_layer_cost("convolution") == (60, 3_456)
    assert first_layer_cost("local") == (3_840, 3_456)
    assert first_layer_cost("dense") == (24_960, 24_576)
    with pytest.raises(UnknownNameError, match="dense"):
        small_network("dens")


def test_moved_pictures_lose_what_leaves() -> None:
    x = torch.tensor([[[[1.0, 2], [3, 4]]]])
    assert moved(x, 1, 0).flatten().tolist() == [0, 0, 1, 2]
    assert moved(x, -1, 1).flatten().tolist() == [0, 3, 0, 0]
    assert torch.equal(moved(moved(F.pad(x, (2, 2, 2, 2)), 2, -1), -2, 1), F.pad(x, (2, 2, 2, 2)))


def test_a_network_that_keeps_the_maximum_alone_does_not_know_the_place() -> None:
    x = F.pad(torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), (4, 4, 4, 4))
    everywhere = small_network("everywhere", maps=5, edge=16, seed=0).eval()
    bound = small_network("convolution", maps=5, edge=16, seed=0).eval()
    torch.testing.assert_close(everywhere(moved(x, 2, -1)), everywhere(x))
    assert (bound(moved(x, 2, -1)) - bound(x)).abs().max() > 0.01


def test_it_learns_and_twice_the_same():
    data = digits()
    assert len(data.x) == 1437 and len(data.x_test) == 360
    runs = [
        list(learn(small_network("convolution", seed=1), data, rate=0.1, batch=32, steps=120, every=40))
        for _ in range(2)
    ]
    assert [moment.step for moment in runs[0]] == [0, 40, 80, 120]
    assert runs[0][0].accuracy < 0.3 < 0.85 < runs[0][-1].accuracy
    assert runs[0][-1].loss < runs[0][0].loss
    assert [m.loss for m in runs[0]] == [m.loss for m in runs[1]]
    assert not torch.equal(runs[0][0].state["0.weight"], runs[0][-1].state["0.weight"])
    with pytest.raises(CnnError, match="above 0"):
        next(learn(small_network("dense"), data, rate=0, batch=1, steps=1, every=1))
