"""Bundles of MONAI in the official layout, made on the spot."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

NETWORK = {"_target_": "SegResNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "init_filters": 8,
           "blocks_down": [1, 1], "blocks_up": [1]}  # fmt: skip
INFERENCE = {
    "imports": ["$import glob"],
    "bundle_root": "/workspace/bundle",
    "output_dir": "$@bundle_root + '/eval'",
    "dataset_dir": "/workspace/data",
    "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "network_def": NETWORK,
    "network": "$@network_def.to(@device)",
    "preprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "LPS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [2.0, 2.0, 2.0], "mode": "bilinear"},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -100, "a_max": 100, "b_min": 0, "b_max": 1,
         "clip": True},
        {"_target_": "EnsureTyped", "keys": "image"},
    ]},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 2, "overlap": 0.25},
    "postprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
         "nearest_interp": False, "to_tensor": True},
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
    ]},
}  # fmt: skip
METADATA = {
    "version": "0.1.0", "monai_version": "1.5.1", "authors": "Testers", "copyright": "Apache-2.0",
    "description": "A bundle for tests", "task": "two organs",
    "network_data_format": {
        "inputs": {"image": {"type": "image", "num_channels": 1}},
        "outputs": {"pred": {"type": "image", "channel_def": {"0": "background", "1": "liver", "2": "spleen"}}},
    },
}  # fmt: skip


def write_bundle(
    folder: Path, network: torch.nn.Module, inference: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Path:
    """Write an unpacked bundle and return its folder."""
    for part in ("configs", "models"):
        (folder / part).mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


def many_labels(folder: Path, names: list[str]) -> Path:
    """Write a bundle that gives each of some labels a band of HU of the same width between -1000 and 1000."""
    count = len(names) + 1
    definition = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": count, "kernel_size": 1}
    network = torch.nn.Conv3d(1, count, 1)
    label = torch.arange(count, dtype=torch.float32)
    network.load_state_dict({"weight": 2 * label.view(-1, 1, 1, 1, 1), "bias": -(label**2)})  # the nearest to x wins
    inference, metadata = json.loads(json.dumps([INFERENCE, METADATA]))
    scale = {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1000, "a_max": 1000, "b_min": 0,
             "b_max": count - 1, "clip": True}  # fmt: skip
    inference |= {"network_def": definition, "preprocessing": {"_target_": "Compose", "transforms": [scale]}}
    inference["inferer"]["roi_size"] = [80, 80, 80]
    inference["postprocessing"]["transforms"] = [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]
    channels = {str(k): name for k, name in enumerate(["background", *names])}
    metadata["network_data_format"]["outputs"]["pred"]["channel_def"] = channels
    return write_bundle(folder, network, inference, metadata)
