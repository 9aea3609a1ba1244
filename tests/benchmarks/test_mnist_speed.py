"""MNIST to 0.9925 against the introductions' Keras script, side by side on this machine.

Keras lives in an environment of its own under build/, made on the first run (it needs a package registry then); the
real MNIST is found through CNN_DATA_DIR.
"""

import json
import subprocess
from pathlib import Path

import pytest
from peers import peer_python
from record import ratio

from cnn_core.data.files import data_root
from image_classification.domain import train

KERAS_EPOCHS = 12  # of the script; its epochs cost the same, so some are timed and multiplied
TIMED_EPOCHS = 2


@pytest.fixture(scope="module")
def keras_python() -> Path:
    return peer_python("keras", "keras", "tensorflow-cpu")


@pytest.mark.benchmark
@pytest.mark.timeout(1800)
def test_ours_needs_a_fiftieth_of_the_time(keras_python: Path, tmp_path: Path) -> None:
    folder = data_root() / "MNIST" / "raw"
    if not (folder / "train-images-idx3-ubyte").exists():
        pytest.skip(f"needs the real MNIST, unpacked, in {folder} (CNN_DATA_DIR)")
    script = Path(__file__).with_name("keras_mnist.py")
    command = [keras_python, script, folder, str(TIMED_EPOCHS)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    keras = json.loads(answer.stdout.splitlines()[-1])
    theirs = keras["seconds_per_epoch"] * KERAS_EPOCHS
    outcome = train("mnist-quick", folder=tmp_path / "run", settings={"device": "cpu"})
    accuracy, ours = outcome.card.metrics["accuracy"]["mean"], outcome.run.seconds
    assert accuracy >= 0.9925
    ratio(
        "mnist", "MNIST to a test accuracy of 0.9925", ours=[ours], theirs=[theirs], wanted=50, held=15,
        peer=f"the introductions' Keras script, {KERAS_EPOCHS} epochs of {keras['seconds_per_epoch']:.1f} s",
        right=f"our test accuracy was {accuracy:.4f}",
    )  # fmt: skip
