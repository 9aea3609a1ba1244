"""Names, options and what is refused before anything is built."""

import pytest

from cnn_core.errors import CnnError, UnknownNameError
from cnn_core.models import as_backbone, create_model, list_models, model_spec, register_model, registry


def test_an_unknown_name_answers_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownNameError, match="resnet18"):
        create_model("resnet-18")
    with pytest.raises(UnknownNameError, match="googlenet"):
        create_model("google_net")


def test_an_unknown_option_answers_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownNameError, match="base_channels"):
        create_model("vgg11", options={"base_chanels": 3})


def test_an_alias_is_the_same_model_and_is_not_listed_twice() -> None:
    assert model_spec("googlenet") is model_spec("inception")
    assert "inception" in list_models()
    assert "googlenet" not in list_models()


@pytest.mark.parametrize("name", ["lenet", "googlenet"])
def test_a_name_or_alias_can_be_registered_once(name: str) -> None:
    def build(in_channels: int, num_classes: int, *, spatial_dims: int) -> None:
        raise NotImplementedError

    build.__name__ = name
    with pytest.raises(ValueError, match="registered twice"):
        register_model(paper="", url="", year=2000, input_shape=(1, 1))(build)
    build.__name__ = "free"
    with pytest.raises(ValueError, match="registered twice"):
        register_model(paper="", url="", year=2000, input_shape=(1, 1), aliases=(name,))(build)
    assert "free" not in registry.MODELS


@pytest.mark.parametrize("number", [0, -3])
def test_numbers_below_one_are_refused(number: int) -> None:
    with pytest.raises(CnnError, match="num_classes"):
        create_model("lenet", num_classes=number)
    with pytest.raises(CnnError, match="in_channels"):
        create_model("lenet", in_channels=number)


@pytest.mark.parametrize("size", [None, (8,), (8, 0), (8, 8, 8)])
def test_dense_networks_need_a_size_of_as_many_numbers_as_axes(size: tuple[int, ...] | None) -> None:
    with pytest.raises(CnnError, match="input_size with 2"):
        create_model("mlp", input_size=size)


def test_four_dimensions_are_refused() -> None:
    with pytest.raises(CnnError, match="spatial_dims"):
        create_model("lenet", spatial_dims=4)


def test_options_are_those_of_the_builder() -> None:
    assert model_spec("mlp").options == {"hidden": (512, 512), "dropout": 0.2}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vgg11", {"base_channels": 0}),
        ("resnet20", {"base_channels": -1}),
        ("vgg11", {"base_channels": 4, "hidden": (0,)}),
        ("vgg11", {"base_channels": 4, "hidden": 16}),
        ("vgg11", {"base_channels": 4, "dropout": 1.5}),
        ("lenet", {"dropout": "much"}),
        ("lenet", {"channels": (6, 16, 20)}),
        ("mlp", {"hidden": (8, 0)}),
        ("inception", {"large_kernel": 4}),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_options_that_cannot_be_built_are_named(name: str, options: dict[str, object]) -> None:
    with pytest.raises(CnnError, match=r"cannot be built|odd|layers without weights"):
        create_model(name, input_size=(8, 8), options=options)


def test_a_network_without_stages_and_head_is_no_backbone() -> None:
    backbone = create_model("lenet", in_channels=1)
    assert as_backbone(backbone) is backbone
    with pytest.raises(CnnError, match="expected a network with stages and a head, got UNet"):
        as_backbone(create_model("unet", options={"widths": (2, 2)}))
