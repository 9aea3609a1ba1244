"""ONNX export: parity with torch in ONNX Runtime, free batch size, and nothing written when it fails."""

import multiprocessing
import sys

import numpy as np
import pytest
import torch
from torch import nn

from cnn_core.errors import CnnError, StorageError
from cnn_core.nn.dims import dims
from cnn_core.weights import WeightsCard, load_card, save_weights

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
pytest.importorskip("onnxscript", reason="the extra `export` is not installed")

from cnn_core.export import export_onnx  # noqa: E402  (after the check for its packages)

SHAPES = {1: (2, 16), 2: (2, 8, 9), 3: (2, 5, 6, 7)}


def network(spatial_dims: int = 2) -> nn.Module:
    torch.manual_seed(0)
    d = dims(spatial_dims)
    model = nn.Sequential(
        d.conv(2, 4, 3, padding=1), d.batch_norm(4), nn.GELU(), d.max_pool(2), nn.Dropout(0.5),
        d.adaptive_avg_pool(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    model.train()(torch.randn(6, *SHAPES[spatial_dims]) * 2 + 1)  # statistics unlike those of a fresh network
    return model


def fields(**changes):
    arguments = {"spatial_dims": 2, "in_channels": 2, "num_classes": 3, "input_size": [8, 9], "options": {}}
    return {
        "name": "small", "domain": "image_classification", "model": "own", "arguments": arguments, "input": {},
        "labels": ["a", "b", "c"], "metrics": {}, "recipe": {}, "command": "-", "machine": "-", "seconds": 0,
        "licence": "MIT", "limits": [],
    } | changes  # fmt: skip


@pytest.fixture
def card(tmp_path) -> WeightsCard:
    return save_weights(network(), fields(), tmp_path / "weights")


# One export takes three seconds of the exporter's own, so the variants are marked slow.
@pytest.mark.parametrize(
    "spatial_dims", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_the_file_answers_as_the_network_for_any_batch(tmp_path, card, spatial_dims, capsys):
    model = network(spatial_dims)
    report = export_onnx(model, card, tmp_path / "out", example_shape=SHAPES[spatial_dims])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["card.json", "model.onnx"]
    assert WeightsCard.from_json((tmp_path / "out" / "card.json").read_bytes()) == card
    assert (report.path, report.opset, report.inputs) == (tmp_path / "out" / "model.onnx", 18, 8)
    assert report.bytes == report.path.stat().st_size
    assert report.max_abs_difference < 1e-5
    session = onnxruntime.InferenceSession(report.path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", *SHAPES[spatial_dims]]
    x = torch.randn(7, *SHAPES[spatial_dims])
    (answer,) = session.run(None, {"input": x.numpy()})
    assert model.training, "the network itself is not changed"
    assert np.abs(answer - model.eval()(x).detach().numpy()).max() < 1e-5
    assert capsys.readouterr().out == "", "standard output belongs to the command line"


@pytest.mark.slow
def test_networks_that_read_tokens_and_other_opsets(tmp_path, card):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(11, 4), nn.Flatten(), nn.Linear(4 * 6, 3))
    report = export_onnx(model, card, tmp_path, example_shape=(6,), vocabulary_size=11, opset=20)
    session = onnxruntime.InferenceSession(report.path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == "tensor(int64)"
    assert report.opset == 20


@pytest.mark.slow
def test_training_precision_and_layout_do_not_matter_and_a_run_folder_keeps_its_card(tmp_path, card):
    model = network().to(torch.bfloat16).to(memory_format=torch.channels_last)
    report = export_onnx(model, card, tmp_path / "weights", example_shape=SHAPES[2])
    assert report.max_abs_difference < 1e-5
    assert model[0].weight.dtype == torch.bfloat16
    assert load_card(tmp_path / "weights") == card


def test_answers_that_are_large_are_compared_by_their_size(tmp_path, card):
    """Statistics of one step leave a network whose answers float32 rounds by more than the tolerance of small ones."""
    model = network()
    with torch.no_grad():
        model[-1].weight.mul_(1e6)
    report = export_onnx(model, card, tmp_path / "out", example_shape=SHAPES[2])
    assert report.max_abs_difference > 1e-4
    assert report.path.exists()


class Noisy(nn.Module):
    def forward(self, x):
        return x.flatten(1) + torch.rand_like(x).flatten(1)


class FixedBatch(nn.Module):
    def forward(self, x):
        return x.reshape(2, 144)  # of the batch of two that it is traced with


class TwoAnswers(nn.Module):
    def forward(self, x):
        return x, x


class DependsOnData(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class NotANumber(nn.Module):
    def forward(self, x):
        return torch.sqrt(-1 - x.flatten(1).abs())


REFUSED = {
    "noisy": (Noisy(), {}, "its answers differ by up to"),
    "slow-not-a-number": (NotANumber(), {}, "its answers differ by up to nan"),
    "slow-fixed-batch": (FixedBatch(), {}, "'small' was traced for batches of 2 only"),
    "depends-on-data": (DependsOnData(), {}, "'small' cannot be exported"),
    "slow-opset": (network(), {"opset": 999}, "the network needs opset .*, and could not be converted to 999"),
    "two-answers": (TwoAnswers(), {}, "'small' returns tuple; only networks that return one tensor"),
    "channels": (network(), {"example_shape": (3, 8, 9)}, "'small' cannot be run on an input of shape .2, 3, 8, 9."),
    "no-shape": (network(), {"example_shape": ()}, "example_shape must be the size of one input"),
    "zero": (network(), {"example_shape": (2, 0)}, "example_shape must be the size of one input"),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case.startswith("slow") else []) for case in REFUSED]
)
def test_what_cannot_be_exported_or_disagrees_is_told_and_nothing_is_written(tmp_path, card, case):
    model, changes, message = REFUSED[case]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.onnx").write_bytes(b"old")
    with pytest.raises(CnnError, match=message):
        export_onnx(model, card, tmp_path / "out", **({"example_shape": SHAPES[2]} | changes))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.onnx"]
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"old"


def test_a_folder_with_other_weights_is_refused(tmp_path, card):
    other = save_weights(network(), fields(name="other"), tmp_path / "other")
    with pytest.raises(CnnError, match="holds other weights than 'small'"):
        export_onnx(network(), card, tmp_path / "other", example_shape=SHAPES[2])
    assert load_card(tmp_path / "other") == other


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path, card):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not write"):
        export_onnx(network(), card, tmp_path / "file" / "x", example_shape=SHAPES[2])


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_asks_for_the_extra(tmp_path, card, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # how Python itself marks a package that must not be imported
    with pytest.raises(CnnError, match=rf"needs the package '{name}'.*\.\[export\]"):
        export_onnx(network(), card, tmp_path / "out", example_shape=SHAPES[2])
    assert not (tmp_path / "out").exists()


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["cnn_core.data.files", "cnn_core.train.checkpoint", "cnn_core.weights.store"])

IMPORTS = """
import sys
import cnn_core.export
messages.put({"onnx", "onnxruntime", "onnxscript"} & set(sys.modules))
"""


def test_importing_the_module_loads_none_of_the_packages():
    messages = FORKS.SimpleQueue()
    process = FORKS.Process(target=exec, args=(IMPORTS, {"messages": messages}))
    process.start()
    process.join()
    assert messages.get() == set()
