"""The classifier that is solved at once, against leaving rows out by hand and scikit-learn."""

import pytest
import torch
from sklearn.linear_model import Ridge

from audio_classification.ridge import SCALES, STRENGTHS, Chosen, choose, solve


def rows(count: int, features: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(count) % 3
    x = torch.randn(count, features, generator=generator)
    x[:, 0] += 2.0 * targets
    return x, targets


@pytest.mark.parametrize(("count", "features"), [(12, 20), (30, 5)])
def test_it_is_scikit_learns_ridge_regression_to_the_classes(count: int, features: int) -> None:
    x, targets = rows(count, features)
    found = solve(x, targets, 3, chosen=Chosen(strength=0.1, scale=2.0, accuracy=0.0))
    expected = Ridge(alpha=0.1 * features).fit(x.double().numpy(), torch.eye(3, dtype=torch.double)[targets].numpy())
    assert found.weight.numpy() == pytest.approx(2 * expected.coef_, abs=1e-5)
    assert found.bias.numpy() == pytest.approx(2 * expected.intercept_, abs=1e-5)
    twice = solve(x.repeat(2, 1), targets.repeat(2), 3, chosen=Chosen(0.1, 2.0, 0.0), copies=2)
    assert torch.allclose(twice.weight, found.weight, atol=1e-5)


@pytest.mark.parametrize(("count", "features"), [(12, 20), (30, 5)])
def test_leaving_one_out_in_closed_form_is_leaving_one_out(count: int, features: int) -> None:
    x, targets = rows(count, features)
    losses = {}
    for strength in STRENGTHS:
        scores = []
        for i in range(count):
            others = torch.arange(count) != i
            # the others' own mean, as a fit without the row has it; labels are those of all rows
            model = Ridge(alpha=strength * features).fit(
                x[others].double().numpy(), torch.eye(3, dtype=torch.double)[targets[others]].numpy()
            )
            scores.append(torch.from_numpy(model.predict(x[i : i + 1].double().numpy()))[0])
        # `choose` looks at scores without the mean of the labels, which softmax does not feel if classes are balanced
        table = torch.stack(scores)
        for scale in SCALES:
            losses[strength, scale] = float(torch.nn.functional.cross_entropy(scale * table, targets))
    chosen = choose(x, targets, 3)
    assert (chosen.strength, chosen.scale) == min(losses, key=losses.__getitem__)
