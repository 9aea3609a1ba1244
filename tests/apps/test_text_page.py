"""Every control of the text page, driven as a browser would drive it, on a small network trained by the fixture."""

from dataclasses import replace
from pathlib import Path

import pytest
from driving import checked, html, opened, warnings, word
from streamlit.testing.v1 import AppTest
from text_driving import CLASSES, OWN, RAIN, field, open_page, write

from components.networks import networks
from components.writer import LIMIT
from views.text_parts.steps import text_steps

pytestmark = pytest.mark.usefixtures("in_workplace")


def marked(page: AppTest) -> dict[str, float]:
    """The coloured words of the field with their strengths, as a browser cuts them out."""
    sent = field(page)
    units = sent["text"].encode("utf-16-le")
    return {units[2 * s["s"] : 2 * s["e"]].decode("utf-16-le"): s["w"] for s in sent["spans"]}


def test_it_opens_with_an_example_already_answered():
    page = open_page(None, weights="sst2")
    assert page.title[0].value == "What does this text say?"
    assert field(page)["text"] == "The plot is a mess, but the two leads are a joy to watch."
    assert word(page) in ("negative", "positive")
    words = marked(page)
    assert words["mess"] * words["joy"] < 0  # one speaks for the answer, the other against it
    assert max(map(abs, words.values())) == 1
    assert not warnings(page)


@pytest.mark.parametrize(("name", "answers"), [("trec", "a person"), ("ag-news", "business")])
def test_every_shipped_network_opens_with_its_own_example(name: str, answers: str):
    page = open_page(None, weights=name)
    assert word(page) == answers
    before = field(page)["text"]
    checked(page.pills(key="weights").set_value("sst2").run())
    assert field(page)["text"] != before
    assert word(page) in ("negative", "positive")


def test_what_somebody_wrote_stays_when_the_network_changes():
    page = open_page("a tale of two cities")
    checked(page.pills(key="weights").set_value("sst2").run())
    assert field(page)["text"] == "a tale of two cities"
    assert field(page)["revision"] == "sst2"


def test_the_text_of_an_address_is_answered_until_something_else_is_written():
    page = opened("text", weights=OWN, text="play some jazz")
    assert field(page)["text"] == "play some jazz"
    assert word(page) == "music"
    write(page, RAIN)
    assert word(page) == "weather"
    assert "text" not in page.query_params


def test_the_words_that_decided_are_coloured_in_the_text_as_it_was_written():
    page = open_page("Please PLAY\n\n“some”  jazz!")
    assert word(page) == "music"
    words = marked(page)
    assert max(words, key=words.get) == "PLAY"
    said = {s["t"].split(":")[0]: s["t"] for s in field(page)["spans"]}
    assert said["play"].endswith("for “music”")
    assert field(page)["said"].startswith("for music: play")


@pytest.mark.parametrize("nothing", ["", " \n\t ", "\u2003"])
def test_nothing_written_is_no_error(nothing: str):
    page = open_page(nothing)
    assert "the answer appears here" in html(page)
    assert not warnings(page)
    assert field(page)["text"] == nothing
    assert not page.expander


def test_only_unknown_words_are_answered_with_a_note():
    page = open_page("zzyzx qwrtp")
    assert "no word of it is known" in html(page)
    assert all("does not know this word" in s["t"] for s in field(page)["spans"])


ODD = (
    "🙂 play 👩‍👩‍👧 some jazz 🎷",
    "هل play ستمطر غدا في أوسلو",
    "明天会下雨吗 play 音楽",
    "play\0some\0 jazz play",
    "play \ud83d broken \udc00 halves",
    "İstanbul PLAY ΟΔΟΣ ß play",
    "<script>alert(1)</script> play <b>jazz</b>",
    "$x_1$ play `code` **bold** [link](http://x) :smile:",
)
PARTS = ("Which n-grams won", "Smallest deletion", "Attribution", "Side by side")


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_answered_and_their_words_found(text: str):
    page = open_page(text)
    assert word(page) in CLASSES
    assert not warnings(page)
    assert any(found.lower() == "play" for found in marked(page))


@pytest.mark.parametrize("part", PARTS)
def test_odd_texts_are_explained_in_every_part_and_stay_text(part: str):
    page = open_page("\n".join(ODD), part=part)
    assert not warnings(page)
    assert "<script>" not in html(page)
    assert "<b>jazz" not in html(page)


@pytest.mark.parametrize("part", PARTS)
def test_a_text_without_words_is_a_sentence(part: str):
    page = open_page("<br /> <br>", part=part)
    assert word(page) in CLASSES
    assert all("the text is empty" in said.lower() for said in warnings(page))
    assert not field(page)["spans"]


def test_a_mebibyte_of_text_is_cut_and_said_so():
    page = open_page("play some jazz " * 70_000)
    assert len(field(page)["text"]) == LIMIT
    assert field(page)["limit"] == LIMIT
    assert word(page) == "music"
    assert "only the first 4000 words were read" in html(page)
    assert 0 < len(field(page)["spans"]) <= 4000
    assert "takes texts of at most" in html(open_page("play some jazz " * 100, part="Smallest deletion"))


@pytest.mark.parametrize("forged", [7, None, {"a": 1}, ["x"]])
def test_what_no_field_sends_counts_as_nothing_written(forged: object):
    page = write(open_page(None), forged)
    assert not warnings(page)


def test_the_smallest_deletion_is_struck_through_and_the_new_answer_said():
    page = open_page("play it in the rain", part="Smallest deletion")
    assert word(page) == "music"
    shown = html(page)
    assert "<del>play</del>" in shown
    assert "Without this word the answer would be" in shown
    assert "none changes the answer" in shown


def test_one_word_alone_has_no_deletion():
    page = open_page("jazz", part="Smallest deletion")
    assert "It is a single word" in html(page)


def test_the_evidence_for_another_class_is_other_words():
    page = open_page("play it in the rain", part="Attribution")
    chooser = next(box for box in page.selectbox if box.label == "Evidence for")
    assert chooser.value == "music"
    checked(chooser.set_value("weather").run())
    assert "score of “weather”" in html(page)
    assert '<mark class="against"' in html(page)


def test_several_networks_answer_side_by_side():
    page = open_page(part="Side by side")
    checked(page.pills(key=f"compare-{OWN}").set_value([OWN, "sst2"]).run())
    assert html(page).count('class="answer small"') == 2
    assert html(page).count("answered in") == 2
    assert html(page).count('class="coloured small"') == 2
    checked(page.pills(key=f"compare-{OWN}").set_value([]).run())
    assert "Choose one to 4 networks" in html(page)


def test_the_fold_gives_card_and_commands_with_a_quoted_text():
    page = open_page("it's $HOME; rm -rf")
    code = page.code[0].value
    assert f"cnn predict {OWN} 'it'\"'\"'s $HOME; rm -rf'" in code
    assert "--method ngrams" in code
    long = "a film that goes on and on " * 9
    assert long.strip() in open_page(long).code[0].value
    assert networks("text_classification")[OWN].card.sha256 in html(page)


@pytest.mark.parametrize(("weights", "widths"), [("sst2", "3 to 5 words"), (OWN, "1 and 2 words")])
def test_the_fold_tells_the_widths_of_this_networks_filters(weights: str, widths: str):
    (fold,) = [part for part in open_page(weights=weights).expander if part.label == "How this was computed"]
    assert f"Filters slid over {widths} at a time" in fold.markdown[0].value


def test_the_fold_tells_of_deep_networks_and_of_characters_too():
    card = networks("text_classification")["sst2"].card
    arguments = {**card.arguments, "options": {"vectors": "static", "size": 128}}
    deep = text_steps(replace(card, model="dpcnn", arguments=arguments))
    assert "each word became its pretrained vector, frozen in training." in deep
    assert "The layers of dpcnn went over them" in deep and "Filters" not in deep
    assert "The colours are integrated gradients: what each word adds" in deep
    arguments = {**card.arguments, "options": {"vectors": "one-hot", "size": 1, "widths": [7]}}
    letters = text_steps(replace(card, arguments=arguments, input={**card.input, "tokenizer": "characters"}))
    assert "cut into characters" in letters and "each character became a channel of its own." in letters
    assert "slid over 7 characters at a time" in letters and "integrated gradients" in letters


def test_an_unknown_network_in_the_address_falls_back():
    page = open_page(None, weights="resnet-9000")
    assert page.pills(key="weights").value in networks("text_classification")


def test_without_networks_the_page_says_how_to_train_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    import components.networks

    monkeypatch.setattr(components.networks, "list_weights", lambda **_: [])
    page = opened("text")
    assert "cnn train docstrings" in warnings(page)[0]
