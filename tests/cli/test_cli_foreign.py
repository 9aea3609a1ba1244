"""`cnn eval --foreign`: how many inputs of none of the classes are refused."""

import json
import struct

import numpy as np
import pytest
import soundfile
from PIL import Image

from audio_classification import load as load_sounds
from image_classification import load as load_pictures


@pytest.fixture(autouse=True)
def own_sets(cnn, tmp_path, monkeypatch):
    """The data folder is the test's own."""
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def blots(seed, edge):
    """Squares in the middle of black paper, which are no digit."""
    picture = np.zeros((edge, edge), np.uint8)
    squares = np.random.default_rng(seed).integers(0, 2, (4, 4), dtype=np.uint8) * 255
    squares[0, 0] = squares[-1, -1] = 255
    picture[edge // 4 : edge // 4 + 4 * (edge // 8), edge // 4 : edge // 4 + 4 * (edge // 8)] = np.kron(
        squares, np.ones((edge // 8, edge // 8), np.uint8)
    )
    return picture


def stroke():
    """A one, as the digits know it."""
    picture = np.zeros((64, 64), np.uint8)
    picture[8:56, 28:36] = 255
    return picture


def test_of_a_folder_all_that_is_not_refused_is_named(cnn, tmp_path):
    folder = tmp_path / "things"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(blots(k, 64)).save(folder / f"{k}.png")
    Image.fromarray(stroke()).save(folder / "one.png")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    predictor = load_pictures("digits", device="cpu")
    read = [answer for answer in predictor.stream_inputs([folder]) if answer.error is None]
    taken = [answer.labels[0] for answer in read if answer.known]
    assert len(read) == 4 and "1" in taken

    answer = cnn("eval", "digits", "--foreign", "--data", "things", "--device", "cpu")
    assert answer.code == 0
    assert answer.err.startswith("5 inputs.\n1 of 5 inputs could not be answered: 1 ") and "torn.png" in answer.err
    head, of_classes, refused = answer.out.splitlines()
    assert head.startswith("digits on things all, n 4 of 5, ") and f"1 ({taken.count('1')})" in of_classes
    assert refused == f"  refused {1 - len(taken) / 4:.4f}"
    result = json.loads(cnn("eval", "digits", "--foreign", "--data", "things", "--json", "--device", "cpu").out)
    assert {*result} == {"weights", "data", "split", "n", "of", "metrics", "summary", "seconds"}
    assert result["metrics"] == {"refused": pytest.approx(1 - len(taken) / 4)}


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_of_a_named_set_its_test_split_is_asked(cnn, tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    pictures = np.stack([*(blots(k, 28) for k in range(4)), stroke()[::2, ::2][2:30, 2:30]])
    for part, images in (("t10k", pictures), ("train", pictures[:1])):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.zeros(len(images), np.uint8)))
    answer = cnn("eval", "digits", "--foreign", "--data", "fashion-mnist", "--json", "--device", "cpu")
    assert answer.err == ""
    result = json.loads(answer.out)
    known = [answer.known for answer in load_pictures("digits", device="cpu").predict(pictures)]
    assert (result["split"], result["n"], result["of"]) == ("test", 5, 5)
    assert result["metrics"] == {"refused": pytest.approx(1 - sum(known) / 5)} and 0 < sum(known) < 5
    train = cnn(
        "eval", "digits", "--foreign", "--data", "fashion-mnist", "--split", "train", "--json", "--device", "cpu"
    )
    assert json.loads(train.out)["n"] == 1

    (tmp_path / "clothing" / "test" / "dress").mkdir(parents=True)  # a set that its publisher gives as class folders
    Image.fromarray(blots(1, 64)).save(tmp_path / "clothing" / "test" / "dress" / "a.jpg")
    assert (
        json.loads(cnn("eval", "digits", "--foreign", "--data", "clothing", "--json", "--device", "cpu").out)["n"] == 1
    )


def test_sounds_are_asked_as_they_are_answered(cnn, tmp_path):
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    waves = [np.random.default_rng(k).normal(0, 0.1, 8000).astype(np.float32) for k in range(2)]
    for k, wave in enumerate([*waves, np.zeros(8000, np.float32)]):
        soundfile.write(folder / f"{k}_george_0.wav", wave, 8000)
        soundfile.write(folder / f"{k}_george_40.wav", wave, 8000)
    answer = cnn("eval", "drawn-sounds", "--foreign", "--data", "fsdd", "--json", "--device", "cpu")
    assert answer.err == ""
    result = json.loads(answer.out)
    known = [
        a.known
        for a in load_sounds("drawn-sounds", device="cpu").predict([folder / f"{k}_george_0.wav" for k in range(2)])
    ]
    assert (result["n"], result["of"]) == (2, 3)  # nothing is to be heard in the third
    assert result["metrics"] == {"refused": pytest.approx(1 - sum(known) / 2)}


@pytest.mark.parametrize(("words", "sentence"), [
    (("digits", "--foreign"), "name them with --data"),
    (("trec", "--foreign", "--data", "x", "--text-column", "a"), "--foreign reads no table; leave out text_column"),
    (("trec", "--foreign", "--data", "x"), "trec refuses nothing: it has not learned what is none of its classes"),
    (("digits", "--foreign", "--data", "digits"), "digits learned from digits; give --foreign data that hold none"),
    (("digits", "--foreign", "--data", "mnist"), "mnist has classes that digits knows (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"),
    (("digits", "--foreign", "--data", "nowhere"), "1 of 1 inputs could not be answered: 1 there is no"),
    (("digits", "--foreign", "--data", ".", "--split", "val"), ". has no splits that --foreign knows"),
])  # fmt: skip
def test_what_cannot_be_asked_is_said(cnn, words, sentence):
    answer = cnn("eval", *words)
    assert answer.code != 0 and sentence in answer.err
