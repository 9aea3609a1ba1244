"""The detection page, driven as a browser would drive it, on a network trained for a moment."""

import io
from pathlib import Path
from typing import Any

import pytest
from driving import checked, html, opened, warnings
from made_boxes import as_coco, squares

from object_detection import load, train


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run that finds coloured squares."""
    folder = tmp_path_factory.mktemp("detect")
    data = as_coco(folder / "data", squares(24))
    settings = {
        "model": "fastnet", "options": {"widths": [8, 16], "stem_stride": 2}, "pretrained": "none", "strides": [4, 8],
        "channels": 16, "depth": 1, "height": 64, "width": 96, "batch_size": 4, "ema": 0.0, "data": str(data),
        "epochs": 12, "learning_rate": 0.01, "eval_every": 12,
    }  # fmt: skip
    train("my-boxes", folder=folder / "runs" / "squares", settings=settings)
    return folder


@pytest.fixture(autouse=True)
def _there(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)


def png(number: int, **options: Any) -> bytes:
    stream = io.BytesIO()
    squares(24)[number][0].save(stream, "PNG", **options)
    return stream.getvalue()


def test_an_upload_is_answered_as_the_library_answers_it(workplace: Path) -> None:
    predictor = load(workplace / "runs" / "squares", device="cpu")
    number = next(k for k in range(24) if predictor.predict(png(k))[0].boxes)
    page = opened("detect", weights="runs/squares")
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("two.png", png(number), "image/png").run())
    found = predictor.predict(png(number))[0]
    assert f"two.png, 96 × 64 pixels, {len(found.boxes)} box" in html(page)
    assert page.selectbox(key="box").options[0] == f"1: {found.boxes[0].label}, {found.boxes[0].score:.2f}"
    assert f"What speaks for {found.boxes[0].label} 1" in html(page) and "left half" in html(page)
    assert "cnn predict runs/squares two.png" in page.code[-1].value
    checked(page.slider[0].set_value(0.95).run())
    higher = predictor.predict(png(number), threshold=0.95)[0]
    assert f"two.png, 96 × 64 pixels, {len(higher.boxes)} box" in html(page)


def test_a_sample_is_there_before_the_first_click_and_rubbish_is_said() -> None:
    page = opened("detect", weights="runs/squares")
    assert "street-3.png, 320 × 192 pixels" in html(page)
    page.segmented_control(key="input").set_value("Upload").run()
    page.file_uploader(key="upload").upload("bad.png", b"no picture", "image/png").run()
    assert "is not a picture of a known format" in " ".join(warnings(page))


def test_an_animation_is_said_to_have_other_frames() -> None:
    moves = png(0, save_all=True, append_images=[squares(24)[1][0]])
    page = opened("detect", weights="runs/squares")
    page.segmented_control(key="input").set_value("Upload").run()
    checked(page.file_uploader(key="upload").upload("moves.png", moves, "image/png").run())
    assert warnings(page)[0].startswith("The first of 2 frames alone is read")
    page = opened("detect", weights="runs/squares", view="Many pictures")
    checked(page.file_uploader(key="batch-upload").set_value([("moves.png", moves, "image/png")]).run())
    assert "first of 2 frames" in page.dataframe[0].value.loc[0, "problem"]


def test_many_pictures_are_a_table_and_the_test_is_shown() -> None:
    page = opened("detect", weights="runs/squares", view="Many pictures")
    assert [*page.dataframe[0].value.columns] == ["file", "blue", "red", "problem"]
    assert "own threshold" in html(page)
    page = opened("detect", weights="runs/squares", view="How good it is")
    assert "test pictures" in page.subheader[0].value and "AP50" in html(page)
    assert "Precision and recall are those of the boxes" in html(page) and "nothing" in html(page)
