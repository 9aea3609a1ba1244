"""Surveys against the papers' own figures, and measurements against what is certain."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from cnn_core.errors import CnnError, UnknownNameError
from cnn_core.models import list_models
from cnn_core.processes import environment
from zoo.measuring import free_memory, measure
from zoo.plans import survey, zoo_entries


# Depths as the papers and the names count them; parameters from torchvision's tables and Ronneberger's figure 1.
@pytest.mark.parametrize(
    ("name", "layers", "parameters"),
    [
        ("lenet", 5, 61_706),
        ("alexnet", 8, 61_100_840),
        ("vgg16", 16, 138_357_544),
        ("inception", 22, 6_624_904),
        ("resnet18", 18, 11_689_512),
        ("resnet50", 50, 25_557_032),
        ("resnet56", 56, 853_018),
        ("unet", 23, 31_035_586),
    ],
)
def test_depth_and_parameters_are_those_of_the_papers(name: str, layers: int, parameters: int):
    found = survey(name)
    assert (found.layers, found.parameters) == (layers, parameters)


def test_all_registered_networks_and_the_u_net_are_there_oldest_first():
    entries = zoo_entries()
    assert set(entries) == {*list_models(), "unet"}
    years = [entry.year for entry in entries.values()]
    assert years == sorted(years)
    names = list(entries)
    assert names.index("resnet18") < names.index("resnet20") < names.index("resnet56")


def test_size_and_axes_change_the_survey():
    small, volume = survey("resnet18", size=112), survey("resnet18", size=32, spatial_dims=3)
    assert survey("resnet18").multiply_adds > 3.7 * small.multiply_adds  # a quarter of the cells; 7 become 4, not 3.5
    assert small.parameters == survey("resnet18").parameters
    # A kernel of 3 x 3 becomes 3 x 3 x 3: layer1 has four convolutions of 64 to 64 channels.
    layer1 = [r for r in volume.rows if r.name.startswith("stages.layer1") and r.kind == "Conv3d"]
    assert sum(row.parameters for row in layer1) == 4 * 64 * 64 * 27
    assert volume.input_shape == (3, 32, 32, 32)
    assert survey("unet", size=64).output_shape == (2, 64, 64)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("vgg16", {"size": 8}, "at least 32 pixels"),
        ("char_cnn", {"spatial_dims": 3}, "spatial_dims"),
        ("resnet18", {"size": 0}, "expected an input of 1"),
        ("resnet18", {"size": 4000, "spatial_dims": 3}, "choose another size"),
        ("lenet", {"size": 5000}, None),
    ],
)
def test_what_a_network_refuses_is_a_sentence(name: str, arguments: dict[str, int], words: str | None):
    if words is None:
        assert survey(name, **arguments).input_shape == (1, 5000, 5000)
        return
    with pytest.raises(CnnError, match=words):
        survey(name, **arguments)


def test_an_unknown_name_has_near_ones():
    with pytest.raises(UnknownNameError, match="resnet18"):
        survey("resnet19")


def test_measurements_say_how_they_were_made_and_failures_why():
    found = survey("resnet18", size=64)
    too_small = replace(survey("vgg11", size=64), input_shape=(3, 8, 8))
    results = measure([found, too_small])
    result = results["resnet18"]
    assert 0 < result.fastest <= result.milliseconds <= result.slowest
    assert result.runs >= 5
    assert (result.batch, result.threads) == (1, 1)  # the tests run with one thread
    if result.memory is not None:  # at least the weights, which are float32
        assert 4 * found.parameters * 0.9 < result.memory < 40 * found.parameters
    assert "at least 32 pixels" in results["vgg11"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="networks have no processes of their own here")
@pytest.mark.parametrize(
    ("end", "words"), [("os.kill(os.getpid(), 9)", "not enough memory"), ("os._exit(3)", "ended with code 3")]
)
def test_a_process_that_ends_without_figures_says_how_and_the_next_is_measured(end: str, words: str):
    """The measuring of alexnet ends in the middle, as the system ends it."""
    program = f"""
import os
import sys
from zoo import measuring
whole = measuring._measure_here
measuring._measure_here = lambda name, shape: {end} if name == "alexnet" else whole(name, shape)
sys.argv[1] = '{{"alexnet": [3, 64, 64], "lenet": [1, 32, 32]}}'
measuring.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, ""], env=environment(), capture_output=True, text=True, check=True
    )
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["name"] == "alexnet" and words in first["problem"]
    assert second["name"] == "lenet" and second["figures"]["fastest"] > 0


def test_what_would_take_too_long_or_too_much_is_not_begun():
    found = survey("vgg16", size=224, spatial_dims=3)
    assert "billion multiply-adds" in measure([found])["vgg16"]
    if free_memory() is None:
        pytest.skip("this system does not say how much memory is free")
    assert "are free" in measure([replace(survey("mlp"), parameters=10**12)])["mlp"]
