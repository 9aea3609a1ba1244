"""What the home page shows is what the library says: six live tiles, and the table of results."""

import re

import numpy as np
import pytest
from driving import APPS, as_bars, bars, figure, html, library, open_home, table, wait_for
from driving import picture as decoded
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnn_core.weights import list_weights, load_card
from components.pictures import data_uri
from components.samples import find_sample
from components.texts import REVIEWS
from image_captioning.scenes import make_scenes, render
from medical_segmentation.pictures import fullest_slice, painted, upright, window_grey
from views.caption_parts.source import SCENES, probability_text
from views.medical_parts.ask import with_file
from views.medical_parts.source import CHESTS, given_of


@pytest.fixture(scope="module")
def home() -> AppTest:
    """The home page with all six tiles answered."""
    return wait_for(open_home(), lambda page: "being loaded" not in html(page))


def words(home: AppTest) -> list[tuple[str, str]]:
    return re.findall('<p class="word">(.*?)</p><p class="sure">(.*?)</p>', html(home))


def test_the_digit_its_answer_and_its_heat_are_the_librarys(home):
    asked, path = library("image_classification", "mnist"), find_sample("eight").path
    (answer,) = asked.predict([path])
    assert bars(home)[0] == as_bars(answer.labels[:3], answer.probabilities[:3])
    assert words(home)[0][0] == answer.labels[0]
    assert np.array_equal(figure(home, "Picture 61 of the MNIST test set"), np.asarray(Image.open(path)))
    why = asked.explain(path, method="grad-cam", target=answer.labels[0])
    assert np.array_equal(figure(home, "Where the network looked"), why.overlay())


def test_the_sentence_its_answer_and_its_colours_are_the_librarys(home):
    asked, text = library("text_classification", "sst2"), REVIEWS.samples[0][1]
    (answer,) = asked.predict([text])
    assert bars(home)[1] == as_bars(answer.labels, answer.probabilities)
    assert words(home)[1][0] == answer.labels[0]
    why = asked.explain(text)
    strongest = max(zip(why.weights, why.tokens, strict=True), key=lambda pair: abs(pair[0]))
    side = "for" if strongest[0] > 0 else "against"
    assert re.search(rf'<mark class="{side}" style="--strength:1.000"[^>]*>{strongest[1]}<', html(home))


def test_the_chest_and_its_millilitres_are_the_librarys(home):
    result = with_file(given_of(CHESTS[0]), library("medical_segmentation", "lung-ct").predict)
    assert table(home, "Volumes of the labels") == [[name, f"{v:,.0f}"] for name, v in result.volumes_ml.items()]
    k = fullest_slice(result.mask)
    picture = upright(painted(window_grey(result.scan.voxels[:, :, k], "lung"), result.mask[:, :, k]))
    larger = np.ascontiguousarray(picture).repeat(2, 0).repeat(2, 1)
    assert np.array_equal(figure(home, "A slice of a chest CT"), decoded(data_uri(larger)))  # it travels as JPEG


def test_the_scene_and_its_sentence_are_the_librarys(home):
    scene = make_scenes("test", count=SCENES[0] + 1)[-1]
    pixels = render([scene], seed=SCENES[0])[0].permute(1, 2, 0).numpy()
    assert np.array_equal(figure(home, "A scene drawn just now"), pixels)
    (found,) = library("image_captioning", "scenes").predict([Image.fromarray(pixels)], n_best=5)
    text, sure = words(home)[2]
    assert text == found.captions[0] and sure.startswith(probability_text(found.probabilities[0]))


def test_the_table_is_that_of_the_cards(home):
    rows = table(home, "Results of all weights")
    cards = [card for entry in list_weights() if (card := load_card(entry.folder)).metrics]
    for row, card in zip(rows, cards, strict=True):
        name, metric = next(iter(card.metrics.items()))
        spread = f" ± {100 * metric['std']:.2f}" if metric["std"] is not None else ""
        seeds = f", {len(metric['seeds'])} seeds" if len(metric["seeds"]) > 1 else ""
        assert row[:6] == [
            card.name, card.model, f"{100 * metric['mean']:.2f}{spread} % {name}{seeds}", f"{metric['n']:,}",
            f"{card.parameters:,}", f"{card.bytes / 1e6:.1f} MB",
        ]  # fmt: skip
        number, unit = row[6].split()
        assert float(number) * {"s": 1, "min": 60, "h": 3600}[unit] == pytest.approx(card.seconds, rel=0.05, abs=30)
        assert row[7] == card.command


def test_the_spoken_seven_is_heard_as_the_library_hears_it(home):
    asked, (file,) = library("audio_classification", "fsdd"), (APPS / "assets" / "samples").glob("spoken-7-*.wav")
    (answer,) = asked.predict([file])
    assert bars(home)[2] == as_bars(answer.labels[:3], answer.probabilities[:3])
    assert words(home)[3][0] == answer.labels[0] == "7"


def test_the_cells_and_their_counts_are_the_librarys(home):
    asked, file = library("object_detection", "bccd"), APPS / "assets" / "samples" / "bccd-1.jpg"
    (found,) = asked.predict([file])
    most = max(found.counts.values())
    order = sorted(asked.labels, key=lambda label: -found.counts.get(label, 0))
    assert [row[0] for row in bars(home)[3]] == order and most >= 5
    assert [row[-1] for row in bars(home)[3]] == [str(found.counts.get(label, 0)) for label in order]
