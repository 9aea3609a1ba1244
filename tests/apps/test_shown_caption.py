"""What the caption page shows is what the library says: sentences, words, veils, tables and found pictures."""

import json
import math
from functools import cache

import numpy as np
import pytest
from driving import checked, figures, html, library, opened, picture, sent, table, text_of
from streamlit.testing.v1 import AppTest

from components.networks import networks
from image_captioning.explain import cover
from views.caption_parts.source import SCENES, probability_text, sample_pictures


def open_page(**address: str) -> AppTest:
    return opened("caption", **{"weights": "scenes", **address})


def predictor(weights: str = "scenes"):
    return library("image_captioning", weights)


@cache
def scene(number: int = SCENES[0]):
    return sample_pictures(networks("image_captioning")["scenes"])[f"scene-{number}"]


def answer(weights: str = "scenes", **how):
    (found,) = predictor(weights).predict([scene().source], n_best=5, **how)
    return found


def bare(said: str) -> str:
    """How likely a sentence is said to be, without whether it is true."""
    return said.removesuffix(", true").removesuffix(", not true of this picture")


def test_sentences_have_their_probabilities(downloads: dict):
    (shown,) = sent(open_page(), "caption_explorer")
    found = answer()
    assert [(text, bare(said)) for text, said in shown["sentences"]] == [
        (text, probability_text(p)) for text, p in zip(found.captions, found.probabilities, strict=True)
    ]
    assert np.array_equal(picture(shown["picture"]), np.asarray(scene().image))
    told = json.loads(downloads["JSON"])
    assert (told["captions"], told["caption_probabilities"]) == (found.captions, found.probabilities)


@pytest.mark.parametrize(("label", "method"), [("Attention", "attention"), ("Grad-CAM", "grad-cam")])
@pytest.mark.parametrize("number", [0, 1])
def test_words_and_their_veils_are_those_of_the_chosen_sentence(monkeypatch, number: int, label: str, method: str):
    monkeypatch.setattr("components.caption_explorer.choice", lambda *_: number)
    page = open_page()
    page.segmented_control(key="method-True").set_value(label)
    (shown,) = sent(checked(page.run()), "caption_explorer")
    why = predictor().explain(scene().source, caption=answer().captions[number], method=method)
    assert shown["chosen"] == number
    for word, reason in zip(shown["words"], why.words, strict=True):
        assert word["text"] == reason.word
        assert word["p"] == pytest.approx(reason.probability, abs=1e-4)
        assert [text for text, _ in word["others"]] == [text for text, _ in reason.alternatives]
        assert [p for _, p in word["others"]] == pytest.approx([p for _, p in reason.alternatives], abs=1e-4)
        heat = reason.heat.numpy()
        dark = picture(word["veil"])[..., 3]
        assert dark.shape == heat.shape == (64, 64)
        assert np.abs(dark - 255 * 0.8 * (1 - heat / heat.max())).max() <= 0.51
    assert len({word["veil"] for word in shown["words"]}) > 3


def test_sentences_drawn_at_random_are_those_of_temperature_and_draw():
    page = open_page()
    page = checked(page.segmented_control(key="way").set_value("Sampled").run())
    page = checked(page.slider(key="temperature").set_value(1.7).run())
    for seed in (0, 1):
        found = answer(temperature=1.7, seed=seed)
        shown = sent(page, "caption_explorer")[0]["sentences"]
        assert [(text, bare(said)) for text, said in shown] == [
            (text, probability_text(p)) for text, p in zip(found.captions, found.probabilities, strict=True)
        ]
        page = checked(page.button(key="draw-again").click().run())


def test_what_a_covered_part_changes_is_the_librarys(monkeypatch):
    box = (0.5, 0.5, 1.0, 1.0)
    monkeypatch.setattr("components.caption_explorer.covered_part", lambda _: box)
    page = open_page()
    change = cover(predictor(), scene().source, box, caption=answer().captions[0])
    assert table(page, "Probabilities of the words") == [
        [word, f"{100 * before:.1f} %", f"{100 * after:.1f} %"] for word, before, after in change.words
    ]
    assert f'<p class="word">{change.after}</p>' in html(page)
    assert change.after != change.before and "With that part covered, it writes" in html(page)


def test_the_table_of_many_pictures_is_the_librarys_answer(downloads: dict):
    page = open_page(view="Many pictures")
    rows = page.dataframe[0].value.to_dict("records")
    answers = predictor().predict([scene(number).source for number in SCENES], n_best=1)
    for row, number, found in zip(rows, SCENES, answers, strict=True):
        assert (row["file"], row["caption"]) == (f"scene-{number}.png", found.captions[0])
        assert np.array_equal(picture(row["picture"]), np.asarray(scene(number).image))
    lines = downloads["Table (CSV)"].decode().splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == [found.captions[0] for found in answers]


def test_pictures_are_found_in_the_librarys_order():
    page = open_page(view="Find a picture")
    matches = predictor().retrieve([scene(number).source for number in SCENES], "a large red cross")
    shown = figures(page)
    assert len(shown) == 6
    for (caption, pixels), match in zip(shown, matches, strict=False):
        number = SCENES[int(match.input.split()[1]) - 1]
        times = math.exp(abs(match.score))
        kind = "likelier" if match.score >= 0 else "less likely"
        assert caption == f"scene-{number}.png: every word {times:.1f} times {kind} than in the others"
        assert np.array_equal(pixels, np.asarray(scene(number).image))


def test_side_by_side_every_column_is_its_own_network():
    page = open_page(view="Compare")
    columns = html(page).split('class="answer small"')[1:]
    for weights, column in zip(page.pills(key="compare-scenes").value, columns, strict=True):
        found = answer(weights)
        assert (
            f'<p class="word">{found.captions[0]}</p><p class="sure">{probability_text(found.probabilities[0])}</p>'
            in column
        )
        assert text_of(column).count(f"{predictor(weights).card.parameters:,} parameters, answered in") == 1


def test_the_samples_are_the_scenes_under_their_names():
    (grid,) = sent(open_page(), "gallery")
    for item, number in zip(grid["items"], SCENES, strict=True):
        assert item["id"] == f"scene-{number}"
        assert np.array_equal(picture(item["src"]), np.asarray(scene(number).image))
