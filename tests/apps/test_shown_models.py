"""What the models page shows is what the library says: diagrams, costs, layers, results, times."""

import csv
import io
import re

import pytest
from driving import checked, html, opened, sent, table
from streamlit.testing.v1 import AppTest

from cnn_core.weights import list_weights, load_card
from views.models_parts.choose import title_of
from zoo.measuring import Measurement
from zoo.plans import survey, zoo_entries

NAMES = "lenet,resnet20"


def open_page(**address: str) -> AppTest:
    return opened("models", **{"model": NAMES, "size": "32", "dims": "2", **address})


def times(edges: tuple[int, ...] | None) -> str:
    return "" if edges is None else " × ".join(map(str, edges))


@pytest.fixture(scope="module")
def surveys() -> dict:
    return {name: survey(name, size=32, spatial_dims=2) for name in NAMES.split(",")}


def test_costs_stand_beside_their_network(surveys):
    page = open_page()
    sizes = {"lenet": ("32² × 1", "10"), "resnet20": ("32² × 3", "10")}
    assert [row[:8] for row in table(page, "The networks side by side")] == [
        [title_of(name), str(found.entry.year), *sizes[name], str(found.layers), f"{found.parameters:,}",
         f"{found.multiply_adds:,}", f"{found.sees[0]:,}"] for name, found in surveys.items()
    ]  # fmt: skip
    for name, found in surveys.items():
        said = html(page).split(f'data-model="{name}"')[1].split("</p>")[0]
        assert f"<b>{found.layers}</b> layers" in said and f"<b>{found.sees[0]}</b> pixels" in said
    assert "<b>61,706</b> parameters, <b>416,520</b> multiply-adds" in html(page)  # LeNet-5 with its last layer dense


@pytest.mark.parametrize("name", ["lenet", "resnet20"])
def test_layers_are_those_of_the_survey(surveys, name: str, downloads: dict):
    page = open_page(model=name)
    checked(page.toggle(key="models-every").set_value(True).run())
    found = surveys[name]
    rows = table(page, "Layers")
    assert len(rows) == len(found.rows) + 1
    for row, layer in zip(rows, found.rows, strict=False):
        channels, *edges = layer.output_shape
        size = f"{edges[0]}² × {channels}" if edges and edges[0] > 1 else f"{channels:,}"
        assert row[:3] == [layer.name.removeprefix("stages."), layer.kind, size]
        if layer.kernel is not None:
            assert row[3:5] == [times(layer.kernel), str(layer.stride[0])]
        assert (row[5], row[7]) == (f"{layer.parameters:,}", f"{layer.multiply_adds:,}")
        if layer.receptive_field:
            assert row[8] == str(int(-(-layer.receptive_field[0].size // 1)))
    assert (rows[-1][5], rows[-1][7]) == (f"{found.parameters:,}", f"{found.multiply_adds:,}")
    biggest = max(layer.multiply_adds for layer in found.rows)
    widths = re.findall(r'class="adds"><span style="width:([\d.]+)', html(page))
    assert [float(width) for width in widths] == [
        pytest.approx(100 * layer.multiply_adds / biggest, abs=0.06) for layer in found.rows
    ]
    lines = list(csv.DictReader(io.StringIO(downloads["Layers (CSV)"])))
    for line, layer in zip(lines, found.rows, strict=True):
        assert (line["layer"], line["parameters"]) == (layer.name, str(layer.parameters))
        assert line["multiply_adds"] == str(layer.multiply_adds)
        assert line["output"] == "x".join(map(str, layer.output_shape))


def test_a_plan_draws_every_layer_with_its_numbers(surveys):
    page = open_page()
    diagrams = sent(page, "network_diagram")[:2]
    for (name, found), diagram in zip(surveys.items(), diagrams, strict=True):
        assert f'aria-label="{title_of(name)}: {len(found.rows)} layers, from ' in diagram
        told = re.findall(r'<g class="box (\w+)"><title>(.*?)</title>', diagram, re.DOTALL)
        drawn = [layer for layer in found.rows if layer.multiply_adds]
        said = [text.split("\n") for kind, text in told if kind in ("conv", "dense")]
        assert [lines[0] for lines in said] == [f"{layer.name}: {layer.kind}" for layer in drawn]
        for lines, layer in zip(said, drawn, strict=True):
            assert f"{layer.parameters:,} parameters, {layer.multiply_adds:,} multiply-adds" in lines
            if layer.kernel:
                assert f"kernel {times(layer.kernel)}, stride {times(layer.stride)}" in lines
        heights = [float(h) for h in re.findall(r'<rect class="front" width="[\d.]+" height="([\d.]+)"', diagram)]
        assert heights[0] == pytest.approx(13.4 * 32**0.42, abs=0.06)  # the input's edge


def test_the_table_of_all_networks_is_that_of_their_surveys():
    known = zoo_entries()
    rows = table(opened("models", view="All networks"), "All networks")
    for row, (name, entry) in zip(rows, known.items(), strict=True):
        assert row[:2] == [str(entry.year), title_of(name)] and row[6] == entry.paper
    shown = {row[1]: row for row in rows}
    for name, parameters, multiply_adds in (  # torchvision's counts
        ("resnet18", "11.7 million", "1.8 billion"), ("vgg16", "138 million", "15.5 billion"),
        ("resnet50", "25.6 million", "4.1 billion"),
    ):  # fmt: skip
        found = survey(name)
        assert shown[title_of(name)][2:6] == ["224² × 3", str(found.layers), parameters, multiply_adds]


def test_what_was_reached_is_what_the_cards_say():
    cards = {card.command: card for card in (load_card(entry.folder) for entry in list_weights())}
    rows = table(opened("models", model="fastnet"), "Results of these networks")
    told = [row for row in rows if row[6] in cards]
    assert len(told) == sum(card.model == "fastnet" for card in cards.values()) > 3
    for row in told:
        card = cards[row[6]]
        name, metric = next(iter(card.metrics.items()))
        spread = f" ± {metric['std']:.4f}" if metric["std"] is not None else ""
        assert row[1:5] == [
            "FastNet", f"{metric['mean']:.4f}{spread} {name.replace('_', ' ')}", f"{metric['n']:,}",
            f"{card.parameters:,}",
        ]  # fmt: skip


def test_measured_times_and_memory_stand_beside_their_network(monkeypatch):
    measured = {
        name: Measurement(ms, ms / 2, 2 * ms, runs, batch=1, threads=2, memory=memory, torch="2.x")
        for name, ms, memory, runs in (("vgg11", 12.345, 3_400_000, 9), ("resnet20", 6.7, None, 11))
    }
    monkeypatch.setattr("zoo.measuring.measure", lambda _: measured)
    page = opened("models", model="vgg11,resnet20", size="48", dims="2")
    checked(page.button(key="models-measure").click().run())
    rows = table(page, "The networks side by side")
    assert [row[8:] for row in rows] == [["12.3 ms", "3 MB"], ["6.7 ms", ""]]
    assert "Median of 9 to 11 runs with a batch of 1 and 2 threads" in html(page)
