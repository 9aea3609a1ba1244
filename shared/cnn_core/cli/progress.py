"""What is shown of long predictions, on standard error: items done of all, how fast, and the time left."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tqdm import tqdm

from cnn_core.cli.downloads import EVERY, Lines

DELAY = 2.0  # seconds, within which nothing is shown


@contextmanager
def shown_progress(total: int | None, unit: str, *, done: int = 0, quiet: bool = False) -> Iterator[Any]:
    """Yield a bar whose `update()` counts one item.

    On a terminal it is drawn, elsewhere a line is written now and then; what is printed meanwhile stays whole.
    """
    # The total itself, not tqdm's: that becomes None where more come than were counted.
    figures = f"{{n:,}} of {total:,} {unit}" if total else f"{{n:,}} {unit}"
    figures += "  {rate_fmt}  " + ("{remaining} left" if total else "{elapsed}")
    how: dict[str, Any] = {"total": total, "initial": done, "unit": f" {unit}", "disable": quiet, "delay": DELAY}
    if sys.stderr.isatty():
        draw = partial(tqdm, bar_format=("{bar} " if total else "") + figures, ascii="─━", leave=False)
    else:
        draw = partial(tqdm, bar_format=figures, file=Lines(), mininterval=EVERY, maxinterval=EVERY, leave=False)
    with draw(**how) as bar:
        yield bar
