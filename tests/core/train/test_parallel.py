"""What several processes compute together, looked at in one; `tests/test_several_processes.py` starts two."""

import pytest
import torch
from torch import nn

from cnn_core.train.parallel import SyncBatchNorm, agree, normalise_together, sum_over_processes

CPU = torch.device("cpu")


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_batch_normalisation_is_torchs(dims: int) -> None:
    torch.manual_seed(0)
    own = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1](3, momentum=0.3, eps=1e-3)
    nn.init.normal_(own.weight), nn.init.normal_(own.bias)
    ours = nn.Sequential(type(own)(3, momentum=0.3, eps=1e-3))
    ours[0].load_state_dict(own.state_dict())
    weight = ours[0].weight
    ours = normalise_together(ours, CPU)
    assert type(ours[0]) is SyncBatchNorm and ours[0].weight is weight
    x = torch.randn(5, 3, *[4] * dims) * 2 + 7
    direction = torch.randn_like(x)
    answers = []
    for norm in (own, ours[0]):
        leaf = x.clone().requires_grad_()
        y = norm(leaf)
        (y * direction).sum().backward()
        answers.append([y, leaf.grad, norm.weight.grad, norm.bias.grad, *norm.buffers(), norm.eval()(x)])
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_single_process_agrees_with_itself() -> None:
    x = torch.ones(3, requires_grad=True)
    assert sum_over_processes(x) is x
    assert agree(4, 32.0, CPU) == (4, 32.0)
