"""Whose a run is, and who sees what, on localhost and served to others."""

import sys
from collections.abc import Iterator

import pytest
from streamlit import config
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from components.owner import COOKIE, ID, SHARED, all_is_seen


def whoami() -> None:
    import streamlit as st

    from components.owner import keep_owner, owner

    keep_owner()
    st.text(owner())


def opened() -> AppTest:
    return AppTest.from_function(whoami).run()


@pytest.fixture
def address() -> Iterator[None]:
    before = config.get_option("server.address")
    yield
    config.set_option("server.address", before)


def test_two_sessions_are_two_owners_and_reruns_are_the_same_one(monkeypatch: pytest.MonkeyPatch):
    one, other = opened(), opened()
    (first,), (second,) = ([part.value for part in page.text] for page in (one, other))
    assert first != second and len(first) == 64
    assert [part.value for part in one.run().text] == [first]
    key = one.session_state["owner-id"]
    assert ID.fullmatch(key) and key not in first
    monkeypatch.setattr(ContextProxy, "cookies", {COOKIE: key})
    assert [part.value for part in opened().text] == [first]  # the browser brings its id along
    monkeypatch.setattr(ContextProxy, "cookies", {COOKIE: "short"})
    assert opened().session_state["owner-id"] != "short"


@pytest.mark.parametrize(("server", "headers", "seen"), [
    ("localhost", {}, True),
    ("127.0.0.2", {"Host": "localhost:8501", "Origin": "http://127.0.0.1:8501"}, True),
    ("::1", {"Host": "[::1]:8501"}, True),
    ("0.0.0.0", {"Host": "localhost:8501"}, False),
    ("192.0.2.7", {"Host": "192.0.2.7"}, False),
    ("localhost.example", {}, False),
    (None, {"Host": "localhost"}, False),  # Streamlit listens everywhere
    ("localhost", {"Host": "pages.example"}, False),  # a proxy in front
    ("localhost", {"Host": "localhost:8501", "Origin": "https://pages.example"}, False),
    ("localhost", {"Host": "localhost:8501", "X-Forwarded-For": "192.0.2.7"}, False),
    ("localhost", {"Host": "http://[:1"}, False),
])  # fmt: skip
@pytest.mark.usefixtures("address")
def test_all_runs_are_seen_on_this_machine_alone(
    server: str | None, headers: dict[str, str], seen: bool, monkeypatch: pytest.MonkeyPatch
):
    config.set_option("server.address", server)
    monkeypatch.setattr(ContextProxy, "headers", headers)
    assert all_is_seen() is seen
    monkeypatch.setattr(sys, "argv", ["showcase.py", SHARED])
    assert all_is_seen()
