"""A confusion matrix: true against predicted classes, darker where there are more."""

import html
from collections.abc import Sequence

import streamlit as st


def confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """Show a confusion matrix, row: truth, column: answer; shades are shares of the row.

    Args:
        counts: K x K.
        labels: K names.
    """
    head = "".join(f'<th scope="col"><span>{html.escape(label)}</span></th>' for label in labels)
    rows = "".join(_row(row, k, labels) for k, row in enumerate(counts))
    st.html(
        '<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">'
        f'<table class="confusion"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="note">Rows: true class. Columns: predicted class.</p>'
    )


def _row(row: Sequence[int], truth: int, labels: Sequence[str]) -> str:
    total = max(1, sum(row))
    cells = "".join(
        f'<td class="{"right" if k == truth else "wrong"}" style="--share:{count / total:.3f}" '
        f'title="{count:,} of {total:,} “{html.escape(labels[truth])}” predicted as “{html.escape(labels[k])}” '
        f'({100 * count / total:.1f} %)">{count or "·"}</td>'
        for k, count in enumerate(row)
    )
    return f'<tr><th scope="row">{html.escape(labels[truth])}</th>{cells}</tr>'
