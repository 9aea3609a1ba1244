"""MONAI's bundles, made on the spot in the official layout and served from this machine."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from loopback import served
from made_bundle import INFERENCE, METADATA, NETWORK, write_bundle
from made_sets import write_set
from monai.networks.nets import SegResNet

from cnn_core.cli import main
from cnn_core.errors import CnnError, WeightsError
from medical_segmentation import evaluate_weights, load
from medical_segmentation.bundles import fetch_bundle
from medical_segmentation.scan import read_scan


class Pickled(torch.nn.Module):
    """A module whose pickle is code."""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An unpacked bundle whose network answers by brightness, through one pair of weights that is not zero."""
    folder = tmp_path / "zoo" / "two_organs"
    torch.manual_seed(0)
    network = SegResNet(**{key: value for key, value in NETWORK.items() if key != "_target_"})
    return write_bundle(folder, network, INFERENCE, METADATA)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A scan of 30 x 20 x 24 voxels of 1.5 x 2.5 x 3 mm that is not in RAS order."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(0, 60, (30, 20, 24)).astype(np.int16)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1.5, 2.5, 3.0, 1.0])), path)
    return path


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))


def by_monai_alone(bundle: Path, scan: Path) -> np.ndarray:
    """Return the mask that MONAI's own workflow writes, on the file's grid."""
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["device"] = torch.device("cpu")
    parser["postprocessing#transforms"] = parser["postprocessing#transforms"][:-1]  # without SaveImaged
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    data = parser.get_parsed_content("preprocessing")({"image": str(scan)})
    with torch.inference_mode():
        data["pred"] = parser.get_parsed_content("inferer")(inputs=data["image"][None], network=network)[0]
        return parser.get_parsed_content("postprocessing")(data)["pred"][0].numpy()


def test_the_mask_is_that_of_the_bundles_own_workflow_on_the_files_own_grid(
    bundle: Path, scan: Path, tmp_path: Path
) -> None:
    assert main(["predict", f"monai:{bundle}", str(scan), "--output", str(tmp_path / "out")]) == 0
    written = nibabel.load(tmp_path / "out" / "scan_mask.nii.gz")
    expected = by_monai_alone(bundle, scan)
    assert written.shape == (30, 20, 24)
    assert np.allclose(written.affine, nibabel.load(scan).affine)
    assert len(np.unique(expected)) > 1
    assert (np.asarray(written.dataobj) == expected).mean() > 0.999
    item = json.loads((tmp_path / "out" / "predictions.json").read_text())["items"][0]
    voxel = 1.5 * 2.5 * 3 / 1000
    counts = {name: round(float((np.asarray(written.dataobj) == k).sum() * voxel), 3)
              for k, name in ((1, "liver"), (2, "spleen"))}  # fmt: skip
    assert item["volumes_ml"] == counts


def test_a_bundle_labels_nothing_in_gaps_between_slices(bundle: Path, scan: Path) -> None:
    predictor = load(f"monai:{bundle}", device="cpu")
    whole = predictor.predict(read := read_scan(scan))
    covered = np.ones((1, 1, 24), bool)
    covered[..., 5:9] = False
    gaps = predictor.predict(replace(read, covered=covered))
    assert whole.mask[..., 5:9].any() and not gaps.mask[..., 5:9].any()
    assert (gaps.mask == whole.mask * covered).all()


def test_a_bundle_is_downloaded_once(
    bundle: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.make_archive(str(tmp_path / "served" / "two_organs_v0.1.0"), "zip", bundle.parent)
    with served(tmp_path / "served") as address:
        monkeypatch.setattr(
            "monai.bundle.scripts._get_git_release_url", lambda *_, filename, **__: f"{address}/{filename}"
        )
        assert main(["predict", "monai:two_organs@0.1.0", str(scan), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["predict", "monai:two_organs@0.1.0", str(scan), "--json"]) == 0  # nobody serves it any more
    assert json.loads(capsys.readouterr().out)["items"] == first["items"]
    card = load("monai:two_organs@0.1.0", device="cpu").card
    assert card.labels == ["background", "liver", "spleen"]
    assert "A bundle for tests" in card.limits[0]


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai.bundle.scripts._get_git_release_url", lambda *_, **__: "http://127.0.0.1:9/x.zip")
    with pytest.raises(WeightsError, match=r"two_organs could not be downloaded.*or an unpacked bundle"):
        fetch_bundle("two_organs@0.1.0")


def test_what_cannot_be_run_is_said(bundle: Path, tmp_path: Path) -> None:
    def refused(said: str) -> None:
        with pytest.raises(WeightsError, match=said):
            fetch_bundle(str(bundle))
        assert not [*(tmp_path / "data").rglob("card.json")]

    several = json.loads(json.dumps(METADATA))
    several["network_data_format"]["inputs"]["image"]["num_channels"] = 4
    (bundle / "configs" / "metadata.json").write_text(json.dumps(several))
    refused("takes 4 images at once")
    (bundle / "configs" / "metadata.json").write_text(json.dumps({"version": "1"}))
    refused("is no segmentation bundle")
    for damaged in ("{", "[" * 100_000):
        (bundle / "configs" / "metadata.json").write_text(damaged)
        refused(r"metadata\.json cannot be read")
    (bundle / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    torch.save({"weight": torch.zeros(1)}, bundle / "models" / "model.pt")
    refused("does not fit the network")
    torch.save(Pickled(), bundle / "models" / "model.pt")  # a pickled module
    refused("it holds more than tensors")
    (bundle / "models" / "model.pt").rename(bundle / "models" / "model.ts")
    refused(r"expected models/model\.pt, found model\.ts; TorchScript")
    (bundle / "configs" / "inference.json").write_text("[" * 100_000)
    refused("expected MONAI's inference of a bundle")
    (bundle / "configs" / "inference.json").unlink()
    refused("expected configs/inference.json")


def test_labels_that_overlap_are_said(bundle: Path, scan: Path) -> None:
    config = json.loads(json.dumps(INFERENCE))
    config["postprocessing"]["transforms"][0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
    config["postprocessing"]["transforms"][2] = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    metadata = json.loads(json.dumps(METADATA))
    names = {"0": "tumour", "1": "core", "2": "rim"}
    metadata["network_data_format"]["outputs"]["pred"]["channel_def"] = names
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata))
    result = load(f"monai:{bundle}", device="cpu").predict(scan)
    assert [*result.volumes_ml] == ["tumour", "core", "rim"]
    assert any("labels overlap in" in warning for warning in result.warnings)


def test_what_a_bundle_does_not_have_is_refused(bundle: Path, scan: Path, tmp_path: Path) -> None:
    predictor = load(f"monai:{bundle}", device="cpu")
    with pytest.raises(CnnError, match="neither maps nor mirrored views"):
        predictor.predict(scan, maps=["entropy"])
    with pytest.raises(CnnError, match="are not explained"):
        predictor.explain(str(scan))


def test_a_bundle_is_measured_like_any_weights(bundle: Path, tmp_path: Path) -> None:
    labels = {"0": "background", "1": "liver", "2": "spleen"}
    data = write_set(tmp_path / "set", cases=3, labels=labels)
    result = evaluate_weights(f"monai:{bundle}", data=str(data), device="cpu")
    assert (result["n"], result["split"]) == (3, "all") and 0 <= result["metrics"]["dice"] <= 1
