"""Every control of the image page, driven as a browser would drive it, on two small networks trained by the fixture."""

import importlib.util
import io
import zipfile

import pytest
import streamlit as st
from driving import address, asked_for, checked, html, learn, opened, warnings, word
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnn_core.models import imagenet
from components.networks import RUNS, card_in, networks
from components.shapes import example_zip
from views.image_parts.why import title

GREY, COLOUR = "runs/tiny-digits", "runs/tiny-shapes"

pytestmark = pytest.mark.usefixtures("in_workplace")


def open_page(**address: str) -> AppTest:
    return opened("image", **{"weights": GREY, **address})


@pytest.fixture
def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "black").save(buffer, "PNG")
    return buffer.getvalue()


def test_it_opens_with_an_example_already_answered():
    page = open_page()
    assert page.title[0].value == "What is in this picture?"
    assert page.segmented_control(key="input").value == "Draw"
    assert word(page) in set("0123456789")
    assert not warnings(page)


def test_it_opens_with_photos_and_the_search_among_their_kinds():
    pytest.importorskip(imagenet.PACKAGE)
    page = opened("image")
    assert page.pills(key="weights").value == "imagenet"
    assert word(page) in ("tabby", "tiger cat", "Egyptian cat") and not warnings(page)
    assert page.expander[0].label == "The 1,000 kinds that it knows"
    checked(page.text_input(key="classes-imagenet").set_value("RETRIEVER").run())
    assert "5 of 1,000: " in html(page) and "golden retriever" in html(page)
    checked(page.text_input(key="classes-imagenet").set_value("unicorn").run())
    assert "None of the 1,000 kinds has “unicorn” in its name" in html(page)


def test_without_the_package_of_the_weights_digits_come_first_and_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
):
    st.cache_resource.clear()  # of networks that are loaded already
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: (
        None if name == imagenet.PACKAGE else find(name, *more)
    ))  # fmt: skip
    page = opened("image")
    assert page.pills(key="weights").value == "mnist" and not warnings(page)
    checked(page.pills(key="weights").set_value("imagenet").run())
    (said,) = warnings(page)
    assert "not installed" in said and "pip install" in said


def test_the_kinds_of_a_small_network_are_named():
    assert "It knows 3 kinds: circle, cross, triangle. Anything else is given one of these names." in html(
        open_page(weights=COLOUR)
    )


def test_all_networks_of_the_runs_folder_can_be_chosen():
    page = open_page()
    assert {GREY, COLOUR} <= set(page.pills(key="weights").options)
    checked(page.pills(key="weights").set_value(COLOUR).run())
    assert word(page) in ("circle", "cross", "triangle")
    assert page.segmented_control(key="input").options == ["Samples", "Upload", "Camera"]


def test_an_unknown_network_in_the_address_falls_back():
    page = open_page(weights="resnet-9000")
    assert page.pills(key="weights").value in networks("image_classification")


def test_a_drawing_is_answered_and_an_empty_canvas_asks_for_one():
    page = open_page()
    page.session_state["drawing-kept"] = [{"w": 80, "p": [500, 150, 500, 850]}]
    one = html(checked(page.run()))
    page.session_state["drawing-kept"] = [{"w": 80, "p": [300, 300, 700, 300, 700, 700, 300, 700, 300, 300]}]
    assert html(checked(page.run())) != one
    page.session_state["drawing-kept"] = []
    checked(page.run())
    assert "Nothing is drawn yet" in warnings(page)[0]


def test_a_forged_drawing_is_a_sentence():
    page = open_page()
    page.session_state["drawing-kept"] = [{"w": 80, "p": ["<script>"] * 2}]
    checked(page.run())
    assert "no pen makes" in warnings(page)[0]


def test_a_sample_in_the_address_is_shown_and_answered():
    page = open_page(sample="eight")
    assert page.segmented_control(key="input").value == "Samples"
    assert "An eight, MNIST test set" in html(page)
    assert page.query_params["sample"] == "eight"


def test_an_unknown_sample_in_the_address_names_the_nearest():
    page = open_page(sample="eigth")
    assert any("did you mean eight" in text for text in warnings(page))
    assert word(page)


def test_a_click_on_another_sample_changes_the_picture_and_the_address():
    page = open_page(sample="eight")
    page.session_state["samples-digits-kept"] = "four"
    checked(page.run())
    assert "A four, MNIST test set" in html(page)
    assert page.query_params["sample"] == "four"


def test_an_upload_is_answered(png: bytes):
    page = open_page(weights=COLOUR)
    checked(page.segmented_control(key="input").set_value("Upload").run())
    assert "The answer appears here" in html(page)
    checked(page.file_uploader(key="upload").upload("black.png", png, "image/png").run())
    assert word(page) in ("circle", "cross", "triangle")
    assert "black.png, 40 × 30 pixels" in html(page)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"this is no picture", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "picture"),
        (b"%PDF-1.7", "PDF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    ],
)
def test_a_broken_upload_is_a_sentence(data: bytes, reason: str):
    page = open_page()
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("broken.png", data, "image/png").run())
    assert len(warnings(page)) == 1
    assert "roken.png" in warnings(page)[0]
    assert reason in warnings(page)[0]


def test_the_name_of_an_upload_is_text_not_markup(png: bytes):
    page = open_page(weights=COLOUR)
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("<img src=x onerror=alert(1)>.png", png, "image/png").run())
    assert "<img src=x" not in html(page)
    assert "&lt;img src=x" in html(page)


def test_the_camera_is_off_until_it_is_wanted(png: bytes):
    page = open_page(weights=COLOUR)
    checked(page.segmented_control(key="input").set_value("Camera").run())
    assert not page.camera_input
    checked(page.toggle(key="camera-on").set_value(True).run())
    checked(page.camera_input(key="camera").set_value(("photo.jpg", png, "image/jpeg")).run())
    assert word(page) in ("circle", "cross", "triangle")


def test_every_method_of_the_core_is_offered():
    from cnn_core.explain import list_methods

    page = open_page(sample="eight")
    assert sorted(page.selectbox(key="method").options) == sorted(title(name) for name in list_methods())


def test_the_evidence_for_another_class_is_another_map():
    page = open_page(sample="eight")
    before = html(page)
    chooser = next(box for box in page.selectbox if box.label == "Evidence for")
    other = chooser.options[1]
    checked(chooser.set_value(other).run())
    assert f"What speaks for “{other}”" in html(page)
    assert html(page) != before


def test_any_channel_can_be_chosen():
    page = open_page(part="Inside the network")
    stage = page.segmented_control(key=f"stage-{GREY}").value
    page.session_state[f"channel-{GREY}-{stage}-kept"] = "2"
    checked(page.run())
    assert f"Channel 2 of {stage}" in html(page)


def test_several_networks_answer_side_by_side():
    page = open_page(part="Side by side")
    choice = page.pills(key=f"compare-{GREY}")
    checked(choice.set_value([GREY, COLOUR]).run())
    assert html(page).count('class="answer small"') == 2
    assert html(page).count("answered in") == 2
    checked(page.pills(key=f"compare-{GREY}").set_value([]).run())
    assert "Choose one to 4 networks" in html(page)


def test_the_fold_gives_card_and_commands():
    page = open_page()
    assert page.expander[0].label == "How this was computed"
    code = page.code[0].value
    assert f"cnn predict {GREY} drawing.png" in code
    assert "drawing.png" in [button.proto.label for button in page.get("download_button")]
    assert "--method grad-cam" in code
    assert networks("image_classification")[GREY].card.sha256 in html(page)


ALONE = "beside it, for the picture itself alone, neither moved nor mirrored.\n"
SHIFTED = "half of it from the picture, a quarter each from the picture moved by one pixel down-right and up-left"


@pytest.mark.parametrize(("weights", "scores", "heat"), [
    ("digits", "per class; softmax", "beside it.\n"),
    ("fashion-mnist", "per class, the mean of those for the picture and for its mirror image; softmax", ALONE),
    ("mnist", f"per class, {SHIFTED}; softmax", ALONE),
    ("cifar10", f"per class, {SHIFTED}, each averaged with its mirror image; softmax", ALONE),
])  # fmt: skip
def test_the_fold_names_the_views_that_are_averaged(weights: str, scores: str, heat: str):
    (steps,) = open_page(weights=weights).expander[0].markdown
    assert scores in steps.value and heat in steps.value


def test_many_pictures_take_broken_ones_in_their_stride(png: bytes):
    page = open_page(weights=COLOUR, view="Many pictures")
    files = [("good.png", png, "image/png"), ("bad.png", b"nonsense", "image/png")]
    checked(page.file_uploader(key="batch-upload").set_value(files).run())
    table = page.dataframe[0].value.set_index("file")
    assert table.loc["good.png", "answer"] in ("circle", "cross", "triangle")
    assert table.loc["bad.png", "answer"] == ""
    assert "not a picture" in table.loc["bad.png", "problem"]


def test_the_pages_of_a_file_that_are_not_read_are_said():
    stream, pages = io.BytesIO(), [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    pages[0].paste((0, 0, 0), (10, 5, 30, 25))
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    page = open_page(weights=COLOUR)
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("two.tif", stream.getvalue(), "image/tiff").run())
    assert warnings(page)[0].startswith("The first of 2 pages alone is read")
    page = open_page(weights=COLOUR, view="Many pictures")
    checked(page.file_uploader(key="batch-upload").set_value([("two.tif", stream.getvalue(), "image/tiff")]).run())
    assert "first of 2 pages" in page.dataframe[0].value.loc[0, "problem"]


def test_more_pictures_than_the_page_takes_are_cut_with_a_sentence(png: bytes):
    page = open_page(weights=COLOUR, view="Many pictures")
    files = [(f"{i}.png", png, "image/png") for i in range(201)]
    checked(page.file_uploader(key="batch-upload").set_value(files).run())
    assert len(page.dataframe[0].value) == 200
    assert "the first 200 are read" in html(page)


@pytest.fixture
def own_classes(waiting_room) -> AppTest:
    """The tab for own classes."""
    return open_page(view="Your own classes")


def test_the_button_needs_a_zip(own_classes: AppTest):
    assert own_classes.button(key="tune-go").disabled
    own_classes.file_uploader(key="tune-zip").upload("shapes.zip", example_zip(), "application/zip").run()
    assert not checked(own_classes).button(key="tune-go").disabled


def test_own_classes_are_learned_from_the_queue_and_can_be_used_by_every_session(own_classes: AppTest):
    page = own_classes
    page.file_uploader(key="tune-zip").upload("shapes.zip", example_zip(), "application/zip").run()
    page.selectbox(key=f"tune-start-{GREY}").set_value(COLOUR)
    page.radio(key="tune-way").set_value("fine-tune")
    page.slider(key="tune-epochs").set_value(2)
    checked(page.button(key="tune-go").click().run())
    assert "Waiting for its turn" in html(page)
    assert address(page)["run"] == "my-pictures"
    recipe = asked_for("my-pictures")["recipe"]
    assert (recipe["model"]["weights"], recipe["transfer"]["transfer"]) == (COLOUR, "fine-tune")
    assert (recipe["loop"]["epochs"], recipe["optimizer"]["learning_rate"]) == (2, 5e-4)
    assert recipe["data"]["data"] == "shapes.zip"
    assert (RUNS / "my-pictures" / "upload" / "shapes.zip").read_bytes() == example_zip()
    learn("my-pictures")
    for session in (checked(page.run()), open_page(view="Your own classes")):
        assert f"{card_in(RUNS / 'my-pictures').metrics['accuracy']['mean']:.4f}" in html(session)
        assert "on 24 items of the test set" in html(session)
        assert session.get("download_button")[-2].proto.label == "Weights (zip)"
        assert "runs/my-pictures" in session.pills(key="weights").options
    assert word(open_page(weights="runs/my-pictures")) in ("circle", "cross", "triangle")


def test_a_training_can_be_stopped_and_resumed_and_another_one_chosen(own_classes: AppTest):
    page = own_classes
    checked(page.button(key="tune-example").click().run())
    checked(page.button(key="tune-example").click().run())
    assert page.selectbox(key="run").value == "my-pictures-2"
    assert set(page.selectbox(key="run").options) == {"my-pictures", "my-pictures-2"}  # none of the other runs
    checked(page.button(key="stop-my-pictures-2").click().run())
    assert "Stopped" in html(page)
    checked(page.button(key="resume-my-pictures-2").click().run())
    assert "Waiting for its turn" in html(page)
    learn("my-pictures-2")  # it had not even begun
    assert "on 24 items of the test set" in html(checked(page.run()))
    checked(page.selectbox(key="run").set_value("my-pictures").run())
    assert page.button(key="stop-my-pictures")
    assert address(page)["run"] == "my-pictures"
    again = open_page(view="Your own classes", run="my-pictures")  # as after a refresh
    assert again.selectbox(key="run").value == "my-pictures"


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no zip", "zip"),
        (zipped(), "class"),
        (zipped(cats__a=b"x"), "class"),
        (zipped(cats__a=b"x", dogs__b=b"y"), "picture"),
    ],
    ids=["no zip", "empty", "one class", "no pictures"],
)
def test_a_zip_that_nothing_can_be_learned_from_is_a_sentence(own_classes: AppTest, data: bytes, reason: str):
    page = own_classes
    page.file_uploader(key="tune-zip").upload("own.zip", data, "application/zip").run()
    checked(page)
    (said,) = warnings(page)
    assert said.startswith("own.zip")
    assert reason in said
    assert page.button(key="tune-go").disabled
    assert not page.button(key="tune-example").disabled


def with_more(archive: bytes, **files: bytes) -> bytes:
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a") as more:
        for name, data in files.items():
            more.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def test_files_that_cannot_be_used_are_named_before_the_training(own_classes: AppTest):
    page = own_classes
    page.file_uploader(key="tune-zip").upload("shapes.zip", example_zip(), "application/zip").run()
    assert "120 pictures in 3 classes: circle 40, cross 40, triangle 40." in html(checked(page))
    bad = {f"circle__bad{i}": b"no picture" for i in range(4)}
    page.file_uploader(key="tune-zip").upload("own.zip", with_more(example_zip(), **bad), "application/zip").run()
    shown = html(checked(page))
    assert "120 pictures in 3 classes: circle 40, cross 40, triangle 40." in shown and "Left out: " in shown
    assert "its beginning is damaged (circle/bad0, circle/bad1, circle/bad2, ...)." in shown
    assert "circle/bad3" not in shown
    assert not page.button(key="tune-go").disabled
    one = with_more(example_zip(), **{"cross__<b>.png": b""})
    page.file_uploader(key="tune-zip").upload("own.zip", one, "application/zip").run()
    assert "Left out: 1 unreadable: the file is empty (cross/&lt;b&gt;.png)." in html(checked(page))
