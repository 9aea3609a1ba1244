"""A field to write in whose words are coloured while one writes: orange for an answer, blue against it."""

from collections.abc import Sequence

from components.browser import component, sent
from components.coloured import Span, utf16_places

LIMIT = 100_000  # UTF-16 units that travel to the server; networks read the first few thousand words


def written(key: str) -> str | None:
    """Return what stands in the field `key`, as it came from the browser; None before anybody wrote.

    The text is kept for the session: it survives that the field is not shown for a while.
    """
    text = sent(key, "text")
    return readable(text) if isinstance(text, str) else None


def readable(text: str) -> str:
    """Return at most `LIMIT` characters; halves of surrogate pairs, which no message can hold, become "?"."""
    return text[:LIMIT].encode("utf-8", "replace").decode("utf-8")


def writer(
    text: str,
    spans: Sequence[Span],
    *,
    key: str,
    label: str,
    revision: str,
    legend: tuple[str, str] | None,
    chips: Sequence[tuple[str, str]] = (),
    said: str = "",
) -> None:
    """Show the field; what is written in it is `written(key)`, of the next run.

    Args:
        text: what stands in it.
        spans: its coloured words.
        key: of the widget.
        label: what screen readers call it.
        revision: another one puts `text` into the field, if it is not what the field has sent itself.
        legend: what orange and what blue means; None: nothing is coloured.
        chips: examples (title, text); an empty text clears the field.
        said: what screen readers say of the colours.
    """
    places = utf16_places(text)
    data = {
        "text": text,
        "spans": [
            {"s": places(span.start), "e": places(span.end), "w": round(span.strength, 3), "t": span.said}
            for span in spans
        ],
        "revision": revision,
        "label": label,
        "placeholder": "Type or paste a text",
        "legend": list(legend) if legend else None,
        "chips": [{"title": title, "text": example} for title, example in chips],
        "said": said,
        "limit": LIMIT,
    }
    component("writer")(key=key, data=data, on_text_change=lambda: None)
