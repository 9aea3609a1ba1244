"""From a network and a volume to a mask, a probability map and an uncertainty map, slab by slab."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError, unknown_name
from cnn_core.inference.sliding import Observer, slabs
from cnn_core.inference.windows import WindowConfig

MAPS = ("foreground", "confidence", "entropy")


@dataclass(frozen=True)
class Segmentation:
    """What a network says of every cell; maps that were not requested are None."""

    mask: Tensor  # [*S] uint8, the most probable class
    foreground: Tensor | None  # [*S] float16: probability that it is not class 0
    confidence: Tensor | None  # [*S] float16: probability of the class in the mask
    entropy: Tensor | None  # [*S] float16: 0 certain ... 1 all classes alike


def segment(
    model: nn.Module,
    x: Tensor,
    config: WindowConfig,
    *,
    maps: Sequence[str] = (),
    progress: Observer | None = None,
) -> Segmentation:
    """Segment one input, `[C, *S]`; besides `x` and the result (1 to 7 bytes a cell), one slab of scores is held.

    Args:
        model: `[B, C, *window] -> [B, K, *window]` with 2 to 256 classes.
        x: [C, *S], normalised as the network wants it.
        config: see WindowConfig.
        maps: any of "foreground", "confidence", "entropy".
        progress: called after every forward pass; returning False ends it.

    Raises:
        CnnError: the settings do not fit the input, or the network does not have 2 to 256 classes.
        StoppedError: `progress` returned False.
    """
    for name in maps:
        if name not in MAPS:
            raise unknown_name("map", name, MAPS)
    size = x.shape[1:]
    mask = torch.empty(size, dtype=torch.uint8)
    made = {name: torch.empty(size, dtype=torch.float16) for name in MAPS if name in maps}
    for slab in slabs(model, x.unsqueeze(0), config, progress=progress):
        scores = slab.scores[0]  # [K, *S]
        if not 2 <= len(scores) <= 256:
            raise CnnError(f"expected a network with 2 to 256 classes, got {len(scores)}")
        place = slab.place(0)
        mask[place] = scores.argmax(0).to(torch.uint8)
        for name, values in _maps(scores, made).items() if made else ():
            made[name][place] = values.to(torch.float16)
    return Segmentation(mask, *(made.get(name) for name in MAPS))


def _maps(scores: Tensor, wanted: Container[str]) -> dict[str, Tensor]:
    """Compute the wanted maps of scores [K, *S]."""
    found = {}
    logs = scores.log_softmax(0)
    probabilities = logs.exp()
    if "foreground" in wanted:
        found["foreground"] = 1 - probabilities[0]
    if "confidence" in wanted:
        found["confidence"] = probabilities.amax(0)
    if "entropy" in wanted:
        found["entropy"] = probabilities.mul_(logs).sum(0).neg_().div_(math.log(len(scores)))
    return found
