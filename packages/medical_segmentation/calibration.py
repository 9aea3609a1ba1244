"""How right the probabilities of voxels are: a temperature fitted on validation cases, and the reliability on others.

Far from every outline a network is certain and right, and a scan has millions of such voxels: over all of them any
network seems calibrated. So only those near an outline count, the true one or the one that was found.

Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from cnn_core.classification import CALIBRATION_BINS, Calibration
from cnn_core.confidence import fit_temperature
from cnn_core.nn.dims import channels_last
from medical_segmentation.contract import VolumeContract
from medical_segmentation.metrics import IGNORED
from medical_segmentation.windows import WithMirrors

BAND = 2  # voxels on either side of an outline that count
ENOUGH = 20_000  # voxels of a block that the temperature is fitted to
BLOCKS = 200  # that it is fitted to
LARGEST = 2**22  # cells of a block; larger ones are not used


def near_outline(*masks: np.ndarray) -> np.ndarray:
    """Return which voxels lie within `BAND` of an outline in one of some masks: `[*S] labels -> bool [*S]`.

    Axes of a single voxel are left out.
    """
    shape: tuple[int, ...] = masks[0].shape
    near = np.zeros(shape, bool)
    size = [1 if edge == 1 else 2 * BAND + 1 for edge in shape]
    for mask in masks:
        known = np.where(mask == IGNORED, 0, mask)
        near |= ndimage.maximum_filter(known, size) != ndimage.minimum_filter(known, size)
    return near & np.logical_and.reduce([mask != IGNORED for mask in masks])


def voxel_temperature(
    model: nn.Module, blocks: Iterable[tuple[Tensor, Tensor]], contract: VolumeContract, device: torch.device
) -> float:
    """Return what the scores are divided by so that the likelihood of the true labels near outlines is greatest.

    Args:
        model: with its trained weights, in evaluation mode.
        blocks: of validation cases, as `task.training_blocks` makes them: [1, *S] on the unit scale, labels [*S].
        contract: how they become inputs, and the mirror images.
        device: where to compute.
    """
    views = WithMirrors(model.eval(), contract.flips)
    scores, labels = [], []
    usable = ((x, y) for x, y in blocks if y.numel() <= LARGEST)
    with torch.inference_mode():
        for x, y in islice(usable, BLOCKS):
            whole = channels_last(contract.inputs(_to_patches(x, contract.patch)[None].float().to(device)))
            found = views(whole).float().cpu()[0][(..., *map(slice, y.shape))]  # [K, *S]
            near = torch.from_numpy(near_outline(y.numpy(), found.argmax(0).numpy().astype(np.uint8)))
            places = near.flatten().nonzero()[:, 0]
            places = places[torch.linspace(0, len(places) - 1, min(len(places), ENOUGH)).long()]
            scores.append(found.flatten(1)[:, places].T)
            labels.append(y.flatten()[places].long())
    if not sum(map(len, labels)):
        return 1.0
    return fit_temperature(torch.cat(scores), torch.cat(labels))


def _to_patches(x: Tensor, patch: Sequence[int]) -> Tensor:
    """Continue a block [1, *S] with zeros to whole patches: some networks halve their input so often and no more."""
    more = [-edge % step for edge, step in zip(x.shape[1:], patch, strict=True)]
    return F.pad(x, [side for count in reversed(more) for side in (0, count)])


def bin_sums(confidence: np.ndarray, mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return of each bin of confidence how many voxels near an outline it has, their confidences' sum, how many right.

    Args:
        confidence: [*S] probability of the label in `mask`.
        mask: labels that were found.
        truth: true labels.

    Returns:
        float64 [CALIBRATION_BINS, 3].
    """
    near = near_outline(mask, truth)
    values, right = confidence[near].astype(np.float64), (mask == truth)[near]
    place = np.clip(np.ceil(values * CALIBRATION_BINS) - 1, 0, CALIBRATION_BINS - 1).astype(np.int64)
    columns = (None, values, right)
    return np.stack([np.bincount(place, weights, CALIBRATION_BINS) for weights in columns], axis=1)


def reliability(sums: Sequence[np.ndarray]) -> Calibration | None:
    """Return the calibration over the voxels of all cases, from their `bin_sums`; None where there are no voxels."""
    total = np.sum(sums, axis=0) if len(sums) else np.zeros((CALIBRATION_BINS, 3))
    count = total[:, 0]
    if not count.sum():
        return None
    means = total[:, 1:] / np.maximum(count, 1)[:, None]
    error = float((count * np.abs(means[:, 0] - means[:, 1])).sum() / count.sum())
    bins = [(int(n), round(float(p), 6), round(float(a), 6)) for n, (p, a) in zip(count, means, strict=True)]
    return Calibration(round(error, 6), bins)
