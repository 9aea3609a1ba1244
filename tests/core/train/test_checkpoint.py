"""Checkpoints: exact round trip of trees, bit-exact resume, damage noticed, kill -9 survived."""

import contextlib
import hashlib
import json
import math
import multiprocessing
import random
import struct
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnn_core.errors import StorageError, WeightsError
from cnn_core.train.checkpoint import CHECKPOINT_FILE, FORMAT, has_checkpoint, load_checkpoint, save_checkpoint

DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip


def round_trip(tree, folder: Path):
    save_checkpoint(folder / "c.pt", tree)
    return load_checkpoint(folder / "c.pt")


def same(a, b) -> bool:
    """Equal in type, structure and every bit (NaN equals NaN, 0.0 is not -0.0, True is not 1)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        bits = [x.contiguous().reshape(-1).view(torch.uint8) for x in (a, b)]
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*bits)
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=True)
        return len(a) == len(b) and all(same(k, m) and same(v, w) for (k, v), (m, w) in pairs)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return struct.pack("<d", a) == struct.pack("<d", b) if isinstance(a, float) else a == b


def test_numbers_texts_and_containers_come_back_with_type_and_bits(tmp_path):
    tree = {
        "none": None,
        "bools": [True, False],
        "ints": (0, -1, 2**63, -(10**40)),
        "floats": [0.1, -0.0, 5e-324, math.pi, float("inf"), -float("inf"), 1e308, 3.0],
        "texts": ["", "é二", "\ud800", "\0", '{"tensor": "0"}'],
        "empty": [{}, [], ()],
        "keys": {0: "int", "0": "text", 1.5: "float", None: "none", -0.5: {7: {}}},
        True: "bool",
        "tuple": (1, (2, [3, (4,)])),
        "looks like a tag": {"tensor": "0", "dict": [], "float": "nan"},
    }
    assert same(round_trip(tree, tmp_path), tree)
    assert math.isnan(round_trip([float("nan")], tmp_path)[0])
    assert round_trip(3, tmp_path) == 3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 2)], ids=str)
def test_every_type_and_shape_of_tensor_comes_back_bit_for_bit(tmp_path, dtype, shape):
    torch.manual_seed(0)
    bits = torch.randint(0, 2 if dtype == torch.bool else 256, (*shape, dtype.itemsize), dtype=torch.uint8)
    tensor = bits.view(dtype).reshape(shape)  # any bits: NaN with payloads, subnormal numbers
    assert same(round_trip({"a": tensor}, tmp_path), {"a": tensor})


def test_layouts_parameters_and_views_are_stored_by_value(tmp_path):
    base = torch.arange(24.0).reshape(2, 3, 4)
    complex_numbers = torch.tensor([1 + 2j, 3 - 4j])
    tree = [base.mT, base[:, 1], base[..., ::2], nn.Parameter(base), base.expand(5, 2, 3, 4)]
    tree += [complex_numbers, complex_numbers.conj()]
    tree += [nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last).weight]
    for before, after in zip(tree, round_trip(tree, tmp_path), strict=True):
        assert torch.equal(before, after)


def test_tied_tensors_are_stored_once_and_stay_tied(tmp_path):
    weight = torch.randn(64, 64)
    tree = round_trip({"a": weight, "b": weight.detach(), "c": weight.clone()}, tmp_path)
    assert tree["a"].data_ptr() == tree["b"].data_ptr() != tree["c"].data_ptr()
    assert (tmp_path / "c.pt").stat().st_size < 2 * 64 * 64 * 4 + 2000


def test_states_of_random_generators_come_back(tmp_path):
    generator = torch.Generator().manual_seed(3)
    tree = {"torch": generator.get_state(), "python": random.Random(3).getstate()}
    again = round_trip(tree, tmp_path)
    assert again["torch"].dtype == torch.uint8
    other = torch.Generator()
    other.set_state(again["torch"])
    assert torch.equal(torch.rand(5, generator=other), torch.rand(5, generator=generator))
    source = random.Random()
    source.setstate(again["python"])
    assert source.random() == random.Random(3).random()


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.sampled_from("aé\0\ud800\"'"), max_size=4)
    | st.builds(torch.tensor, st.lists(st.floats(width=32), max_size=3))
)
KEYS = st.integers() | st.text(st.sampled_from("ab"), max_size=2) | st.none()
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=10,
)


@given(tree=TREES)
def test_any_tree_comes_back(tree, tmp_path_factory):
    assert same(round_trip(tree, tmp_path_factory.mktemp("tree")), tree)


OPTIMIZERS = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2, amsgrad=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True),
}


def training(optimizer_name: str):
    """A small training; returns (the objects whose state matters, a function that makes one step)."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(24, 2)
    )
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=20)

    def step() -> float:
        loss = nn.functional.cross_entropy(model(torch.randn(8, 1, 8)), torch.randint(2, (8,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    return (model, optimizer, schedule), step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_equal_five_steps_and_resume_to_the_bit(tmp_path, name):
    parts, step = training(name)
    losses = [step() for _ in range(10)]
    expected = [part.state_dict() for part in parts]

    parts, step = training(name)
    first = [step() for _ in range(5)]
    tree = {"parts": [part.state_dict() for part in parts], "random": torch.get_rng_state(), "losses": first}
    save_checkpoint(tmp_path / "last.pt", tree)

    parts, step = training(name)
    tree = load_checkpoint(tmp_path / "last.pt")
    for part, state in zip(parts, tree["parts"], strict=True):
        part.load_state_dict(state)
    torch.set_rng_state(tree["random"])
    assert tree["losses"] + [step() for _ in range(5)] == losses
    for part, state in zip(parts, expected, strict=True):
        plain = {key: value for key, value in part.state_dict().items() if not callable(value)}
        assert same(round_trip(plain, tmp_path), round_trip(dict(state), tmp_path))


def test_any_flipped_or_missing_byte_is_noticed(tmp_path):
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"a": torch.arange(4.0), "n": 12345})
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        try:
            tree = load_checkpoint(path)
        except WeightsError:
            continue
        assert same(tree, {"a": torch.arange(4.0), "n": 12345}), f"byte {place} changed the tree unnoticed"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            load_checkpoint(path)


def test_other_files_are_refused_with_a_sentence(tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(WeightsError, match=r"no checkpoint at .*; start the run without resuming"):
        load_checkpoint(path)
    with pytest.raises(WeightsError, match="could not read"):
        load_checkpoint(tmp_path)
    torch.save({"a": 1}, path)
    with pytest.raises(WeightsError, match="is not a checkpoint"):
        load_checkpoint(path)


def test_a_checkpoint_of_version_0_1_is_refused_and_not_passed_over(tmp_path):
    assert not has_checkpoint(tmp_path)
    (tmp_path / "last.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="begin anew with --run"):
        has_checkpoint(tmp_path)
    save_checkpoint(tmp_path / CHECKPOINT_FILE, {})
    assert has_checkpoint(tmp_path)


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("made-by-a-checkpoint"),)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for tree in (Harmful(), {"weights": [Harmful()]}):
        save_checkpoint(tmp_path / "c.pt", tree)
        with pytest.raises(WeightsError, match="cannot be read"):
            load_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "made-by-a-checkpoint").exists()


def test_a_digest_that_vouches_for_damage_is_no_crash(tmp_path):
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"a": torch.arange(4.0), "n": 12345})
    body = path.read_bytes().partition(b"\n")[2]
    for place in range(0, len(body), 3):
        damaged = bytearray(body)
        damaged[place] ^= 4
        path.write_bytes(FORMAT + hashlib.sha256(damaged).hexdigest().encode() + b"\n" + damaged)
        with contextlib.suppress(WeightsError):
            load_checkpoint(path)


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["cnn_core.data.files", "cnn_core.train.checkpoint", "cnn_core.weights.store"])

SAVER = """
import torch
from cnn_core.train.checkpoint import save_checkpoint
i = 0
while True:
    i += 1
    save_checkpoint(path, {"epoch": i, "weights": torch.full((64, 1024), float(i))})
    started.set()
"""


def test_kill_at_any_moment_leaves_a_whole_checkpoint_and_the_next_save_tidies_up(tmp_path):
    path = tmp_path / "last.pt"
    for attempt in range(10):
        started = FORKS.Event()
        process = FORKS.Process(target=exec, args=(SAVER, {"path": path, "started": started}))
        process.start()
        try:
            assert started.wait(60)
            time.sleep(0.003 * attempt)
        finally:
            process.kill()
            process.join()
        tree = load_checkpoint(path)
        assert torch.equal(tree["weights"], torch.full((64, 1024), float(tree["epoch"])))
    save_checkpoint(path, {})
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="a folder of that name exists"):
        save_checkpoint(tmp_path, {})
    (tmp_path / "file").write_text(json.dumps(1))
    with pytest.raises(StorageError, match="could not write"):
        save_checkpoint(tmp_path / "file" / "c.pt", {})
