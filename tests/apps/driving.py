"""Driving a page as a browser would: open it at an address, check that it broke nowhere, read what it shows."""

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from cnn_core.train import queue
from cnn_core.train.runs import JOB, waiting_file
from components.networks import RUNS

VIEWS = Path(__file__).resolve().parents[2] / "apps" / "views"


def opened(view: str, session: dict[str, object] | None = None, /, **address: str) -> AppTest:
    """Open a page at an address such as `?weights=...&sample=...` and check that it shows no defect."""
    page = AppTest.from_file(str(VIEWS / f"{view}.py"), default_timeout=120)
    for name, value in address.items():
        page.query_params[name] = value
    for name, value in (session or {}).items():
        page.session_state[name] = value
    return checked(page.run())


def checked(page: AppTest) -> AppTest:
    assert not page.exception, page.exception[0].message
    return page


def html(page: AppTest) -> str:
    return "\n".join(part.proto.body for part in page.html)


def word(page: AppTest) -> str:
    """The answer in large type."""
    return html(page).split('<p class="word">')[1].split("<")[0]


def warnings(page: AppTest) -> list[str]:
    return [warning.value for warning in page.warning]


def address(page: AppTest) -> dict[str, str]:
    return {name: value[0] if isinstance(value, list) else value for name, value in dict(page.query_params).items()}


def asked_for(name: str) -> dict:
    """What waits in the queue under the name of a run."""
    return json.loads(waiting_file(RUNS, name).read_text("utf-8"))


def learn(name: str) -> None:
    """Do a training that waits, in this process and as the queue's own would."""
    entry = asked_for(name)
    waiting_file(RUNS, name).unlink()
    queue._run(RUNS / name, entry)
    (RUNS / name / JOB).write_text(json.dumps({**entry, "error": ""}), "utf-8")
