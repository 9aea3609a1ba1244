"""Every control of the text page, driven as a browser would drive it, on a small network trained by the fixture."""

import csv
import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import checked, html, opened, warnings, word
from streamlit.testing.v1 import AppTest

from components.downloads import pack_network
from components.networks import networks
from components.requests import example_csv
from components.writer import LIMIT
from views.text_parts.attribution import TITLES

OWN = "runs/tiny-requests"
CLASSES = {"light", "music", "weather"}
RAIN = "Will it RAIN in Oslo tomorrow?"

pytestmark = pytest.mark.usefixtures("in_workplace")


def open_page(text: str | None = RAIN, **address: str) -> AppTest:
    """Open the text page with something written in it."""
    kept = {} if text is None else {"text-kept": text}
    return opened("text", kept, **{"weights": OWN, **address})


def write(page: AppTest, text: object, key: str = "text") -> AppTest:
    """Write into the field, as far as Python hears of it."""
    page.session_state[f"{key}-kept"] = text
    return checked(page.run())


def field(page: AppTest, key: str = "text") -> dict:
    """What the page sends to the field: its text, and the coloured words."""
    sent = [json.loads(part.proto.json) for part in page.get("bidi_component") if part.proto.component_name == "writer"]
    assert len(sent) == 1
    return sent[0]


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
    page = open_page('""" ;:', part=part)
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


def test_the_n_grams_sum_up_to_the_score():
    page = open_page(part="Which n-grams won")
    for lines in ("N-gram by n-gram", "Filter by filter"):
        checked(page.segmented_control(key="votes-way").set_value(lines).run())
        numbers = last_column(html(page))
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.005 * len(numbers))  # of two decimals each
        assert "score of “weather”" in html(page)


def last_column(page: str) -> list[float]:
    """Return the numbers at the end of the rows of the page's first table with a score."""
    table = page.split("<tbody>")[1].split("</tbody>")[0]
    cells = [row.split("<td")[-1].split(">", 1)[1] for row in table.split("</tr>")[:-1]]
    texts = [cell.replace("</td>", "").replace("</b>", "").split(">")[-1] for cell in cells]
    return [float(text.replace("−", "-")) for text in texts]


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


@pytest.mark.parametrize("method", TITLES)
def test_every_method_sums_up_to_the_score(method: str):
    page = open_page(part="Attribution", method=method)
    assert page.selectbox(key="method").value == method
    assert '<mark class="for"' in html(page)
    numbers = last_column(html(page))
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.005 * len(numbers))


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
    assert networks("text_classification")[OWN].card.sha256 in html(page)


def test_an_unknown_network_in_the_address_falls_back():
    page = open_page(None, weights="resnet-9000")
    assert page.pills(key="weights").value in networks("text_classification")


def test_without_networks_the_page_says_how_to_train_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    import components.networks

    monkeypatch.setattr(components.networks, "list_weights", lambda **_: [])
    page = opened("text")
    assert "cnn train docstrings" in warnings(page)[0]


# Many texts


def batch(data: bytes, name: str = "own.csv", **address: str) -> AppTest:
    page = open_page(view="Many texts", **address)
    return checked(page.file_uploader(key="batch-upload").upload(name, data, "text/csv").run())


def test_many_texts_begin_with_the_examples_answered():
    page = open_page(None, weights="sst2", view="Many texts")
    table = page.dataframe[0].value
    assert len(table) == 5
    assert set(table["answer"]) == {"negative", "positive"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b'text,label\n"play, some jazz",x\n"will it rain\nin ""Oslo""",y\n'),
        ("a.tsv", b"id\tsentence\n1\tplay some jazz\n2\twill it rain in Oslo\n"),
        ("a.jsonl", b'{"text": "play some jazz"}\n{"text": "will it rain in Oslo"}\n'),
        ("a.txt", b"play some jazz\nwill it rain in Oslo\n"),
        ("a.csv", "text;stars\nplay some jazz ♫;1\nwill it rain in Oslo;2\n".encode("utf-16")),
        ("a.csv", b"text\nplay some jazz \x85 caf\xe9\nwill it rain in Oslo\n"),
    ],
)
def test_tables_of_all_kinds_are_answered(name: str, data: bytes):
    page = batch(data, name)
    assert list(page.dataframe[0].value["answer"]) == ["music", "weather"]
    assert "2 texts answered" in html(page)
    assert not warnings(page)


def test_another_column_can_be_chosen():
    page = batch(b"title,text\nplay some jazz,will it rain in Oslo\nplay the news,how cold is it in Lima\n")
    chooser = page.selectbox(key="batch-column-own.csv")
    assert chooser.value == "text"
    assert list(page.dataframe[0].value["answer"]) == ["weather", "weather"]
    checked(chooser.set_value("title").run())
    assert list(page.dataframe[0].value["answer"]) == ["music", "music"]


def test_rows_without_a_text_are_noted_and_the_others_answered():
    page = batch(b"text,label\nplay some jazz,a\n,b\n   ,c\nzzyzx,d\n")
    table = page.dataframe[0].value
    assert list(table["note"])[1:3] == ["the text is empty"] * 2
    assert "no word of it is known" in table["note"][3]
    assert "2 texts answered, 2 could not be" in html(page)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("own.csv", b"", "empty"),
        ("own.csv", b"text,label\n", "no rows"),
        ("own.jsonl", b"{broken\n", "line 1"),
        ("own.jsonl", b"[1, 2]\n", "line 1"),
    ],
)
def test_a_broken_table_is_a_sentence_with_its_own_name(name: str, data: bytes, reason: str):
    page = batch(data, name)
    (said,) = warnings(page)
    assert reason in said
    assert said.lower().startswith(name)
    assert "upload." not in said
    assert "/tmp" not in said


@pytest.mark.parametrize(
    "data", [b"\0" * 300, bytes(range(256)) * 8, b"\xff\xfe\x00", b'"' * 999, b"text\n" + b'"x' * 99]
)
def test_bytes_that_are_no_table_do_no_harm(data: bytes):
    batch(data)


def test_the_table_of_answers_is_that_of_the_command_line():
    from components.downloads import answers_csv
    from text_classification.predict import Prediction

    answers = [Prediction("=1+1", ["a", "b"], [0.75, 0.25]), Prediction("", error="the text is empty")]
    rows = list(csv.DictReader(io.StringIO(answers_csv(answers, top_k=2).decode())))
    assert rows[0] == {
        "input": "'=1+1", "label": "a", "probability": "0.750000", "label2": "b", "probability2": "0.250000",
        "error": "",
    }  # fmt: skip
    assert rows[1]["error"] == "the text is empty"


def test_more_texts_than_the_page_takes_are_cut_with_a_sentence(monkeypatch: pytest.MonkeyPatch):
    import views.text_parts.batch as part

    monkeypatch.setattr(part, "MOST_TEXTS", 10)
    page = batch(b"text\n" + b"play some jazz\n" * 12, "long.csv")
    assert len(page.dataframe[0].value) == 10
    assert "the first 10 texts" in html(page)


# What the filters look for


@pytest.mark.parametrize("name", ["sst2", "trec", "ag-news", OWN])
def test_filters_matrix_and_mistakes_are_those_of_the_report(name: str):
    page = open_page(None, weights=name, view="What the filters look for")
    report = json.loads((networks("text_classification")[name].folder / "report.json").read_text("utf-8"))
    shown = html(page)
    assert f"of {report['n']:,} test texts" in shown
    assert shown.count("<section>") == min(12, len([e for e in report["ngrams"] if e["label"] == report_first(report)]))
    cells = [row.count("<td ") for row in shown.split('class="confusion"')[1].split("</table>")[0].split("<tr>")[2:]]
    assert cells == [len(report["labels"])] * len(report["labels"])


def report_first(report: dict) -> str:
    """The first class that some filter speaks for."""
    speaking = {entry["label"] for entry in report["ngrams"] if entry["ngrams"]}
    return next(label for label in report["labels"] if label in speaking)


def test_the_filters_of_another_class_can_be_seen_and_all_of_them():
    page = open_page(None, weights="sst2", view="What the filters look for")
    before = html(page)
    checked(page.pills(key="class").set_value("positive").run())
    assert html(page) != before
    assert page.query_params["class"] == "positive"
    checked(page.toggle(key="all-filters").set_value(True).run())
    assert html(page).count("<section>") > 12


def test_weights_without_a_report_say_so(in_workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = in_workplace / "runs" / "tiny-requests"
    shutil.copytree(run, tmp_path / "runs" / "bare", ignore=shutil.ignore_patterns("report.json"))
    monkeypatch.chdir(tmp_path)
    page = open_page(None, weights="runs/bare", view="What the filters look for")
    assert "No report lies beside" in html(page)


# Your own classes


def wait_for(page: AppTest, condition, seconds: float = 100) -> AppTest:
    end = time.monotonic() + seconds
    while not condition(page):
        assert time.monotonic() < end, html(page)
        time.sleep(0.2)
        checked(page.run())
    return page


@pytest.fixture
def own_classes() -> Iterator[AppTest]:
    """The tab for own classes; what was started there is stopped at the end."""
    page = open_page(view="Your own classes")
    yield page
    if any(button.key == "teach-stop" for button in page.button):
        page.button(key="teach-stop").click().run()


def upload(page: AppTest, data: bytes, name: str = "own.csv") -> AppTest:
    return checked(page.file_uploader(key="teach-table").upload(name, data, "text/csv").run())


def test_the_button_needs_a_table(own_classes: AppTest):
    assert own_classes.button(key="teach-go").disabled
    upload(own_classes, example_csv().encode())
    assert not own_classes.button(key="teach-go").disabled
    assert "texts in 3 classes: light, music, weather." in html(own_classes)
    assert "columns separated by commas, with a header" in html(own_classes)


def test_own_classes_are_learned_scored_and_tried_at_once(own_classes: AppTest):
    page = own_classes
    upload(page, b"id," + example_csv().replace("\n", "\n7,").encode()[:-2])
    assert page.selectbox(key="teach-text-own.csv").value == "text"
    assert page.selectbox(key="teach-label-own.csv").value == "label"
    page.slider(key="teach-epochs").set_value(3)
    checked(page.button(key="teach-go").click().run())
    wait_for(page, lambda page: "texts that it had never seen" in html(page))
    assert not page.button(key="teach-example").disabled
    assert "my-texts" in page.pills(key="weights").options
    write(page, "play some jazz", key="try")
    assert "music" in html(page).split('<p class="word">')[2]


def test_a_network_can_start_from_what_another_knows(own_classes: AppTest):
    page = own_classes
    checked(page.selectbox(key="teach-start").set_value(OWN).run())
    page.slider(key="teach-epochs").set_value(1)
    checked(page.button(key="teach-example").click().run())
    wait_for(page, lambda page: "texts that it had never seen" in html(page))
    assert '<p class="word">100 %</p>' in html(page)  # it knew the requests already


def test_a_training_can_be_stopped(own_classes: AppTest):
    page = own_classes
    page.slider(key="teach-epochs").set_value(30)
    checked(page.button(key="teach-example").click().run())
    assert page.button(key="teach-example").disabled
    wait_for(page, lambda page: any(button.key == "teach-stop" for button in page.button))
    checked(page.button(key="teach-stop").click().run())
    wait_for(page, lambda page: not page.button(key="teach-example").disabled)
    assert "stopped early" in html(page) or "Stopped before anything" in html(page)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"text,label\n", "no rows"),
        (b"text\na\nb\n", "one column"),
        (b"text,label\na,x\nb,x\n", "two classes"),
        (b"text,label\n,\n,\n", "text and a label"),
        (b"text,label\na,\nb,\n", "text and a label"),
    ],
    ids=["empty", "header only", "one column", "one class", "empty cells", "no labels"],
)
def test_a_table_that_nothing_can_be_learned_from_is_a_sentence(own_classes: AppTest, data: bytes, reason: str):
    upload(own_classes, data)
    (said,) = warnings(own_classes)
    assert said.startswith("Own.csv")
    assert reason in said
    assert own_classes.button(key="teach-go").disabled
    assert not own_classes.button(key="teach-example").disabled


def test_the_download_holds_what_predicts_and_explains(in_workplace: Path):
    with zipfile.ZipFile(io.BytesIO(pack_network(in_workplace / "runs" / "tiny-requests", "my-texts"))) as archive:
        assert {"my-texts/card.json", "my-texts/model.safetensors", "my-texts/report.json"} <= set(archive.namelist())
