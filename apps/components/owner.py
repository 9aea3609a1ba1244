"""Whose a run is: of the browser that made it. What others may see of it depends on how the pages are served.

On localhost, the default, all who can open the pages sit at one machine: every run is seen. Served to others (at an
address other than localhost, or opened by another name through a proxy), a run is seen by the browser that made it
alone, and those of the command line by nobody, unless the server was started with `--share-runs`. Then all see them
all; to stop, resume or delete one remains its owner's.
"""

import hashlib
import ipaddress
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

COOKIE = "cnn_owner"
SECONDS = 400 * 86_400  # the longest that browsers keep a cookie
ID = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits
SHARED = "--share-runs"  # behind the `--` of `streamlit run apps/showcase.py`


def owner() -> str:
    """Return the owner of what this browser makes: the SHA-256 of its id, so that no file holds the id itself.

    The id is made here at the first visit, kept by the session, and by the browser as a cookie (see `keep_owner`) that
    comes with every later connection. To be asked in a session's own thread.
    """
    return hashlib.sha256(_id().encode()).hexdigest()


def _id() -> str:
    if "owner-id" not in st.session_state:
        kept = str(st.context.cookies.get(COOKIE))
        st.session_state["owner-id"] = kept if ID.fullmatch(kept) else secrets.token_urlsafe(32)
    return st.session_state["owner-id"]


def keep_owner() -> None:
    """Let the browser keep its id; once per run of a page, before what asks for the owner."""
    data = {"cookie": COOKIE, "id": _id(), "seconds": SECONDS}
    kept = _keeper()(key="owner-keeper", data=data, height="content", on_kept_change=lambda: None).kept
    if isinstance(kept, str) and ID.fullmatch(kept):
        st.session_state["owner-id"] = kept


@st.cache_resource(show_spinner=False)
def _keeper() -> Callable[..., Any]:
    script = Path(__file__).with_suffix(".js").read_text("utf-8")
    return st.components.v2.component("owner", html="<span></span>", js=script)


def may_see(of: str) -> bool:
    """Tell whether this visitor may see what belongs to the owner `of`, "" for what the command line made."""
    return all_is_seen() or of == owner()


def may_change(of: str) -> bool:
    """Tell whether this visitor may stop, resume and delete what belongs to `of`, and take its data away."""
    return not is_served() or of == owner()


def all_is_seen() -> bool:
    """Tell whether every visitor sees every run."""
    return SHARED in sys.argv[1:] or not is_served()


def is_served() -> bool:
    """Tell whether others than who sits at this machine can open the pages."""
    headers = st.context.headers
    if "X-Forwarded-For" in headers or "Forwarded" in headers:  # a proxy in front, which finds us on localhost
        return True
    opened = [_host(headers[name]) for name in ("Host", "Origin") if name in headers]
    return not all(map(_is_local, [st.get_option("server.address"), *opened]))


def _host(place: str) -> str | None:
    try:
        return urlsplit(place if "//" in place else f"//{place}").hostname
    except ValueError:
        return None


def _is_local(name: str | None) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name or "").is_loopback
    except ValueError:  # a name, or none: Streamlit listens everywhere
        return False
