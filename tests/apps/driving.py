"""Driving a page as a browser would: open it at an address, check that it broke nowhere, read what it shows."""

import base64
import gzip
import importlib
import io
import json
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

from cnn_core.train.runs import JOB, waiting_file
from components.networks import RUNS
from jobs import queue

APPS = Path(__file__).resolve().parents[2] / "apps"


def opened(view: str, session: dict[str, object] | None = None, /, **address: str) -> AppTest:
    """Open a page at an address such as `?weights=...&sample=...` and check that it shows no defect."""
    page = AppTest.from_file(str(APPS / "views" / f"{view}.py"), default_timeout=120)
    for name, value in address.items():
        page.query_params[name] = value
    for name, value in (session or {}).items():
        page.session_state[name] = value
    return checked(page.run())


def open_home() -> AppTest:
    """Open the first page, through the entry."""
    return checked(AppTest.from_file(str(APPS / "showcase.py"), default_timeout=120).run())


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


def wait_for(page: AppTest, condition: Callable[[AppTest], bool], seconds: float = 100) -> AppTest:
    """Run the page again until something is so, as a page that is watched does by itself."""
    end = time.monotonic() + seconds
    while not condition(page):
        assert time.monotonic() < end, html(page)
        time.sleep(0.2)
        checked(page.run())
    return page


@cache
def library(domain: str, weights: str) -> Any:
    """Return the predictor that answers without a page."""
    return importlib.import_module(domain).load(weights, device="cpu")


def text_of(markup: str) -> str:
    return unescape(re.sub("<[^>]*>", "", markup)).strip()


def table(page: AppTest, label: str) -> list[list[str]]:
    """The rows of the table that screen readers call so, without its head."""
    (body,) = re.findall(rf'aria-label="{re.escape(label)}">.*?<tbody>(.*?)</tbody>', html(page), re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row)] for row in body.split("</tr>")[:-1]]


def bars(page: AppTest) -> list[list[tuple[str, float, str]]]:
    """Every list of bars: name, length in percent, what is written behind."""
    lists = re.findall(r'<ul class="bars">(.*?)</ul>', html(page))
    assert lists, "no bars are shown"
    row = re.compile(r'class="name">(.*?)</span>.*?width:([\d.]+)%.*?class="value">(.*?)</span>')
    return [
        [(unescape(name), float(width), unescape(said)) for name, width, said in row.findall(part)] for part in lists
    ]


def as_bars(names: list[str], probabilities: list[float]) -> list[tuple[str, float, str]]:
    """How bars show these probabilities, between 0.1 % and 99.9 % to a tenth."""
    said = ["> 99.9 %" if p > 0.999 else "< 0.1 %" if p < 0.001 else f"{100 * p:.1f} %" for p in probabilities]
    return [(name, round(100 * p, 2), text) for name, p, text in zip(names, probabilities, said, strict=True)]


def sent(page: AppTest, name: str) -> list[Any]:
    """What the page sends to its components called so, one after the other: data, or one block of bytes."""
    parts = [part.proto for part in page.get("bidi_component") if part.proto.component_name.split(".")[-1] == name]
    assert parts, f"no {name} is shown"
    return [json.loads(part.json) if part.WhichOneof("data") == "json" else part.bytes for part in parts]


def numbers(packed: str, *shape: int) -> np.ndarray:
    """The array that a component is sent as a text."""
    return np.frombuffer(base64.b64decode(packed), "<f4").reshape(shape or -1)


def picture(uri: str) -> np.ndarray:
    """The pixels of a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def figures(page: AppTest) -> list[tuple[str, np.ndarray]]:
    """The caption and the pixels of every figure."""
    found = re.findall(r'<figure class="figure"><img src="(data:[^"]*)".*?<figcaption>(.*?)</figcaption>', html(page))
    assert found, "no figure is shown"
    return [(text_of(caption), picture(uri)) for uri, caption in found]


def figure(page: AppTest, caption: str) -> np.ndarray:
    """The pixels of the one figure whose caption begins so."""
    (pixels,) = [pixels for text, pixels in figures(page) if text.startswith(caption)]
    return pixels


@dataclass(frozen=True)
class Chart:
    """A chart as it is sent to the browser."""

    title: str
    lines: dict[str, list[tuple[float, float]]]  # name -> points
    dots: list[tuple[float, float]]
    spec: dict[str, Any]  # Vega-Lite's


def charts(page: AppTest) -> list[Chart]:
    """Read every chart of a page from its specification and its data."""
    return [_chart(part.proto) for part in page.get("vega_lite_chart")]


def _chart(proto: Any) -> Chart:
    rows = {part.name: convert_arrow_bytes_to_pandas_df(part.data.data).to_dict("records") for part in proto.datasets}
    spec = json.loads(proto.spec)
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows["points"]:
        lines.setdefault(row["name"], []).append((row["x"], row["y"]))
    return Chart(spec["title"]["text"], lines, [(row["x"], row["y"]) for row in rows.get("dots", [])], spec)


def unpack(packed: Any) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray | None]:
    """Return header, voxels, mask and heat of the overview as the browser sees them: [X, Y, Z]."""
    shape = [-(-edge // packed.header["step"]) for edge in packed.header["shape"]]

    def read(name: str, kind: Any) -> np.ndarray:
        return np.frombuffer(gzip.decompress(packed.overview[name]), kind).reshape(shape, order="F")

    heat = read("heat", np.uint8) if "heat" in packed.overview else None
    return dict(packed.header), read("voxels", "<i2"), read("mask", np.uint8), heat


def joined(part: Any, shape: tuple[int, int, int], *, wide: bool) -> np.ndarray:
    """Return the array in slabs, put together as the browser does: low bytes first, then high ones."""
    found, start = [], 0
    for end in part.ends:
        raw = np.frombuffer(zlib.decompress(part.data[start:end], 31), np.uint8)
        start = end
        low, high = (raw[: len(raw) // 2], raw[len(raw) // 2 :]) if wide else (raw, None)
        found.append(low if high is None else (low | high.astype(np.uint16) << 8).astype(np.uint16).view(np.int16))
    assert start == len(part.data)
    return np.concatenate(found).reshape(shape, order="F")
