"""The precision that a recipe takes by itself learns what float32 learns, on the machine at hand."""

from pathlib import Path

import pytest

from cnn_core.domains import find_recipe, load_domain
from cnn_core.train.config import override, read_recipe
from cnn_core.train.loop import Progress, fit

STEPS = 20


def mean_loss(name: str, folder: Path, precision: str) -> float:
    """Return the mean of the losses of the first 20 steps."""
    domain, file = find_recipe(name)
    domain = load_domain(domain).DOMAIN
    recipe = override(read_recipe(domain.recipe, file), {"device": "cpu", "precision": precision})
    sums: dict[int, float] = {}  # of each epoch's losses so far
    steps: list[int] = []

    def observe(progress: Progress) -> bool:
        if progress.metrics is None:
            steps.append(progress.step)
            sums[progress.epoch] = progress.loss * progress.step
        return len(steps) < STEPS

    fit(domain.make_task(recipe), folder / precision, observe=observe)
    assert len(steps) == STEPS
    return sum(sums.values()) / STEPS


@pytest.mark.parametrize("name", [
    "digits", *(pytest.param(name, marks=pytest.mark.slow) for name in ("docstrings", "scenes", "phantom")),
])  # fmt: skip
def test_the_first_steps_of_the_default_recipes_learn_what_float32_learns(name: str, tmp_path: Path) -> None:
    exact, chosen = (mean_loss(name, tmp_path, precision) for precision in ("32-true", "auto"))
    assert chosen == pytest.approx(exact, rel=0.02)
