"""An explanation as a file: HTML, PNG or JSON."""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from cnn_core.errors import CnnError
from cnn_core.storage import atomic_path, write_text

if TYPE_CHECKING:
    from text_classification.explain import TextExplanation

FOR, AGAINST = (217, 119, 6), (37, 99, 235)  # orange and blue, as in the heat maps of pictures
WIDTH, MARGIN, SIZE, LINE = 900, 24, 20, 34  # pixels of the picture
MOST_LINES = 200


def strengths(weights: Sequence[float]) -> list[float]:
    """Scale weights to -1..1 by the largest of them; all zero if there is none."""
    largest = max((abs(weight) for weight in weights), default=0.0)
    return [weight / largest if largest else 0.0 for weight in weights]


def save_explanation(explanation: "TextExplanation", path: Path) -> None:
    """Write by the ending of the name.

    Raises:
        CnnError: another ending.
        StorageError: the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind == ".json":
        write_text(path, json.dumps(explanation.to_json(), ensure_ascii=False, indent=2) + "\n")
    elif kind in (".html", ".htm"):
        write_text(path, to_html(explanation))
    elif kind == ".png":
        with atomic_path(path) as temporary:
            to_picture(explanation).save(temporary, format="PNG")
    else:
        raise CnnError(f"{path.name}: expected a name that ends in .html, .png or .json")


def to_html(explanation: "TextExplanation", *, whole: bool = True) -> str:
    """Return a page, or a part of one, with the coloured text and the votes."""
    words = []
    for token, weight, strength in zip(
        explanation.tokens, explanation.weights, strengths(explanation.weights), strict=True
    ):
        color = "{},{},{}".format(*(FOR if strength >= 0 else AGAINST))
        words.append(
            f'<span style="background:rgba({color},{0.75 * abs(strength):.2f});padding:.1em .2em;border-radius:.2em" '
            f'title="{weight:+.3f}">{html.escape(token)}</span>'
        )
    votes = "".join(
        f"<tr><td>{html.escape(vote.ngram)}</td><td>{vote.contribution:+.3f}</td></tr>"
        for vote in explanation.votes[:20]
    )
    table = f"<table><tr><th>n-gram</th><th>adds</th></tr>{votes}</table>" if votes else ""
    page = (
        '<!doctype html><meta charset="utf-8"><title>Why</title>'
        '<body style="font:18px/1.9 system-ui,sans-serif;max-width:45em;margin:2em auto;padding:0 1em">'
    )
    return (
        f"{page if whole else ''}<p>{' '.join(words)}</p><p>What speaks for <b>{html.escape(explanation.label)}</b> "
        f"({explanation.probability:.1%}), by {explanation.method}: orange for it, blue against it.</p>{table}\n"
    )


def to_picture(explanation: "TextExplanation") -> Image.Image:
    """Return the coloured text as a picture; very long texts are cut."""
    font = ImageFont.load_default(SIZE)
    placed, x, y = [], float(MARGIN), MARGIN
    for token, strength in zip(explanation.tokens, strengths(explanation.weights), strict=True):
        width = font.getlength(token[:60]) + 8
        if x + width > WIDTH - MARGIN and x > MARGIN:
            x, y = MARGIN, y + LINE
        if y > MOST_LINES * LINE:
            break
        placed.append((x, y, width, token[:60], strength))
        x += width + 4
    picture = Image.new("RGB", (WIDTH, int(y + 3 * LINE)), "white")
    pen = ImageDraw.Draw(picture)
    for x, y, width, token, strength in placed:
        color = FOR if strength >= 0 else AGAINST
        shade = tuple(round(255 - (255 - part) * 0.75 * abs(strength)) for part in color)
        pen.rounded_rectangle((x, y, x + width, y + LINE - 6), 4, fill=shade)
        pen.text((x + 4, y + 2), token, fill="black", font=font)
    caption = f"{explanation.label} {explanation.probability:.1%}, by {explanation.method}: orange for, blue against"
    pen.text((MARGIN, picture.height - LINE - 8), caption, fill=(90, 90, 90), font=ImageFont.load_default(15))
    return picture
