"""Asking a network about a scan: read once, segmented once, in the background, with progress and a way to stop."""

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from components.frame import duration
from components.kept import remembered
from components.networks import Network, compute, predictor, submit
from components.uploads import as_file

T = TypeVar("T")
LOOK = 0.1  # seconds between two looks at how far it is
QUIET = 0.7  # seconds before a progress bar is shown
THEIRS = "your file"


@dataclass(frozen=True, eq=False)
class Given:
    """A file that somebody wants segmented or judged."""

    name: str  # a file name, for downloads and commands
    data: bytes
    source: str = THEIRS
    series: str | None = None  # which DICOM series was chosen; None: there is no choice
    volume: int | None = None  # likewise, which volume of a 4-D NIfTI

    @cached_property
    def digest(self) -> str:
        """A name for exactly this file."""
        return hashlib.sha256(f"{self.name}\0{self.series}\0{self.volume}\0".encode() + self.data).hexdigest()

    @property
    def file(self) -> tuple[str, bytes] | None:
        """Name and bytes, None if the user has the file."""
        return None if self.source == THEIRS else (self.name, self.data)


@remembered(1)  # scans are large
def segmented(network: Network, given: Given) -> Any:
    """Return the `SegmentationResult` with the map "entropy" where there is one, computed once in this session.

    Raises:
        CnnError: the file is no scan, or the network cannot be loaded.
    """
    return _segment(network, _scan(given))


@remembered(1)
def _scan(given: Given) -> Any:
    return compute(_read, given)


def _read(given: Given) -> Any:
    from medical_segmentation.scan import read_scan

    return with_file(given, lambda path: read_scan(path, series=given.series, volume=given.volume))


@remembered(1)
def series_in(given: Given) -> list[str]:
    """Return a line for each DICOM series in a file, the one that is taken by itself first.

    Raises:
        CnnError: the file cannot be read.
    """
    from medical_segmentation.scan import list_series

    return compute(with_file, given, lambda path: [series.listing for series in list_series(path)])


@remembered(1)
def volumes_of(given: Given) -> int:
    """Return how many volumes a file holds.

    Raises:
        CnnError: the file cannot be read.
    """
    from medical_segmentation.scan import count_volumes

    return compute(with_file, given, count_volumes)


def with_file(given: Given, use: Callable[[Path], T]) -> T:
    """Call a function that wants a path with the file on the disk, see `as_file`."""
    with as_file(given.name, given.data) as path:
        return use(path)


def _segment(network: Network, scan: Any) -> Any:
    loaded = predictor(network)
    latest: list[Any] = []
    stopped = threading.Event()

    def observe(advance: Any) -> bool:
        latest[:] = [advance]
        return not stopped.is_set()

    maps = () if loaded.goal == "bundle" else ("entropy",)  # a bundle's own transforms hide the scores
    work = submit(loaded.predict, scan, maps=maps, progress=observe)
    try:
        _show_progress(work, latest)
        return work.result()
    finally:
        work.cancel()  # if it has not begun
        stopped.set()  # also when this run of the page ends early: another click, a closed tab


def _show_progress(work: Future[Any], latest: list[Any]) -> None:
    place, begun = st.empty(), time.monotonic()
    while not work.done():
        if time.monotonic() - begun > QUIET:
            with place.container(horizontal=True, vertical_alignment="center"):
                if not work.running():
                    st.progress(0.0, "Another scan is being segmented; yours is next")
                elif latest:
                    left = duration(max(1.0, latest[0].seconds_left))
                    st.progress(latest[0].fraction, f"Segmenting the scan, about {left} left")
                else:
                    st.progress(0.0, "Resampling the scan")
        time.sleep(LOOK)
    place.empty()
