"""From a network and a scan to a mask on the scan's own voxels, in bounded memory; used by training and prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from cnn_core.nn.folding import folded
from medical_segmentation.body import resize, resize_labels, see_body
from medical_segmentation.contract import VolumeContract
from medical_segmentation.lungs import keep_lungs
from medical_segmentation.resample import resample, resample_to
from medical_segmentation.windows import Observer, Segmentation, Windows, segment

WHOLE = {2: 2**22, 3: 2**22}  # cells that go through the network in one piece
OVERLAP = 0.25


class _Prepared(nn.Module):
    """The network with its preprocessing: intensities [B, 1, *window] -> scores; 2-D networks get slices."""

    def __init__(self, model: nn.Module, contract: VolumeContract, ends: tuple[float, float]) -> None:
        super().__init__()
        self.model, self.contract, self.ends = model, contract, ends

    def forward(self, x: Tensor) -> Tensor:
        x = self.contract.unit(x, self.ends)
        if self.contract.dims == 3:
            return self.model(self.contract.inputs(x)) / self.contract.temperature
        scores = self.model(self.contract.inputs(x[..., 0]).contiguous(memory_format=torch.channels_last))
        return scores[..., None] / self.contract.temperature


@dataclass(frozen=True, eq=False)
class SegmenterOutput:
    """The mask and the maps of a scan.

    Args:
        mask: uint8 [X, Y, Z].
        maps: "foreground", "confidence", "entropy", as requested: float16 [X, Y, Z].
        notes: what was taken for padding and what was dropped, in sentences.
        warnings: what makes the mask doubtful.
    """

    mask: np.ndarray
    maps: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Segmenter:
    """A network that segments scans of any size and spacing.

    Args:
        model: `[B, in_channels, *S] -> [B, K, *S]`; it is copied.
        contract: how scans become its input.
    """

    def __init__(self, model: nn.Module, contract: VolumeContract) -> None:
        self.contract = contract
        self.model = folded(model)

    def __call__(
        self,
        voxels: np.ndarray,
        spacing: tuple[float, float, float],
        *,
        maps: Sequence[str] = (),
        flips: tuple[int, ...] | None = None,
        progress: Observer | None = None,
    ) -> SegmenterOutput:
        """Segment one scan.

        Args:
            voxels: int16 or float32 [X, Y, Z], RAS, HU for a CT.
            spacing: mm along X, Y, Z.
            maps: any of "foreground", "confidence", "entropy".
            flips: axes to mirror along; None: the contract's.
            progress: called after every window; returning False ends it with StoppedError.
        """
        contract, shape = self.contract, voxels.shape
        flips = contract.flips if flips is None else flips
        if contract.body_pixels is not None:
            return self._in_body(voxels, spacing, maps, flips, progress)
        wanted = contract.working_spacing(spacing, voxels.shape)
        if wanted is not None:
            voxels, _ = resample(voxels, spacing, wanted)
        segmentation = (
            self._around_centre(voxels, maps, flips) if contract.centre else self._slide(voxels, maps, flips, progress)
        )
        mask, made = segmentation.mask.numpy(), {name: getattr(segmentation, name).numpy() for name in maps}
        if mask.shape != shape:
            mask = resample_labels(mask, shape)
            made = {name: resample_to(values, shape) for name, values in made.items()}
        return SegmenterOutput(clean(mask, contract, spacing=spacing), made)

    def _in_body(
        self,
        voxels: np.ndarray,
        spacing: tuple[float, float, float],
        maps: Sequence[str],
        flips: tuple[int, ...],
        progress: Observer | None,
    ) -> SegmenterOutput:
        """Segment what is in the body, in pixels that suit its size; all else is background."""
        seen = see_body(voxels, spacing, self.contract.body_pixels or 0)
        mask = np.zeros(voxels.shape, np.uint8)
        made = {name: np.full(voxels.shape, float(name == "confidence"), np.float16) for name in maps}
        if seen.voxels is None:
            return SegmenterOutput(mask, made, seen.notes)
        found = self._slide(seen.voxels, [*dict.fromkeys((*maps, "foreground"))], flips, progress)
        shape, body = mask[seen.box].shape[:2], seen.body[seen.box]
        foreground = found.foreground
        if (
            found.classes == 2 and foreground is not None
        ):  # probabilities keep the outline finer than a pixel of the network
            labels = (resize(foreground.numpy(), shape) > 0.5).astype(np.uint8)
        else:
            labels = resize_labels(found.mask.numpy(), shape)
        mask[seen.box] = np.where(body, labels, 0)
        notes = seen.notes
        if self.contract.keep == "lungs":
            mask, dropped = keep_lungs(mask, voxels, seen.body, spacing)
            notes += dropped
        else:
            mask = clean(mask, self.contract, spacing=spacing)
        for name, values in made.items():
            values[seen.box] = np.where(body, resize(getattr(found, name).numpy(), shape), values[seen.box])
        return SegmenterOutput(mask, made, notes, seen.warnings)

    def _slide(
        self, voxels: np.ndarray, maps: Sequence[str], flips: tuple[int, ...], progress: Observer | None
    ) -> Segmentation:
        contract = self.contract
        x = torch.from_numpy(np.ascontiguousarray(voxels))
        ends = contract.ends(x)
        window = contract.window
        whole = WHOLE[contract.dims] if getattr(self.model, "any_size", True) else 0
        if whole and contract.dims == 2 and x.shape[0] * x.shape[1] <= whole:  # a slice in one piece, slice after slice
            window, whole = (max(x.shape[0], window[0]), max(x.shape[1], window[1]), 1), 0
        windows = Windows(window, overlap=OVERLAP, flips=flips, whole=whole, pad_value=ends[0])
        return segment(_Prepared(self.model, contract, ends), x, windows, maps=maps, progress=progress)

    def _around_centre(self, voxels: np.ndarray, maps: Sequence[str], flips: tuple[int, ...]) -> Segmentation:
        """Segment the one patch around the centre; all else is background."""
        contract = self.contract
        piece, place, inside = cut_centre(voxels, contract)
        x = torch.from_numpy(piece)
        windows = Windows(contract.window, flips=flips, whole=x.numel())
        found = segment(_Prepared(self.model, contract, contract.ends(x)), x, windows, maps=maps)
        full = torch.zeros(voxels.shape, dtype=torch.uint8)
        full[place] = found.mask[inside]
        made: dict[str, Tensor] = {}
        for name in maps:
            made[name] = torch.full(voxels.shape, float(name == "confidence"), dtype=torch.float16)
            made[name][place] = getattr(found, name)[inside]
        return Segmentation(full, found.classes, **made)


def cut_centre(array: np.ndarray, contract: VolumeContract) -> tuple[np.ndarray, tuple[slice, ...], tuple[slice, ...]]:
    """Cut the patch around the contract's centre out of a cube: `-> patch, its place in the cube, and in the patch`.

    Where the patch reaches over the edge the nearest voxels are repeated.
    """
    place, inside, pad = [], [], []
    for edge, length, offset in zip(array.shape, contract.patch, contract.centre or (0, 0, 0), strict=True):
        begin = round((edge - 1) / 2 + offset - (length - 1) / 2)
        begin = min(max(begin, 1 - length), edge - 1)
        first, last = max(0, begin), min(edge, begin + length)
        place.append(slice(first, last))
        inside.append(slice(first - begin, last - begin))
        pad.append((first - begin, begin + length - last))
    piece = array[tuple(place)]
    return np.ascontiguousarray(np.pad(piece, pad, mode="edge")), tuple(place), tuple(inside)


def resample_labels(mask: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring a mask to another grid over the same block: a voxel gets the label whose blurred outline is strongest."""
    best = np.full(shape, 0.0, np.float32)
    out = np.zeros(shape, mask.dtype)
    for label in np.unique(mask):
        weight = resample_to((mask == label).astype(np.float32), shape)
        better = weight > best
        out[better], best[better] = label, weight[better]
    return out


def clean(
    mask: np.ndarray, contract: VolumeContract, *, spacing: tuple[float, float, float] | None = None
) -> np.ndarray:
    """Keep of each label what the contract says: all, its largest connected piece, or the piece nearest the centre.

    Args:
        mask: labels [X, Y, Z]; for 2-D networks each slice is cleaned on its own.
        contract: its `keep`, and the centre, which it has in voxels of the network's spacing.
        spacing: of the mask, in mm; None: the network's, or cubes where it has none.
    """
    if contract.keep == "all":
        return mask
    ring = ndimage.generate_binary_structure(3, 1)  # voxels that share a face
    if contract.dims == 2:
        ring[..., [0, 2]] = False  # slices are cleaned one by one
    middle = (np.array(mask.shape) - 1) / 2
    if contract.centre is not None:
        learned = contract.working_spacing(spacing, mask.shape) if spacing else None
        scale = np.divide(learned, spacing) if learned and spacing else 1.0
        middle = middle + np.array(contract.centre) * scale
    out = np.zeros_like(mask)
    for label in range(1, int(mask.max()) + 1):
        pieces, count = ndimage.label(mask == label, ring)
        if not count:
            continue
        if contract.keep == "central":
            merit = _nearness(pieces, count, middle[: contract.dims], spacing or contract.spacing or (1.0, 1.0, 1.0))
        else:
            merit = np.bincount(pieces.ravel(), minlength=count + 1)
        if contract.dims == 3:
            kept = [merit[1:].argmax() + 1]
        else:
            kept = [
                max(present, key=lambda piece: merit[piece])
                for k in range(mask.shape[2])
                if len(present := [p for p in np.unique(pieces[..., k]) if p])
            ]
        out[np.isin(pieces, kept)] = label
    return out


def _nearness(pieces: np.ndarray, count: int, middle: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return minus the squared mm of each piece's nearest voxel from the middle: `[X, Y, Z] -> [count + 1]`.

    Args:
        pieces: their numbers, 0 outside.
        count: of pieces.
        middle: in voxels, along the axes that are looked at.
        spacing: mm along X, Y, Z.
    """
    cells = np.argwhere(pieces)
    apart = (cells[:, : len(middle)] - middle) * spacing[: len(middle)]
    near = np.full(count + 1, -np.inf)
    np.maximum.at(near, pieces[tuple(cells.T)], -(apart**2).sum(1))
    return near
