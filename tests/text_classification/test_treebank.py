"""What people type and what data sets have give the same tokens, and every token knows its place."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text_classification.contract import TextContract
from text_classification.treebank import cased_treebank, treebank, treebank_places

SIGNS = st.text(alphabet="aN'’`“\".,()!?-–—&#39;quot<br/> \t\u00a0\u200b½éİ\u0301ﬁ好😀", max_size=40)


@pytest.mark.parametrize(("filed", "typed"), [
    ("it is n't bad .", ["It isn't bad.", "It isn’t bad.", "it isn`t bad .", "It isnt bad.", "It isn&#39;t bad."]),
    ("you ca n't , wo n't , sha n't", ["You can't, won't, shan't", "you can 't , won 't , shan 't",
                                        "You CAN’T, WON’T, SHAN’T"]),
    ("can not do", ["cannot do", "Cannot do"]),
    ("it 's john 's , they 're i 'm we 'll you 've she 'd", ["It’s John’s, they’re I’m we’ll you’ve she’d"]),
    ("-lrb- really -rrb- `` good '' ` so '", [
        "(Really) “good” ‘so’", '( really ) "good" \'so\'', "(really) «good» ´so´",
    ]),
    ("awful !", ["Awful!!!", "awful!", "awful ! ! !", "ａｗｆｕｌ！",
                  "<b>awful</b>!<br />", "&lt;b&gt;awful !&lt;/b&gt;"]),
    ("film -- and more ... so", ["Film—and more… so", "film - and more...so", "film – and more . . . so"]),
    ("thought-provoking", ["thought‑provoking", "thought–provoking", "Thought-pro\u00advoking"]),
    ("china 's `` i am ''", ["China #39;s  quot;I am quot;", "China&#39;s &quot;I am&quot;", "China&amp;#39;s “I am”"]),
    ("at&t & co", ["AT amp;T  amp; Co", "AT&amp;T &amp; co", "AT&T & Co"]),
    ("mr. smith of the u.s. , etc .", ["Mr. Smith of the U.S., etc.", "mr . smith of the U.S , etc."]),
    ("and\\/or \\*\\*\\* $ 10 , 000", ["and/or *** $10,000", "and/or * \\$10,000"]),
    ("the '70s rock 'n' roll", ["The ’70s rock ’n’ roll", "the `70s rock 'n roll"]),
    ("café film ½", ["cafe\u0301 ﬁlm ½", "CAFÉ film 1⁄2", "caf&eacute;\u00a0film &frac12;"]),
])  # fmt: skip
def test_every_spelling_gives_the_tokens_of_the_filed_one(filed: str, typed: list[str]) -> None:
    for text in typed:
        assert treebank(text) == treebank(filed), text


@pytest.mark.parametrize(("text", "tokens", "parts"), [
    ("It isn’t “GOOD”…", ["It", "is", "n't", '"', "GOOD", '"', "..."], ["It", "is", "n’t", "“", "GOOD", "”", "…"]),
    ("AT amp;T #39;s <br>end", ["AT&T", "'s", "end"], ["AT amp;T", "#39;s", "end"]),
    ("Don 't (x)!!!", ["Do", "n't", "(", "x", ")", "!"], ["Do", "n 't", "(", "x", ")", "!!!"]),
    ("ﬁve ½ cafe\u0301s", ["five", "1", "⁄", "2", "cafés"], ["ﬁve", "½", None, None, "cafe\u0301s"]),
    ("I donT want NT", ["I", "do", "n't", "want", "NT"], ["I", "do", "nT", "want", "NT"]),
    ("o'brien d'etre www.a.com 3.5 90-minute", ["o'brien", "d'etre", "www", ".", "a.com", "3.5", "90-minute"], None),
    ("a <b and 3 < 4; &unknown; &", ["a", "<", "b", "and", "3", "<", "4", ";", "&", "unknown", ";", "&"], None),
    ("_so_ \\_", ["so"], None),
    ("好 مرحبا größer Ünï", ["好", "مرحبا", "größer", "Ünï"], None),
    (" \n", [], []),
])  # fmt: skip
def test_tokens_and_where_they_stand(text: str, tokens: list[str], parts: list[str | None] | None) -> None:
    assert cased_treebank(text) == tokens
    assert treebank(text) == [token.lower() for token in tokens]
    places = TextContract("cased_treebank", ("a",)).places(text)
    assert [place and text[slice(*place)] for place in places] == (tokens if parts is None else parts)


@settings(max_examples=300)
@given(SIGNS)
def test_places_are_in_order_and_there_is_one_for_every_token(text: str) -> None:
    places, tokens = treebank_places(text), cased_treebank(text)
    assert len(places) == len(tokens) and all(tokens)
    found = [place for place in places if place]
    assert all(0 <= a < b <= len(text) for a, b in found)
    assert all(b <= c for (_, b), (c, _) in pairwise(found))


def test_a_long_text_without_a_space_takes_no_time() -> None:
    for text in ("n" * 20_000, "<b" * 5_000, "&amp;" * 5_000, ". " * 5_000, "a." * 20_000, "''`" * 5_000):
        assert len(treebank_places(text)) == len(treebank(text))
