"""What a visitor chose, brought and was answered, kept for the session.

Streamlit forgets a widget that a run does not show, as when another page is opened, and it empties the caches of a
session when its connection is lost for a moment. The session state, under names of no widget, survives both.
"""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from components.frame import current_page, current_visit, note

P = ParamSpec("P")
T = TypeVar("T")


def kept() -> dict[str, Any]:
    """Return what the session keeps for the page that is shown, by names that are free to choose."""
    return st.session_state.setdefault("kept", {}).setdefault(current_page(), {})


def recall(key: str, options: Sequence[str], default: str, *, wanted: str | None = None) -> None:
    """Before the widget `key`: give it what is `wanted`, else what it had when the page was last shown, else `default`.

    A widget that was shown since the page was opened keeps its value, if that is one of the options. (Streamlit's own
    `persist_state` takes widgets of one key on two pages for one.)
    """
    if not was_shown(key) or st.session_state.get(key) not in options:
        st.session_state[key] = next(value for value in (wanted, kept().get(key), default) if value in options)


def was_shown(key: str) -> bool:
    """Tell whether the widget `key` was shown since the page was opened: else what has its key is another page's."""
    return kept().get(f"{key} shown") == current_visit()


def retain(key: str) -> None:
    """After the widget: keep its value."""
    kept()[key] = st.session_state[key]
    kept()[f"{key} shown"] = current_visit()


def choose(key: str, value: str) -> None:
    """Give the widget `key`, which is not yet shown in this run, a value."""
    st.session_state[key] = kept()[key] = value


def remembered(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep the latest `most` results of a function in the session, with which they end.

    Results are told apart by the positional arguments alone, those with a `digest` by it, and shared: nobody may change
    one.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        name = f"results of {function.__module__}.{function.__qualname__}"

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            results: dict[Hashable, T] = st.session_state.setdefault(name, {})
            key = tuple(getattr(argument, "digest", argument) for argument in args)
            if key in results:
                results[key] = results.pop(key)  # at the end: the latest
            else:
                while len(results) >= most:  # before the next is made: some fill half of the memory
                    results.pop(next(iter(results)))
                results[key] = function(*args, **kwargs)
            return results[key]

        return call

    return decorate


@dataclass(frozen=True)
class File:
    """A file that somebody brought."""

    name: str
    data: bytes

    @cached_property
    def digest(self) -> str:
        """What tells it apart from other files."""
        return hashlib.sha256(self.name.encode(errors="replace") + b"\0" + self.data).hexdigest()


def uploaded(
    label: str, kinds: Sequence[str], *, key: str, limit: int, many: bool = False, hidden: bool = False
) -> list[File]:
    """Take files, and return those brought last on this page until they are removed.

    Args:
        label: of the field.
        kinds: endings of the names.
        key: of the widget.
        limit: MB of a file.
        many: whether several files can be brought.
        hidden: the label is for screen readers alone.
    """

    def change() -> None:  # the field was emptied by hand, not by another page
        kept().pop(key, None)

    found = st.file_uploader(
        label, list(kinds), key=key, max_upload_size=limit, accept_multiple_files=many,
        label_visibility="collapsed" if hidden else "visible", on_change=change,
    )  # fmt: skip
    files = found if isinstance(found, list) else [found] if found is not None else []
    if files:
        kept()[key] = [File(file.name, file.getvalue()) for file in files]
    elif kept().get(key):
        before = kept()[key]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            with st.container(width="content"):
                note(
                    f"{before[0].name}, uploaded before" if len(before) == 1 else f"{len(before)} files uploaded before"
                )
            st.button("Remove", key=f"{key}-remove", type="tertiary", on_click=change)
    return kept().get(key, [])
