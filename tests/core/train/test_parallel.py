"""What several processes compute together, looked at in one; `tests/test_several_processes.py` starts two."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from cnn_core.processes import environment
from cnn_core.train.parallel import SyncBatchNorm, agree, normalise_together, sum_over_processes

CPU = torch.device("cpu")


def _share(rank: int, folder: str, dims: int, dtype: torch.dtype) -> None:
    """Normalise two or three of five samples as one of two processes, and keep values, gradients and statistics."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.FileStore(f"{folder}/store", 2), rank=rank,
                                         world_size=2)  # fmt: skip
    own, x, direction = _case(dims)
    norm = normalise_together(nn.Sequential(own), CPU)[0]
    assert type(norm) is SyncBatchNorm and norm.weight is own.weight
    mine = slice(0, 2) if rank == 0 else slice(2, 5)
    leaf = x[mine].to(dtype).requires_grad_()
    y = norm(leaf)
    assert y.dtype == dtype
    (y * direction[mine].to(dtype)).sum().backward()
    torch.save([y.detach().float(), leaf.grad.float(), norm.weight.grad, norm.bias.grad, *norm.buffers(),
                norm.eval()(x)], f"{folder}/{rank}")  # fmt: skip
    torch.distributed.destroy_process_group()


def _case(dims: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(dims)
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1](3, momentum=0.3, eps=1e-3)
    norm.load_state_dict(
        {**norm.state_dict(), "weight": torch.tensor([0.5, -1, 2]), "bias": torch.tensor([1.0, 0, -3])}
    )
    x, direction = (torch.randn(5, 3, *[4] * dims, generator=generator) for _ in range(2))
    return norm, x * 2 + 7, direction


@pytest.mark.parametrize(("dims", "dtype", "near"), [(1, torch.float32, 1e-5), (3, torch.float32, 1e-5),
                                                     (2, torch.bfloat16, 0.06)])  # fmt: skip
def test_two_processes_normalise_by_torchs_statistics_of_all_samples(
    tmp_path: Path, dims: int, dtype: torch.dtype, near: float
) -> None:
    words = [tmp_path, dims, str(dtype).removeprefix("torch.")]
    processes = [
        subprocess.Popen([sys.executable, __file__, *map(str, [rank, *words])], env=environment()) for rank in (0, 1)
    ]
    assert [process.wait(200) for process in processes] == [0, 0]
    (y0, x0, weight0, bias0, *buffers0), (y1, x1, weight1, bias1, *buffers1) = (
        torch.load(tmp_path / str(rank), weights_only=True) for rank in (0, 1)
    )
    norm, x, direction = _case(dims)
    leaf = x.clone().requires_grad_()
    y = norm(leaf)
    (y * direction).sum().backward()
    wanted = [y, leaf.grad, norm.weight.grad, norm.bias.grad]
    found = [torch.cat([y0, y1]), torch.cat([x0, x1]), weight0 + weight1, bias0 + bias1]
    torch.testing.assert_close(found, [value.detach() for value in wanted], atol=near, rtol=near)
    for buffers in (buffers0, buffers1):
        torch.testing.assert_close(buffers, [*norm.buffers(), norm.eval()(x)], atol=near, rtol=near)


def test_a_single_process_agrees_with_itself() -> None:
    x = torch.ones(3, requires_grad=True)
    assert sum_over_processes(x) is x
    assert agree(4, 32.0, CPU) == (4, 32.0)


if __name__ == "__main__":
    _share(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), getattr(torch, sys.argv[4]))
