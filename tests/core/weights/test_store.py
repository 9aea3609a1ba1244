"""Saving weights: what comes back, what is refused, and what an interrupted save leaves."""

import hashlib
import multiprocessing
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_weights import fields, trained
from torch import nn

from cnn_core.errors import StorageError, WeightsError
from cnn_core.models import create_model, list_models
from cnn_core.models.registry import MODELS
from cnn_core.weights import load_card, load_into, load_model, load_state, save_weights
from cnn_core.weights.find import CARD_FILE, MODEL_FILE, NEW_CARD_FILE

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
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [CARD_FILE, MODEL_FILE]


def test_the_card_is_completed_with_what_can_be_computed(tmp_path):
    card = save_weights(trained(), fields(), tmp_path)
    data = (tmp_path / MODEL_FILE).read_bytes()
    assert card.parameters == 4 * 9 + 2 * 4 + 4 * 3 + 3  # kernel, scale and shift, dense layer with bias
    assert (card.bytes, card.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (card.dtype, card.version) == ("float32", "0.1.0")
    assert set(safetensors.torch.load(data)) == set(trained().state_dict())


@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8)])
def test_half_precision_rounds_kernels_only_and_comes_back_as_float32(tmp_path, dtype, digits):
    model = trained()
    save_weights(model, fields(), tmp_path, dtype=dtype)
    state, card = load_state(tmp_path)
    stored = safetensors.torch.load((tmp_path / MODEL_FILE).read_bytes())
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
    assert load_model(tmp_path)[1].parameters == 59
    other = Compiled(trained(seed=1))
    load_into(other, tmp_path)
    assert torch.equal(other._orig_mod.head.classifier.weight, compiled._orig_mod.head.classifier.weight)


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
    with pytest.raises(WeightsError, match=r"labels has 2 entries, but arguments.num_classes is 3"):
        save_weights(trained(), fields(labels=["a", "b"]), tmp_path / "run")
    with pytest.raises(WeightsError, match="the card says 7 parameters, the model has 59"):
        save_weights(trained(), fields(parameters=7), tmp_path / "run")
    with pytest.raises(WeightsError, match="field 'parameters' is missing"):
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
    assert sorted(path.name for path in folder.iterdir()) == [CARD_FILE, MODEL_FILE], "leftovers are gone"


def test_two_writers_at_once_leave_one_of_their_pairs(tmp_path):
    with savers(tmp_path, 2):
        for _ in range(30):
            state, card = load_state(tmp_path)
            assert torch.equal(state["a"], torch.full((64, 1024), float(card.seconds)))
    load_state(tmp_path)


def test_a_save_that_ends_while_the_cards_are_read_loses_none(tmp_path, monkeypatch):
    """Every opening of a file is preceded by the last step of somebody's first save, the card's final name."""
    save_weights({"a": torch.zeros(2, 2)}, fields(parameters=4, seconds=1), tmp_path)
    (tmp_path / CARD_FILE).rename(tmp_path / NEW_CARD_FILE)
    opened = Path.open

    def open_late(path: Path, *args: object, **kwargs: object) -> object:
        if (tmp_path / NEW_CARD_FILE).exists():
            (tmp_path / NEW_CARD_FILE).rename(tmp_path / CARD_FILE)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_late)
    assert load_card(tmp_path).seconds == 1
    (tmp_path / CARD_FILE).rename(tmp_path / NEW_CARD_FILE)
    assert load_state(tmp_path)[1].seconds == 1


def pieces(tmp_path: Path, count: int) -> list[tuple[bytes, bytes]]:
    """The bytes of (card, model) of several saves."""
    made = []
    for i in range(count):
        save_weights({"a": torch.full((2, 2), float(i))}, fields(parameters=4, seconds=i), tmp_path / f"made{i}")
        made.append(tuple((tmp_path / f"made{i}" / name).read_bytes() for name in (CARD_FILE, MODEL_FILE)))
    return made


def test_each_step_of_an_interrupted_save_reads_as_the_old_or_the_new_pair(tmp_path):
    (old_card, old_model), (new_card, new_model) = pieces(tmp_path, 2)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CARD_FILE).write_bytes(old_card)
    (folder / MODEL_FILE).write_bytes(old_model)
    (folder / NEW_CARD_FILE).write_bytes(new_card)
    assert load_state(folder)[1].seconds == load_card(folder).seconds == 0
    (folder / MODEL_FILE).write_bytes(new_model)
    assert load_state(folder)[1].seconds == load_card(folder).seconds == 1
    (folder / CARD_FILE).unlink()
    assert load_state(folder)[1].seconds == load_card(folder).seconds == 1, "the same for the first save of all"


def test_a_save_that_fails_after_an_interrupted_one_does_not_lose_the_pair(tmp_path):
    (old_card, _), (new_card, new_model) = pieces(tmp_path, 2)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / CARD_FILE).write_bytes(old_card)
    (folder / MODEL_FILE).write_bytes(new_model)
    (folder / NEW_CARD_FILE).write_bytes(new_card)
    messages = FORKS.SimpleQueue()
    process = FORKS.Process(target=exec, args=(NO_SPACE, {"folder": folder, "fields": fields(), "messages": messages}))
    process.start()
    process.join()
    assert "larger than this system allows" in messages.get()
    assert load_state(folder)[1].seconds == load_card(folder).seconds == 1
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


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
