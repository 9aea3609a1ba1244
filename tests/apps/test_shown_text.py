"""What the text page shows is what the library says: every bar, colour, account, table and matrix."""

import csv
import io
import json
import re

import pytest
from driving import as_bars, bars, checked, html, library, opened, table, text_of, word
from text_driving import OWN, field, open_page

from components.networks import networks
from components.texts import spoken
from text_classification.explain import smallest_deletion
from text_classification.report import read_report
from views.text_parts.attribution import TITLES

MIXED = "play it in the rain"
LONG = "play it in the rain and then some more jazz please"
MINUS = "−"
NEWS = "Ministers meet for peace talks as oil prices drop and a late goal decides the final."

pytestmark = pytest.mark.usefixtures("in_workplace")


def predictor(weights: str = OWN):
    return library("text_classification", weights)


def signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", MINUS).replace("+0.00", "0.00").replace(f"{MINUS}0.00", "0.00")


def percent(probability: float) -> str:
    ((_, _, said),) = as_bars([""], [probability])
    return said


@pytest.mark.parametrize(("weights", "text"), [(OWN, MIXED), ("ag-news", NEWS)])
def test_the_bars_are_all_probabilities_under_their_spoken_names(weights: str, text: str, downloads: dict):
    page = open_page(text, weights=weights)
    (answer,) = predictor(weights).predict([text], top_k=10)
    names = [spoken(label, answer.labels) for label in answer.labels]
    assert bars(page)[0] == as_bars(names, answer.probabilities)
    assert word(page) == names[0]
    told = json.loads(downloads["JSON"])
    assert (told["input"], told["labels"], told["probabilities"]) == (text, answer.labels, answer.probabilities)


def test_the_colours_are_the_words_parts_of_the_score():
    page = open_page(MIXED)
    why = predictor().explain(MIXED)
    largest = max(map(abs, why.weights))
    spans = {MIXED[span["s"] : span["e"]]: span for span in field(page)["spans"]}
    expected = {t: w for t, w in zip(why.tokens, why.weights, strict=True) if abs(w) >= 0.02 * largest}
    assert spans.keys() == expected.keys()
    for token, weight in expected.items():
        side = "for" if weight > 0 else "against"
        assert spans[token]["t"].startswith(f"{token}: {signed(weight)}, {side} “{why.label}”")
        strength = (abs(weight) / largest) ** 0.7 * (1 if weight > 0 else -1)
        assert spans[token]["w"] == pytest.approx(strength, abs=1e-3)
    assert field(page)["legend"] == [f"speaks for “{why.label}”", "speaks against it"]
    loudest = max(expected, key=expected.get)
    assert field(page)["said"].startswith(f"for {why.label}: {loudest}")


ADDS = re.compile(r'<span class="(for|against)" style="width:([\d.]+)%">')


@pytest.mark.parametrize("lines", ["N-gram by n-gram", "Filter by filter"])
def test_the_account_of_n_grams_is_the_librarys(lines: str):
    page = open_page(MIXED, part="Which n-grams won")
    checked(page.segmented_control(key="votes-way").set_value(lines).run())
    why = predictor().explain(MIXED)
    votes = [vote for vote in why.votes if vote.activation > 0]
    if lines == "Filter by filter":
        expected = [(v.ngram, str(v.filter), v.activation, v.contribution) for v in votes]
    else:
        windows = dict.fromkeys((v.start, v.ngram) for v in votes)
        groups = [[v for v in votes if (v.start, v.ngram) == window] for window in windows]
        expected = [
            (own[0].ngram, str(len(own)), max(v.activation for v in own), sum(v.contribution for v in own))
            for own in groups
        ]
        expected.sort(key=lambda line: -abs(line[3]))
    rows = table(page, "N-grams and what they add to the score")
    adds = [line[3] for line in expected[:12]]
    assert len(rows) >= len(adds) + 2 > 4
    for row, (ngram, filters, firing, part) in zip(rows, expected[:12], strict=False):
        assert row == [ngram, filters, f"{firing:.2f}", signed(part)]
    assert rows[-1][-1] == signed(why.score) and rows[-1][0] == f"score of “{why.label}”"
    assert rows[-2][-1] == signed(why.score - sum(vote.contribution for vote in why.votes))
    silent = len(why.votes) - len(votes)
    assert f"{silent} of {len(why.votes)} filters were not active" in html(page)
    for (side, width), part in zip(ADDS.findall(html(page)), adds, strict=False):
        assert side == ("for" if part >= 0 else "against")
        assert float(width) == pytest.approx(100 * abs(part) / max(map(abs, adds)), abs=0.06)


def test_the_deletion_is_the_librarys():
    page = open_page(MIXED, part="Smallest deletion")
    found, why = smallest_deletion(predictor(), MIXED), predictor().explain(MIXED)
    assert re.findall("<del>(.*?)</del>", html(page)) == list(found.words)
    answer = html(page).split("Without this word the answer would be")[1]
    assert f'<p class="word">{found.label}</p>' in answer
    said = f"{percent(found.probability)}, instead of {why.label}, {percent(why.probability)}"
    assert said in text_of(answer)


@pytest.mark.parametrize("method", TITLES)
def test_the_parts_of_words_are_those_of_the_method_and_class(method: str):
    page = open_page(LONG, part="Attribution", method=method)
    (answer,) = predictor().predict([LONG])
    for label in answer.labels[:2]:
        chooser = next(box for box in page.selectbox if box.label == "Evidence for")
        checked(chooser.set_value(label).run())
        why = predictor().explain(LONG, method=method, target=label)
        parts = sorted(zip(why.tokens, why.weights, strict=True), key=lambda pair: -abs(pair[1]))
        rows = [[token, signed(weight)] for token, weight in parts[:8]]
        rows.append(["3 more", signed(sum(weight for _, weight in parts[8:]))])
        rows += [["rest", signed(why.rest)], [f"score of “{label}”", signed(why.score)]]
        assert table(page, "Words and what they add") == rows
        marks = re.findall(r'<mark class="(\w+)" style="--strength:([\d.]+)".*?>(\w+)</mark>', html(page))
        shown = {text: (side, float(strength)) for side, strength, text in marks}
        top, weight = parts[0]
        assert shown[top] == ("for" if weight > 0 else "against", 1)


def test_side_by_side_every_column_is_its_own_network():
    page = open_page(MIXED, part="Side by side")
    checked(page.pills(key=f"compare-{OWN}").set_value([OWN, "sst2"]).run())
    shown = html(page).split('class="answer small"')[1:]
    for weights, lines, part in zip((OWN, "sst2"), bars(page)[1:], shown, strict=True):
        asked = predictor(weights)
        (answer,) = asked.predict([MIXED])
        assert lines == as_bars(answer.labels[:3], answer.probabilities[:3])
        why = asked.explain(MIXED)
        strongest = why.tokens[max(range(len(why.tokens)), key=lambda i: abs(why.weights[i]))]
        assert re.search(rf'style="--strength:1.000"[^>]*>{strongest}<', part)
        assert f"{asked.card.parameters:,} parameters, answered in" in part


def test_the_table_of_many_texts_is_the_librarys_answer(downloads: dict):
    texts = ["play some jazz", "will it rain in Oslo", "play it in the rain", "zzyzx"]
    page = open_page(view="Many texts")
    data = "text,id\n" + "".join(f"{text},1\n" for text in [*texts, ""])  # the last one cannot be answered
    checked(page.file_uploader(key="batch-upload").upload("own.csv", data.encode(), "text/csv").run())
    answers = predictor().predict(texts, top_k=2)
    *rows, failed = page.dataframe[0].value.to_dict("records")
    *written, broken = csv.DictReader(io.StringIO(downloads["Table (CSV)"].decode()))
    assert failed["note"] == broken["error"] == "the text is empty"
    for text, answer, row, line in zip(texts, answers, rows, written, strict=True):
        assert (row["text"], row["answer"], row["second"], row["note"]) == (text, *answer.labels, answer.note)
        assert row["probability"] == pytest.approx(answer.probabilities[0], abs=1e-4)
        assert (line["label"], line["probability"]) == (answer.labels[0], f"{answer.probabilities[0]:.6f}")
    counts = {label: sum(answer.labels[0] == label for answer in answers) for label in ("music", "weather", "light")}
    shown = {name: (width, said) for name, width, said in bars(page)[0]}
    assert shown == {label: (100 * n / len(texts), str(n)) for label, n in counts.items() if n}


@pytest.mark.parametrize("weights", ["trec", OWN])
def test_filters_matrix_and_mistakes_are_those_of_the_report(weights: str):
    page = opened("text", weights=weights, view="What the filters look for")
    asked = predictor(weights)
    report = read_report(networks("text_classification")[weights].folder)
    names = [spoken(label, asked.labels) for label in report.labels]
    shown = html(page)

    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", shown)
    heads = [text_of(head) for head in re.findall(r'<th scope="col"><span>(.*?)</span>', shown)]
    assert [name for name, _ in rows] == heads == names
    for k, (_, cells) in enumerate(rows):
        counts, total = report.confusion[k], max(1, sum(report.confusion[k]))
        assert [text_of(cell) for cell in cells.split("</td>")[:-1]] == [str(n or "·") for n in counts]
        shares = [float(share) for share in re.findall(r"--share:([\d.]+)", cells)]
        assert shares == [pytest.approx(n / total, abs=6e-4) for n in counts]
        sides = re.findall(r'<td class="(\w+)"', cells)
        assert sides == ["right" if j == k else "wrong" for j in range(len(names))]
    right = sum(report.confusion[k][k] for k in range(len(names)))
    accuracy = percent(report.metrics["accuracy"])
    assert f"Test accuracy {accuracy}: {right:,} of {report.n:,} texts." in text_of(shown)

    if report.mistakes:
        assert table(page, "The most confident mistakes") == [
            [m.input.strip(), names[report.labels.index(m.truth)], names[report.labels.index(m.answer)],
             percent(m.probability)] for m in report.mistakes[:12]
        ]  # fmt: skip

    label = next(label for label in asked.labels if any(e.label == label and e.ngrams for e in report.ngrams))
    own = sorted((e for e in report.ngrams if e.label == label and e.ngrams), key=lambda e: -e.weight)[:12]
    cards = re.findall(r"<section>(.*?)</section>", shown)
    assert len(cards) == len(own) > 0
    largest = max(value for entry in own for _, value in entry.ngrams)
    for card, entry in zip(cards, own, strict=True):
        words = "word" if entry.width == 1 else "words"
        head = f"Filter {entry.filter}{entry.width} {words}, weight {signed(entry.weight)}"
        assert text_of(card.split("</p>")[0]) == head
        lines = re.findall(r"--share:([\d.]+)\"><span>(.*?)</span><i>(.*?)</i>", card)
        assert [(text_of(ngram), value) for _, ngram, value in lines] == [(n, f"{v:.2f}") for n, v in entry.ngrams]
        assert [float(share) for share, *_ in lines] == [pytest.approx(v / largest, abs=6e-4) for _, v in entry.ngrams]
