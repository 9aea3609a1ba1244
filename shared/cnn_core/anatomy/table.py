"""The trace of a network as text."""

from collections.abc import Sequence
from math import ceil

from cnn_core.anatomy.trace import LayerRow, total

HEADER = ("layer", "kind", "output", "kernel", "stride", "padding", "parameters", "multiply-adds", "sees")


def _times(numbers: Sequence[object] | str | None) -> str:
    """3 for (3, 3), 3x5 for (3, 5), - for none."""
    if numbers is None or isinstance(numbers, str):
        return numbers or "-"
    texts = [str(number) for number in numbers]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def _cells(row: LayerRow) -> tuple[str, ...]:
    fields = None if row.receptive_field is None else [ceil(field.size) for field in row.receptive_field]
    return (
        row.name,
        row.kind,
        "x".join(map(str, row.output_shape)),
        _times(row.kernel),
        _times(row.stride),
        _times(row.padding),
        f"{row.parameters:,}",
        f"{row.multiply_adds:,}",
        _times(fields or None),
    )


def format_table(rows: Sequence[LayerRow]) -> str:
    """Return the rows as aligned columns with a header and a line of totals.

    "sees" is the receptive field: the edge, in input pixels, of what one cell of the layer's output can see.
    """
    sums = total(rows)
    last = ("total", "", "", "", "", "", f"{sums.parameters:,}", f"{sums.multiply_adds:,}", "")
    table = [HEADER, *map(_cells, rows), last]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
