"""Every control of the caption page, driven as a browser would drive it, on the shipped weights."""

import csv
import io
import json

import numpy as np
import pytest
from driving import checked, html, opened
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnn_core.answers import csv_bytes
from components.batch import answered
from components.caption_explorer import choice, covered_part, veil
from components.networks import networks
from views.caption_parts.source import SCENES, is_true, sample_pictures, sentence_info


def open_page(**address: str) -> AppTest:
    return opened("caption", **{"weights": "scenes", **address})


def explorer(page: AppTest) -> dict:
    """What the page sent to the browser for the picture and its sentence."""
    (part,) = [
        part.proto for part in page.get("bidi_component") if part.proto.component_name.endswith("caption_explorer")
    ]
    return json.loads(part.json)


def sample_pictures_of_scenes() -> dict:
    return sample_pictures(networks("image_captioning")["scenes"])


def test_the_words_next_best_are_probabilities_with_the_word_among_them() -> None:
    for word in explorer(open_page())["words"]:
        probabilities = [p for _, p in word["others"]]
        assert probabilities == sorted(probabilities, reverse=True) and 0 < sum(probabilities) <= 1.001
        assert word["text"] in [text for text, _ in word["others"]]


def test_truth_is_told_for_drawn_scenes_alone() -> None:
    pictures = sample_pictures_of_scenes()
    scene = pictures[f"scene-{SCENES[0]}"]
    assert is_true("a large red cross", scene) and not is_true("a large blue cross", scene)
    assert sentence_info("a large red cross", 0.2, scene) == "20.0 %, true"
    other = pictures[f"scene-{SCENES[1]}"]
    assert sentence_info("a large red cross", 1e-6, other) == "1 in 1,000,000, not true of this picture"


def test_the_address_says_which_sample_is_shown() -> None:
    name = f"scene-{SCENES[3]}"
    assert explorer(open_page(sample=name))["alt"] == f"{name}.png"
    assert explorer(open_page(sample="nonsense"))["alt"] == f"scene-{SCENES[0]}.png"


def test_grad_cam_is_another_map_of_the_same_words() -> None:
    page = open_page()
    before = explorer(page)
    after = explorer(checked(page.segmented_control(key="method-True").set_value("Grad-CAM").run()))
    assert [w["text"] for w in after["words"]] == [w["text"] for w in before["words"]]
    assert [w["veil"] for w in after["words"]] != [w["veil"] for w in before["words"]]
    assert "evidence" in after["hint"]


@pytest.mark.parametrize("weights", ["flickr8k", "flickr8k-plain"])
def test_the_fold_tells_what_this_decoder_does(weights: str) -> None:
    from image_captioning import load

    (fold,) = [part for part in open_page(weights=weights).expander if part.label == "How this was computed"]
    said, attends = fold.markdown[0].value, load(weights, device="cpu").model.decoder.attends
    assert ("weighed the cells of the grid" in said) == ("*Attention*" in said) == attends
    assert ("given the mean of the grid" in said) == (not attends)
    assert "*Grad-CAM*" in said


def test_sentences_can_be_drawn_at_random_again_and_again() -> None:
    page = open_page()
    page = checked(page.segmented_control(key="way").set_value("Sampled").run())
    page = checked(page.slider(key="temperature").set_value(2.0).run())
    first = explorer(page)["sentences"]
    assert explorer(checked(page.run()))["sentences"] == first  # the same draw
    assert explorer(checked(page.button(key="draw-again").click().run()))["sentences"] != first


def png(image: Image.Image) -> bytes:
    block = io.BytesIO()
    image.save(block, "PNG")
    return block.getvalue()


def test_an_upload_is_captioned_and_what_is_no_picture_gets_a_sentence() -> None:
    page = open_page()
    page.segmented_control(key="input").set_value("Upload").run()
    page.file_uploader(key="upload").upload("mine.png", png(Image.new("RGB", (90, 50), "white")), "image/png")
    shown = explorer(checked(page.run()))
    assert shown["alt"] == "mine.png" and shown["size"] == [90, 50]
    page.file_uploader(key="upload").set_value(None).run()
    page.file_uploader(key="upload").upload("broken.png", b"\x89PNG nothing", "image/png")
    page = checked(page.run())
    assert len(page.warning) == 1 and "known format" in page.warning[0].value


def test_many_pictures_are_a_table_and_a_broken_one_has_a_row() -> None:
    page = open_page(view="Many pictures")
    assert list(page.dataframe[0].value["file"]) == [f"scene-{i}.png" for i in SCENES]
    page.file_uploader(key="batch-upload").upload("a.png", png(Image.new("RGB", (64, 64))), "image/png")
    page.file_uploader(key="batch-upload").upload("b.png", b"no", "image/png")
    rows = checked(page.run()).dataframe[0].value
    assert list(rows["file"]) == ["a.png", "b.png"]
    assert rows["caption"][0] and not rows["caption"][1] and rows["problem"][1]


def test_the_table_of_many_pictures_holds_the_captions() -> None:
    network = networks("image_captioning")["scenes"]
    answers = answered(network, [("a.png", next(iter(sample_pictures(network).values())).source), ("b.png", b"x")])
    rows = [*csv.DictReader(io.StringIO(csv_bytes(answers).decode()))]
    assert rows[0]["captions"] == answers[0].captions[0]
    assert float(rows[0]["caption_probabilities"]) == answers[0].probabilities[0]
    assert rows[1]["captions"] == "" and "b.png" not in rows[1]["error"] and rows[1]["error"]


def test_one_picture_s_sentences_can_be_had() -> None:
    names = [button.proto.label for button in open_page().get("download_button")]
    assert {"CSV", "JSON", "Model card", f"scene-{SCENES[0]}.png"} <= {*names}


def test_pictures_are_found_by_a_sentence() -> None:
    page = open_page(view="Find a picture")
    page = checked(page.text_input(key="find-sentence").set_value("a large red cross").run())
    first = html(page).split("<figcaption>")[1].split(":")[0]
    assert is_true("a large red cross", sample_pictures_of_scenes()[first.removesuffix(".png")])
    page = checked(page.text_input(key="find-sentence").set_value("a zebra").run())
    assert "Not in its vocabulary: zebra." in html(page)
    page = checked(page.text_input(key="find-sentence").set_value("zebra").run())
    assert len(page.warning) == 1
    checked(page.text_input(key="find-sentence").set_value(" ").run())


def test_networks_are_compared_on_the_same_picture() -> None:
    page = open_page(view="Compare")
    assert html(page).count('class="answer small"') == len(page.pills(key="weights").options)


@pytest.mark.parametrize(
    ("state", "part"),
    [
        ({}, None), ({"box": None}, None), ({"box": [0.1, 0.2, 0.5, 0.6]}, (0.1, 0.2, 0.5, 0.6)),
        ({"box": [-1, 0, 2, 1]}, (0.0, 0.0, 1.0, 1.0)), ({"box": [0.5, 0, 0.5, 1]}, None), ({"box": "no"}, None),
        ({"box": [0, 0, "1", 1]}, None),
    ],
)  # fmt: skip
def test_what_a_browser_says_of_a_covered_part_is_checked(monkeypatch, state: dict, part: tuple | None) -> None:
    monkeypatch.setattr("streamlit.session_state", {"x": state})
    assert covered_part("x") == part
    assert choice("x", 3) == 0


def test_a_veil_is_clear_where_the_heat_is() -> None:
    import base64

    heat = np.zeros((4, 6), np.float32)
    heat[1, 2] = 0.5
    alpha = np.asarray(Image.open(io.BytesIO(base64.b64decode(veil(heat).split(",")[1]))))[..., 3]
    assert alpha.shape == (4, 6) and alpha[1, 2] == 0 and (np.delete(alpha.ravel(), 8) == 204).all()
    nothing = np.asarray(Image.open(io.BytesIO(base64.b64decode(veil(np.zeros((4, 6))).split(",")[1]))))[..., 3]
    assert (nothing == 204).all()
