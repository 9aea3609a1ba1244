"""Driving the text page: open it with something written, write into its field, read what was sent to it."""

import json

from driving import checked, opened
from streamlit.testing.v1 import AppTest

OWN = "runs/tiny-requests"
CLASSES = {"light", "music", "weather"}
RAIN = "Will it RAIN in Oslo tomorrow?"


def open_page(text: str | None = RAIN, **address: str) -> AppTest:
    """Open the text page with something written in it."""
    kept = {} if text is None else {"text-kept": text}
    return opened("text", kept, **{"weights": OWN, **address})


def write(page: AppTest, text: object, key: str = "text") -> AppTest:
    """Write into the field, as far as Python hears of it."""
    page.session_state[f"{key}-kept"] = text
    return checked(page.run())


def field(page: AppTest, key: str = "text") -> dict:
    """What the page sends to the field: its text, and the coloured words."""
    sent = [json.loads(part.proto.json) for part in page.get("bidi_component") if part.proto.component_name == "writer"]
    assert len(sent) == 1
    return sent[0]
