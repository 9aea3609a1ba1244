"""The ImageNet trunk of MobileNet against a forward pass written a second time, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.data.files import data_root
from cnn_core.errors import WeightsError
from cnn_core.models import create_model
from image_captioning.mobilenet_weights import TRUNK_FILE, TRUNK_FOLDER, load_mobilenet_trunk


def reference(arrays: dict[str, Tensor], x: Tensor) -> Tensor:
    """Run conv1 and blocks 1 to 12 as the README of the arrays says, with nothing of ours: `-> [B, 1024, *S / 32]`."""

    def normed(x: Tensor, name: str) -> Tensor:
        gamma, beta, mean, variance = (
            arrays[f"{name}_bn/{k}"] for k in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / (variance + 1e-3).sqrt()
        return (x * scale[:, None, None] + (beta - mean * scale)[:, None, None]).clamp(0, 6)

    x = normed(F.conv2d(F.pad(x, (0, 1, 0, 1)), arrays["conv1/kernel"].permute(3, 2, 0, 1), stride=2), "conv1")
    for i in range(1, 13):
        stride = 2 if i in (2, 4, 6, 12) else 1
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        kernel = arrays[f"conv_dw_{i}/depthwise_kernel"].permute(2, 3, 0, 1)
        x = normed(F.conv2d(x, kernel, stride=stride, groups=len(kernel)), f"conv_dw_{i}")
        x = normed(F.conv2d(x, arrays[f"conv_pw_{i}/kernel"].permute(3, 2, 0, 1)), f"conv_pw_{i}")
    return x


def test_the_trunk_gives_what_its_readme_describes() -> None:
    file = data_root() / TRUNK_FOLDER / TRUNK_FILE
    if not file.is_file():
        pytest.skip(f"needs {TRUNK_FOLDER}/{TRUNK_FILE} in CNN_DATA_DIR")
    model = create_model("mobilenet").eval()
    loaded = load_mobilenet_trunk(model, file)
    assert loaded == ["conv", *(f"block{i}" for i in range(1, 13))]
    with np.load(file) as stored:
        arrays = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored.files}
    assert sum(array.numel() for array in arrays.values()) == 2_162_880
    x = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        ours = model.forward_features(x)[12]
    theirs = reference(arrays, x)
    assert ours.shape == (1, 1024, 2, 3)
    assert theirs.abs().max() > 1  # a network that answers something
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


def keras_arrays() -> dict[str, np.ndarray]:
    """Return arrays of the right shapes for conv1 of a network with 4 channels."""
    vectors = {f"conv1_bn/{k}": np.ones(4, np.float32) for k in ("gamma", "beta", "moving_mean", "moving_variance")}
    return {"conv1/kernel": np.arange(108, dtype=np.float16).reshape(3, 3, 3, 4), **vectors}


def test_axes_are_turned_and_missing_blocks_keep_their_weights(tmp_path: Path) -> None:
    model = create_model("mobilenet", options={"base_channels": 4})
    before = model.stages["block1"].depthwise.weight.clone()
    np.savez(tmp_path / "w.npz", **keras_arrays())
    assert load_mobilenet_trunk(model, tmp_path / "w.npz") == ["conv"]
    kernel = model.stages["conv"].conv.weight
    assert kernel[1, 2, 0, 1] == keras_arrays()["conv1/kernel"][0, 1, 2, 1]  # [out, in, h, w] of [h, w, in, out]
    assert torch.equal(model.stages["block1"].depthwise.weight, before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conv1/kernel": np.zeros((3, 3, 3, 5), np.float32)}, r"conv1/kernel is \[3, 3, 3, 5\]"),
        ({"conv1_bn/gamma": np.full(4, np.nan, np.float32)}, "NaN"),
        ({"conv_dw_99/depthwise_kernel": np.zeros(3)}, "is not an array of this network"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "w.npz", **{**keras_arrays(), **change})
    with pytest.raises(WeightsError, match=said):
        load_mobilenet_trunk(create_model("mobilenet", options={"base_channels": 4}), tmp_path / "w.npz")


def test_a_missing_array_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    model = create_model("mobilenet", options={"base_channels": 4})
    arrays = keras_arrays()
    del arrays["conv1_bn/beta"]
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(WeightsError, match="conv1_bn/beta is missing"):
        load_mobilenet_trunk(model, tmp_path / "w.npz")
    (tmp_path / "w.npz").write_bytes((tmp_path / "w.npz").read_bytes()[:-90])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_mobilenet_trunk(model, tmp_path / "w.npz")
    with pytest.raises(WeightsError, match="no MobileNet weights"):
        load_mobilenet_trunk(model, tmp_path / "none.npz")
    np.savez(tmp_path / "w.npz", **{"conv1/kernel": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(WeightsError, match="cannot be read"):
        load_mobilenet_trunk(model, tmp_path / "w.npz")
