"""What is shown of downloads, on standard error: a bar on a terminal, elsewhere a line now and then."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tqdm import tqdm

from cnn_core.data.files import Progress

FIGURES = "{n_fmt}B of {total_fmt}B  {rate_fmt}  {remaining} left"
EVERY = 10.0  # seconds between two lines


class Lines:
    """A file in which each drawing of tqdm is a line of its own."""

    def write(self, text: str) -> None:
        if text.strip():
            sys.stderr.write(f"{text.strip()}\n")

    def flush(self) -> None:
        sys.stderr.flush()


@contextmanager
def shown_downloads(*, quiet: bool = False) -> Iterator[Progress | None]:
    """Yield a function that shows name, size, rate and time left of one download after the other; None if `quiet`."""
    if sys.stderr.isatty():
        draw = partial(tqdm, bar_format="{desc} {bar} " + FIGURES, ascii="─━")
    else:
        draw = partial(tqdm, bar_format="{desc}  " + FIGURES, file=Lines(), mininterval=EVERY)
    bar: tqdm[object] | None = None

    def show(name: str, done: int, total: int | None) -> None:
        nonlocal bar
        if bar is None or bar.desc != name or done < bar.n:  # another file, or this one from its beginning
            close()
            bar = draw(desc=name, initial=done, total=total, unit="B", unit_scale=True, miniters=1)
        bar.update(done - bar.n)

    def close() -> None:
        if bar is not None:
            bar.close()

    try:
        yield None if quiet else show
    finally:
        close()
