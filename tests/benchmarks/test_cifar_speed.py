"""CIFAR-10 to 0.94 on a CPU: the time of our recipe, projected from some steps, beside ResNet-18's, same batches.

A whole training takes more than an hour on two cores, so that single steps are timed and multiplied. ResNet-18 has the
3 x 3 stem without pooling that it is given for CIFAR-10, and 30 epochs of SGD, which reach 0.94 with a one-cycle
schedule. What the machine could do at most is the rate of its matrix product in the precision that is used.
"""

import time
from statistics import median

import pytest
import torch
import torch.nn.functional as F
import torchvision
from record import figure, in_turns, ratio
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnn_core.data.files import data_root
from cnn_core.data.memory import EpochContext
from cnn_core.domains import recipe_files
from cnn_core.train.config import read_recipe
from cnn_core.train.devices import checked_autocast, choose_precision
from cnn_core.train.optim import build_optimizers
from cnn_core.weights import load_card
from image_classification.task import ImageTask, Recipe

IMAGES, RIVAL_EPOCHS, ROUNDS = 50_000, 30, 5
EDGE = 4096  # of the matrices


@pytest.mark.benchmark
@pytest.mark.timeout(1800)
def test_cifar10_to_94_percent() -> None:
    if not (data_root() / "cifar-10-batches-bin").is_dir():
        pytest.skip("needs CIFAR-10 in CNN_DATA_DIR")
    recipe = read_recipe(Recipe, recipe_files()["cifar10"][1])
    task = ImageTask(recipe)
    task.build_data(torch.device("cpu"))
    ours = task.build_model().to(memory_format=torch.channels_last)
    optimizers = build_optimizers(ours, recipe.optimizer)
    rival = torchvision.models.resnet18(num_classes=10)
    rival.conv1, rival.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    rival = rival.to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(rival.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    batch = next(iter(task.batches(EpochContext(0, torch.Generator().manual_seed(0)))))
    micro = task.parts(batch, recipe.loop.batch_size // recipe.loop.micro_batch)[0]
    half = choose_precision("auto", torch.device("cpu")) == "bf16-mixed"

    def loss_of(name: str) -> Tensor:
        with checked_autocast(torch.bfloat16) if half else torch.autocast("cpu", enabled=False):
            return task.training_step(ours, micro) if name == "ours" else F.cross_entropy(rival(micro[0]), micro[1])

    def step(name: str) -> None:
        used = optimizers if name == "ours" else [sgd]
        for optimizer in used:
            optimizer.zero_grad()
        loss_of(name).backward()
        for optimizer in used:
            optimizer.step()

    first = float(loss_of("ours").detach())
    times = in_turns({"ours": lambda: step("ours"), "resnet18": lambda: step("resnet18")}, rounds=ROUNDS)
    assert float(loss_of("ours").detach()) < first
    steps = IMAGES / recipe.loop.micro_batch
    minutes = [seconds * steps * recipe.loop.epochs / 60 for seconds in times["ours"]]
    accuracy = load_card("cifar10").metrics["accuracy"]["mean"]
    with FlopCounterMode(display=False) as counter:
        step("ours")
    rate, limit = counter.get_total_flops() / median(times["ours"]), matrix_rate(half=half)
    kind = "bfloat16" if half else "float32"
    ratio(
        "cifar10", f"CIFAR-10 to {accuracy:.4f}, projected from {ROUNDS} steps", ours=[60 * m for m in minutes],
        theirs=[seconds * steps * RIVAL_EPOCHS for seconds in times["resnet18"]], wanted=1, held=0.8,
        peer=f"torchvision's ResNet-18 with a 3 x 3 stem, {RIVAL_EPOCHS} epochs, same batches",
        right="the accuracy is that of whole trainings, in the card; here the loss fell",
    )  # fmt: skip
    figure(
        "cifar10-minutes", "CIFAR-10 to 0.94, projected", median(minutes), unit="min", wanted=25, most=True, n=ROUNDS,
        note=f"{rate / 1e9:,.0f} GFLOP/s, {100 * rate / limit:.0f} % of the {limit / 1e9:,.0f} of a {kind} product of "
        f"{EDGE} x {EDGE} matrices on these threads",
    )  # fmt: skip


def matrix_rate(*, half: bool) -> float:
    """Return the floating-point operations a second of a large matrix product."""
    a = torch.randn(EDGE, EDGE, dtype=torch.bfloat16 if half else torch.float32)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - begun)
    return 2 * EDGE**3 / min(times)
