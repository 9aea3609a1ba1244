"""`cnn predict` and `cnn export` with weights of any domain: what is printed when, and what is written."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cnn_core.cli.using import example_shape
from cnn_core.models import create_model
from cnn_core.weights import WeightsCard, save_weights

ARGUMENTS = {"spatial_dims": 1, "in_channels": 1, "num_classes": 2, "input_size": None, "options": {}}


def save(weights: torch.nn.Module | dict[str, torch.Tensor], folder: Path, **fields: object) -> WeightsCard:
    """Save weights of the fifth domain."""
    card = {"name": "tones", "domain": "fifth", "model": "-", "arguments": ARGUMENTS, "input": {}, "labels": [],
            "metrics": {}, "recipe": {}, "command": "-", "machine": "-", "seconds": 0.0, "licence": "-",
            "limits": []}  # fmt: skip
    return save_weights(weights, {**card, **fields}, folder)


@pytest.fixture
def tones(tmp_path: Path) -> str:
    """Weights of the fifth domain."""
    save({"a": torch.zeros(1)}, tmp_path / "tones", parameters=1)
    return "./tones"


def test_each_answer_is_printed_before_the_next_is_computed(fifth_site, tones, tmp_path):
    paths = os.pathsep.join(filter(None, [str(fifth_site), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": ""}  # as a pipe is written to by default
    words = ["predict", tones, "broken", "first", "wait", "--output", "answers"]
    with subprocess.Popen(
        [sys.executable, "-m", "cnn_core.cli", *words],
        stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "broken: no tones in it\n"
        assert process.stdout.readline() == "first: la | -ti\n"
        assert not (tmp_path / "answers/predictions.csv").exists()
        (tmp_path / "go").touch()
        assert process.stdout.readline() == "wait: la | -ti\n"
    assert process.returncode == 1  # something could not be answered


def test_a_table_of_any_domain_lies_beside_the_json(cnn, fifth, tones, tmp_path):
    answer = cnn("predict", tones, "broken", "first", "--output", "answers")
    assert answer.code == 1
    assert "1 of 2 inputs could not be answered" in answer.err
    with (tmp_path / "answers/predictions.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["input", "captions", "captions2", "seconds.first", "error"],
            ["broken", "", "", "", "no tones in it"],
            ["first", "la", "'-ti", "0.5", ""],
        ]
    written = json.loads((tmp_path / "answers/predictions.json").read_text())
    assert [item["input"] for item in written["items"]] == ["broken", "first"]
    assert json.loads(cnn("predict", tones, "broken", "first", "--json").out) == written


def test_the_exit_code_says_whether_everything_was_answered(cnn, fifth, tones):
    assert cnn("predict", tones, "first").code == 0
    assert cnn("predict", tones, "broken", "first").code == 1
    answer = cnn("predict", tones, "broken", "broken")
    assert (answer.code, answer.out) == (1, "broken: no tones in it\n" * 2)
    assert "2 of 2 inputs could not be answered" in answer.err


@pytest.mark.parametrize(
    ("model", "changes", "shape"),
    [
        ("resnet20", {"spatial_dims": 2, "in_channels": 4, "input_size": [48, 40]}, (4, 48, 40)),
        ("resnet20", {"spatial_dims": 2, "in_channels": 4}, (4, 32, 32)),  # He et al. 2015, CIFAR
        ("resnet18", {"spatial_dims": 2, "in_channels": 3}, (3, 224, 224)),  # likewise, ImageNet
        ("resnet18", {"spatial_dims": 1, "in_channels": 2}, (2, 64)),
        ("resnet18", {"spatial_dims": 3, "in_channels": 1}, (1, 64, 64, 64)),
    ],
)
def test_the_example_of_an_export_has_the_size_of_the_card_or_a_sensible_one(tmp_path, model, changes, shape):
    card = save({"a": torch.zeros(1)}, tmp_path / "x", model=model, arguments=ARGUMENTS | changes, parameters=1)
    assert example_shape(card) == shape


def test_a_network_of_any_size_is_exported(cnn, fifth, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    arguments = ARGUMENTS | {"options": {"widths": [4]}}
    save(create_model("fastnet", **arguments), tmp_path / "any", model="fastnet", arguments=arguments)
    answer = cnn("export", "./any", "--output", "onnx")
    assert answer.code == 0, answer.err
    (given,) = onnxruntime.InferenceSession(tmp_path / "onnx/model.onnx").get_inputs()
    assert given.shape[1:] == [1, 64]
