"""What the image page shows is what the library says: every table, bar, overlay and figure."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from driving import as_bars, bars, checked, figure, figures, html, library, opened, picture, sent, text_of, word
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnn_core.explain import feature_maps, filters
from components.drawing_canvas import Stroke, draw
from components.samples import find_sample, samples
from views.image_parts.why import TITLES

GREY, COLOUR = "runs/tiny-digits", "runs/tiny-shapes"
EIGHT = find_sample("eight").path

pytestmark = pytest.mark.usefixtures("in_workplace")


def open_page(**address: str) -> AppTest:
    return opened("image", **{"weights": GREY, "sample": "eight", **address})


def predictor(weights: str = GREY):
    return library("image_classification", weights)


@pytest.mark.parametrize("weights", [GREY, "mnist"])
def test_the_bars_are_all_probabilities_in_order(weights: str, downloads: dict):
    page = open_page(weights=weights)
    (answer,) = predictor(weights).predict(EIGHT, top_k=10)
    assert bars(page) == [as_bars(answer.labels, answer.probabilities)]
    assert word(page) == answer.labels[0]
    assert f'<p class="sure">{bars(page)[0][0][2].replace(">", "&gt;")}, ' in html(page)
    assert json.loads(downloads["JSON"])["probabilities"] == answer.probabilities
    rows = [line.split(",") for line in downloads["CSV"].split()[1:]]
    assert rows == [[label, str(p)] for label, p in zip(answer.labels, answer.probabilities, strict=True)]


def test_what_is_drawn_is_what_is_answered():
    strokes = [{"w": 80, "p": [300, 300, 700, 300, 700, 700]}]
    page = opened("image", {"drawing-kept": strokes}, weights=GREY)
    assert sent(page, "drawing_canvas")[0]["strokes"] == strokes
    drawing = draw((Stroke(80, ((300, 300), (700, 300), (700, 700))),))
    (answer,) = predictor().predict([drawing], top_k=10)
    assert bars(page) == [as_bars(answer.labels, answer.probabilities)]


def test_the_samples_are_the_files_under_their_names():
    (grid,) = sent(open_page(), "gallery")
    assert [item["id"] for item in grid["items"]] == [sample.id for sample in samples("digits")]
    assert grid["chosen"] == "eight"
    for item in grid["items"]:
        assert np.array_equal(picture(item["src"]), np.asarray(Image.open(find_sample(item["id"]).path)))


def test_an_upload_is_shown_and_answered(downloads: dict):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8))
    block = io.BytesIO()
    image.save(block, "PNG")
    page = open_page(weights=COLOUR)
    checked(page.segmented_control(key="input").set_value("Upload").run())
    checked(page.file_uploader(key="upload").upload("noise.png", block.getvalue(), "image/png").run())
    (answer,) = predictor(COLOUR).predict([image])
    assert bars(page) == [as_bars(answer.labels, answer.probabilities)]
    assert np.array_equal(figure(page, "noise.png"), np.asarray(image))
    why = predictor(COLOUR).explain(image, method="grad-cam", target=answer.labels[0])
    assert np.array_equal(figure(page, f"What speaks for “{answer.labels[0]}”"), why.overlay())
    assert np.array_equal(figure(page, "What the network saw"), why.seen.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("method", TITLES)
def test_the_heat_map_is_that_of_its_method_and_class(method: str, downloads: dict):
    page = open_page(method=method)
    (answer,) = predictor().predict(EIGHT, top_k=10)
    second = answer.labels[1]
    for label in answer.labels[:2]:
        why = predictor().explain(EIGHT, method=method, target=label)
        assert np.array_equal(figure(page, f"What speaks for “{label}”"), why.overlay())
        assert np.array_equal(figure(page, "What the network saw: 8 × 8"), why.seen[0].numpy())
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(downloads["Heat map (PNG)"]))), why.overlay())
        checked(next(box for box in page.selectbox if box.label == "Evidence for").set_value(second).run())


@pytest.mark.parametrize("weights", [GREY, COLOUR])
def test_the_channels_are_the_networks_maps(weights: str):
    page = open_page(weights=weights, part="Inside the network", sample="eight" if weights == GREY else "ship")
    asked = predictor(weights)
    source = EIGHT if weights == GREY else find_sample("ship").path
    for name, maps in feature_maps(asked.model, asked.contract.prepare([source])).items():
        checked(page.segmented_control(key=f"stage-{weights}").set_value(name).run())
        maps = maps[0].reshape(len(maps[0]), *(maps.shape[2:] or (1, 1)))
        tiles = sent(page, "gallery")[-1]["items"]
        assert [tile["id"] for tile in tiles] == [str(i) for i in range(len(maps))]
        for i, (tile, one) in enumerate(zip(tiles, maps, strict=True)):
            whole = maps if one.numel() == 1 else one  # single cells are compared with each other
            low, high = float(whole.min()), float(whole.max())
            expected = torch.round(255 * (one - low) / max(high - low, 1e-12)).byte().numpy()
            assert np.array_equal(picture(tile["src"]), expected)
            if i == 0:
                shown = figure(page, f"Channel 0 of {name}: {low:.2f} (black) to {high:.2f} (white)")
                assert np.array_equal(shown, expected)


@pytest.mark.parametrize("weights", [GREY, COLOUR])
def test_the_filters_are_those_of_the_first_layer(weights: str):
    page = open_page(weights=weights, part="Inside the network", sample="eight" if weights == GREY else "ship")
    (block,) = [part for part in html(page).split("\n") if 'class="filters' in part]
    uris = [piece.split('"')[0] for piece in block.split('<img src="')[1:]]
    weights_shown = torch.round(255 * filters(predictor(weights).model)).byte()
    assert len(uris) == len(weights_shown)
    for uri, one in zip(uris, weights_shown, strict=True):
        assert np.array_equal(picture(uri), one[0].numpy() if len(one) == 1 else one.permute(1, 2, 0).numpy())


def test_side_by_side_every_column_is_its_own_network(monkeypatch):
    clock = iter(np.arange(10.0, 20.0, 0.25))
    monkeypatch.setattr("components.side_by_side.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    page = open_page(part="Side by side")
    checked(page.pills(key=f"compare-{GREY}").set_value([GREY, "mnist"]).run())
    overlays = [shown for shown in figures(page) if "parameters" in shown[0]]
    for weights, answered, (caption, overlay) in zip((GREY, "mnist"), bars(page)[1:], overlays, strict=True):
        (answer,) = predictor(weights).predict(EIGHT)
        assert answered == as_bars(answer.labels[:3], answer.probabilities[:3])
        why = predictor(weights).explain(EIGHT, method="grad-cam", target=answer.labels[0])
        assert np.array_equal(overlay, why.overlay())
        assert caption == f"{predictor(weights).card.parameters:,} parameters, answered in 250 ms"


def test_the_table_of_many_pictures_is_the_librarys_answer(downloads: dict):
    page = open_page(view="Many pictures")
    rows = page.dataframe[0].value.to_dict("records")
    chosen = samples("digits")
    answers = predictor().predict([sample.path for sample in chosen], top_k=2)
    for row, sample, answer in zip(rows, chosen, answers, strict=True):
        assert (row["file"], row["answer"], row["second"]) == (sample.file, *answer.labels)
        assert row["probability"] == pytest.approx(answer.probabilities[0], abs=1e-4)
        assert np.array_equal(picture(row["picture"]), np.asarray(Image.open(sample.path)))
    lines = downloads["Table (CSV)"].decode().split()[1:]
    assert lines == [
        f"{sample.file},{answer.labels[0]},{answer.probabilities[0]:.6f},{answer.labels[1]},"
        f"{answer.probabilities[1]:.6f},"
        for sample, answer in zip(chosen, answers, strict=True)
    ]


def test_the_fold_shows_the_networks_card():
    card = predictor().card
    shown = html(open_page()).split('<dl class="facts">')[1].split("</dl>")[0]
    facts = dict(zip(*[iter(map(text_of, shown.replace("</d", "\n</d").split("\n")[:-1]))] * 2, strict=True))
    assert facts["Network"] == f"{card.model}, {card.parameters:,} parameters"
    assert facts["Accuracy on test"].startswith(f"{card.metrics['accuracy']['mean']:.4f} ")
    assert facts["SHA-256"] == card.sha256
