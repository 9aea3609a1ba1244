"""COCO's detectors of torchvision by name: downloaded once, and the boxes that torchvision itself finds."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from loopback import served
from made_boxes import as_coco, squares
from PIL import Image
from torch import nn
from torchvision.models import get_model, get_model_weights
from torchvision.transforms.v2.functional import to_dtype, to_image

from cnn_core.cli import main
from cnn_core.errors import CnnError, UnknownNameError, WeightsError
from cnn_core.weights import find_weights, load_card
from object_detection import load
from object_detection.explain import covered
from object_detection.published import FROZEN, _built, _without_masks, fetch_torchvision, torchvision_names

SMALL = "ssdlite320_mobilenet_v3_large"
NAMES = ["fasterrcnn_mobilenet_v3_large_320_fpn", SMALL]


def photos(folder: Path) -> list[Path]:
    """Two pictures of different shapes with something in them."""
    random, files = np.random.RandomState(0), []
    for number, size in enumerate(((300, 200), (90, 160))):
        noise = Image.fromarray(random.randint(0, 256, (size[1] // 10, size[0] // 10, 3)).astype(np.uint8))
        files.append(folder / f"photo-{number}.png")
        noise.resize(size).save(files[-1])
    return files


@cache
def random_weights(name: str) -> dict[str, torch.Tensor]:
    """Weights of the right shapes, with measured statistics of normalisation, and some boxes that are sure."""
    torch.manual_seed(0)
    model = get_model(name, weights=None, weights_backbone=None).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            module.train()
    with torch.no_grad():
        model([torch.rand(3, 20, 30).repeat_interleave(10, 1).repeat_interleave(10, 2) for _ in range(2)])
        for module in model.modules():
            if isinstance(module, nn.Linear) and module.out_features == 91:
                module.weight.mul_(30)
            elif isinstance(module, nn.Conv2d) and module.groups == 1 and module.out_channels % 91 == 0:
                module.weight.mul_(8)
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has downloaded nothing yet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def offered(machine: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A network whose weights are served from this machine."""
    name = getattr(request, "param", SMALL)
    (machine / "served").mkdir()
    torch.save(random_weights(name), machine / "weights.pth")
    file = f"{name}-{hashlib.sha256((machine / 'weights.pth').read_bytes()).hexdigest()[:8]}.pth"
    (machine / "weights.pth").rename(machine / "served" / file)
    with served(machine / "served") as address:
        monkeypatch.setattr(get_model_weights(name).DEFAULT.value, "url", f"{address}/{file}")
        yield name


@pytest.mark.parametrize("offered", NAMES, indirect=True)
def test_the_boxes_are_those_of_torchvision(offered: str, machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = photos(machine)
    assert (
        main(["predict", f"torchvision:{offered}", *map(str, files), "--json", "--output", str(machine / "out")]) == 0
    )
    captured = capsys.readouterr()
    assert "Downloading" in captured.err
    items = json.loads(captured.out)["items"]
    entry = get_model_weights(offered).DEFAULT
    theirs = get_model(offered, weights=entry).eval()  # torchvision's own way, of the same file
    names = entry.meta["categories"]
    predictor = load(f"torchvision:{offered}", device="cpu")
    everything = predictor.predict(files, threshold=0.0)
    sure = 0
    for file, item, whole in zip(files, items, everything, strict=True):
        picture = Image.open(file).convert("RGB")
        with torch.inference_mode():
            answer = theirs([to_dtype(to_image(picture), torch.float32, scale=True)])[0]
        real = [
            (names[k], score, box)
            for k, score, box in zip(*(answer[key].tolist() for key in ("labels", "scores", "boxes")), strict=True)
            if names[k] != "N/A"
        ]
        assert [box.label for box in whole.boxes] == [label for label, *_ in real]
        assert np.allclose([box.score for box in whole.boxes], [score for _, score, _ in real], atol=1e-5)
        assert np.allclose([box.box for box in whole.boxes], [box for *_, box in real], atol=1e-3)
        shown = [entry for entry in real if entry[1] >= 0.5]
        assert item["size"] == list(picture.size) and item["threshold"] == 0.5
        assert [box["label"] for box in item["boxes"]] == [label for label, *_ in shown]
        assert item["counts"] == {label: sum(s[0] == label for s in shown) for label in item["counts"]}
        sure += len(shown)
    assert 0 < sure < sum(len(whole.boxes) for whole in everything)
    table = (machine / "out" / "boxes.csv").read_text().splitlines()
    assert len(table) == 1 + sum(max(1, len(item["boxes"])) for item in items)
    assert len(json.loads((machine / "out" / "boxes.coco.json").read_text())["categories"]) == 80


def test_they_are_downloaded_once_and_measured_on_boxes_of_ones_own(
    offered: str, machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"torchvision:{offered}"
    predictor = load(name, device="cpu")
    assert (len(predictor.labels), predictor.labels[0], predictor.labels[-1]) == (80, "person", "toothbrush")
    assert not {"N/A", "__background__"} & {*predictor.labels}
    assert "21.3 %" in predictor.card.limits[0] and predictor.contract.overlap == 0.55  # of torchvision's ssdlite
    for file in (machine / "served").iterdir():
        file.unlink()
    assert load(name, device="cpu").card == predictor.card
    folder = as_coco(machine / "own", squares(3))
    table = json.loads((folder / "boxes.json").read_text())
    for category, label in zip(table["categories"], ("cat", "dog"), strict=True):
        category["name"] = label
    (folder / "boxes.json").write_text(json.dumps(table))
    assert main(["eval", name, "--data", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["n"] == 3
    assert main(["eval", name]) == 1
    assert "was trained elsewhere; say what to measure it on with --data" in capsys.readouterr().err
    picture = photos(machine)[0]
    boxes = predictor.predict(picture, threshold=0.0)[0].boxes
    assert covered(predictor, picture, (0, 0, 300, 200), box=boxes[0]) < boxes[0].score
    with pytest.raises(CnnError, match="a network of torchvision, whose boxes cannot be traced"):
        predictor.explain(picture)
    assert main(["export", name, "--output", str(machine / "onnx")]) == 1
    assert "export detectors that were trained here" in capsys.readouterr().err


def test_a_huge_picture_is_made_smaller_and_its_boxes_are_in_its_own_pixels(offered: str, machine: Path) -> None:
    predictor = load(f"torchvision:{offered}", device="cpu")
    picture = Image.open(photos(machine)[0])
    large = picture.resize((6000, 1000), Image.Resampling.NEAREST)
    view, placement = predictor.contract.fit(large)
    assert tuple(view.shape) == (3, 667, 4000) and placement.box == (0, 0, 6000, 1000)
    found = predictor.predict(large, threshold=0.0)[0]
    assert found.size == (6000, 1000) and max(box.box[2] for box in found.boxes) > 4500
    one = predictor.predict(Image.new("L", (1, 1)))[0]
    assert one.error is None and one.size == (1, 1)


def test_a_card_that_was_changed_is_refused(offered: str) -> None:
    folder = fetch_torchvision(offered)
    card = json.loads((folder / "card.json").read_text())
    for change, words in (
        ({"model": "torchvision.resnet18"}, "torchvision has no resnet18"),
        ({"arguments": {**card["arguments"], "options": {"outputs": 10**9}}}, "do not fit"),
        ({"arguments": {**card["arguments"], "options": {"outputs": 40}}}, "not those of its labels"),
        ({"input": {**card["input"], "classes": [1, 2]}}, "not those of its labels"),
    ):
        (folder / "card.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(WeightsError, match=words):
            load(f"torchvision:{offered}", device="cpu")


def test_a_download_that_fails_or_is_another_file_says_what_to_do(
    offered: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = get_model_weights(offered).DEFAULT.value
    file = next((machine / "served").iterdir())
    file.write_bytes(file.read_bytes()[:-10] + b"0123456789")
    with pytest.raises(WeightsError, match=r"could not be downloaded.*hash.*need a connection once"):
        load(f"torchvision:{offered}", device="cpu")
    monkeypatch.setattr(entry, "url", "http://127.0.0.1:9/x-00000000.pth")
    with pytest.raises(WeightsError, match=r"could not be downloaded.*x-00000000\.pth in torch's folder"):
        load(f"torchvision:{offered}", device="cpu")
    assert not (machine / "data").exists()


def test_a_name_that_is_no_classifier_and_no_detector_is_refused(machine: Path) -> None:
    assert torchvision_names() == sorted(torchvision.models.list_models(module=torchvision.models.detection))
    with pytest.raises(UnknownNameError, match=r"'ssdlite320_mobilenet'; did you mean ssdlite320_mobilenet_v3_large"):
        find_weights("torchvision:ssdlite320_mobilenet")
    with pytest.raises(UnknownNameError, match="did you mean resnet18"):
        load_card("torchvision:resnet81")
    with pytest.raises(UnknownNameError, match="did you mean ssd300_vgg16"):
        load("torchvision:ssd300_vgg19")


@pytest.mark.parametrize("name", torchvision_names())
def test_every_network_is_built_as_torchvision_builds_it_for_its_weights(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = get_model_weights(name).DEFAULT
    outputs = len(entry.meta["categories"])
    with torch.device("meta"):
        state = get_model(name, weights=None, weights_backbone=None, num_classes=outputs).state_dict()
        monkeypatch.setattr(type(entry), "get_state_dict", lambda *_, **__: state)
        theirs = get_model(name, weights=entry).eval()
    ours = _built(name, outputs)

    def norms(model: nn.Module) -> list[tuple[str, str, float]]:
        return [(key, type(part).__name__, part.eps) for key, part in model.named_modules() if hasattr(part, "eps")]

    assert norms(ours) == norms(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert not any("mask" in key or "keypoint" in key for key in _without_masks(ours).state_dict())
    assert name in FROZEN or not any(kind == "FrozenBatchNorm2d" for _, kind, _ in norms(theirs))
