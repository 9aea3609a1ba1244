"""Same weights, same output as torchvision's networks; weights that do not fit are refused as a whole."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cnn_core.errors import WeightsError
from cnn_core.models import create_model, list_models, load_torchvision, model_spec
from cnn_core.models.torchvision_weights import torchvision_names

NARROW = {"alexnet": 1, "vgg11_bn": 0, "vgg13": 0}  # position of the first dense layer in the classifier
NAMES = ["googlenet" if name == "inception" else name for name in list_models() if model_spec(name).torchvision]


def theirs(name: str, *, num_classes: int = 1000, **options: bool) -> nn.Module:
    """torchvision's network with random weights and random normalisation statistics."""
    if name == "googlenet":
        options = {"aux_logits": False, **options}
    if not name.startswith(("resnet", "alexnet")):
        options["init_weights"] = False  # torch's own start: filling takes less time, and any weights will do
    model = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options).eval()
    randomise(model)
    return model


def theirs_narrow(name: str, *, num_classes: int) -> nn.Module:
    """torchvision's AlexNet or VGG with dense layers of 16 units, which are filled in no time."""
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None).eval()
        widths = iter([(model.classifier[NARROW[name]].in_features, 16), (16, 16), (16, num_classes)])
        for i, layer in enumerate(model.classifier):
            if isinstance(layer, nn.Linear):
                model.classifier[i] = nn.Linear(*next(widths))
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=(2 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1)
    randomise(model)
    return model


def randomise(model: nn.Module) -> None:
    """Give the normalisations statistics and weights as after a training."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.num_batches_tracked.fill_(7)


def difference(a: nn.Module, b: nn.Module, x: Tensor) -> float:
    with torch.inference_mode():
        expected = b(x)
        assert expected.std() > 1e-4  # an output that is constant would prove nothing
        return (a(x) - expected).abs().max().item()


@pytest.fixture(scope="module")
def resnet18() -> dict[str, Tensor]:
    """Weights of torchvision's resnet18 with 4 classes; nobody changes them."""
    return dict(theirs("resnet18", num_classes=4).state_dict())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "googlenet"])
def test_output_is_torchvisions(name: str) -> None:
    reference = theirs(name)
    with torch.device("meta"):  # torchvision has filled its own weights; ours would only be overwritten
        model = create_model(name)
    model.to_empty(device="cpu").eval()
    load_torchvision(model, reference.state_dict())
    assert difference(model, reference, torch.randn(1, 3, 75, 90)) < 1e-5


@pytest.mark.parametrize("name", NARROW)
def test_output_is_torchvisions_with_dense_layers(name: str) -> None:
    reference = theirs_narrow(name, num_classes=10)
    model = create_model(name, num_classes=10, options={"hidden": (16, 16)}).eval()
    load_torchvision(model, reference.state_dict())
    assert difference(model, reference, torch.randn(1, 3, 75, 90)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_output_is_torchvisions_for_every_name_at_224_pixels(name: str) -> None:
    reference = theirs(name)
    model = create_model(name).eval()
    load_torchvision(model, reference.state_dict())
    assert difference(model, reference, torch.randn(2, 3, 224, 224)) < 1e-5


@pytest.mark.parametrize("name", ["resnet34", "vgg16", "vgg19_bn", "googlenet"])
def test_every_parameter_has_its_counterpart(name: str) -> None:
    with torch.device("meta"):
        options = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
        expected = torchvision.models.get_model(name, weights=None, **options).state_dict()
        model = create_model(name, options={"aux_heads": True} if name == "googlenet" else {})
    names = torchvision_names(model)
    assert sorted(names.values()) == sorted(expected)
    assert all(model.state_dict()[ours].shape == expected[key].shape for ours, key in names.items())


def test_googlenet_with_auxiliary_heads_and_imagenets_normalisation() -> None:
    reference = theirs("googlenet", num_classes=5, aux_logits=True, transform_input=True)
    model = create_model(
        "googlenet", num_classes=5, options={"aux_heads": True, "transform_input": True, "dropout": 0.0}
    )
    load_torchvision(model, reference.state_dict())
    x = torch.randn(2, 3, 64, 64)
    assert difference(model.eval(), reference, x) < 1e-5
    with torch.inference_mode():
        maps = dict(zip(model.stages, model.forward_features(x), strict=True))
        expected = [reference(x), reference.aux1(maps["inception4a"]), reference.aux2(maps["inception4d"])]
        for ours, theirs_ in zip(model.forward_auxiliary(x), expected, strict=True):
            assert (ours - theirs_).abs().max() < 1e-5


def test_files_from_before_batches_were_counted_load(resnet18: dict[str, Tensor]) -> None:
    old = {key: value for key, value in resnet18.items() if "num_batches_tracked" not in key}
    model = create_model("resnet18", num_classes=4)
    load_torchvision(model, old)
    assert torch.equal(model.state_dict()["stages.stem.conv.weight"], resnet18["conv1.weight"])


def test_the_models_own_head_can_be_kept(resnet18: dict[str, Tensor]) -> None:
    weights = resnet18
    model = create_model("resnet18", num_classes=9)
    before = model.head.classifier.weight.clone()
    load_torchvision(model, weights, head=False)
    assert torch.equal(model.head.classifier.weight, before)
    assert torch.equal(next(iter(model.stages.parameters())), next(iter(weights.values())))


def test_missing_extra_misshaped_broken_and_foreign_entries_are_all_named_and_nothing_is_loaded(
    resnet18: dict[str, Tensor],
) -> None:
    weights = dict(resnet18)
    del weights["layer3.0.downsample.0.weight"]
    del weights["bn1.running_var"]
    weights["layer9.weight"] = torch.zeros(1)
    weights["layer1.0.conv1.weight"] = torch.zeros(64, 64, 1, 1)
    weights["layer2.0.bn1.bias"] = weights["layer2.0.bn1.bias"] * torch.nan
    weights["layer2.1.bn1.bias"] = [0.0]
    model = create_model("resnet18", num_classes=4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_torchvision(model, weights)
    message = str(caught.value)
    for part in (
        "missing bn1.running_var, layer3.0.downsample.0.weight", "unexpected layer9.weight",
        "layer1.0.conv1.weight expected [64, 64, 3, 3] got [64, 64, 1, 1]", "not finite layer2.0.bn1.bias",
        "not tensors with values layer2.1.bn1.bias",
    ):  # fmt: skip
        assert part in message
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_another_number_of_classes_says_what_to_do(resnet18: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"4 classes and the model 9.*num_classes=4.*head=False"):
        load_torchvision(create_model("resnet18", num_classes=9), resnet18)


def test_auxiliary_heads_in_the_file_only_are_left_out_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    reference = theirs("googlenet", num_classes=4, aux_logits=True)
    model = create_model("googlenet", num_classes=4).eval()
    with caplog.at_level("INFO"):
        load_torchvision(model, reference.state_dict())
    assert "20 tensors of auxiliary heads are left out" in caplog.text
    assert difference(model, reference, torch.randn(1, 3, 64, 64)) < 1e-5


def test_weights_of_another_network_are_refused(resnet18: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        model = create_model("resnet34", num_classes=4)
    with pytest.raises(WeightsError, match=r"missing .*layer3\.5\.conv2\.weight"):
        load_torchvision(model, resnet18)
    with pytest.raises(WeightsError, match=r"missing conv1\.weight.*unexpected features\.0\.weight"):
        load_torchvision(model, {"features.0.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="state dict"):
        load_torchvision(model, [torch.zeros(1)])


def test_weights_without_values_are_refused() -> None:
    with torch.device("meta"):
        model = create_model("resnet18", num_classes=4)
        weights = torchvision.models.resnet18(num_classes=4).state_dict()
    with pytest.raises(WeightsError, match=r"not tensors with values conv1\.weight"):
        load_torchvision(model, weights)


@pytest.mark.parametrize(("name", "spatial_dims"), [("resnet20", 2), ("lenet", 2), ("fastnet", 2), ("resnet18", 3)])
def test_networks_that_torchvision_does_not_have_are_refused(name: str, spatial_dims: int) -> None:
    with torch.device("meta"):
        model = create_model(name, spatial_dims=spatial_dims)
    with pytest.raises(WeightsError, match="no counterpart"):
        load_torchvision(model, {})


def test_in_channels_of_the_file_must_be_those_of_the_model(resnet18: dict[str, Tensor]) -> None:
    model = create_model("resnet18", in_channels=1, num_classes=4)
    with pytest.raises(WeightsError, match=r"conv1\.weight expected \[64, 1, 7, 7\] got \[64, 3, 7, 7\]"):
        load_torchvision(model, resnet18)
