"""Derive the preprocessing and the network from a data set: spacing, intensities, patch and depth, unless given.

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
from medical_segmentation.contract import ALIKE, VolumeContract
from medical_segmentation.model import PREFIX, WIDTHS, with_defaults
from medical_segmentation.values import CT, intensity_warnings

FLAT = 12  # slices: thinner stacks are segmented slice by slice
CLIP = (0.005, 0.995)  # quantiles that intensities are clipped at
USUAL = (0.01, 0.99)  # quantiles that other scans are compared with
BUDGET = {2: 256 * 256, 3: 64**3}  # cells of a patch
COARSEST = 4  # cells along the shortest edge of the deepest map
UNEVEN = 3.0  # longest to shortest spacing, above which the longest one is made finer
FINER = 0.1  # quantile that it is then taken from


@dataclass(frozen=True)
class PlanSettings:
    """The settings that a recipe gives; None: derived from the data."""

    dims: Literal[2, 3] | None = None
    spacing: Sequence[float] | None = None
    window: Sequence[float] | None = None  # HU
    patch: Sequence[int] | None = None
    centred: bool = False
    own_scale: bool | None = None
    keep: Literal["all", "largest", "central", "lungs"] = "all"
    body_pixels: int | None = None
    plausible_ml: Sequence[float] | None = None
    flips: bool = False  # at test time, along every axis


def plan(
    facts: Sequence[Facts], requested: PlanSettings, *, modality: str, step: int = 16
) -> tuple[VolumeContract, list[str]]:
    """Return the contract for a set and what was chosen, in sentences.

    Args:
        facts: of the training cases.
        requested: the settings that are given.
        modality: "CT" or another; decides whether intensities have a common unit.
        step: patch edges are multiples of it, as far as the scans are that large.

    Raises:
        ConfigError: the given settings do not fit.
    """
    shapes = np.array([entry.shape for entry in facts])
    spacings = np.array([entry.spacing for entry in facts])
    notes: list[str] = []
    dims = requested.dims or (2 if np.median(shapes[:, 2]) < FLAT else 3)
    if requested.dims is None:
        notes.append(f"{dims}-D, since the median scan has {np.median(shapes[:, 2]):.0f} slices")
    spacing = _spacing(spacings, requested, dims, notes)
    median = np.median(shapes * (spacings / spacing if spacing else 1), axis=0)[:dims]
    low, high, mean, std, own_scale = _intensities(facts, requested, modality, notes)
    centre: tuple[float, float, float] | None = None
    if requested.centred:  # in their own voxels, wanted in the network's
        scales = [np.divide(entry.spacing, spacing) if spacing else np.ones(3) for entry in facts]
        middles = [np.multiply(e.middle, s) for e, s in zip(facts, scales, strict=True) if e.middle is not None]
        x, y, z = (round(float(v) * 2) / 2 for v in np.mean(middles, axis=0))
        centre = x, y, z
        notes.append(f"the target is at {centre} voxels from the middle on average")
    patch = tuple(requested.patch or _patch(median, dims, step))
    if requested.patch is None:
        notes.append(
            f"patch {' x '.join(map(str, patch))} of a median scan of {' x '.join(f'{e:.0f}' for e in median)}"
        )
    if len(patch) != dims:
        raise ConfigError("settings", [f"patch: expected {dims} edges for a {dims}-D network, got {list(patch)}"])
    contract = VolumeContract(
        dims, low, high, mean, std, patch, spacing=spacing, own_scale=own_scale, centre=centre,
        flips=tuple(range(dims)) if requested.flips else (), keep=requested.keep, modality=modality,
        body_pixels=requested.body_pixels, plausible_ml=_pair(requested.plausible_ml),
    )  # fmt: skip
    return with_usual(contract, facts), notes


def with_usual(contract: VolumeContract, facts: Sequence[Facts]) -> VolumeContract:
    """Return a contract that knows the median spacing and intensities of the training cases, unless it does already."""
    if contract.usual_intensities is None and not contract.own_scale:
        low, high = np.median([np.quantile(entry.overall, USUAL) for entry in facts], axis=0)
        contract = replace(contract, usual_intensities=(round(float(low), 1), round(float(high), 1)))
    known = (contract.spacing, contract.usual_spacing, contract.usual_pixels, contract.body_pixels)
    if any(value is not None for value in known):
        return contract
    shapes, spacings = {entry.shape[:2] for entry in facts}, {entry.spacing for entry in facts}
    if contract.dims == 2 and len(shapes) == 1 and spacings == {(1.0, 1.0, 1.0)}:  # pictures, whose spacing is unknown
        return replace(contract, usual_pixels=max(shapes.pop()))
    median = np.median([entry.spacing for entry in facts], axis=0)
    x, y, z = (round(float(length), 4) for length in median)
    return replace(contract, usual_spacing=(x, y, z))


def _spacing(
    spacings: np.ndarray, requested: PlanSettings, dims: int, notes: list[str]
) -> tuple[float, float, float] | None:
    if requested.spacing is not None:
        if len(requested.spacing) != 3:
            problem = f"spacing: expected three lengths in mm (X, Y, Z), got {list(requested.spacing)}"
            raise ConfigError("settings", [problem])
        x, y, z = map(float, requested.spacing)
        return x, y, z
    median = np.median(spacings, axis=0)
    seen = spacings[:, :dims]
    if requested.body_pixels is not None:
        return None  # the size of the body counts
    if (np.abs(seen / median[:dims] - 1) < ALIKE).all():
        return None  # not worth the interpolation
    axis = int(median.argmax())
    if dims == 3 and median.max() > UNEVEN * median.min():
        median[axis] = max(np.quantile(spacings[:, axis], FINER), median.min())
    x, y, z = (round(float(length), 3) for length in median)
    spacing = x, y, z
    notes.append(f"resampled to {' x '.join(f'{length:g}' for length in spacing[:dims])} mm, the median spacing")
    return spacing


def _intensities(
    facts: Sequence[Facts], requested: PlanSettings, modality: str, notes: list[str]
) -> tuple[float, float, float, float, bool]:
    """Return low, high, mean, std (the latter two on the unit scale), and whether each scan has its own scale."""
    overall = [entry.overall for entry in facts]
    own_scale, why = modality.upper() not in ("CT", ""), "since they have no common unit"
    if not modality and np.mean([bool(intensity_warnings(values[:, None, None], CT)) for values in overall]) > 0.5:
        own_scale, why = True, "since nothing says that they are CTs, and they do not look like Hounsfield units"
    if requested.own_scale is not None:
        own_scale = requested.own_scale
    if own_scale:
        units = []
        for values in overall:
            low, high = np.quantile(values, CLIP)
            units.append(((values - low) / max(high - low, 1e-6)).clip(0, 1))
        unit, (low, high) = np.concatenate(units), CLIP
        notes.append(f"each scan is scaled by its own intensities, {why}")
    else:
        if requested.window is not None:
            if len(requested.window) != 2 or not requested.window[0] < requested.window[1]:
                raise ConfigError("settings", [f"window: expected a low and a high HU, got {list(requested.window)}"])
            low, high = map(float, requested.window)
        else:
            inside = np.concatenate([entry.inside for entry in facts])
            low, high = (round(float(v)) for v in np.quantile(inside if len(inside) else np.concatenate(overall), CLIP))
            high = max(high, low + 1)
            notes.append(f"intensities clipped to {low:g} .. {high:g}, where 99 % of the labelled voxels lie")
        unit = ((np.concatenate(overall) - low) / (high - low)).clip(0, 1)
    return float(low), float(high), round(float(unit.mean()), 4), round(max(float(unit.std()), 1e-3), 4), own_scale


def _pair(values: Sequence[float] | None) -> tuple[float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]))


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
    notes = [f"{levels} levels of {', '.join(map(str, WIDTHS[:levels]))} channels"]
    return {**given, "widths": list(WIDTHS[:levels])}, notes
