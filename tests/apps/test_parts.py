"""The small parts: bars, sentences, samples, the example zip, the table of results."""

import base64
import io
import re
import shlex
import threading
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_core.errors import UnknownNameError
from components.bars import _in_words, percent
from components.commands import file_word, network_word, text_word
from components.frame import duration, measured, plain, sentence
from components.networks import WORKERS, Network, compute, networks, predictor, submit
from components.pictures import data_uri
from components.samples import SAMPLES, find_sample, kind_of, samples
from components.shapes import PER_CLASS, example_zip

APPS = Path(__file__).resolve().parents[2] / "apps"


@pytest.mark.parametrize(
    ("probability", "text"),
    [(1.0, "> 99.9 %"), (0.99951, "> 99.9 %"), (0.999, "99.9 %"), (0.5, "50.0 %"), (0.001, "0.1 %"), (0.0, "< 0.1 %")],
)
def test_no_bar_claims_certainty(probability, text):
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("probability", "word"), [(0.95, "sure"), (0.94, "fairly sure"), (0.69, "unsure"), (0.39, "guessing")]
)
def test_how_sure_an_answer_is_in_words(probability, word):
    assert _in_words(probability) == f"{percent(probability)}, {word}"


def test_messages_become_sentences_without_markdown():
    assert sentence("runs/*_a: no such file") == r"runs/\*\_a\: no such file."
    assert sentence("cut.jpg: the picture is damaged") == r"cut.jpg\: the picture is damaged."
    assert sentence("my cut.jpg: the picture is damaged") == r"my cut.jpg\: the picture is damaged."
    assert sentence("the file is empty: 0 of 3.5 MB") == r"The file is empty\: 0 of 3.5 MB."
    assert sentence("did you mean x?") == "Did you mean x?"


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("**b** _i_ `c` ~s~", r"\*\*b\*\* \_i\_ \`c\` \~s\~"),
        ("![a](//x) <b> &lt; $x$", r"!\[a\](//x) \<b> \&lt; \$x\$"),
        (":red[x] :smile:", "\\:\u2060red\\[x\\] \\:\u2060smile\\:"),
        ("https://x www.x a@x", "https\\:\u2060//x www\u2060.x a@\u2060x"),
        ("# a\n\n- b", r"\# a - b"),
        ("1. a", r"1\. a"),
        ("- a", r"\- a"),
        ("> a", r"\> a"),
        ("4.5 MB, www, a - b", "4\\.5 MB, www, a - b"),
    ],
)
def test_foreign_text_is_escaped_for_markdown(foreign: str, shown: str):
    assert plain(foreign) == shown


@pytest.mark.parametrize(("seconds", "text"), [(18.4, "18 s"), (99, "99 s"), (150, "2 min"), (5400, "1.5 h")])
def test_durations_in_words(seconds, text):
    assert duration(seconds) == text


def test_a_metric_carries_spread_number_and_seeds():
    metric = {"mean": 0.99671, "std": 0.00021, "n": 10000, "seeds": [0, 1, 2]}
    assert measured(metric) == "0.9967 ± 0.0002 (n = 10,000, 3 seeds)"
    assert measured({"mean": 0.5, "std": None, "n": 20, "seeds": [0]}) == "0.5000 (n = 20)"


def test_every_sample_is_a_small_picture_and_has_an_owner():
    assert len({sample.id for sample in SAMPLES}) == len(SAMPLES)
    for sample in SAMPLES:
        assert max(Image.open(sample.path).size) <= 320
        assert sample.path.stat().st_size < 30_000
        assert sample.source


def test_samples_suit_the_network():
    assert kind_of(list("0123456789"), channels=1) == "digits"
    assert kind_of(["Bag", "Coat"], channels=1) == "clothes"
    assert kind_of(["cat", "dog"], channels=3) == "photos"
    assert {sample.kind for sample in samples("clothes")} == {"clothes"}


def test_an_unknown_sample_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean seven"):
        find_sample("sevn")


def test_a_data_uri_holds_the_picture():
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    uri = data_uri(pixels)
    assert uri.startswith("data:image/png;base64,")
    back = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert (np.asarray(back) == pixels).all()


def test_a_large_picture_is_shrunk_and_the_original_left_alone():
    photo = Image.new("RGB", (2000, 1000), "red")
    back = Image.open(io.BytesIO(base64.b64decode(data_uri(photo).split(",")[1])))
    assert back.size == (640, 320)
    assert photo.size == (2000, 1000)


def test_the_example_zip_is_the_layout_that_it_teaches():
    with zipfile.ZipFile(io.BytesIO(example_zip())) as archive:
        names = archive.namelist()
        assert len(names) == 3 * PER_CLASS
        assert {name.split("/")[0] for name in names} == {"circle", "cross", "triangle"}
        assert Image.open(io.BytesIO(archive.read("cross/07.png"))).size == (64, 64)


def test_what_computes_may_ask_for_more_to_be_computed():
    """Loading a network inside a computation, in as many at once as there are workers, must not wait for itself."""
    together = threading.Barrier(WORKERS)

    def outer() -> str:
        together.wait(timeout=30)  # every worker is busy now
        return compute(lambda: threading.current_thread().name)

    with ThreadPoolExecutor(WORKERS) as sessions:
        asked = [sessions.submit(compute, outer) for _ in range(WORKERS)]
        assert all(future.result(timeout=30).startswith("network") for future in asked)


def test_networks_are_loaded_before_what_computes_with_them():
    """Within it, every worker could wait for the session that loads the network, and that one for a worker."""
    network = networks("image_classification")["digits"]
    with pytest.raises(RuntimeError, match="ask before"):
        compute(predictor, network)
    assert compute(predictor(network).predict, [np.zeros((8, 8), np.uint8)])[0].labels


def test_what_takes_long_waits_for_its_like_and_lets_short_answers_pass():
    begun, enough = threading.Event(), threading.Event()
    first = submit(lambda: begun.set() or enough.wait(60))
    second = submit(compute, lambda: threading.current_thread().name)
    assert [compute(int, str(i)) for i in range(3 * WORKERS)] == [*range(3 * WORKERS)]
    assert begun.wait(30)  # what a test before left may still be at work
    assert first.running() and not second.running()
    enough.set()
    assert first.result(timeout=30) and second.result(timeout=30).startswith("long")


def test_the_server_takes_what_the_uploaders_offer():
    config = tomllib.loads((APPS / ".streamlit" / "config.toml").read_text("utf-8"))
    offers = re.findall(
        r"^[A-Z_]*LIMIT = (\d+)  # MB", "\n".join(file.read_text("utf-8") for file in APPS.rglob("*.py")), re.M
    )
    assert len(offers) >= 4
    assert max(map(int, offers)) == config["server"]["maxUploadSize"]


def test_words_of_commands_mean_what_was_asked():
    for name in ("my photo (1).jpg", "a;b.png", "-x.png", "it's.png"):
        assert [Path(word).name for word in shlex.split(file_word(name))] == [name]
        assert not file_word(name).startswith("-")
    for text in ("-5 stars", "two\nlines", "$HOME `ls`"):
        assert [word.strip() for word in shlex.split(text_word(text))] == [text]
        assert not text_word(text).strip("'").startswith("-")
    card = networks("image_classification")["mnist"].card
    assert network_word(Network("mnist", Path("mnist"), card)) == "mnist"
    assert network_word(Network("runs/a b", Path("runs/a b"), card)) == "'runs/a b'"
