"""Made-up sentences on two topics, and a table of them."""

import random
from pathlib import Path

SEA = ["boat", "wave", "harbour", "sail", "tide", "fish", "anchor", "deck"]
HILL = ["slope", "peak", "forest", "trail", "goat", "stone", "hut", "summit"]
FILLER = ["the", "a", "we", "saw", "near", "under", "one", "small", "old", "and"]


def sentences(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Return (label, text): filler with one to three words of the topic, in any order."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        label, words = (("sea", SEA), ("hill", HILL))[i % 2]
        text = rng.choices(FILLER, k=rng.randint(2, 9)) + rng.choices(words, k=rng.randint(1, 3))
        rng.shuffle(text)
        rows.append((label, " ".join(text)))
    return rows


def write_table(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("label\ttext\n" + "".join(f"{label}\t{text}\n" for label, text in rows), "utf-8")
    return path
