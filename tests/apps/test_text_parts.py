"""The small parts of the text page: colours, samples, the example table, the matrix."""

import csv
import io

import pytest

from components.coloured import SHOWN, Span, _marked, utf16_places
from components.matrix import _row
from components.requests import PER_CLASS, TRIED, example_csv
from components.texts import KINDS, SAMPLES, kind_of, spoken
from components.writer import LIMIT, readable
from views.text_parts.ask import GAMMA, signed, spans


def test_places_are_counted_as_browsers_do():
    places = utf16_places("a🙂b")
    assert [places(i) for i in range(4)] == [0, 1, 3, 4]
    assert utf16_places("abc")(3) == 3


def test_strength_follows_the_weight_and_the_number_is_said():
    words = [
        ("bad", (0, 3), -2.0, True),
        ("good", (4, 8), 0.5, False),
        ("so", (9, 11), 0.0, True),
        ("x", None, 1, True),
    ]
    made = spans(words, label="positive")
    assert [(s.start, s.end) for s in made] == [(0, 3), (4, 8)]
    assert made[0].strength == -1
    assert made[1].strength == pytest.approx(0.25**GAMMA)
    assert made[0].said == "bad: −2.00, against “positive”"
    assert made[1].said == "good: +0.50, for “positive”; the network does not know this word"


@pytest.mark.parametrize(("number", "text"), [(0.421, "+0.42"), (-1.3, "−1.30"), (-0.001, "0.00"), (0.0, "0.00")])
def test_numbers_carry_a_true_minus(number: float, text: str):
    assert signed(number) == text


def test_a_coloured_text_is_text_and_its_marks():
    shown = _marked("<b> bad", [Span(4, 7, -0.5, 'bad: "−1"')], ())
    assert shown == '&lt;b&gt; <mark class="against" style="--strength:0.500" title="bad: &quot;−1&quot;">bad</mark>'
    assert _marked("a bad one", [Span(2, 5, 0.0, "")], {0}) == "a <del>bad</del> one"


def test_a_long_text_is_shown_from_its_beginning():
    shown = _marked("x" * (SHOWN + 1), [Span(SHOWN, SHOWN + 1, 1.0, "")], ())
    assert shown == "x" * SHOWN + " …"


def test_what_cannot_be_sent_is_replaced():
    assert readable("a\ud83d\udc00b") == "a??b"
    assert readable("🙂") == "🙂"
    assert len(readable("x" * (LIMIT + 5))) == LIMIT


def test_every_sample_is_short_and_belongs_to_one_kind():
    assert len(SAMPLES) == sum(len(kind.samples) for kind in KINDS)
    assert all(len(text) < 100 for text in SAMPLES)
    for kind in KINDS:
        assert kind_of(sorted(kind.classes)) is kind
    assert kind_of(["a", "b"]).samples == ()


def test_the_kinds_are_those_of_the_data_sets():
    from text_classification.data import DATA_SETS

    for name, kind in zip(("sst2", "trec", "ag_news", "docstrings"), KINDS, strict=True):
        assert kind.classes == set(DATA_SETS[name].labels)


def test_labels_are_spoken_out_in_full():
    labels = ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]
    assert spoken("HUM", labels) == "a person"
    assert spoken("HUM", ["HUM", "ELSE"]) == "HUM"


def test_the_example_table_is_balanced_and_the_same_every_time():
    rows = list(csv.DictReader(io.StringIO(example_csv())))
    counts = {label: sum(row["label"] == label for row in rows) for label in ("light", "music", "weather")}
    assert sum(counts.values()) == len(rows) == len({row["text"] for row in rows})
    assert max(counts.values()) == PER_CLASS
    assert min(counts.values()) > 0.7 * PER_CLASS
    assert not {text for _, text in TRIED} & {row["text"] for row in rows}


def test_shades_of_the_matrix_are_shares_of_the_row():
    row = _row([3, 1], 0, ["<a>", "b"])
    assert '<th scope="row">&lt;a&gt;</th>' in row
    assert 'class="right" style="--share:0.750"' in row
    assert 'class="wrong" style="--share:0.250" title="1 of 4 “&lt;a&gt;” predicted as “b” (25.0 %)"' in row
    assert "--share:0.000" in _row([0, 0], 1, ["a", "b"])
