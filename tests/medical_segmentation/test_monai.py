"""MONAI's networks by name: trained, saved, loaded, asked, explained and exported like ours; what cannot be is said."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_sets import write_set
from torch import Tensor

from cnn_core.errors import CnnError, UnknownNameError, WeightsError
from cnn_core.explain import explain
from cnn_core.export import export_onnx
from medical_segmentation import MODELS, load, train
from medical_segmentation.domain import DOMAIN
from medical_segmentation.losses import dice_cross_entropy
from medical_segmentation.model import check_output, create_network, with_defaults


def exportable(folder: Path) -> dict[str, object]:
    predictor = load(folder, device="cpu")
    return {"model": predictor.model, "card": predictor.card, **DOMAIN.exportable(predictor)}


PATCH = [16, 16, 16]
SHORT = {"epochs": 1, "eval_every": 1, "device": "cpu", "dims": 3, "precision": "32-true"}
NETWORKS = {  # name -> its options, and the patch where the network sets it
    "monai.SegResNet": ({"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}, PATCH, "network.down_layers.1"),
    "monai.DynUNet": ({"filters": [4, 8, 8], "deep_supervision": True}, PATCH, "network.bottleneck"),
    "monai.SwinUNETR": (
        {"feature_size": 12, "window_size": 4, "depths": [1, 1, 1, 1], "norm_name": "batch"},
        [32, 32, 32],
        "network.decoder3",
    ),
    "monai.UNet": ({"channels": [4, 8], "num_res_units": 1}, PATCH, "network.model.0"),
}


def network(name: str, *, patch: list[int] = PATCH, **options: object) -> torch.nn.Module:
    return create_network(name, spatial_dims=3, in_channels=1, num_classes=3, options=options, patch=patch)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("sets") / "tiny", cases=4)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_trains_and_answers_like_ours(name: str, tiny: Path, tmp_path: Path) -> None:
    options, patch, layer = NETWORKS[name]
    if name == "monai.SwinUNETR":
        pytest.importorskip("einops")
    settings = {"data": str(tiny), "model": name, "options": options, "patch": patch, "batch_size": 2, "patches": 2,
                **SHORT}  # fmt: skip
    outcome = train("phantom", folder=tmp_path, settings=settings)
    assert outcome.card.model == name and options.items() <= outcome.card.arguments["options"].items()
    predictor = load(tmp_path, device="cpu")
    result = predictor.predict(tiny / "imagesTr" / "case0.nii.gz", maps=("entropy",))
    assert result.mask.shape == result.scan.voxels.shape == result.maps["entropy"].shape

    x = torch.randn(1, 1, *patch, generator=torch.Generator().manual_seed(0))
    found = explain(predictor.model, x, target=lambda y: y[:, 1].mean((1, 2, 3)), options={"layer": layer})
    assert found.heat.shape == (1, *patch) and found.heat.max() > 0

    if name != "monai.SwinUNETR":  # its export takes a minute
        report = export_onnx(folder=tmp_path / "onnx", **exportable(tmp_path))
        assert report.inputs == 8 and report.max_abs_difference < 1e-3


@pytest.mark.slow
def test_swin_is_exported_too(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("einops")
    options, patch, _ = NETWORKS["monai.SwinUNETR"]
    settings = {"data": str(tiny), "model": "monai.SwinUNETR", "options": options, "patch": patch, **SHORT}
    train("phantom", folder=tmp_path / "run", settings=settings)
    report = export_onnx(folder=tmp_path / "onnx", **exportable(tmp_path / "run"))
    assert report.max_abs_difference < 1e-3


def test_the_table_lists_what_is_tested() -> None:
    assert {*MODELS} == {*NETWORKS}


def test_other_labels_get_another_head_and_keep_the_rest() -> None:
    model = network("monai.UNet", channels=[4, 8], strides=[2])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.reset_head(5)
    after = model.state_dict()
    assert model(torch.zeros(1, 1, *PATCH)).shape == (1, 5, *PATCH)
    same = [key for key in before if before[key].shape == after[key].shape]
    assert len(before) > len(same) > len(before) / 2 and all(torch.equal(before[key], after[key]) for key in same)


def test_deep_supervision_answers_with_a_list_while_it_learns() -> None:
    options = with_defaults("monai.DynUNet", {"filters": [4, 8, 8], "deep_supervision": True}, PATCH)
    assert options["strides"] == [1, 2, 2] and options["upsample_kernel_size"] == [2, 2]
    model = network("monai.DynUNet", **options)
    answers = model.train()(torch.randn(2, 1, *PATCH))
    assert [tuple(answer.shape) for answer in answers] == [(2, 3, *PATCH)] * 2
    assert isinstance(model.eval()(torch.randn(2, 1, *PATCH)), Tensor)


def test_the_loss_of_a_list_is_monais() -> None:
    losses = pytest.importorskip("monai.losses")
    peer = losses.DeepSupervisionLoss(
        losses.DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    )
    generator = torch.Generator().manual_seed(0)
    scores = [torch.randn(2, 3, edge, edge, generator=generator) for edge in (8, 4, 2)]
    target = torch.randint(3, (2, 8, 8), generator=generator)
    expected = float(peer(scores, target[:, None].float()))
    assert float(dice_cross_entropy(scores, target)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("monai.SegResNte", {}, "did you mean monai.SegResNet"),
        ("monai.UNet", {"chanels": [4, 8]}, "did you mean channels"),
        ("monai.DynUNet", {}, "needs the options kernel_size, strides, upsample_kernel_size"),
        ("monai.UNet", {"channels": [4], "strides": []}, "monai.UNet cannot be built"),
        ("monai.SegResNet", {"init_filters": 12}, "monai.SegResNet cannot be built"),  # its groups are eight
        ("monai.SegResNet", {"init_filters": 10**9}, "numbers up to 65536"),
        ("monai.FlexibleUNet", {"backbone": "efficientnet-b0", "pretrained": True}, "pretrained"),
    ],
)
def test_what_cannot_be_built_is_said(name: str, options: dict, said: str) -> None:
    with pytest.raises(CnnError, match=said):
        network(name, **options)


@pytest.mark.parametrize(
    ("name", "patch", "options", "said"),
    [
        ("monai.UNet", [10, 16, 16], {"channels": [4, 8, 8], "strides": [2, 2]}, "patches of 10 x 16 x 16"),
        ("monai.DenseNet121", [32, 32, 32], {}, r"is not a segmentation network: expected scores \[1, 3, 32, 32, 32\]"),
    ],
)
def test_a_patch_that_does_not_fit_and_a_network_that_does_not_segment_are_refused(
    name: str, patch: list[int], options: dict, said: str
) -> None:
    with pytest.raises(CnnError, match=said):
        check_output(network(name, patch=patch, **options), name, in_channels=1, num_classes=3, patch=patch)


def test_swin_takes_multiples_of_32() -> None:
    pytest.importorskip("einops")
    model = network("monai.SwinUNETR", patch=[48, 32, 32], feature_size=12)
    with pytest.raises(CnnError, match=r"patches of 48 x 32 x 32: .* divisible by 2\*\*5"):
        check_output(model, "monai.SwinUNETR", in_channels=1, num_classes=3, patch=[48, 32, 32])


def test_without_monai_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("monai", "monai.networks", "monai.networks.nets"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CnnError, match=r"'monai', which is not installed; run"):
        network("monai.SegResNet")


def test_a_damaged_card_is_refused(tiny: Path, tmp_path: Path) -> None:
    settings = {"data": str(tiny), "model": "monai.UNet", "options": {"channels": [4, 8]}, "patch": PATCH,
                "batch_size": 2, "patches": 1, **SHORT}  # fmt: skip
    train("phantom", folder=tmp_path, settings=settings)
    text = (tmp_path / "card.json").read_text()
    for old, new, said in (("monai.UNet", "monai.Unknown", "unknown network"), ('"channels"', '"chanels"', "channels")):
        (tmp_path / "card.json").write_text(text.replace(old, new))
        with pytest.raises((WeightsError, UnknownNameError), match=said):
            load(tmp_path, device="cpu")


def test_a_scan_that_would_fit_goes_through_in_windows() -> None:
    """MONAI's networks see windows of the patch's size alone: other sizes would be refused by some of them."""
    from medical_segmentation.contract import VolumeContract
    from medical_segmentation.segmenter import Segmenter

    seen: set[tuple[int, ...]] = set()
    model = network("monai.UNet", channels=[4, 8], strides=[2])
    contract = VolumeContract(3, -1000, 400, 0.5, 0.3, tuple(PATCH))
    model.register_forward_hook(lambda _, inputs, __: seen.add(tuple(inputs[0].shape[2:])))
    segmenter = Segmenter(model, contract)
    segmenter(np.zeros((20, 30, 17), np.int16), (1.0, 1.0, 1.0))
    assert seen == {tuple(PATCH)}
