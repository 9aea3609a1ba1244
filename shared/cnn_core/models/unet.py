"""U-Net: a class for every cell of the input, from an encoder with a large receptive field and a decoder with skips.

Ronneberger, Fischer, Brox 2015, "U-Net: convolutional networks for biomedical image segmentation", arXiv:1505.04597;
in 3-D Çiçek et al. 2016, "3D U-Net", arXiv:1606.06650.
Differs from the papers: convolutions are padded, so that the output is as large as the input; up-convolutions have no
bias; channels double after the pooling in 3-D too; `stem_stride` above 1 leaves out the levels at full resolution,
which take most of the time, and scores sub-cells instead.
"""

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, validate_call
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import as_backbone, create_model, list_models, model_spec, register_model
from cnn_core.nn.blocks import NoHead
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he
from cnn_core.nn.unet import (
    Activation,
    Block,
    Merge,
    Norm,
    SegmentationHead,
    UpBlock,
    fit_size,
    plain_block,
)
from cnn_core.validation import Count, sentences

DECODER_OPTIONS = ("width", "up_depth", "norm", "activation", "merge")  # of `backbone_unet`


class UNet(nn.Module):
    """Any backbone as the encoder, and a decoder up to the size of the input: `[B, C, *S] -> [B, K, *S]`.

    Of several stages with one stride the last one is the skip.

    Args:
        encoder: its head is taken off.
        num_classes: K.
        widths: channels of the levels of the decoder, finest first; one less than the encoder has different strides.
        depths: blocks in each level of the decoder, finest first.
        block: makes the convolutions of a level.
        merge: how skips are joined, "concat" or "add".
    """

    def __init__(
        self,
        encoder: Backbone,
        num_classes: int,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        block: Block,
        merge: Merge = "concat",
    ) -> None:
        super().__init__()
        encoder.head = NoHead()  # parameters that never get a gradient would stop training in several processes
        self.encoder = encoder
        self.spatial_dims, self.in_channels, self.num_classes = encoder.spatial_dims, encoder.in_channels, num_classes
        self.minimum_size = encoder.minimum_size
        levels = {info.stride: i for i, info in enumerate(encoder.feature_info)}  # stride -> its last stage
        self.levels = tuple(levels.values())
        infos = [encoder.feature_info[i] for i in self.levels]
        if not len(widths) == len(depths) == len(infos) - 1:
            raise CnnError(
                f"expected {len(infos) - 1} widths and depths of the decoder, one per skip, got {list(widths)} and "
                f"{list(depths)}"
            )
        ups, channels = [], infos[-1].channels
        for width, depth, (fine, coarse) in reversed(list(zip(widths, depths, pairwise(infos), strict=True))):
            ups.append(
                UpBlock(
                    channels, fine.channels, out_channels=width, spatial_dims=self.spatial_dims,
                    ratio=max(1, coarse.stride // fine.stride), block=partial(block, depth=depth), merge=merge,
                )
            )  # fmt: skip
            channels = width
        self.ups = nn.ModuleList(ups)  # coarsest first
        init_he(self.ups)
        self.stride = infos[0].stride
        self.head = SegmentationHead(channels, num_classes, spatial_dims=self.spatial_dims, stride=self.stride)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        maps = self.encoder.forward_features(x)
        skips = [maps[i] for i in self.levels]
        del maps
        x = skips.pop()
        for up in self.ups:
            x = up(x, skips.pop())
        return fit_size(self.head(x), size, slack=self.stride - 1)

    def reset_head(self, num_classes: int) -> None:
        """Give the head fresh weights for `num_classes` classes; the rest keeps its weights."""
        old = self.head
        new = SegmentationHead(old.channels, num_classes, spatial_dims=self.spatial_dims, stride=old.stride)
        self.head = new.to(old.conv.weight.device, old.conv.weight.dtype)
        self.num_classes = num_classes

    def initialise(self, x: Tensor) -> None:
        """Let an encoder that sets weights from data (FastNet) do so on normalised inputs `x` [B, C, *S]."""
        initialise = getattr(self.encoder, "initialise", None)
        if initialise is not None:
            initialise(x)


@register_model(
    paper="Ronneberger, Fischer, Brox 2015: U-Net",
    url="https://arxiv.org/abs/1505.04597",
    year=2015,
    input_shape=(1, 572, 572),
    segments=True,
)
def unet(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    widths: Annotated[Sequence[Count], Field(min_length=2)] = (64, 128, 256, 512, 1024),
    depth: Count | Sequence[Count] = 2,
    up_depth: Count | Sequence[Count] | None = None,
    norm: Norm = "batch",
    activation: Activation = "relu",
    strided: bool = False,
    stem_stride: Count = 1,
    merge: Merge = "concat",
) -> UNet:
    """Build a plain U-Net for inputs of any size: `[B, in_channels, *S] -> [B, K, *S]`.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        widths: channels of each level, finest first.
        depth: convolutions in each level of the encoder; a list gives one number per level, finest first.
        up_depth: the same for the decoder, which has one level less; None: as in the encoder.
        norm: "batch", "instance" (nnU-Net's, for batches of few large patches) or "none".
        activation: "relu" or "leaky_relu".
        strided: the first convolution of a level halves the map (nnU-Net), else maximum pooling before it.
        stem_stride: step of the very first convolution; 2 makes a volume about eight times cheaper.
        merge: "concat", or "add" (cheaper).
    """
    block = plain_block(spatial_dims=spatial_dims, norm=norm, activation=activation)
    depths = _each_level(depth, len(widths))
    encoder = _encoder(
        in_channels, widths, depths=depths, block=block, spatial_dims=spatial_dims, strided=strided,
        stem_stride=stem_stride,
    )  # fmt: skip
    up_depths = depths[:-1] if up_depth is None else _each_level(up_depth, len(widths) - 1)
    return UNet(encoder, num_classes, widths=widths[:-1], depths=up_depths, block=block, merge=merge)


@validate_call(config=ConfigDict(strict=True, arbitrary_types_allowed=True))
def backbone_unet(
    encoder: Backbone,
    num_classes: int,
    *,
    width: Count = 16,
    up_depth: Count = 2,
    norm: Norm = "batch",
    activation: Activation = "relu",
    merge: Merge = "concat",
) -> UNet:
    """Put a decoder on a backbone, which may have trained weights: `[B, in_channels, *S] -> [B, K, *S]`.

    Args:
        encoder: a registered backbone; it loses its head.
        num_classes: K.
        width: channels of the finest level of the decoder; each coarser one has twice as many, but never more than the
            skip that it meets.
        up_depth: convolutions in each level of the decoder.
        norm: "batch", "instance" or "none", of the decoder.
        activation: "relu" or "leaky_relu", of the decoder.
        merge: "concat", or "add" (cheaper).

    Raises:
        CnnError: the backbone takes one input size only (dense layers on raw pixels), so it has no maps to go up from.
    """
    if encoder.input_size is not None:
        raise CnnError(
            f"a U-Net needs an encoder with maps of several sizes; this one takes inputs of {encoder.input_size} only "
            "and connects all of them; choose a convolutional network"
        )
    skips = list({info.stride: info.channels for info in encoder.feature_info}.values())[:-1]
    widths = [min(channels, width * 2**i) for i, channels in enumerate(skips)]
    return UNet(
        encoder, num_classes, widths=widths, depths=[up_depth] * len(widths),
        block=plain_block(spatial_dims=encoder.spatial_dims, norm=norm, activation=activation), merge=merge,
    )  # fmt: skip


def _encoder(
    in_channels: int,
    widths: Sequence[int],
    *,
    depths: Sequence[int],
    block: Block,
    spatial_dims: int,
    strided: bool,
    stem_stride: int,
) -> Backbone:
    """Build the encoder: one stage per level, each half the size of the one before."""
    stages: dict[str, nn.Module] = {}
    infos = []
    channels = in_channels
    for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        step = stem_stride if i == 0 else 2 if strided else 1
        stage = block(channels, width, depth=depth, stride=step)
        if i > 0 and not strided:
            stage = nn.Sequential(dims(spatial_dims).max_pool(2), stage)
        stages[f"level{i}"] = stage
        infos.append(FeatureInfo(f"level{i}", width, stem_stride * 2**i))
        channels = width
    network = Backbone(
        stages, infos, head=NoHead(), spatial_dims=spatial_dims, in_channels=in_channels,
        minimum_size=infos[-1].stride,
    )  # fmt: skip
    init_he(network)
    return network


def _each_level(depth: int | Sequence[int], levels: int) -> list[int]:
    """Return one number per level."""
    depths = [depth] * levels if isinstance(depth, int) else list(depth)
    if len(depths) != levels:
        raise CnnError(f"expected {levels} depths, one per level, or a single number, got {depths}")
    return depths


def list_encoders(*, spatial_dims: int | None = None) -> list[str]:
    """Return the names of backbones that can be the encoder of `create_unet`."""
    return [name for name in list_models(spatial_dims=spatial_dims) if _has_maps(name)]


def create_unet(
    name: str,
    *,
    spatial_dims: int = 2,
    in_channels: int = 1,
    num_classes: int = 2,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a U-Net with fresh weights: `[B, in_channels, *S] -> [B, K, *S]`.

    Args:
        name: a registered network that segments, or a backbone, which becomes the encoder.
        spatial_dims: 1, 2 or 3.
        in_channels: channels of the input.
        num_classes: K, background included.
        options: of the network; for a backbone, its own and those of `backbone_unet`.

    Raises:
        UnknownNameError: no such name or option.
        CnnError: the backbone does not exist in `spatial_dims` or has no maps, or an option cannot be used.
    """
    spec, options = model_spec(name), dict(options or {})
    build = partial(create_model, name, spatial_dims=spatial_dims, in_channels=in_channels)
    if spec.segments:
        return build(num_classes=num_classes, options=options)
    if not _has_maps(name):
        raise CnnError(
            f"{name} cannot be the encoder of a U-Net: it has no maps of several sizes; choose a convolutional network"
        )
    own = {key: options.pop(key) for key in DECODER_OPTIONS if key in options}
    encoder = as_backbone(build(num_classes=1, options=options))
    try:
        return backbone_unet(encoder, num_classes, **own)
    except ValidationError as error:
        raise CnnError(f"a U-Net on {name} cannot be built: {'; '.join(sentences(error))}") from error


def _has_maps(name: str) -> bool:
    """Return whether a backbone keeps maps of the input: dense layers on raw pixels have none."""
    return "input_size" not in inspect.signature(model_spec(name).build).parameters
