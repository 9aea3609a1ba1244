"""Ten people at once: everybody gets the answer to their own picture, and the server's memory stays bounded."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

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
