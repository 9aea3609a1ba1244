"""Saving, finding, verifying and loading weights."""

import hashlib
import json
import multiprocessing
import resource
import shutil
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from cnn_core import domains
from cnn_core.errors import StorageError, UnknownNameError, WeightsError
from cnn_core.models import create_model, list_models
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import MODELS, register_model
from cnn_core.nn.blocks import ConvNormAct, Head
from cnn_core.weights import (
    find_weights,
    list_weights,
    load_card,
    load_into,
    load_model,
    load_state,
    save_weights,
)
from cnn_core.weights.container import check_header, pack, unpack
from cnn_core.weights.find import CARD_FILE, MODEL_FILE, NEW_CARD_FILE


def tiny(in_channels: int, num_classes: int, *, spatial_dims: int, width: int = 4) -> Backbone:
    stage = ConvNormAct(in_channels, width, spatial_dims=spatial_dims)
    return Backbone(
        {"stage1": stage},
        [FeatureInfo("stage1", width, 1)],
        head=Head(width, num_classes, spatial_dims=spatial_dims),
        spatial_dims=spatial_dims,
        in_channels=in_channels,
    )


@pytest.fixture(autouse=True)
def registered():
    register_model(paper="-", url="-", year=2025, input_shape=(1, 8, 8))(tiny)
    yield
    del MODELS["tiny"]


def fields(**changes):
    return {
        "name": "digits",
        "domain": "image_classification",
        "model": "tiny",
        "arguments": {
            "spatial_dims": 2,
            "in_channels": 1,
            "num_classes": 3,
            "input_size": None,
            "options": {"width": 4},
        },
        "input": {"size": [8, 8]},
        "labels": ["a", "b", "c"],
        "metrics": {},
        "recipe": {},
        "command": "cnn train digits",
        "machine": "test",
        "seconds": 1.0,
        "licence": "MIT",
        "limits": [],
    } | changes


def trained(seed: int = 0) -> Backbone:
    """A model whose every value differs from a fresh one, statistics and counters included."""
    torch.manual_seed(seed)
    model = create_model("tiny", in_channels=1, num_classes=3).train()
    for _ in range(3):
        model(torch.rand(5, 1, 8, 8) * 3 + 1)
    return model


def edit_card(folder: Path, **changes) -> None:
    card = json.loads((folder / CARD_FILE).read_text()) | changes
    (folder / CARD_FILE).write_text(json.dumps(card))


def put(folder: Path, data: bytes) -> None:
    """Replace the model by `data` and make the card agree with it: what a forger can do."""
    (folder / MODEL_FILE).write_bytes(data)
    edit_card(folder, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


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


# --- refusals at load


@pytest.fixture
def run(tmp_path) -> Path:
    save_weights(trained(), fields(), tmp_path / "run")
    return tmp_path / "run"


def test_a_flipped_bit_is_refused(run):
    data = bytearray((run / MODEL_FILE).read_bytes())
    data[-1] ^= 1
    (run / MODEL_FILE).write_bytes(data)
    with pytest.raises(WeightsError, match="the SHA-256 is"):
        load_state(run)


def test_a_file_cut_short_is_refused(run):
    data = (run / MODEL_FILE).read_bytes()
    (run / MODEL_FILE).write_bytes(data[:-5])
    with pytest.raises(WeightsError, match=f"{len(data) - 5} bytes, but the card says {len(data)}"):
        load_state(run)


def test_missing_extra_and_misshapen_keys_are_listed_together(run):
    state = trained().state_dict()
    del state["head.classifier.bias"]
    state["surplus"] = torch.zeros(2)
    state["stages.stage1.conv.weight"] = torch.zeros(4, 1, 5, 5)
    put(run, pack(state))
    model = trained()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for load in (lambda: load_model(run), lambda: load_into(model, run)):
        with pytest.raises(WeightsError) as caught:
            load()
        assert "1 missing: head.classifier.bias; 1 extra: surplus; " in str(caught.value)
        assert "conv.weight is [4, 1, 5, 5] in the file and [4, 1, 3, 3] in the model" in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_in_the_file_is_refused(run, value):
    state = trained().state_dict()
    state["head.classifier.weight"][1, 2] = value
    put(run, pack(state))
    with pytest.raises(WeightsError, match=r"NaN or infinite values in head.classifier.weight"):
        load_state(run)


def test_a_card_with_the_wrong_parameter_count_is_refused(run):
    edit_card(run, parameters=60)
    with pytest.raises(WeightsError, match="the card says 60 parameters, the model has 59"):
        load_model(run)


def test_a_card_of_an_unknown_or_impossible_model_is_refused(run):
    edit_card(run, model="tinny")
    with pytest.raises(WeightsError, match="unknown model 'tinny'; did you mean tiny"):
        load_model(run)
    arguments = fields()["arguments"]
    edit_card(run, model="tiny", arguments=arguments | {"options": {"width": "wide"}})
    with pytest.raises(WeightsError, match="cannot be built"):
        load_model(run)
    edit_card(run, arguments=arguments | {"options": {"depth": 3}})
    with pytest.raises(WeightsError, match="cannot be built"):
        load_model(run)


@pytest.mark.parametrize("width", [10**6, 10**9, 10**18])
def test_a_card_that_asks_for_a_huge_model_is_refused_before_memory_is_taken(run, width):
    edit_card(run, arguments=fields()["arguments"] | {"options": {"width": width}})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match="cannot be built"):
        load_model(run)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "kB"


def test_a_card_that_asks_for_another_width_is_refused(run):
    edit_card(run, arguments=fields()["arguments"] | {"options": {"width": 5}})
    with pytest.raises(WeightsError, match=r"do not fit tiny .*conv.weight is .4, 1, 3, 3. in the file and .5, 1"):
        load_model(run)


def header(entries: dict, data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


BOMBS = [
    (b"", "0 bytes are no safetensors file"),
    (b"\x80\x04\x95\x0c\x00\x00\x00\x00\x8c\x05", "the header claims"),  # what pickle writes
    (struct.pack("<Q", 2**63) + b"{}", "the header claims 9223372036854775808 bytes, the file has 10"),
    (struct.pack("<Q", 2) + b"[]", "the header is not a JSON object"),
    (struct.pack("<Q", 2) + b"\xff\xfe", "the header is not JSON"),
    (struct.pack("<Q", 200_000) + b"[" * 200_000, "the header is not JSON"),
    (header({"a": entry(shape=(2**40, 2**20), offsets=(0, 2**62))}), "the header describes"),
    (header({"a": entry(shape=(-1, -1))}, bytes(4)), "the shape must be whole numbers"),
    (header({"a": entry(shape=(True,))}, bytes(4)), "the shape must be whole numbers"),
    (header({"a": entry(dtype="F128")}, bytes(4)), "unknown type F128"),
    (header({"a": entry(dtype=["F32"])}, bytes(4)), "unknown type"),
    (header({"a": 5}, bytes(4)), "expected dtype, shape and data_offsets"),
    (header({"a": entry()}, bytes(9)), "the header describes 4 bytes of tensors, the file has 9"),
    (header({"a": entry(offsets=(4, 8)), "b": entry(offsets=(4, 8))}, bytes(8)), "damaged"),
    (header({"a": entry(offsets=("x", 4))}, bytes(4)), "damaged"),
    (header({"__metadata__": {"a": 1}}), "the metadata must be texts"),
]


@pytest.mark.parametrize(
    ("data", "message"), BOMBS, ids=[f"{i}-{m}".replace(" ", "-") for i, (_, m) in enumerate(BOMBS)]
)
def test_forged_files_are_refused_with_a_sentence(run, data, message):
    if data:
        put(run, data)
        with pytest.raises(WeightsError, match=message):
            load_state(run)
    with pytest.raises(WeightsError, match=message):
        unpack(data, source="x")


def test_every_way_to_cut_a_file_short_is_noticed_by_its_header():
    data = pack({"a": torch.arange(6.0), "b": torch.zeros(2, dtype=torch.uint8)}, {"k": "v"})
    assert check_header(data, source="x") == {"k": "v"}
    for size in range(len(data)):
        with pytest.raises(WeightsError):
            unpack(data[:size], source="x")


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


# --- finding


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Two installed domains made for the test, `leaves` and `stars`, that ship weights; found by their entry points."""
    site = tmp_path / "site"
    for domain, names in (("leaves", ["oak", "both"]), ("stars", ["sun", "both"])):
        package = site / f"{domain}_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('finding weights must not import the domain')")
        info = site / f"{domain}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {domain}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cnn_showcase.domains]\n{domain} = {domain}_package\n")
        for name in names:
            save_weights(trained(), fields(name=name, domain=domain), package / "weights" / name)
    monkeypatch.syspath_prepend(site)
    invalidate_caches()
    domains.domain_folders.cache_clear()
    yield site
    domains.domain_folders.cache_clear()


def test_shipped_weights_are_found_by_name_in_all_domains(shipped):
    ours = [(entry.name, entry.domain) for entry in list_weights() if entry.domain in ("leaves", "stars")]
    assert ours == [("both", "leaves"), ("both", "stars"), ("oak", "leaves"), ("sun", "stars")]
    assert [entry.name for entry in list_weights(domain="stars")] == ["both", "sun"]
    assert find_weights("oak") == shipped / "leaves_package" / "weights" / "oak"
    assert load_card("sun").domain == "stars"
    assert load_model("sun")[1].name == "sun"


def test_a_name_in_two_domains_asks_which(shipped):
    with pytest.raises(WeightsError, match="exist in leaves and stars; say which domain"):
        find_weights("both")
    assert find_weights("both", domain="stars").parts[-3] == "stars_package"


def test_unknown_names_answer_with_the_nearest(shipped):
    with pytest.raises(UnknownNameError, match="unknown weights 'oack'; did you mean oak"):
        load_model("oack")
    with pytest.raises(UnknownNameError, match="unknown weights 'oak'"):
        find_weights("oak", domain="stars")
    with pytest.raises(UnknownNameError, match="unknown domain 'star'; did you mean stars"):
        list_weights(domain="star")


def test_shipped_weights_win_over_a_folder_of_that_name_and_dot_slash_means_the_folder(shipped, tmp_path, monkeypatch):
    save_weights(trained(), fields(name="own"), tmp_path / "here" / "oak")
    monkeypatch.chdir(tmp_path / "here")
    assert load_card("oak").name == "oak"
    assert load_card("./oak").name == "own"
    assert load_card(Path("oak")).name == "own"


def test_a_card_copied_into_another_shipped_folder_is_refused(shipped):
    weights = shipped / "leaves_package" / "weights"
    shutil.rmtree(weights / "oak")
    shutil.copytree(weights / "both", weights / "oak")
    with pytest.raises(WeightsError, match="the card is that of leaves/both, but the folder is that of leaves/oak"):
        load_card("oak")


def test_a_run_folder_and_its_files_are_found(run, monkeypatch):
    assert find_weights(run) == find_weights(str(run)) == run
    assert find_weights(run / MODEL_FILE) == find_weights(run / CARD_FILE) == run
    monkeypatch.chdir(run.parent)
    assert find_weights("run") == Path("run")


def test_folders_without_weights_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"card.json and model.safetensors missing"):
        find_weights(tmp_path)
    with pytest.raises(WeightsError, match="no such folder"):
        find_weights(tmp_path / "nowhere")
    (tmp_path / CARD_FILE).write_text("{}")
    with pytest.raises(WeightsError, match=r"model.safetensors missing"):
        find_weights(tmp_path)
    for odd in ("a\0b/", "x" * 5000 + "/y"):
        with pytest.raises(WeightsError, match="no such folder"):
            find_weights(odd)
    for odd in ("", "a\0b", "x" * 5000):
        with pytest.raises(UnknownNameError):
            find_weights(odd)


def test_finding_weights_loads_no_torch(run):
    code = (
        "import sys; from cnn_core.weights import list_weights, load_card; list_weights(); load_card(sys.argv[1]); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, run]).returncode == 0


def test_an_unknown_attribute_of_the_package_is_an_attribute_error():
    import cnn_core.weights

    with pytest.raises(AttributeError, match="no attribute 'lode_model'"):
        _ = cnn_core.weights.lode_model


def test_modules_of_other_kinds_load_through_load_into(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3))
    save_weights(model, fields(model="own-build", labels=[]), tmp_path)
    other = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)).double()
    card = load_into(other, tmp_path)
    assert card.model == "own-build"
    assert torch.equal(other[0].weight, model[0].weight.double())
    with pytest.raises(WeightsError, match=r"unknown model 'own-build'.*through their domain, image_classification"):
        load_model(tmp_path)
