"""From what a set looks like to how a network sees it: spacing, intensities, patch and depth, where they are not given.

The rules follow nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): the median spacing, intensities between
two quantiles of the labelled voxels, the largest patch that a budget allows in the shape of the median scan, and as
many levels as the patch can be halved. The budget is for a processor, not for a graphics card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cnn_core.errors import ConfigError
from medical_segmentation.checker import Facts
from medical_segmentation.contract import VolumeContract
from medical_segmentation.model import PREFIX, WIDTHS, with_defaults

FLAT = 12  # slices: thinner stacks are seen slice by slice
CLIP = (0.005, 0.995)  # quantiles that intensities are clipped at
BUDGET = {2: 256 * 256, 3: 64**3}  # cells of a patch
COARSEST = 4  # cells along the shortest edge of the deepest map
ALIKE = 0.1  # spacings that differ less from the median are left as they are
UNEVEN = 3.0  # longest to shortest spacing, above which the longest one is made finer
FINER = 0.1  # quantile that it is then taken from


@dataclass(frozen=True)
class Wishes:
    """What is given; None: derived."""

    dims: Literal[2, 3] | None = None
    spacing: Sequence[float] | None = None
    window: Sequence[float] | None = None  # HU
    patch: Sequence[int] | None = None
    centred: bool = False
    own_scale: bool | None = None
    keep: Literal["all", "largest", "central"] = "all"
    flips: bool = False  # at test time, along every axis


def plan(facts: Sequence[Facts], wishes: Wishes, *, modality: str, step: int = 16) -> tuple[VolumeContract, list[str]]:
    """Return the contract for a set and what was chosen, in sentences.

    Args:
        facts: of the training cases.
        wishes: what is given.
        modality: "CT" or another; decides whether intensities have a common unit.
        step: patch edges are multiples of it, as far as the scans are that large.

    Raises:
        ConfigError: what is given does not fit.
    """
    shapes = np.array([entry.shape for entry in facts])
    spacings = np.array([entry.spacing for entry in facts])
    said: list[str] = []
    dims = wishes.dims or (2 if np.median(shapes[:, 2]) < FLAT else 3)
    if wishes.dims is None:
        said.append(f"{dims}-D, since the median scan has {np.median(shapes[:, 2]):.0f} slices")
    spacing = _spacing(spacings, wishes, dims, said)
    median = np.median(shapes * (spacings / spacing if spacing else 1), axis=0)[:dims]
    low, high, mean, std, own = _intensities(facts, wishes, modality, said)
    centre: tuple[float, float, float] | None = None
    if wishes.centred:  # in their own voxels, wanted in the network's
        scales = [np.divide(entry.spacing, spacing) if spacing else np.ones(3) for entry in facts]
        middles = [np.multiply(e.middle, s) for e, s in zip(facts, scales, strict=True) if e.middle is not None]
        x, y, z = (round(float(v) * 2) / 2 for v in np.mean(middles, axis=0))
        centre = x, y, z
        said.append(f"what is looked for lies at {centre} voxels from the middle on average")
    patch = tuple(wishes.patch or _patch(median, dims, step))
    if wishes.patch is None:
        said.append(f"patch {' x '.join(map(str, patch))} of a median scan of {' x '.join(f'{e:.0f}' for e in median)}")
    if len(patch) != dims:
        raise ConfigError("settings", [f"patch: expected {dims} edges for a {dims}-D network, got {list(patch)}"])
    contract = VolumeContract(
        dims, low, high, mean, std, patch, spacing=spacing, own_scale=own, centre=centre,
        flips=tuple(range(dims)) if wishes.flips else (), keep=wishes.keep, modality=modality,
    )  # fmt: skip
    return with_usual_spacing(contract, facts), said


def with_usual_spacing(contract: VolumeContract, facts: Sequence[Facts]) -> VolumeContract:
    """Return a contract that knows the median spacing of the training cases, unless it resamples scans."""
    if contract.spacing is not None:
        return contract
    median = np.median([entry.spacing for entry in facts], axis=0)
    x, y, z = (round(float(length), 4) for length in median)
    return replace(contract, usual_spacing=(x, y, z))


def _spacing(spacings: np.ndarray, wishes: Wishes, dims: int, said: list[str]) -> tuple[float, float, float] | None:
    if wishes.spacing is not None:
        if len(wishes.spacing) != 3:
            problem = f"spacing: expected three lengths in mm (X, Y, Z), got {list(wishes.spacing)}"
            raise ConfigError("settings", [problem])
        x, y, z = map(float, wishes.spacing)
        return x, y, z
    median = np.median(spacings, axis=0)
    seen = spacings[:, :dims]
    if (np.abs(seen / median[:dims] - 1) < ALIKE).all():
        return None  # interpolation would cost more than it brings
    axis = int(median.argmax())
    if dims == 3 and median.max() > UNEVEN * median.min():
        median[axis] = max(np.quantile(spacings[:, axis], FINER), median.min())
    x, y, z = (round(float(length), 3) for length in median)
    spacing = x, y, z
    said.append(f"resampled to {' x '.join(f'{length:g}' for length in spacing[:dims])} mm, the median spacing")
    return spacing


def _intensities(
    facts: Sequence[Facts], wishes: Wishes, modality: str, said: list[str]
) -> tuple[float, float, float, float, bool]:
    """Return low, high, mean, std (the latter two on the unit scale), and whether each scan has its own scale."""
    own = modality.upper() not in ("CT", "") if wishes.own_scale is None else wishes.own_scale
    overall = [entry.overall for entry in facts]
    if own:
        units = []
        for values in overall:
            low, high = np.quantile(values, CLIP)
            units.append(((values - low) / max(high - low, 1e-6)).clip(0, 1))
        unit, (low, high) = np.concatenate(units), CLIP
        said.append("each scan is scaled by its own intensities, since they have no common unit")
    else:
        if wishes.window is not None:
            if len(wishes.window) != 2 or not wishes.window[0] < wishes.window[1]:
                raise ConfigError("settings", [f"window: expected a low and a high HU, got {list(wishes.window)}"])
            low, high = map(float, wishes.window)
        else:
            inside = np.concatenate([entry.inside for entry in facts])
            low, high = (round(float(v)) for v in np.quantile(inside if len(inside) else np.concatenate(overall), CLIP))
            high = max(high, low + 1)
            said.append(f"intensities clipped to {low:g} .. {high:g}, where 99 % of the labelled voxels lie")
        unit = ((np.concatenate(overall) - low) / (high - low)).clip(0, 1)
    return float(low), float(high), round(float(unit.mean()), 4), round(max(float(unit.std()), 1e-3), 4), own


def _patch(median: np.ndarray, dims: int, step: int) -> tuple[int, ...]:
    """Return the largest patch of the median scan's form within the budget, in multiples of `step`."""
    edges = np.maximum(median, 1.0)
    while True:
        patch = [max(step, step * round(edge / step)) if edge >= step else max(1, round(edge)) for edge in edges]
        if np.prod(patch) <= BUDGET[dims] or max(patch) <= step:
            return tuple(int(edge) for edge in patch)
        edges = np.where(edges == edges.max(), edges * 0.9, edges)


def network_options(patch: Sequence[int], *, name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the options of a network, a U-Net with as many levels as the patch can be halved; the choice in words."""
    if name.startswith(PREFIX):
        return with_defaults(name, given, patch), []
    if name != "unet" or "widths" in given:
        return dict(given), []
    stem = given.get("stem_stride", 1)
    levels = 2
    while levels < len(WIDTHS) and min(patch) // (stem * 2**levels) >= COARSEST:
        levels += 1
    said = [f"{levels} levels of {', '.join(map(str, WIDTHS[:levels]))} channels"]
    return {**given, "widths": list(WIDTHS[:levels])}, said
