"""Pretrained encoders: the ImageNet trunk, torchvision's weights, or weights of image classification."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnn_core.data.cache import cache_key, cached_array
from cnn_core.errors import CnnError, UnknownNameError, WeightsError
from cnn_core.models import Backbone, as_backbone, create_model, load_torchvision
from cnn_core.models.imagenet import load_imagenet
from cnn_core.nn.folding import folded
from cnn_core.weights import WeightsCard, load_model
from image_captioning.contract import CaptionContract
from image_captioning.model import Encoder, cells_of

HALF = (0.5,), (0.5,)  # mean and standard deviation: pictures from -1 to 1
FEATURE_BATCH = 32
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Start:
    """An encoder and what belongs to it: the model's name and options, and the statistics of its input."""

    encoder: Encoder
    model: str
    options: Mapping[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def start_encoder(
    name: str, *, weights: str | None, stage: str | None, input_size: tuple[int, int], options: Mapping[str, Any]
) -> Start:
    """Build an encoder, with pretrained weights if some are named.

    Args:
        name: a registered backbone; weights of image classification have their own.
        weights: None, "imagenet", "torchvision", or the name (or run folder) of image
            classification weights.
        stage: the last stage that is used; None: all.
        input_size: (H, W) of the network's input.
        options: of the backbone.

    Raises:
        UnknownNameError: no such backbone, stage or weights.
        CnnError: the weights do not fit the backbone, or cannot be downloaded.
    """
    if weights == "imagenet":
        if name != "efficientnet_lite0" or options:
            raise CnnError(f"imagenet are weights of efficientnet_lite0 without options, got {name} {dict(options)}")
        backbone = as_backbone(create_model(name))
        load_imagenet(backbone)
        return Start(Encoder(backbone, stage=stage), name, {}, *HALF)
    if weights == "torchvision":
        return Start(Encoder(_from_torchvision(name, options), stage=stage), name, options, *IMAGENET)
    if weights is not None:
        try:
            backbone, card = load_model(weights, domain="image_classification")
        except UnknownNameError as error:
            raise UnknownNameError(f"{error} (or imagenet, torchvision)") from error
        if backbone.in_channels != 3:
            raise CnnError(f"{weights} takes {backbone.in_channels} channel(s); an encoder of photos needs 3")
        mean, std = _statistics(card, "mean"), _statistics(card, "std")
        return Start(Encoder(backbone, stage=stage), card.model, card.arguments["options"], mean, std)
    backbone = as_backbone(create_model(name, num_classes=1, input_size=input_size, options=options))
    return Start(Encoder(backbone, stage=stage), name, options, *HALF)


def _statistics(card: WeightsCard, name: str) -> tuple[float, ...]:
    """Return the "mean" or "std" of the pictures that a card's network takes."""
    values = card.input.get(name)
    if not isinstance(values, list):
        raise WeightsError(f"weights {card.name!r}: its input lacks {name}; restore the card")
    return tuple(value for value in values if isinstance(value, int | float))


def _from_torchvision(name: str, options: Mapping[str, Any]) -> Backbone:
    """Return a backbone with torchvision's ImageNet weights, which torchvision downloads and keeps."""
    import torchvision

    try:
        entry = torchvision.models.get_model_weights(name).DEFAULT
        state = entry.get_state_dict(progress=False, check_hash=True)
    except (ValueError, OSError) as error:
        raise CnnError(
            f"torchvision's weights of {name} could not be had ({error}); they need a connection the first time, or "
            "put them into torch's cache"
        ) from error
    backbone = as_backbone(create_model(name, options=options))
    load_torchvision(backbone, state)
    return backbone


def cached_features(encoder: Encoder, images: Tensor, *, contract: CaptionContract, device: torch.device) -> Tensor:
    """Return the maps of a frozen encoder as cells in a row, memory-mapped: `uint8 [N, 3, H, W] -> float16 [N, P, C]`.

    They are computed once for the same pixels, encoder and contract.

    Raises:
        CnnError: the grid is not square.
    """
    quick = folded(encoder.to(device))

    @torch.inference_mode()
    def features(part: Tensor) -> Tensor:
        maps = quick(contract.normalize(part.to(device)))
        if maps.shape[2] != maps.shape[3]:
            raise CnnError(f"a frozen encoder needs a square grid, got {list(maps.shape[2:])}; use square pictures")
        return cells_of(maps)[0].half().cpu()

    parts = images.split(FEATURE_BATCH)
    pixels = hashlib.sha256()
    for part in parts:
        pixels.update(part.contiguous().numpy())
    weights = [value.detach().cpu().contiguous().numpy() for value in encoder.state_dict().values()]
    view = (contract.input_size, contract.mean, contract.std)
    key = cache_key("features", len(images), view, *weights, pixels.digest())
    shape = (len(images), *features(images[:1]).shape[1:])
    return torch.from_numpy(cached_array(key, (features(part).numpy() for part in parts), shape=shape, dtype="float16"))
