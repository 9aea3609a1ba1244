"""Finding, verifying and loading weights: what is refused, and where weights are found by name."""

import json
import resource
import shutil
import struct
import subprocess
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as pack
from tiny_weights import edit_card, fields, put, tensors_of, trained
from torch import nn

from cnn_core import domains
from cnn_core.errors import UnknownNameError, WeightsError
from cnn_core.weights import (
    find_weights,
    list_weights,
    load_card,
    load_model,
    load_state,
    save_weights,
)
from cnn_core.weights.find import CARD_FILE

# --- refusals at load


def test_a_flipped_bit_is_refused(run):
    data = bytearray(tensors_of(run).read_bytes())
    data[-1] ^= 1
    tensors_of(run).write_bytes(data)
    with pytest.raises(WeightsError, match="the SHA-256 is"):
        load_state(run)


def test_a_file_cut_short_is_refused(run):
    data = tensors_of(run).read_bytes()
    tensors_of(run).write_bytes(data[:-5])
    with pytest.raises(WeightsError, match=f"{len(data) - 5} bytes, but the card says {len(data)}"):
        load_state(run)


def test_missing_extra_and_misshapen_keys_are_listed_together(run):
    state = trained().state_dict()
    del state["head.classifier.bias"]
    state["surplus"] = torch.zeros(2)
    state["stages.stage1.conv.weight"] = torch.zeros(4, 1, 5, 5)
    put(run, pack(state))
    with pytest.raises(WeightsError) as caught:
        load_model(run)
    assert "1 missing: head.classifier.bias; 1 extra: surplus; " in str(caught.value)
    assert "conv.weight is [4, 1, 5, 5] in the file and [4, 1, 3, 3] in the model" in str(caught.value)


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
    with pytest.raises(WeightsError, match=r"cannot be built|do not fit"):
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


BOMBS = {
    "pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x8c\x05",
    "a header longer than the file": struct.pack("<Q", 2**63) + b"{}",
    "a header that is a list": struct.pack("<Q", 2) + b"[]",
    "a header that is no text": struct.pack("<Q", 2) + b"\xff\xfe",
    "a header of brackets": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "a huge tensor": header({"a": entry(shape=(2**40, 2**20), offsets=(0, 2**62))}),
    "a negative shape": header({"a": entry(shape=(-1, -1))}, bytes(4)),
    "an unknown type": header({"a": entry(dtype="F128")}, bytes(4)),
    "a type that is a list": header({"a": entry(dtype=["F32"])}, bytes(4)),
    "a tensor that is a number": header({"a": 5}, bytes(4)),
    "bytes behind the tensors": header({"a": entry()}, bytes(9)),
    "a gap": header({"a": entry(offsets=(4, 8)), "b": entry(offsets=(4, 8))}, bytes(8)),
    "a place that is a text": header({"a": entry(offsets=("x", 4))}, bytes(4)),
    "metadata that are no text": header({"__metadata__": {"a": 1}}),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_forged_files_are_refused_with_a_sentence(run, data):
    put(run, data)
    with pytest.raises(WeightsError, match=r"damaged .*; restore the file or train again"):
        load_state(run)


def test_a_card_that_asks_for_a_million_layers_is_refused_while_it_is_built(run):
    arguments = fields()["arguments"] | {"options": {"widths": [8], "depth": 10**6}}
    edit_card(run, model="fastnet", arguments=arguments)
    with pytest.raises(WeightsError, match="it is much larger than the weights"):
        load_model(run)


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
    assert find_weights(tensors_of(run)) == find_weights(run / CARD_FILE) == run
    monkeypatch.chdir(run.parent)
    assert find_weights("run") == Path("run")


def test_folders_without_weights_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"card.json and model.*safetensors missing"):
        find_weights(tmp_path)
    with pytest.raises(WeightsError, match="no such folder"):
        find_weights(tmp_path / "nowhere")
    (tmp_path / CARD_FILE).write_text("{}")
    with pytest.raises(WeightsError, match=r"model.*safetensors missing"):
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


def test_modules_of_other_kinds_load_through_their_domain(tmp_path):
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3))
    save_weights(model, fields(model="own-build", labels=[]), tmp_path)
    again, card = load_model(tmp_path, build=lambda card: nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)))
    assert card.model == "own-build"
    assert torch.equal(again[0].weight, model[0].weight)
    with pytest.raises(WeightsError, match=r"unknown model 'own-build'.*through their domain, image_classification"):
        load_model(tmp_path)
