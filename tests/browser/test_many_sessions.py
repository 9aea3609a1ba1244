"""Ten people at once: everybody gets the answer to their own picture, and the server's memory stays bounded.

MINUTES is how long they go from page to page in the longer test (half an hour shows a slow leak).
"""

import os
import random
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import pytest
from every_page import PAGES

MINUTES = float(os.environ.get("MINUTES", "2"))

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900 + 180 * MINUTES)]

SESSIONS = 10
ROUNDS = 3
GROWTH = 300  # MiB that ten sessions may cost in all, networks included
DIGITS = {"seven": "7", "zero": "0", "four": "4", "three": "3", "eight": "8"}
CLOTHES = {"boot": "Ankle boot", "pullover": "Pullover", "trousers": "Trouser", "dress": "Dress", "bag": "Bag"}


def memory(port: int) -> int | None:
    """MiB that the server at a port holds, None where /proc does not say."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"--server.port\0{port}\0".encode() in (process / "cmdline").read_bytes():
                line = next(row for row in (process / "status").read_text().splitlines() if row.startswith("VmRSS"))
                return int(line.split()[1]) // 1024
        except (OSError, StopIteration):
            continue
    return None


def test_ten_sessions_get_their_own_answers(open_page, address) -> None:
    port = urlsplit(address).port
    first = open_page("/image?weights=mnist&sample=seven")
    first.locator(".answer .word").wait_for()
    before = memory(port)
    pages = [
        (open_page(f"/image?weights={weights}"), weights, samples)
        for weights, samples in (("mnist", DIGITS), ("fashion-mnist", CLOTHES))
        for _ in range(SESSIONS // 2)
    ]
    for turn in range(ROUNDS):
        asked = []
        for i, (page, weights, samples) in enumerate(pages):
            name = list(samples)[(turn + i) % len(samples)]
            page.goto(f"{address}/image?weights={weights}&sample={name}", wait_until="commit")
            asked.append((page, samples[name]))
        for page, answer in asked:  # all were asked before any is read
            page.locator(f'.answer .word:text-is("{answer}")').wait_for()
    after = memory(port)
    if before is not None:
        assert after - before < GROWTH


# Where each session may go; what has words must say to all what it said to one session alone.
VISITED = {
    **{f"/image?weights=mnist&sample={name}": ".answer .word" for name in DIGITS},
    **{f"/image?weights=fashion-mnist&sample={name}": ".answer .word" for name in CLOTHES},
    "/image?weights=cifar10&sample=ship": ".answer .word",
    "/text?weights=ag-news": ".answer .word",
    **{path: part for path, part in PAGES.items() if path != "/image"},
}
LOADING = 600_000  # ms that the first look at a page may take, with the network that it loads
FLAT = 100  # MiB, or a tenth, that the server may hold more in the second half of the time


def said(page, path: str) -> str:
    """What a page answers, once it does; "" for one that shows no words."""
    shown = page.locator(VISITED[path]).first
    shown.wait_for(state="attached")
    return shown.inner_text().strip() if VISITED[path] == ".answer .word" else ""


def test_ten_sessions_on_all_pages_and_a_memory_that_stays(open_page, address, capsys) -> None:
    port = urlsplit(address).port
    alone, answers = open_page("/lab"), {}
    alone.set_default_timeout(LOADING)
    for path in VISITED:
        alone.goto(address + path, wait_until="commit")
        answers[path] = said(alone, path)
    for name, digit in DIGITS.items():
        assert answers[f"/image?weights=mnist&sample={name}"] == digit
    for name, cloth in CLOTHES.items():
        assert answers[f"/image?weights=fashion-mnist&sample={name}"] == cloth
    pages, chance, visits = [open_page("/lab") for _ in range(SESSIONS)], random.Random(0), 0
    began, held = time.monotonic(), [(0.0, memory(port))]
    while (passed := (time.monotonic() - began) / 60) < MINUTES:
        asked = [(page, chance.choice(list(VISITED))) for page in pages]
        for page, path in asked:
            page.goto(address + path, wait_until="commit")
        for page, path in asked:  # all were asked before any is read
            assert said(page, path) == answers[path], path
            visits += 1
        held.append((passed, memory(port)))
    with capsys.disabled():
        print(f"\n{visits} visits of {SESSIONS} sessions in {MINUTES:g} minutes; MiB after minutes: ", end="")
        print(", ".join(f"{size} ({minutes:.1f})" for minutes, size in held[:: max(1, len(held) // 12)]))
    if held[0][1] is not None:
        sizes = [size for _, size in held]
        third, last = (sizes[len(sizes) // 2 : len(sizes) * 3 // 4], sizes[len(sizes) * 3 // 4 :])
        assert median(last) - median(third or last) < max(FLAT, median(last) / 10)
