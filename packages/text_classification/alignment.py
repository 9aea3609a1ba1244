"""The positions of tokens in the original text, found by searching: for tokenizers that do not know them themselves."""

from collections.abc import Iterator, Sequence

BREAK = "<br />"  # taken for white space by tokenizers of film reviews


def align_tokens(text: str, tokens: Sequence[str]) -> list[tuple[int, int] | None]:
    """Return (start, end) in `text` of each token, None for one that is not found.

    Tokens are searched in order, in lower case, with any run of white space as one space, and without the
    double quotes that some tokenizers take out of words.

    Args:
        text: as it was written.
        tokens: of it, in their order; a tokenizer may have changed case and left characters out.
    """
    quotes = any('"' in token for token in tokens)
    breaks = any("<br" in token for token in tokens)
    kept = list(_kept(text, quotes=quotes, breaks=breaks))
    searched = "".join(sign for sign, _ in kept)
    places = [place for _, place in kept]
    spans: list[tuple[int, int] | None] = []
    at = 0
    for token in tokens:
        begin = searched.find(token.lower(), at)
        if begin < 0:
            spans.append(None)
            continue
        at = begin + len(token.lower())
        spans.append((places[begin], places[at - 1] + 1))
    return spans


def _kept(text: str, *, quotes: bool, breaks: bool) -> Iterator[tuple[str, int]]:
    """Yield each character that is searched, with its position in the text."""
    lowered = text.lower()
    places: Sequence[int] = range(len(text))
    if len(lowered) != len(text):  # a few capitals are two characters in lower case
        places = [place for place, sign in enumerate(text) for _ in sign.lower()]
    if not breaks and BREAK in lowered:
        lowered = lowered.replace(BREAK, " " * len(BREAK))
    space = True  # at the beginning there is nothing to divide
    for sign, place in zip(lowered, places, strict=True):
        if sign.isspace():
            if not space:
                yield " ", place
            space = True
        elif quotes or sign != '"':
            yield sign, place
            space = False
