"""Every control of the models page, driven as a browser would drive it."""

import re
from types import SimpleNamespace

import pytest
import torch
from driving import address, checked, html, opened, warnings
from streamlit.testing.v1 import AppTest

from cnn_core.cli.training import with_flags
from cnn_core.domains import load_domain, recipe_files
from cnn_core.models import create_model, list_models
from cnn_core.train.config import read_recipe
from components.diagram_layers import shape_text
from components.network_diagram import draw
from jobs.commands import training_command
from views.models_parts.look import amount, layers_csv, survey
from views.models_parts.reached import data_of

pytestmark = pytest.mark.usefixtures("in_workplace")


def open_page(**address: str) -> AppTest:
    return opened("models", **address)


def test_it_opens_with_a_network_drawn_and_its_published_figures():
    page = open_page()
    assert page.title[0].value == "How the networks are built"
    text = html(page)
    assert "https://arxiv.org/abs/1512.03385" in text
    assert "11,689,512" in text
    assert "1,814,073,344" in text
    assert not warnings(page)
    assert address(page) == {}


def test_another_size_changes_the_figures_and_the_address():
    page = checked(open_page().number_input(key="models-size").set_value(112).run())
    assert "485,359,616" in html(page)
    assert "11,689,512" in html(page)
    assert address(page) == {"model": "resnet18", "size": "112", "dims": "2"}
    again = open_page(**address(page))
    assert again.number_input(key="models-size").value == 112


def test_a_network_of_before_is_forgotten_with_its_page():
    """Streamlit drops what widgets hold when another page is opened, and keeps what the page wrote down itself."""
    page = opened("models", {"models-first": (32, 2)})
    assert page.number_input(key="models-size").value == 224
    checked(page.multiselect(key="models-names").set_value(["lenet"]).run())
    assert page.number_input(key="models-size").value == 32


def test_three_axes_change_the_kernels():
    page = open_page(model="resnet18", size="32", dims="3")
    assert "32³ × 3" in html(page)
    assert "3 × 3 × 3" in html(page)


def test_four_networks_stand_side_by_side():
    page = open_page(model="lenet,vgg11,resnet20,fastnet", size="32")
    assert [part.value for part in page.subheader] == ["LeNet-5", "VGG-11", "ResNet-20", "FastNet"]
    assert page.segmented_control(key="models-of-lenet-vgg11-resnet20-fastnet").value == "lenet"
    checked(page.segmented_control(key="models-of-lenet-vgg11-resnet20-fastnet").set_value("resnet20").run())
    assert "layer3.2.conv2.conv" in html(page)


def test_the_paper_s_input_follows_the_first_network_until_it_is_changed():
    page = open_page()
    checked(page.multiselect(key="models-names").set_value(["char_cnn"]).run())
    assert page.number_input(key="models-size").value == 1014
    assert page.segmented_control(key="models-dims").value == 1
    checked(page.number_input(key="models-size").set_value(500).run())
    checked(page.multiselect(key="models-names").set_value(["resnet18"]).run())
    assert page.number_input(key="models-size").value == 500


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"model": "vgg16", "size": "8"}, "at least 32 pixels"),
        ({"model": "char_cnn", "dims": "3"}, "defined for spatial\\_dims"),
        ({"model": "resnet18", "size": "4096", "dims": "3"}, "choose another size"),
        ({"model": "resnet19"}, "did you mean"),
    ],
)
def test_what_cannot_be_is_the_library_s_sentence(asked, words):
    page = open_page(**asked)
    (warning,) = warnings(page)
    assert words in warning
    if asked["model"] != "resnet19":
        assert not page.dataframe


def test_one_that_refuses_leaves_the_others():
    page = open_page(model="vgg16,resnet20", size="16")
    assert len(warnings(page)) == 1
    assert "269,722" in html(page)


@pytest.mark.parametrize("asked", [{"size": "x"}, {"size": "-5"}, {"size": "9" * 12}, {"dims": "7"}, {"model": ","}])
def test_nonsense_in_the_address_falls_back(asked):
    page = open_page(**asked)
    assert page.number_input(key="models-size").value == 224
    assert page.segmented_control(key="models-dims").value in (2, 3)


def test_no_network_is_a_sentence():
    page = checked(open_page().multiselect(key="models-names").set_value([]).run())
    assert "Choose a network" in html(page)


def test_weights_and_runs_of_a_network_are_listed_by_data_set():
    text = html(open_page(model="fastnet"))
    rows = re.findall(r'<td class="short">([^<]*)</td><td class="short">FastNet</td>', text)
    assert rows == sorted(rows)
    assert {"mnist", "cifar10", "digits", "shapes.zip"} <= set(rows)  # shipped, and the runs of the workplace
    assert "cnn train cifar10" in text
    assert "There are no weights of VGG-11 yet" in html(open_page(model="vgg11"))


@pytest.mark.parametrize("name", list_models())
def test_the_command_shown_trains_this_network(name: str):
    """The recipe takes the flags, and the network exists for inputs of the size that it gives."""
    _, _, asked, *flags = training_command(name).split()
    domain, file = recipe_files()[asked]
    options = SimpleNamespace(help=False, model_options=[])
    recipe = with_flags(read_recipe(load_domain(domain).DOMAIN.recipe, file), flags, options, prog="cnn train")
    assert recipe.model.model == name
    edges = {"trec": 64, "cifar10": 32, "digits": 8, "phantom": 96}  # tokens or pixels, where no flag says it
    edge = getattr(recipe.data, "length", None) or getattr(recipe.data, "size", None) or edges[asked]
    dims = {"text_classification": 1, "image_classification": 2, "medical_segmentation": 3}[domain]
    with torch.device("meta"):
        model = create_model(name, spatial_dims=dims, in_channels=3, num_classes=6, input_size=(edge,) * dims)
        assert edge >= getattr(model, "minimum_size", 1)
        assert model(torch.zeros(2, 3, *(edge,) * dims)).shape[:2] == (2, 6)


def test_all_networks_are_in_one_table():
    text = html(open_page(view="All networks"))
    assert "models?model=dpcnn&amp;size=128&amp;dims=1" in text
    assert len(re.findall(r'href="models\?model=', text)) == len(list_models()) + 1  # and the U-Net
    assert "138 million" in text


def test_a_click_measures_and_the_next_session_finds_it():
    page = open_page(model="lenet", size="32")
    checked(page.button(key="models-measure").click().run())
    assert re.search(r"\d\.\d ms", html(page))
    assert "batch of 1 and 1 thread of" in html(page)
    again = open_page(model="lenet", size="32")
    assert re.search(r"\d\.\d ms", html(again))
    assert "models-measure" not in [button.key for button in again.button]


def test_a_plan_shows_every_convolution_and_is_called_what_it_is():
    found = survey("resnet18")
    svg = draw(found, title="ResNet-<18>")
    assert (
        svg.count('class="box conv"') == 17 + 3
    )  # ResNet paper, table 1, and the three shortcuts that change the shape
    assert "ResNet-&lt;18&gt;: 61 layers, from 224² × 3 to 1,000" in svg
    assert svg.count('class="short') == 8


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", ["mlp", "kim_cnn", "dpcnn", "resnet20", "unet"])
def test_networks_can_be_drawn_in_every_dimension(name: str, dims: int):
    svg = draw(survey(name, size=32, dims=dims), title=name)
    assert "nan" not in svg
    assert svg.count("<g") == svg.count("</g>")
    assert ('class="side"' in svg) == (dims > 1)  # a sequence has no depth


def test_numbers_in_words():
    assert [amount(n) for n in (999, 11_689_512, 1_814_073_344, 249_000_000)] == [
        "999", "11.7 million", "1.8 billion", "249 million",
    ]  # fmt: skip
    assert [shape_text(s) for s in ((10,), (300, 64), (3, 8, 8), (3, 8, 9), (3, 8, 8, 8), (512, 1, 1))] == [
        "10", "64 × 300", "8² × 3", "8 × 9 × 3", "8³ × 3", "512",
    ]  # fmt: skip


def test_the_table_of_layers_for_a_spreadsheet():
    lines = layers_csv(survey("lenet")).splitlines()
    assert lines[0].startswith("layer,kind,output,kernel")
    assert "stages.conv2.conv,Conv2d,16x10x10,5x5,1x1,0x0,2416,240000,14" in lines


def test_a_card_without_data_is_no_reason_to_fail():
    from dataclasses import replace

    from components.networks import networks

    card = networks("image_classification")["mnist"].card
    assert data_of(replace(card, recipe={})) == ""
