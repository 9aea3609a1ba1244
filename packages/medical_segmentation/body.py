"""The body in a CT: what lies inside the skin, and how large it is, whatever the field of view, padding and table.

A network that is shown every patient in pixels of the same share of the body need not learn how scanners cut, pad and
scale their pictures. Slice by slice: air that touches the border of the slice is outside, unless it looks like a lung
that was cut off; of the rest the largest piece and what it encloses is the body.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

AIR = -400.0  # HU: below are air and lungs; fat has about -100
OUTDOORS = -950.0  # HU: a piece of air at the border with a lower median is outside; lungs have -900 to -500
NEARLY = -800.0  # HU: likewise where it also takes two corners; on some scales air has -860
EMPTY = -1024.0  # HU that padding becomes
COARSE = 256  # pixels across that the body is looked for in
PADDED = 0.05  # of the border of all slices that is one number, from which on it is padding
SMALL = 16  # pixels of padding in one piece; a single voxel may have the number by chance
TYPICAL = 0.9  # quantile of the slices' body sizes that counts as the scan's
SIZES = 80.0, 1000.0  # mm that a body measures across, from newborn to the largest bore
CUT = 0.65  # of the body's extent along an edge of the slices that it touches, from which on it is cut off there
# Air in the body at such an edge, of what is there: less is no lung, more the room around a body that fills the scan.
# Of 38 crops of whole slices 13 lacked a tenth or more of their lungs: 12 with 0.40 to 0.76 of air, one with 0.13;
# of 45 scans of chests 9 are cut off, with 0.01 or at least 0.92, and lack at most 0.01 of them.
THROUGH = 0.1, 0.85
EDGES = (("left", "right"), ("back", "front"))  # of a scan in RAS order

BLOCK = 64  # slices that are resized at once

Box = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Body:
    """Where the body is.

    Args:
        mask: bool [X, Y, Z].
        box: the slices along X and Y that hold it in every plane.
        size: of the body along the longer of X and Y in mm: of the usual slice, 0 where there is none.
    """

    mask: np.ndarray
    box: Box
    size: float


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network is shown of a scan.

    Args:
        voxels: [x, y, Z] HU, the longer edge of the body as many pixels as requested; None: there is no body.
        body: bool [X, Y, Z].
        box: what of the scan's X and Y is shown.
        notes: what was done to it, in sentences.
        warnings: what makes the answer doubtful.
    """

    voxels: np.ndarray | None
    body: np.ndarray
    box: Box
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def see_body(voxels: np.ndarray, spacing: tuple[float, float, float], pixels: int) -> Seen:
    """Cut the body out of a CT, with air around it, in pixels that suit its size.

    Args:
        voxels: int16 or float32 [X, Y, Z] HU.
        spacing: mm along X, Y, Z.
        pixels: along the longer edge of the body in the usual slice.
    """
    cleaned, number = without_padding(voxels)
    body = find_body(cleaned, spacing)
    notes = () if number is None else (f"{number:g} around what was scanned was taken for padding, not for tissue",)
    if not body.size:
        return Seen(None, body.mask, body.box, notes)
    shown = np.where(body.mask[body.box], cleaned[body.box].clip(EMPTY), EMPTY).astype(np.float32)
    step = body.size / pixels  # mm of a pixel
    x, y = (max(16, round(edge * length / step)) for edge, length in zip(shown.shape[:2], spacing[:2], strict=True))
    return Seen(resize(shown, (x, y)), body.mask, body.box, notes, _odd(body, cleaned < AIR))


def _odd(body: Body, air: np.ndarray) -> tuple[str, ...]:
    """Say what is unlike the bodies that a network learned from: a size that none has, or a cut through a lung."""
    cut: dict[str, float] = {}  # edge -> share of air of what is cut
    for axis, names in enumerate(EDGES):
        extent = body.box[1 - axis].stop - body.box[1 - axis].start
        for end, name in zip((0, -1), names, strict=True):
            face = body.mask.take(end, axis)
            if face.mean(1).sum() > CUT * extent:
                cut[name] = float(air.take(end, axis)[face].mean())
    said, (low, high) = [], SIZES
    if body.size > high or (body.size < low and not cut):
        said.append(
            f"the body measures {body.size:.3g} mm across, expected {low:g} to {high:,g}: the voxel size in the file "
            "is wrong, and so are volumes in mL"
        )
    if lungs := [name for name, share in cut.items() if THROUGH[0] < share < THROUGH[1]]:
        said.append(
            f"the scan ends inside the body at the patient's {' and '.join(lungs)}, in air as of a lung: much of what "
            "is in view may be missed"
        )
    return tuple(said)


def resize(voxels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return float32 [X, Y, Z] as [*shape, Z]; each new pixel is the mean of what it covers."""
    out = np.empty((*shape, voxels.shape[2]), np.float32)
    for k in range(0, voxels.shape[2], BLOCK):
        block = np.ascontiguousarray(voxels[:, :, k : k + BLOCK].transpose(2, 0, 1), dtype=np.float32)
        part = F.interpolate(torch.from_numpy(block)[None], shape, mode="bilinear", antialias=True)[0]
        out[:, :, k : k + BLOCK] = part.numpy().transpose(1, 2, 0)
    return out


def resize_labels(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a mask [X, Y, Z] as [*shape, Z]: a pixel gets the label that covers most of it, the lower of equals."""
    best, out = np.zeros((*shape, mask.shape[2]), np.float32), np.zeros((*shape, mask.shape[2]), mask.dtype)
    for label in np.unique(mask):
        share = resize((mask == label).astype(np.float32), shape)
        better = share > best + 1e-6
        out[better], best[better] = label, share[better]
    return out


def without_padding(voxels: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Return the scan with padding brighter than air set to `EMPTY`, and the number that it had; None: there is none.

    Scanners fill what they did not see with one number: -1024, -2000, -3024, which look like air, or 0, which looks
    like water.

    Args:
        voxels: [X, Y, Z] HU.
    """
    edges = np.concatenate([voxels[0].ravel(), voxels[-1].ravel(), voxels[1:-1, 0].ravel(), voxels[1:-1, -1].ravel()])
    numbers, counts = np.unique(edges, return_counts=True)
    often = [float(n) for n, c in zip(numbers, counts, strict=True) if c >= PADDED * edges.size and n > OUTDOORS]
    if not often or voxels.min() == voxels.max():
        return voxels, None
    number = max(often, key=lambda n: counts[numbers == n][0])
    cleaned = voxels.copy()
    for k in range(voxels.shape[2]):
        pieces, _ = ndimage.label(voxels[:, :, k] == number)
        sizes = np.bincount(pieces.ravel())
        kept = [piece for piece in np.unique(_rim(pieces)) if piece and sizes[piece] >= SMALL]
        cleaned[:, :, k][np.isin(pieces, kept)] = EMPTY
    return cleaned, number


def find_body(voxels: np.ndarray, spacing: tuple[float, float, float]) -> Body:
    """Find the body in a CT.

    Args:
        voxels: [X, Y, Z] HU, without padding.
        spacing: mm along X, Y, Z.
    """
    step = max(1, round(max(voxels.shape[:2]) / COARSE))
    coarse = voxels[::step, ::step]
    fine = np.arange(voxels.shape[0]) // step, np.arange(voxels.shape[1]) // step
    mask = np.zeros(voxels.shape, bool)
    sizes, boxes = [], []
    for k in range(voxels.shape[2]):
        inside = _inside(coarse[:, :, k])
        if not inside.any():
            continue
        mask[:, :, k] = inside[np.ix_(*fine)]
        x, y = ndimage.find_objects(mask[:, :, k].astype(np.uint8))[0]
        boxes.append((x.start, x.stop, y.start, y.stop))
        sizes.append(max((x.stop - x.start) * spacing[0], (y.stop - y.start) * spacing[1]))
    if not boxes:
        return Body(mask, (slice(0, voxels.shape[0]), slice(0, voxels.shape[1])), 0.0)
    (left, _, low, _), (_, right, _, high) = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return Body(mask, (slice(int(left), int(right)), slice(int(low), int(high))), float(np.quantile(sizes, TYPICAL)))


def _inside(plane: np.ndarray) -> np.ndarray:
    """Return what of a slice [X, Y] is body: bool [X, Y]."""
    pieces, count = ndimage.label(plane < AIR)
    solid = np.ones(plane.shape, bool)
    if count:
        rim, corners = _rim(pieces), pieces[[0, 0, -1, -1], [0, -1, 0, -1]]
        medians = ndimage.median(plane, pieces, range(count + 1))
        for piece in np.unique(rim):
            limit = NEARLY if (corners == piece).sum() > 1 else OUTDOORS
            if piece and medians[piece] < limit:
                solid[pieces == piece] = False
        solid &= (pieces == 0) | np.isin(pieces, np.unique(rim))
    width = max(1, round(max(plane.shape) / 128))  # blankets, tubes and thin tables hang on by less
    opened = ndimage.binary_opening(solid, iterations=width)
    bodies, count = ndimage.label(opened)
    if not count:
        return opened
    largest = bodies == np.bincount(bodies.ravel())[1:].argmax() + 1
    return ndimage.binary_fill_holes(largest)


def _rim(plane: np.ndarray) -> np.ndarray:
    """Return the values along the border of [X, Y]."""
    return np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])
