"""Your own photos: the default recipe against fastai's introduction, on the photos of clothes.

fastai lives in an environment of its own under build/, made on the first run (it needs a package registry then). It is
given one way after the other, from the fastest to the slowest, until it is as accurate as ours less one standard error
of the test set; where none is, the most accurate one counts.
"""

import json
import subprocess
from pathlib import Path
from time import perf_counter

import pytest
import torch
from peers import peer_python
from record import ratio

from cnn_core.data.files import data_root
from cnn_core.models import create_model
from cnn_core.models.imagenet import load_imagenet, weights_file
from image_classification.domain import train


@pytest.fixture(scope="module")
def fastai_python() -> Path:
    return peer_python("fastai", "fastai", "timm", torch_too=True)


@pytest.mark.benchmark
@pytest.mark.timeout(3 * 3600)  # on one slow core fastai takes longer than an hour
def test_photos_against_fastai(fastai_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_root() / "clothing"
    if not folder.is_dir():
        pytest.skip(f"needs the photos of clothes in {folder} (CNN_DATA_DIR)")
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))  # no features of an earlier run
    begun = perf_counter()
    outcome = train("photos", folder=tmp_path / "run", settings={"data": str(folder), "device": "cpu"})
    figure = outcome.card.metrics["accuracy"]
    ours, accuracy, n = perf_counter() - begun, figure["mean"], figure["n"]  # with reading, and with the test
    command = [fastai_python, Path(__file__).with_name("fastai_photos.py"), folder, weights_file(),
               str(torch.get_num_threads())]  # fmt: skip
    tried = []
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            row = json.loads(line)
            if "probe" in row:
                torch.testing.assert_close(torch.tensor(row["probe"]), probe(), atol=1e-3, rtol=1e-3)
                continue
            tried.append(row)
            print(f"\nfastai, {row['way']}, {row['epochs']} epochs: {row['accuracy']:.3f} in {row['seconds']:.0f} s")
            if row["accuracy"] >= accuracy - (accuracy * (1 - accuracy) / n) ** 0.5:
                process.kill()
                break
    assert tried
    best = max(tried, key=lambda row: row["accuracy"])
    said = "; ".join(f"{r['way']} {r['epochs']}: {r['accuracy']:.3f} in {r['seconds']:.0f} s" for r in tried)
    ratio(
        "photos", f"own photos: 3,068 of clothes, to a test accuracy of {accuracy:.3f}", ours=[ours],
        theirs=[best["seconds"]], peer=f"fastai, the same ImageNet features ({best['way']}, {best['epochs']} epochs)",
        wanted=3, held=1.5, right=f"test accuracies {accuracy:.3f} and {best['accuracy']:.3f}, n {n}", note=said,
    )  # fmt: skip
    assert accuracy >= 0.9


@torch.inference_mode()
def probe() -> torch.Tensor:
    """Return the first scores that our network gives a picture which the other one is given too."""
    model = create_model("efficientnet_lite0").eval()
    load_imagenet(model)
    return model(torch.linspace(-1, 1, 3 * 224 * 224).view(1, 3, 224, 224))[0, :5]
