"""Saving weights: what comes back, what is refused, and what an interrupted save leaves."""

import hashlib
import multiprocessing
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_weights import fields, tensors_of, trained
from torch import nn

from cnn_core.errors import StorageError, WeightsError
from cnn_core.models import create_model, list_models
from cnn_core.models.registry import MODELS
from cnn_core.storage import LOCK_FILE
from cnn_core.weights import load_card, load_model, load_state, save_weights
from cnn_core.weights.find import CARD_FILE
from cnn_core.weights.store import OLD_MODEL_FILE, model_file


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {LOCK_FILE}


# --- round trip


def test_a_loaded_model_gives_the_same_answers_to_the_bit(tmp_path):
    model = trained()
    card = save_weights(model, fields(), tmp_path / "run")
    again, read = load_model(tmp_path / "run")
    x = torch.rand(4, 1, 9, 7)
    assert not again.training
    assert torch.equal(again(x), model.eval()(x))
    assert read == card == load_card(tmp_path / "run")
    assert again.state_dict()["stages.stage1.norm.num_batches_tracked"].item() == 3
    assert files_of(tmp_path / "run") == {CARD_FILE, f"model-{card.sha256[:12]}.safetensors"}


def test_the_card_is_completed_with_what_can_be_computed(tmp_path):
    card = save_weights(trained(), fields(), tmp_path)
    data = tensors_of(tmp_path).read_bytes()
    assert card.parameters == 4 * 9 + 2 * 4 + 4 * 3 + 3  # kernel, scale and shift, dense layer with bias
    assert (card.bytes, card.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (card.dtype, card.version) == ("float32", "0.1.0")
    assert set(safetensors.torch.load(data)) == set(trained().state_dict())


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8)])
def test_half_precision_rounds_kernels_only_and_comes_back_as_float32(tmp_path, dtype, digits):
    model = trained()
    save_weights(model, fields(), tmp_path, dtype=dtype)
    state, card = load_state(tmp_path)
    stored = safetensors.torch.load(tensors_of(tmp_path).read_bytes())
    assert card.dtype == dtype
    assert stored["stages.stage1.conv.weight"].dtype == getattr(torch, dtype)
    for key, value in model.state_dict().items():
        assert state[key].dtype == value.dtype
        if value.ndim >= 2:
            assert not torch.equal(state[key], value)
            assert ((state[key] - value).abs() <= value.abs() * 2.0**-digits).all()
        else:
            assert torch.equal(state[key], value), f"{key} must be kept exactly"


def test_a_value_too_large_for_float16_is_refused_and_nothing_is_written(tmp_path):
    model = trained()
    model.stages["stage1"].conv.weight.data[0, 0, 0, 0] = 1e5
    with pytest.raises(WeightsError, match=r"stages.stage1.conv.weight: its largest value 1e\+05 does not fit float16"):
        save_weights(model, fields(), tmp_path / "run", dtype="float16")
    assert not (tmp_path / "run").exists()


def test_a_state_dict_of_any_memory_layout_and_with_tied_weights_is_saved(tmp_path):
    model = trained().to(memory_format=torch.channels_last)
    state = model.state_dict()
    state["tied"] = state["head.classifier.weight"]
    state["turned"] = torch.arange(6.0).reshape(2, 3).T
    state["none"] = torch.empty(0, 3)
    save_weights(state, fields(parameters=59), tmp_path)
    read, _ = load_state(tmp_path)
    assert all(torch.equal(read[key], state[key]) for key in state)
    read["tied"].zero_()
    assert read["head.classifier.weight"].abs().sum() > 0, "each loaded tensor has its own memory"


class Compiled(nn.Module):
    """Names its values as the wrapper of torch.compile does, whose own import takes longer than all these tests."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._orig_mod = module


def test_the_names_that_compilation_adds_are_not_stored(tmp_path):
    compiled = Compiled(trained())
    save_weights(compiled, fields(), tmp_path)
    model, card = load_model(tmp_path)
    assert card.parameters == 59
    assert torch.equal(model.head.classifier.weight, compiled._orig_mod.head.classifier.weight)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_every_dimension_is_built_from_the_card(tmp_path, spatial_dims):
    arguments = fields()["arguments"] | {"spatial_dims": spatial_dims}
    save_weights(create_model("tiny", **arguments), fields(arguments=arguments), tmp_path)
    model, _ = load_model(tmp_path)
    assert model(torch.zeros(2, 1, *[5] * spatial_dims)).shape == (2, 3)


SMALL = ("fastnet", "lenet", "mlp", "resnet20")  # the others take a minute together


@pytest.mark.parametrize(
    "name", [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in list_models()]
)
def test_every_registered_model_is_saved_and_loaded_by_its_card(tmp_path, name):
    arguments = {"spatial_dims": min(MODELS[name].spatial_dims), "in_channels": 1, "num_classes": 3, "options": {}}
    arguments["input_size"] = [max(MODELS[name].input_shape[1:])] * arguments["spatial_dims"]
    model = create_model(name, **arguments)
    save_weights(model, fields(model=name, arguments=arguments), tmp_path, dtype="float16")
    again, card = load_model(tmp_path)
    assert type(again) is type(model)
    assert card.arguments == arguments
    for key, value in model.state_dict().items():
        assert torch.allclose(again.state_dict()[key], value, rtol=2e-3, atol=1e-6), key


# --- refusals at save


def test_nan_is_not_saved(tmp_path):
    model = trained()
    model.head.classifier.bias.data[1] = float("nan")
    with pytest.raises(WeightsError, match=r"NaN or infinite values in head.classifier.bias"):
        save_weights(model, fields(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_card_that_does_not_fit_is_not_saved(tmp_path):
    with pytest.raises(WeightsError, match=r"labels: expected one for each of arguments.num_classes, 3, got 2"):
        save_weights(trained(), fields(labels=["a", "b"]), tmp_path / "run")
    with pytest.raises(WeightsError, match="the card says 7 parameters, the model has 59"):
        save_weights(trained(), fields(parameters=7), tmp_path / "run")
    with pytest.raises(WeightsError, match="'parameters' is missing"):
        save_weights(trained().state_dict(), fields(), tmp_path / "run")
    with pytest.raises(WeightsError, match="expected a tensor, got int"):
        save_weights({"a": 1}, fields(), tmp_path / "run")
    with pytest.raises(WeightsError, match="dtype must be one of"):
        save_weights(trained(), fields(), tmp_path / "run", dtype="int8")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not write"):
        save_weights(trained(), fields(), tmp_path / "file" / "run")


# --- an interrupted save

# Processes are forked from one that has loaded torch and done nothing else: a start takes milliseconds, not seconds.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["cnn_core.data.files", "cnn_core.train.checkpoint", "cnn_core.weights.store"])

SAVER = """
import torch
from cnn_core.weights import save_weights
i = 0
while True:
    i += 1
    save_weights({"a": torch.full((64, 1024), float(i))}, {**fields, "parameters": 65536, "seconds": i}, folder)
    started.set()
"""


@contextmanager
def savers(folder: Path, count: int):
    """Run `count` processes that save into `folder` without end; on leaving, they are killed."""
    started = [FORKS.Event() for _ in range(count)]
    running = [
        FORKS.Process(target=exec, args=(SAVER, {"folder": folder, "fields": fields(), "started": event}))
        for event in started
    ]
    try:
        for process in running:
            process.start()
        for event in started:
            assert event.wait(60), "the saving process did not start"
        yield
    finally:
        for process in running:
            process.kill()
            process.join()


def test_kill_at_any_moment_leaves_a_pair_that_loads(tmp_path):
    folder = tmp_path / "run"
    for attempt in range(12):
        with savers(folder, 1):
            time.sleep(0.003 * attempt)
        state, card = load_state(folder)
        assert torch.equal(state["a"], torch.full((64, 1024), float(card.seconds))), "card and model are of one save"
        assert load_card(folder) == card
    save_weights({"a": torch.zeros(1)}, fields(parameters=1), folder)
    assert files_of(folder) == {CARD_FILE, tensors_of(folder).name}, "leftovers are gone"


def test_two_writers_at_once_leave_one_of_their_pairs(tmp_path):
    with savers(tmp_path, 2):
        for _ in range(30):
            state, card = load_state(tmp_path)
            assert torch.equal(state["a"], torch.full((64, 1024), float(card.seconds)))
    load_state(tmp_path)


def test_a_save_between_the_readings_of_card_and_tensors_is_followed(tmp_path, monkeypatch):
    save_weights({"a": torch.zeros(2, 2)}, fields(parameters=4, seconds=0), tmp_path)
    read, saves = Path.read_bytes, iter((1, 2))

    def read_late(path: Path) -> bytes:
        if path.suffix == ".safetensors" and (save := next(saves, None)):
            save_weights({"a": torch.full((2, 2), float(save))}, fields(parameters=4, seconds=save), tmp_path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_late)
    state, card = load_state(tmp_path)
    assert (card.seconds, state["a"].sum().item()) == (2, 8)


def test_weights_whose_tensors_are_gone_are_refused(tmp_path):
    save_weights({"a": torch.zeros(2, 2)}, fields(parameters=4), tmp_path)
    tensors_of(tmp_path).rename(tmp_path / "model-0123456789ab.safetensors")
    with pytest.raises(WeightsError, match=r"could not read .*model-.*; restore the file"):
        load_state(tmp_path)


def test_a_save_cut_short_before_its_card_reads_as_the_old_pair_and_the_next_tidies_up(tmp_path):
    for i in range(2):
        save_weights({"a": torch.full((2, 2), float(i))}, fields(parameters=4, seconds=i), tmp_path / f"made{i}")
    old, new = (tensors_of(tmp_path / f"made{i}") for i in range(2))
    (tmp_path / "made0" / new.name).write_bytes(new.read_bytes())
    assert load_state(tmp_path / "made0")[1].seconds == load_card(tmp_path / "made0").seconds == 0
    save_weights({"a": torch.full((2, 2), 5.0)}, fields(parameters=4, seconds=2), tmp_path / "made0")
    assert files_of(tmp_path / "made0") == {CARD_FILE, tensors_of(tmp_path / "made0").name}
    assert not old.exists()


def test_runs_of_version_0_1_load_and_a_save_brings_them_up_to_date(tmp_path):
    card = save_weights({"a": torch.ones(2, 2)}, fields(parameters=4), tmp_path)
    tensors_of(tmp_path).rename(tmp_path / OLD_MODEL_FILE)
    state, read = load_state(tmp_path)
    assert (read, state["a"].sum().item()) == (card, 4)
    save_weights(state, fields(parameters=4), tmp_path)
    assert files_of(tmp_path) == {CARD_FILE, model_file(tmp_path, card).name}


def test_a_save_that_finds_no_space_leaves_the_old_pair(tmp_path):
    folder = tmp_path / "run"
    save_weights({"a": torch.zeros(2, 2)}, fields(parameters=4, seconds=1), folder)
    messages = FORKS.SimpleQueue()
    process = FORKS.Process(target=exec, args=(NO_SPACE, {"folder": folder, "fields": fields(), "messages": messages}))
    process.start()
    process.join()
    assert "larger than this system allows" in messages.get()
    assert load_state(folder)[1].seconds == load_card(folder).seconds == 1
    assert files_of(folder) == {CARD_FILE, tensors_of(folder).name}


NO_SPACE = """
import resource, signal
import torch
from cnn_core.errors import StorageError
from cnn_core.weights import save_weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_weights({"a": torch.zeros(100, 100)}, {**fields, "parameters": 10_000}, folder)
    messages.put("saved")
except StorageError as error:
    messages.put(str(error))
"""
