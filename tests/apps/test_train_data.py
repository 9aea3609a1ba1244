"""What was understood of own data: the same sentences from the command, from `--json` and on the train page."""

import io
import json
import zipfile
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from driving import checked, html, opened, warnings
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnn_core.cli import main
from components.requests import example_csv
from jobs import queue


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(queue, "start_detached", lambda *_, **__: None)  # what is asked for waits
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return buffer.getvalue()


def noise(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.RandomState(seed).randint(0, 255, (20, 30, 3), np.uint8)).save(file)


def own_pictures(folder: Path) -> tuple[Path, bytes]:
    for i in range(24):
        noise(folder / "red" / f"{i}.png", i)
    for i in range(12):
        noise(folder / "blue" / f"{i}.png", 100 + i)
    (folder / "blue" / "99.png").write_bytes(b"no picture")
    return folder, zipped(folder)


def own_texts(folder: Path) -> tuple[Path, bytes]:
    folder.mkdir()
    (folder / "own.csv").write_text(example_csv() + "\n,\n")
    return folder / "own.csv", (folder / "own.csv").read_bytes()


def own_scans(folder: Path) -> tuple[Path, bytes]:
    from medical_segmentation.phantom import write_phantoms

    write_phantoms(folder, {"train": 3, "val": 1, "test": 1})
    return folder, zipped(folder)


def own_captions(folder: Path) -> tuple[Path, bytes]:
    rows = ["image,caption"]
    for i in range(20):
        noise(folder / f"{i}.png", i)
        rows += [f"{i}.png,picture number {i}, in colours", f"{i}.png,"]
    (folder / "captions.csv").write_text("\n".join([*rows, "gone.png,it is not there"]))
    return folder, zipped(folder)


TINY_CAPTIONS = (
    "--epochs", "1", "--hidden", "8", "--word-size", "8", "--attention-size", "8", "--beams", "1", "--batch-size", "4",
    "--size", "32", "--option", "widths=4,8",
)  # fmt: skip
DOMAINS = {
    "image_classification": ("cifar10", own_pictures, "own.zip", ("--epochs", "1", "--option", "widths=8,16")),
    "text_classification": ("docstrings", own_texts, "own.csv", ("--epochs", "1")),
    "medical_segmentation": ("phantom", own_scans, "own.zip", ("--epochs", "1", "--patch", "16", "16", "8")),
    "image_captioning": ("scenes", own_captions, "own.zip", TINY_CAPTIONS),
}


def upload(recipe: str, domain: str, name: str, data: bytes) -> AppTest:
    page = opened("train", recipe=recipe)
    checked(page.segmented_control(key=f"train-way-{recipe}").set_value("Your own").run())
    page.file_uploader(key=f"train-file-{domain}").upload(name, data, "application/octet-stream")
    return checked(page.run())


@pytest.mark.parametrize("domain", DOMAINS)
def test_command_json_and_page_say_the_same(domain: str, empty: Path, capsys: pytest.CaptureFixture[str]):
    recipe, make, name, flags = DOMAINS[domain]
    path, data = make(empty / "own")
    assert main(["train", recipe, "--data", str(path), "--run", "runs/told", *flags]) == 0
    told = capsys.readouterr().err.splitlines()
    assert main(["train", recipe, "--data", str(path), "--run", "runs/written", "--json", *flags]) == 0
    sentences = json.loads(capsys.readouterr().out)["data"]["sentences"]
    assert len(sentences) >= 2
    first = told.index(sentences[0])
    assert told[first : first + len(sentences)] == sentences
    page = upload(recipe, domain, name, data)
    assert not warnings(page)
    assert "</li><li>".join(sentences) in unescape(html(page))  # before the training
    assert "</li><li>".join(sentences) in unescape(html(opened("train", run="told")))  # and beside the curves
    assert main(["train", recipe, "--data", str(path), "--run", "runs/quiet", "--quiet", *flags]) == 0
    assert not set(sentences) & set(capsys.readouterr().err.splitlines())


@pytest.mark.parametrize(("recipe", "domain", "name", "data", "said"), [
    ("scenes", "image_captioning", "mine.zip", b"no zip", "mine.zip"),
    ("docstrings", "text_classification", "mine.csv", b"a\n", "mine.csv"),
])  # fmt: skip
def test_data_that_cannot_be_learned_from_are_refused_before_they_wait(
    recipe: str, domain: str, name: str, data: bytes, said: str, empty: Path
):
    page = upload(recipe, domain, name, data)
    (warning,) = warnings(page)
    assert said in warning and "cnn-showcase-" not in warning
    assert page.button(key="train-go").disabled and not list(empty.glob("runs/*"))


def test_an_upload_is_read_once(empty: Path, monkeypatch: pytest.MonkeyPatch):
    from image_captioning import DOMAIN

    calls: list[str] = []
    before = type(DOMAIN).summarise
    counted: Callable[..., object] = lambda self, *args: (calls.append("x"), before(self, *args))[1]  # noqa: E731
    monkeypatch.setattr(type(DOMAIN), "summarise", counted)
    page = upload("scenes", "image_captioning", "own.zip", own_captions(empty / "own")[1])
    checked(page.number_input(key="train-epochs-scenes").set_value(2).run())
    assert calls == ["x"]
