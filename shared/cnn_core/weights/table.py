"""The results in README and docs, made from the weights cards: `python -m cnn_core.weights.table FILE...`.

A table stands between the lines `<!-- results: all -->`, or `<!-- results: mnist sst2 -->` for a short one of some
weights, and `<!-- end of results -->`; a figure in a sentence stands between `<!-- figure: mnist accuracy -->` and
`<!-- end -->`.
"""

import re
import sys
from pathlib import Path

from cnn_core.storage import write_text
from cnn_core.weights.card import WeightsCard
from cnn_core.weights.find import list_weights, load_card

MARKED = re.compile(r"(<!-- results: ([a-z0-9 ._-]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- figure: ([a-z0-9._-]+) ([a-z0-9_]+) -->)[^<]*(<!-- end -->)")
LONG = ("weights", "model", "parameters", "file", "test metric", "mean ± spread", "n", "training", "again with")
SHORT = ("weights", "what it does", "test metric", "n", "training")


def results_table(names: str = "all") -> str:
    """Return a Markdown table with a row per shipped weights that were measured here, or per named ones in order."""
    cards = {entry.name: card for entry in list_weights() if (card := load_card(entry.folder)).metrics}
    if names == "all":
        return _table(LONG, [_long_row(card) for card in cards.values()])
    return _table(SHORT, [_short_row(cards[name]) for name in names.split() if name in cards])


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [list(columns), ["---"] * len(columns), *rows])


def _figure(card: WeightsCard) -> tuple[str, str, str]:
    """Return the name of a card's first metric, its mean and spread, and the items measured."""
    name, figure = next(iter(card.metrics.items()))
    runs = len(figure["seeds"])
    spread = f" ± {figure['std']:.4f} ({runs} seeds)" if figure["std"] is not None else " (1 seed)"
    return name, f"{figure['mean']:.4f}{spread}", f"{figure['n']:,}"


def _long_row(card: WeightsCard) -> list[str]:
    name, mean, n = _figure(card)
    training = f"{card.seconds / 60:.1f} min, {card.machine}"
    return [
        f"`{card.name}`", card.model, f"{card.parameters:,}", f"{card.bytes / 1e6:.1f} MB", name, mean, n, training,
        f"`{card.command}`",
    ]  # fmt: skip


def _short_row(card: WeightsCard) -> list[str]:
    name, mean, n = _figure(card)
    description = str(card.recipe.get("description", "")).split(":")[0]
    return [f"`{card.name}`", description, f"{name} {mean}", n, f"{card.seconds / 60:.0f} min"]


def with_results(text: str) -> str:
    """Return a text with its tables and figures of results made anew.

    Raises:
        ValueError: the text has no place for a table, or names a figure that no card has.
    """
    text, count = MARKED.subn(lambda found: f"{found[1]}{results_table(found[2])}\n{found[3]}", text)
    if not count:
        raise ValueError("expected the lines '<!-- results: all -->' and '<!-- end of results -->'")
    return FIGURE.sub(lambda found: f"{found[1]}{_mean(found[2], found[3])}{found[4]}", text)


def _mean(name: str, metric: str) -> str:
    """Return the mean of a metric of shipped weights, to three places."""
    metrics = load_card(name).metrics
    if metric not in metrics:
        raise ValueError(f"expected a figure of shipped weights, got {name} {metric}; see their cards' metrics")
    return f"{metrics[metric]['mean']:.3f}"


def main() -> None:
    """Write the tables of results anew, in the files that the command line names."""
    for word in sys.argv[1:]:
        write_text(Path(word), with_results(Path(word).read_text("utf-8")))


if __name__ == "__main__":
    main()
