"""Optimisers, schedules and the moving average against numbers worked by hand."""

import math

import pytest
import torch
from torch import nn

from cnn_core.errors import CnnError
from cnn_core.train.config import OptimizerConfig
from cnn_core.train.optim import (
    MovingAverage,
    Muon,
    RowAdam,
    build_optimizers,
    learning_rate_factor,
    orthogonalise,
    restore_optimizer,
)


def newton_schulz(value: float) -> float:
    """What five steps of the quintic make of one singular value (coefficients of Jordan et al. 2024)."""
    for _ in range(5):
        value = 3.4445 * value - 4.7750 * value**3 + 2.0315 * value**5
    return value


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


def numbers(optimizer: torch.optim.Optimizer) -> list[tuple[int, float, float]]:
    """(weights in all, rate, decay) of each group."""
    return [(sum(p.numel() for p in g["params"]), g["lr"], g["weight_decay"]) for g in optimizer.param_groups]


# ---- Muon


def test_orthogonalising_a_diagonal_matrix_works_on_each_singular_value():
    result = orthogonalise(torch.diag(torch.tensor([3.0, -4.0])))  # norm 5
    expected = torch.diag(torch.tensor([newton_schulz(0.6), -newton_schulz(0.8)]))
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(8, 8), (4, 30), (30, 4), (1, 7), (7, 1)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    u, before, v = torch.linalg.svd(matrix, full_matrices=False)
    after = u.T @ orthogonalise(matrix) @ v.T
    values = after.diagonal()
    assert ((values > 0.65) & (values < 1.25)).all(), (before, values)
    assert (after - values.diag()).abs().max() < 1e-4


def test_two_muon_steps_by_hand():
    weight = nn.Parameter(torch.tensor([3.0, 4.0]).reshape(2, 1, 1))  # a filter bank of norm 5, to become sqrt(2)
    optimizer = Muon([weight], lr=0.1, momentum=0.5)
    weight.grad = torch.tensor([2.0, 0.0]).reshape(2, 1, 1)
    optimizer.step()
    length = newton_schulz(1.0)  # a single column has one singular value, its norm
    root = math.sqrt(2)
    first = torch.tensor([0.6 * root - 0.1 * length, 0.8 * root])  # momentum (2, 0), direction (2, 0) + (1, 0)
    torch.testing.assert_close(weight.detach().flatten(), first, atol=1e-5, rtol=0)
    weight.grad = torch.tensor([0.0, 1.0]).reshape(2, 1, 1)
    optimizer.step()
    # momentum 0.5 * (2, 0) + (0, 1) = (1, 1); direction (0, 1) + 0.5 * (1, 1) = (0.5, 1.5)
    direction = torch.tensor([0.5, 1.5]) / math.sqrt(2.5)
    second = first * root / first.norm() - 0.1 * length * direction
    torch.testing.assert_close(weight.detach().flatten(), second, atol=1e-5, rtol=0)


def test_muon_keeps_filters_of_any_dimension_near_their_sphere():
    for kernel in ((3,), (3, 3), (3, 3, 3)):
        weight = nn.Parameter(5 * torch.randn(6, 2, *kernel))
        optimizer = Muon([weight], lr=0.05)
        for _ in range(20):
            weight.grad = torch.randn_like(weight)
            optimizer.step()
        assert abs(float(weight.detach().norm()) - math.sqrt(6)) < 0.05 * 1.25 * math.sqrt(6)


def test_muon_moves_filters_of_zeros_and_leaves_those_without_a_gradient():
    zeros, unused = nn.Parameter(torch.zeros(2, 1, 3)), nn.Parameter(torch.ones(2, 1, 3))
    zeros.grad = torch.ones_like(zeros)
    Muon([zeros, unused], lr=0.1).step()
    assert zeros.isfinite().all()
    assert (zeros < 0).all()
    assert torch.equal(unused, torch.ones(2, 1, 3))


def test_muon_goes_on_from_a_saved_state():
    def run(weight: nn.Parameter, optimizer: Muon, steps: range) -> None:
        for step in steps:
            weight.grad = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(step))
            optimizer.step()

    straight = nn.Parameter(torch.ones(2, 3, 3))
    run(straight, Muon([straight], lr=0.1), range(4))
    first = nn.Parameter(torch.ones(2, 3, 3))
    optimizer = Muon([first], lr=0.1)
    run(first, optimizer, range(2))
    second = nn.Parameter(first.detach().clone())
    resumed = Muon([second], lr=0.1)
    resumed.load_state_dict(optimizer.state_dict())
    run(second, resumed, range(2, 4))
    assert torch.equal(straight, second)


# ---- which weights go where


@pytest.mark.parametrize("name", ["adamw", "sgd", "adadelta"])
def test_decay_acts_on_filters_and_dense_weights_only(name):
    config = OptimizerConfig(optimizer=name, learning_rate=0.5, weight_decay=0.25)
    (optimizer,) = build_optimizers(network(), config)
    assert numbers(optimizer) == [(18 + 6, 0.5, 0.25), (2 + 4 + 3, 0.5, 0.0)]


def walk(gradients: list[float], weight: nn.Parameter, **settings: object) -> float:
    """Where a weight at 0 is after steps of rate 0.1 with these gradients."""
    (optimizer,) = build_optimizers(nn.ParameterList([weight]), OptimizerConfig(weight_decay=0.0, **settings))
    for gradient in gradients:
        weight.grad = torch.full_like(weight, gradient)
        if getattr(weight, "sparse_rows", False):
            weight.grad = torch.sparse_coo_tensor([[0]], weight.grad, weight.shape, check_invariants=True)
        optimizer.step()
    return weight.item()


def test_momentum_and_second_moment_are_those_of_the_recipe():
    # Nesterov: momentum 1 and 1.5, steps of 1 + 0.5 * 1 and 1 + 0.5 * 1.5
    rates = {"learning_rate": 0.1, "head_learning_rate": 0.1, "bias_learning_rate": 0.1}
    for name in ("sgd", "muon"):  # which leaves a weight of two axes to SGD
        found = walk([1.0, 1.0], nn.Parameter(torch.zeros(1, 1)), optimizer=name, momentum=0.5, **rates)
        assert found == pytest.approx(-0.1 * (1.5 + 1.75))
    # Adam: at the second step the first moment is 0.9 * 0.1 / (1 - 0.81), the second one 0.25 / (1 - 0.25)
    table = nn.Parameter(torch.zeros(1, 1))
    table.sparse_rows = True
    for weight in (nn.Parameter(torch.zeros(1, 1)), table):
        found = walk([1.0, 0.0], weight, optimizer="adamw", learning_rate=0.1, beta2=0.5)
        assert found == pytest.approx(-0.1 * (1 + 0.09 / 0.19 / math.sqrt(1 / 3)), abs=1e-6)


def test_muon_leaves_dense_weights_and_vectors_to_sgd():
    config = OptimizerConfig(
        optimizer="muon", learning_rate=0.25, head_learning_rate=0.5, bias_learning_rate=2.0, weight_decay=0.1
    )
    muon, sgd = build_optimizers(network(), config)
    assert isinstance(muon, Muon)
    assert [sum(p.numel() for p in g["params"]) for g in muon.param_groups] == [18]
    assert muon.param_groups[0]["lr"] == 0.25
    assert numbers(sgd) == [(6, 0.5, 0.2), (9, 2.0, 0.05)]


def test_the_decay_beside_muon_does_not_depend_on_the_rate():
    lost = []
    for rate in (0.5, 5.0):
        model = nn.Linear(1, 1, bias=False)
        nn.init.ones_(model.weight)
        config = OptimizerConfig(optimizer="muon", head_learning_rate=rate, weight_decay=0.01, momentum=0.0)
        (sgd,) = build_optimizers(model, config)
        model.weight.grad = torch.zeros_like(model.weight)
        sgd.step()
        lost.append(1 - model.weight.item())
    assert lost == pytest.approx([0.01, 0.01], rel=1e-4)


def test_muon_works_on_networks_without_filters_and_without_anything_else():
    (sgd,) = build_optimizers(nn.Linear(2, 2), OptimizerConfig(optimizer="muon"))
    assert isinstance(sgd, torch.optim.SGD)
    (muon,) = build_optimizers(nn.Conv1d(1, 1, 3, bias=False), OptimizerConfig(optimizer="muon"))
    assert isinstance(muon, Muon)


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon", "adadelta"])
def test_frozen_weights_are_left_out_and_a_frozen_network_is_refused(name):
    model = network()
    model[0].requires_grad_(False)
    config = OptimizerConfig(optimizer=name)
    moved = [p for o in build_optimizers(model, config) for g in o.param_groups for p in g["params"]]
    assert {id(p) for p in moved} == {id(p) for p in model.parameters() if p.requires_grad}
    with pytest.raises(CnnError, match="every weight of the network is frozen"):
        build_optimizers(model.requires_grad_(False), config)


@pytest.mark.parametrize(
    ("name", "rate"), [("adamw", 0.05), ("sgd", 0.05), ("adadelta", 30.0), ("muon", 0.05)]
)  # fmt: skip
def test_every_optimizer_solves_a_small_problem(name, rate):
    torch.manual_seed(0)
    x = torch.randn(64, 1, 8)
    teacher = nn.Conv1d(1, 1, 3)
    nn.init.normal_(teacher.weight)
    with torch.no_grad():
        teacher.weight.div_(teacher.weight.norm())  # on the sphere that Muon keeps to
        y = teacher(x)
    student = nn.Conv1d(1, 1, 3)
    config = OptimizerConfig(
        optimizer=name, learning_rate=rate, weight_decay=0.0, bias_learning_rate=0.05, schedule="linear"
    )
    optimizers = build_optimizers(student, config)
    rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
    start = nn.functional.mse_loss(student(x), y).item()
    for step in range(150):
        factor = learning_rate_factor(config, step=step, total=150)
        loss = nn.functional.mse_loss(student(x), y)
        for optimizer, full in zip(optimizers, rates, strict=True):
            for group, lr in zip(optimizer.param_groups, full, strict=True):
                group["lr"] = lr * factor
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    assert nn.functional.mse_loss(student(x), y).item() < start / 1000


# ---- schedules


def factors(total: int, **settings: object) -> list[float]:
    config = OptimizerConfig(**settings)
    return [learning_rate_factor(config, step=step, total=total) for step in range(total)]


def test_schedules_by_hand():
    # three steps divide the run into quarters: progress 1/4, 2/4, 3/4
    assert factors(3, schedule="linear") == pytest.approx([0.75, 0.5, 0.25])
    assert factors(3, schedule="constant") == [1, 1, 1]
    root = math.sqrt(0.5)
    assert factors(3, schedule="cosine") == pytest.approx([0.5 + root / 2, 0.5, 0.5 - root / 2])
    # the rate rises over the first half, in a line (constant, linear) or along a cosine from 1/25 (one-cycle)
    assert factors(3, schedule="constant", warmup=0.5) == pytest.approx([0.5, 1, 1])
    assert factors(3, schedule="linear", warmup=0.5) == pytest.approx([0.5, 1, 0.5])
    assert factors(3, schedule="one-cycle", warmup=0.5) == pytest.approx([0.04 + 0.96 / 2, 1, 0.5])


@pytest.mark.parametrize("total", [1, 2, 7, 1000])
@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "linear", "constant"])
def test_every_step_of_every_schedule_moves(schedule, total):
    for warmup in (None, 0.0, 0.1, 0.99):
        assert all(0 < factor <= 1 for factor in factors(total, schedule=schedule, warmup=warmup))


def test_one_cycle_starts_at_a_twenty_fifth_peaks_at_three_tenths_and_ends_near_nothing():
    rates = factors(9999, schedule="one-cycle")
    assert rates[0] == pytest.approx(0.04, abs=1e-6)
    assert rates.index(max(rates)) == pytest.approx(2999, abs=1)
    assert max(rates) == pytest.approx(1, abs=1e-6)
    assert rates[-1] < 1e-6
    steepest = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(steepest, max_lr=1.0, total_steps=10001, pct_start=0.3)
    for rate in rates:  # torch's own, whose first and last step lie one step outside ours
        steepest.step()
        theirs.step()
        assert rate == pytest.approx(theirs.get_last_lr()[0], abs=1e-3)


# ---- moving average


def test_moving_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    average = MovingAverage(model, 0.25)
    nn.init.constant_(model.weight, 2.0)
    average.update(model)  # decay min(0.25, 2/11): 2/11 * 1 + 9/11 * 2
    assert average.average["weight"].item() == pytest.approx(20 / 11)
    average.update(model)
    average.update(model)  # the third has (1 + 3) / (10 + 3) = 4/13 > 0.25
    second = 3 / 12 * 20 / 11 + 9 / 12 * 2
    assert average.average["weight"].item() == pytest.approx(0.25 * second + 0.75 * 2)


def test_moving_average_takes_statistics_along_and_copies_counters():
    model = nn.BatchNorm1d(2)
    average = MovingAverage(model, 0.9)
    model.running_mean.fill_(11.0)
    model.num_batches_tracked.fill_(7)
    average.update(model)
    assert average.average["running_mean"].tolist() == pytest.approx([9.0, 9.0])  # 2/11 * 0 + 9/11 * 11
    assert average.average["num_batches_tracked"].item() == 7
    assert model.running_mean.tolist() == [11.0, 11.0]


def test_a_table_of_rows_is_moved_where_it_has_a_gradient_and_nowhere_else() -> None:
    table = torch.nn.Embedding(5, 2, sparse=True)
    table.weight.sparse_rows = True
    network = torch.nn.Sequential(table, torch.nn.Linear(2, 1))
    before = table.weight.detach().clone()
    config = OptimizerConfig(learning_rate=0.5, row_learning_rate=0.125)
    optimizers = build_optimizers(network, config)
    assert [type(optimizer).__name__ for optimizer in optimizers] == ["AdamW", "RowAdam"]
    network(torch.tensor([1, 3, 3])).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    moved = (table.weight.detach() - before).abs()
    assert moved[[0, 2, 4]].eq(0).all()
    torch.testing.assert_close(moved[[1, 3]], torch.full((2, 2), 0.125), rtol=0, atol=1e-5)  # its first step


def test_row_adam_is_torchs_sparse_adam() -> None:
    torch.manual_seed(0)
    tables = [torch.nn.Embedding(9, 4, sparse=True) for _ in range(2)]
    tables[1].load_state_dict(tables[0].state_dict())
    optimizers = [
        RowAdam([tables[0].weight], lr=0.1, betas=(0.8, 0.9)),
        torch.optim.SparseAdam([tables[1].weight], lr=0.1, betas=(0.8, 0.9)),
    ]
    for step in range(5):
        words = torch.randint(0, 9, (6,))
        for table, optimizer in zip(tables, optimizers, strict=True):
            optimizer.zero_grad()
            (table(words).square().sum() * (step + 1)).backward()
            optimizer.step()
    torch.testing.assert_close(tables[0].weight, tables[1].weight, rtol=1e-5, atol=1e-6)


def test_a_channels_last_network_goes_on_from_a_state_whose_strides_are_lost() -> None:
    """As a checkpoint has it: numbers only. A fused step would pair weights with other weights' momentum."""

    def build() -> nn.Conv3d:
        torch.manual_seed(0)
        return nn.Conv3d(4, 5, 3).to(memory_format=torch.channels_last_3d)

    def train(net: nn.Conv3d, optimizer: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            optimizer.zero_grad()
            x = torch.randn(2, 4, 5, 5, 5, generator=torch.Generator().manual_seed(step))
            net(x).square().mean().backward()
            optimizer.step()

    config = OptimizerConfig(learning_rate=0.01)
    straight, resumed = build(), build()
    (first,), (second,) = build_optimizers(straight, config), build_optimizers(resumed, config)
    train(straight, first, range(3))
    saved = first.state_dict()
    saved["state"] = {
        key: {name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}
        for key, state in saved["state"].items()
    }
    resumed.load_state_dict(straight.state_dict())
    restore_optimizer(second, saved)
    train(straight, first, range(3, 6))
    train(resumed, second, range(3, 6))
    assert torch.equal(straight.weight, resumed.weight)
