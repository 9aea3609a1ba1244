"""English as people write it, in the tokens of the Penn Treebank: one spelling for what means the same.

Text sets come cut into tokens ("is n't", "-lrb-", "``") or with HTML, whole and half (AG's news have " #39;s" for
"&#39;s"); people type "isn’t", "isn`t" or "isnt", “quotes”, dashes, "awful!!!", and paste `<br>`. All of it gives the
tokens that the set's own spelling gives. First characters are folded: entities, tags, then NFKC (Unicode Standard
Annex 15) with plain quotation marks and dashes. One pattern cuts the rest, contractions as the Treebank does (Marcus
et al. 1993), and every token knows where it stands in the text as it was written.

NLTK's tokenizer of that name reads plain ASCII alone, leaves "isn’t" whole, and gives the set's own tokens others.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

TAGS = (
    "a b i u p q s br hr em h1 h2 h3 h4 h5 h6 li ol ul td th tr dl dt dd pre div img sub sup big del ins code font "
    "span body head html link meta cite small strong table tbody thead center strike script style title blockquote"
)
_PLAIN = {"’‘‛′´ʼʹˈꞌ": "'", "“”„‟″«»〝〞": '"', "‐‑‒−﹣": "-", "–—―": " - ", "\u00ad\u200b\u200d\u2060\ufe0f\ufeff": ""}
_SIGNS = {sign: plain for signs, plain in _PLAIN.items() for sign in signs}

_MARKS = "\u0300-\u036f\u3099\u309a"  # accents that belong to the letter before
_ODD = re.compile(r"[^\x00-\x7f]|[&<;]|[nN] ['`][tT]\b|[.!?] [.!?]")  # what a text that changes has
_FOLDED = re.compile(
    rf"""
      (?P<tag> (?:<|&lt;)/? (?:{"|".join(TAGS.split())})\b [^<>]{{0,500}}? (?:>|&gt;) )
    | (?P<entity> & (?:amp;)* \#?[A-Za-z0-9]{{1,30}}; )
    | [ ]?(?P<half> (?<!&) (?:\#\d{{2,6}} | \b(?:quot|amp|apos|nbsp)); )  # its & became a space
    | (?P<range> (?<=\w)–(?=\w) )
    | (?P<gap> (?<=n)[ ](?=['`]t\b) | (?<=[.!?])[ ](?=[.!?]) )  # "don 't", "! ! !"
    | [^\x00-\x7f][{_MARKS}]* | [A-Za-z][{_MARKS}]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_A, _L, _W = "['`]", r"[^\W\d_]", r"[^\W_]"  # an apostrophe, a letter, a letter or digit
_STEMS = "do|is|does|did|was|were|could|would|should|have|has|had|are|ai|ca|wo|need|must"  # before "nt"
_TOKEN = re.compile(
    rf"""
      -(?:lrb|rrb|lsb|rsb|lcb|rcb)-                               # brackets as the Treebank writes them
    | (?P<nt> n{_A}t\b | (?<={_L})nt\b )                          # behind its stem:
    | \b(?:{_STEMS})(?=nt\b) | \bcan(?=not\b) | {_L}+?(?=n{_A}t\b)
    | \b(?:{_L}\.)+{_L}\b\.?
    | {_A}(?:s|re|ve|ll|d|m|em|til|tis|twas)\b | {_A}n\b{_A}? | (?<!{_W}){_A}\d\ds\b
    | \d+(?:[.:]\d+)*{_W}*(?:[-&]{_W}+)*
    | {_W}+(?:(?:[-&]|{_A}(?!(?:s|re|ve|ll|d|m|t)\b)){_W}+|\.(?:com|org|net|edu|gov)\b)*
    | ``|''|" | \.+ | !+ | \?+ | (?:\\?\*)+ | -+ | =+ | \++ | ~+ | \#+ | {_A} | [^\w\s\\]
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SPELLED = {
    "-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}", "``": '"', "''": '"',
    "'n": "'n'", "`n": "'n'", "`n`": "'n'",
}  # fmt: skip
_ACRONYM = re.compile(rf"(?:{_L}\.)+{_L}")
LONGEST_KEPT = 32  # characters between two spaces whose tokens are kept in memory


def treebank(text: str) -> list[str]:
    """Cut into the Treebank's tokens in lower case, however the text was typed."""
    return [token.lower() for token in cased_treebank(text)]


def cased_treebank(text: str) -> list[str]:
    """Cut as `treebank` does and keep the case: names matter in short texts."""
    return [token for chunk in chunks_of(text) for token in cased_tokens(chunk)]


def chunks_of(text: str) -> list[str]:
    """Return what stands between the spaces of a text once it is folded; the tokens of each depend on it alone."""
    return fold(text).split()


def cased_tokens(chunk: str) -> tuple[str, ...]:
    """Return the tokens of one of `chunks_of` a text, as `cased_treebank` has them."""
    return (_kept if len(chunk) <= LONGEST_KEPT else _tokens)(chunk)


def lower_tokens(chunk: str) -> list[str]:
    """Return the tokens of one of `chunks_of` a text, as `treebank` has them."""
    return [token.lower() for token in cased_tokens(chunk)]


def treebank_places(text: str) -> list[tuple[int, int] | None]:
    """Return (start, end) in `text` of each token of `treebank` and `cased_treebank`.

    None where the token before has the same place: "½" becomes three tokens.
    """
    begins: list[int] = []
    ends: list[int] = []
    for part, start, end in _pieces(text):
        whole = len(part) != end - start
        begins += [start] * len(part) if whole else range(start, end)
        ends += [end] * len(part) if whole else range(start + 1, end + 1)
    folded = "".join(part for part, _, _ in _pieces(text))
    chunks = ((chunk.start(), chunk[0]) for chunk in re.finditer(r"\S+", folded))
    places = [(at + found.start(), at + found.end()) for at, chunk in chunks for found in _TOKEN.finditer(chunk)]
    spans = [(begins[start], ends[end - 1]) for start, end in places]
    before = [0, *(end for _, end in spans)]
    return [span if span[0] >= last else None for span, last in zip(spans, before, strict=False)]


def fold(text: str) -> str:
    """Return the text without markup, with plain quotation marks, dashes and letters."""
    return "".join(part for part, _, _ in _pieces(text)) if _ODD.search(text) else text


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the folded parts of a text, with the (start, end) of what each was made of."""
    at = 0
    for found in _FOLDED.finditer(text):
        if at < found.start():
            yield text[at : found.start()], at, found.start()
        yield _folded(found), found.start(found.lastgroup or 0), found.end()
        at = found.end()
    if at < len(text):
        yield text[at:], at, len(text)


def _folded(found: re.Match[str]) -> str:
    """Return what stands for a tag, an entity, a space too many or a character."""
    kind = found.lastgroup
    if kind in ("entity", "half"):
        return _plain(html.unescape("&" + re.sub("^&?(?:amp;)*(?=.)", "", found[kind], flags=re.IGNORECASE)))
    return {"tag": " ", "range": "-", "gap": ""}[kind] if kind else _plain(found[0])


@lru_cache(maxsize=1 << 12)
def _plain(written: str) -> str:
    return "".join(
        _SIGNS.get(sign, unicodedata.normalize("NFKC", sign)) for sign in unicodedata.normalize("NFC", written)
    )


def _tokens(chunk: str) -> tuple[str, ...]:
    """Return the tokens of what stands between two spaces."""
    return tuple("n't" if found.lastgroup else _spelled(found[0]) for found in _TOKEN.finditer(chunk))


_kept = lru_cache(maxsize=1 << 16)(_tokens)


def _spelled(token: str) -> str:
    """Return the one spelling of a token with signs in it."""
    if token.isalnum():
        return token
    if token.lower() in _SPELLED:
        return _SPELLED[token.lower()]
    if token[0] in ".!?-=+~#*\\" and len(token) > 1:  # the same sign, again and again
        return "..." if token[0] == "." else token[-1]
    token = token.replace("`", "'")
    return token + "." if _ACRONYM.fullmatch(token) else token
