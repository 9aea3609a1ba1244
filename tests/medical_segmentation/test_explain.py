"""The picture of where a mask is uncertain."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from cnn_core.cli import main
from cnn_core.errors import UnknownNameError
from medical_segmentation import load
from medical_segmentation.phantom import save_phantom


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    save_phantom(40, folder / "scan.nii.gz", folder / "mask.nii.gz")
    return folder / "scan.nii.gz"


def test_the_slice_with_the_most_heat_is_shown(scan: Path, tmp_path: Path) -> None:
    predictor = load("phantom", device="cpu")
    for method, words in (
        ("entropy", "where the labels are uncertain"),
        ("foreground", "the probability of any label"),
    ):
        found = predictor.explain(str(scan), method=method)
        heat = predictor.predict(str(scan), maps=(method,)).maps[method]
        number = int(np.asarray(heat, dtype=np.float64).sum((0, 1)).argmax()) + 1
        assert found.sentence.startswith(words) and f" in slice {number} of {heat.shape[2]} " in found.sentence
    assert found.save(tmp_path / "heat.png") == f"{tmp_path / 'heat.png'}: {found.sentence}"
    pixels = np.asarray(Image.open(tmp_path / "heat.png").convert("RGB"), dtype=int)
    assert (pixels.max(2) - pixels.min(2)).max() > 60  # coloured heat over a grey scan


def test_methods_are_those_of_masks(scan: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown method 'grad-cam'; .*entropy"):
        load("phantom", device="cpu").explain(str(scan), method="grad-cam")


def test_the_command_writes_it(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "phantom", str(scan), "--output", str(tmp_path / "a.png"), "--device", "cpu"]) == 0
    assert "where the labels are uncertain (entropy) in slice" in capsys.readouterr().out
    assert Image.open(tmp_path / "a.png").size[0] > 10


def test_a_volume_or_series_is_explained_as_it_is_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(-1000, 900, (20, 24, 6, 3)).astype(np.int16)
    whole, one = tmp_path / "four.nii.gz", tmp_path / "one.nii.gz"
    nib.save(nib.Nifti1Image(noise, np.eye(4)), whole)
    nib.save(nib.Nifti1Image(noise[..., 2], np.eye(4)), one)
    assert main(["explain", "phantom", str(whole), "--volume", "2", "--output", str(tmp_path / "a.png")]) == 0
    assert main(["explain", "phantom", str(one), "--output", str(tmp_path / "b.png")]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert main(["explain", "phantom", str(one), "--series", "9", "--output", str(tmp_path / "c.png")]) == 1
    assert main(["explain", "digits", str(one), "--volume", "2", "--output", str(tmp_path / "d.png")]) == 1
    said = capsys.readouterr().err
    assert "series" in said and "--volume is not for the weights digits: their inputs hold one volume each" in said
