"""Choices in the page's address, by their short names (Streamlit's own binding would write the words on the button)."""

from collections.abc import Sequence

import streamlit as st


def begin(key: str, options: Sequence[str], default: str) -> None:
    """Before the widget `key`: give it the value in the address if there is one, else `default`."""
    if st.session_state.get(key) not in options:
        wanted = st.query_params.get(key)
        st.session_state[key] = wanted if wanted in options else default


def keep(key: str, default: str) -> None:
    """After the widget: write its value into the address, unless it is the default."""
    value = st.session_state[key]
    if value != default:
        st.query_params[key] = value
    elif key in st.query_params:
        del st.query_params[key]
