"""Choices in the page's address, by their short names (Streamlit's own binding would write the words on the button)."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import streamlit as st

from components.frame import plain_errors
from components.kept import kept, recall, retain, was_shown

LAG = 0.3  # seconds until the browser surely knows the address that a run wrote

BROWSERS = "the address is the browser's"  # whether this run can take it for what the browser shows
ENDED = "the last run ended"  # when


def run_begins() -> None:
    """Before a page: find out whose the address is.

    A choice that follows quickly upon another one, while the page still runs or has just ended, comes with the address
    from before the first: that is no going back.
    """
    ended = st.session_state.pop(ENDED, None)
    st.session_state[BROWSERS] = ended is not None and monotonic() - ended > LAG


def run_ends() -> None:
    """After a page that was not interrupted."""
    st.session_state[ENDED] = monotonic()


def begin(key: str, options: Sequence[str], default: str) -> None:
    """Before the widget `key`: give it the value in the address if there is one, else its last one, else `default`.

    A widget that has one of the options keeps it, unless the browser has gone back to another address.
    """
    named = st.query_params.get(key)
    known = st.session_state.get(BROWSERS, True)
    if known and was_shown(key) and named != kept().get(f"{key} in the address"):
        st.session_state[key] = named if named in options else default
    recall(key, options, default, wanted=named)


def keep(key: str, default: str) -> None:
    """After the widget: write its value into the address, unless it is the default, and keep it for the session."""
    retain(key)
    value = st.session_state[key]
    if value != default:
        st.query_params[key] = value
    else:
        st.query_params.pop(key, None)
    kept()[f"{key} in the address"] = st.query_params.get(key)


def pick(
    control: Callable[..., Any], label: str, options: Sequence[str], *, key: str, default: str = "", **settings: Any
) -> str:
    """Let one of the options be chosen, and keep the choice in the address.

    Args:
        control: shows the options, such as `st.pills`.
        label: of the control.
        options: to choose from.
        key: of the control, and in the address.
        default: chosen first, and left out of the address; "": the first of the options.
        settings: passed to the control.
    """
    first = default or options[0]
    begin(key, options, first)
    chosen: str | None = control(label, options, key=key, **settings)
    keep(key, first)
    return chosen or first


def sections(parts: Mapping[str, Callable[[], None]], *, key: str) -> None:
    """Show tabs, each with what shows its content; the chosen one is kept in the address, and alone computed.

    Bound to the address by Streamlit, tabs of one key on two pages leave steps behind that Back stops at.
    """
    labels = list(parts)
    begin(key, labels, labels[0])
    places = st.tabs(labels, key=key, on_change="rerun")
    keep(key, labels[0])
    for place, show in zip(places, parts.values(), strict=True):
        if place.open:
            with place, plain_errors():
                show()
