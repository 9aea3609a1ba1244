"""A captioner that was trained for a moment, and a folder of pictures with captions."""

from pathlib import Path

import pytest

from image_captioning import scenes
from image_captioning.contract import CaptionerOptions
from image_captioning.decoders import Decoder, build_decoder
from image_captioning.domain import train

TINY = {
    "epochs": 2, "hidden": 32, "word_size": 24, "attention_size": 16, "options": {"widths": [8, 16], "stem_stride": 2},
    "beams": 3, "batch_size": 16, "learning_rate": 1e-2, "seed": 3,
}  # fmt: skip
FEW = {"train": 160, "val": 24, "test": 32}


def small_decoder(name: str, channels: int, vocab_size: int, *, hidden: int = 10, dropout: float = 0.0) -> Decoder:
    options = CaptionerOptions(
        decoder=name, hidden=hidden, size=8, attention=6, dropout=dropout, stage="", encoder={}, beams=1,
        length_power=0.0,
    )  # fmt: skip
    return build_decoder(options, channels, vocab_size)


@pytest.fixture(scope="session")
def few_scenes() -> pytest.MonkeyPatch:
    """Makes the sets of scenes small for the whole session of these tests."""
    patch = pytest.MonkeyPatch()
    patch.setattr(scenes, "COUNTS", FEW)
    yield patch
    patch.undo()


@pytest.fixture(scope="session")
def run(few_scenes: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished, short training on scenes."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train("scenes", folder=folder, settings={**TINY, "epochs": 9, "eval_every": 9, "learning_rate": 6e-3})
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with twelve drawn scenes as PNG files and a captions.csv with two captions each."""
    folder = tmp_path / "photos"
    folder.mkdir()
    write_photos(folder, 12)
    return folder


def write_photos(folder: Path, count: int) -> None:
    import numpy as np
    from PIL import Image

    from image_captioning.grammar import write_captions

    drawn = scenes.make_scenes("train", count=count)
    lines = ["image,caption"]
    random = np.random.RandomState(0)
    for i, (scene, picture) in enumerate(zip(drawn, scenes.render(drawn), strict=True)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
        lines += [f"{i}.png,{caption}" for caption in write_captions(scene, random, count=2)]
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
