"""The README's result table, made from the weights cards: `python -m cnn_core.weights.table README.md` rewrites it."""

import sys
from pathlib import Path

from cnn_core.storage import write_text
from cnn_core.weights.find import list_weights, load_card

START, END = "<!-- results: written by `make readme` from the weights cards -->", "<!-- end of results -->"


def results_table() -> str:
    """Return a Markdown table with one row per shipped weights that were measured here."""
    rows = ["| weights | model | parameters | file | test metric | mean ± spread | n | training | again with |"]
    rows.append("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for entry in list_weights():
        card = load_card(entry.folder)
        if not card.metrics:
            continue
        name, figure = next(iter(card.metrics.items()))
        runs = len(figure["seeds"])
        spread = f" ± {figure['std']:.4f} ({runs} seeds)" if figure["std"] is not None else " (1 seed)"
        rows.append(
            f"| `{card.name}` | {card.model} | {card.parameters:,} | {card.bytes / 1e6:.1f} MB | {name} | "
            f"{figure['mean']:.4f}{spread} | {figure['n']:,} | {card.seconds / 60:.1f} min, {card.machine} | "
            f"`{card.command}` |"
        )
    return "\n".join(rows)


def with_results(text: str) -> str:
    """Return a README's text with the table between its two markers made anew.

    Raises:
        ValueError: the text lacks the markers.
    """
    if START not in text or END not in text:
        raise ValueError(f"expected the lines {START!r} and {END!r}")
    before, rest = text.split(START, 1)
    return f"{before}{START}\n{results_table()}\n{END}{rest.split(END, 1)[1]}"


def main() -> None:
    path = Path(sys.argv[1])
    write_text(path, with_results(path.read_text("utf-8")))


if __name__ == "__main__":
    main()
