"""U-Net: a class for every cell of the input, from a way down that sees far and a way up that keeps its place.

Ronneberger, Fischer, Brox 2015, "U-Net: convolutional networks for biomedical image segmentation", arXiv:1505.04597;
in 3-D Çiçek et al. 2016, "3D U-Net", arXiv:1606.06650 (`early_doubling`: 19,069,955 parameters without normalisation,
as published). Residual form after He et al. 2015 and the residual encoder of nnU-Net (Isensee et al. 2024,
arXiv:2404.09556); deep supervision after Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.
Differs from the papers: convolutions are padded, so that the output is as large as the input; up-convolutions have no
bias; `stem_stride` above 1 leaves out the levels at full resolution, which take most of the time, and scores sub-cells
instead.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from cnn_core.errors import CnnError, unknown_name
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import create_model, list_models, model_spec
from cnn_core.models.unet_options import option_problems
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
    residual_block,
)


class UNet(nn.Module):
    """Any backbone as the way down, and a way up to the size of the input: `[B, C, *S] -> [B, K, *S]`.

    Of several stages with one stride the last one is the skip. In training mode with `deep_supervision`, `forward`
    returns a list: the full-size scores, then those of each coarser level of the way up at its own size.

    Args:
        encoder: its head is taken off.
        num_classes: K.
        widths: channels of the levels of the way up, finest first; one less than the encoder has different strides.
        depths: blocks in each level of the way up, finest first.
        block: makes the convolutions of a level.
        merge: how skips are joined, "concat" or "add".
        wide_up: up-convolutions keep the channels of the coarser level.
        deep_supervision: coarser levels get heads of their own.
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
        wide_up: bool = False,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        encoder.head = nn.Identity()  # parameters that never get a gradient would stop training in several processes
        self.encoder = encoder
        self.spatial_dims, self.in_channels, self.num_classes = encoder.spatial_dims, encoder.in_channels, num_classes
        self.minimum_size = encoder.minimum_size
        levels = {info.stride: i for i, info in enumerate(encoder.feature_info)}  # stride -> its last stage
        self.levels = tuple(levels.values())
        infos = [encoder.feature_info[i] for i in self.levels]
        if not len(widths) == len(depths) == len(infos) - 1:
            raise CnnError(
                f"expected {len(infos) - 1} widths and depths of the way up, one per skip, got {list(widths)} and "
                f"{list(depths)}"
            )
        ups, channels = [], infos[-1].channels
        for width, depth, (fine, coarse) in reversed(list(zip(widths, depths, pairwise(infos), strict=True))):
            ups.append(
                UpBlock(
                    channels, fine.channels, out_channels=width, spatial_dims=self.spatial_dims,
                    ratio=max(1, coarse.stride // fine.stride), block=partial(block, depth=depth), merge=merge,
                    wide=wide_up,
                )
            )  # fmt: skip
            channels = width
        self.ups = nn.ModuleList(ups)  # coarsest first
        init_he(self.ups)
        self.stride = infos[0].stride
        self.head = SegmentationHead(channels, num_classes, spatial_dims=self.spatial_dims, stride=self.stride)
        coarser = widths[1:] if deep_supervision else ()
        self.side_heads = nn.ModuleList(  # finest first
            SegmentationHead(width, num_classes, spatial_dims=self.spatial_dims) for width in coarser
        )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size = x.shape[2:]
        maps = self.encoder.forward_features(x)
        skips = [maps[i] for i in self.levels]
        del maps
        x = skips.pop()
        decoded = []
        for up in self.ups:
            x = up(x, skips.pop())
            if self.training and self.side_heads:
                decoded.insert(0, x)
        scores = fit_size(self.head(x), size, slack=self.stride - 1)
        if not (self.training and self.side_heads):
            return scores
        return [scores, *(head(x) for head, x in zip(self.side_heads, decoded[1:], strict=True))]

    def reset_head(self, num_classes: int) -> None:
        """Give every head fresh weights for `num_classes` classes; the rest keeps its weights."""
        place = {"device": self.head.conv.weight.device, "dtype": self.head.conv.weight.dtype}

        def fresh(old: SegmentationHead) -> SegmentationHead:
            new = SegmentationHead(old.channels, num_classes, spatial_dims=self.spatial_dims, stride=old.stride)
            return new.to(**place)

        self.head = fresh(self.head)
        self.side_heads = nn.ModuleList(map(fresh, self.side_heads))
        self.num_classes = num_classes

    def initialise(self, x: Tensor) -> None:
        """Let an encoder that sets weights from data (FastNet) do so on normalised inputs `x` [B, C, *S]."""
        if hasattr(self.encoder, "initialise"):
            self.encoder.initialise(x)


def unet(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    depth: int | Sequence[int] = 2,
    up_depth: int | Sequence[int] | None = None,
    norm: Norm = "batch",
    activation: Activation = "relu",
    strided: bool = False,
    stem_stride: int = 1,
    merge: Merge = "concat",
    early_doubling: bool = False,
    deep_supervision: bool = False,
) -> UNet:
    """Build a plain U-Net for inputs of any size: `[B, in_channels, *S] -> [B, K, *S]`.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        widths: channels of each level, finest first.
        depth: convolutions in each level on the way down; a list gives one number per level, finest first.
        up_depth: the same on the way up, which has one level less; None: as on the way down.
        norm: "batch", "instance" (nnU-Net's, for batches of few large patches) or "none".
        activation: "relu" or "leaky_relu".
        strided: the first convolution of a level halves the map (nnU-Net), else maximum pooling before it.
        stem_stride: step of the very first convolution; 2 makes a volume about eight times cheaper.
        merge: "concat", or "add" (cheaper).
        early_doubling: the form of Çiçek et al.: channels double before pooling, up-convolutions keep them.
        deep_supervision: scores at every level while training.
    """
    kinds = {"spatial_dims": spatial_dims, "norm": norm, "activation": activation}
    depths = _each_level(depth, len(widths))
    encoder = _encoder(
        in_channels, widths, depths=depths, block=plain_block(**kinds, early_doubling=early_doubling),
        spatial_dims=spatial_dims, strided=strided, stem_stride=stem_stride,
    )  # fmt: skip
    up_depths = depths[:-1] if up_depth is None else _each_level(up_depth, len(widths) - 1)
    return UNet(
        encoder, num_classes, widths=widths[:-1], depths=up_depths, block=plain_block(**kinds), merge=merge,
        wide_up=early_doubling, deep_supervision=deep_supervision,
    )  # fmt: skip


def residual_unet(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    widths: Sequence[int] = (32, 64, 128, 256, 320, 320),
    depth: int | Sequence[int] = 2,
    up_depth: int | Sequence[int] = 1,
    norm: Norm = "instance",
    activation: Activation = "leaky_relu",
    stem_stride: int = 1,
    merge: Merge = "concat",
    deep_supervision: bool = False,
) -> UNet:
    """Build a U-Net of residual blocks, the first of each level striding: `[B, in_channels, *S] -> [B, K, *S]`.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        widths: channels of each level, finest first.
        depth: residual blocks (two convolutions each) in each level on the way down; a list gives one number per level.
        up_depth: the same on the way up.
        norm: "batch", "instance" or "none".
        activation: "relu" or "leaky_relu".
        stem_stride: step of the very first convolution; 2 makes a volume about eight times cheaper.
        merge: "concat", or "add" (cheaper).
        deep_supervision: scores at every level while training.
    """
    kinds = {"spatial_dims": spatial_dims, "norm": norm, "activation": activation}
    block = residual_block(**kinds)
    encoder = _encoder(
        in_channels, widths, depths=_each_level(depth, len(widths)), block=block, spatial_dims=spatial_dims,
        strided=True, stem_stride=stem_stride,
    )  # fmt: skip
    return UNet(
        encoder, num_classes, widths=widths[:-1], depths=_each_level(up_depth, len(widths) - 1), block=block,
        merge=merge, deep_supervision=deep_supervision,
    )  # fmt: skip


def backbone_unet(
    encoder: Backbone,
    num_classes: int,
    *,
    width: int = 16,
    up_depth: int = 2,
    norm: Norm = "batch",
    activation: Activation = "relu",
    merge: Merge = "concat",
    deep_supervision: bool = False,
) -> UNet:
    """Put a way up on a backbone, which may have trained weights: `[B, in_channels, *S] -> [B, K, *S]`.

    Args:
        encoder: a registered backbone; it loses its head.
        num_classes: K.
        width: channels of the finest level of the way up; each coarser one has twice as many, but never more than the
            skip that it meets.
        up_depth: convolutions in each level of the way up.
        norm: "batch", "instance" or "none", of the way up.
        activation: "relu" or "leaky_relu", of the way up.
        merge: "concat", or "add" (cheaper).
        deep_supervision: scores at every level while training.

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
        deep_supervision=deep_supervision,
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
    """Build the way down: one stage per level, each half the size of the one before."""
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
        stages, infos, head=nn.Identity(), spatial_dims=spatial_dims, in_channels=in_channels,
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


# Options of `unet` for volumes on a processor: no level at full resolution, one convolution in the first level, skips
# added. As many parameters as MONAI's UNet(16, 32, 64, 128, 256; two residual units) and a step in less than a third of
# its time (tests/benchmarks/test_unet_speed.py). For batches of one or two patches take norm="instance".
FAST: Mapping[str, Any] = {
    "widths": (16, 32, 64, 132, 272),
    "depth": (1, 2, 2, 2, 2),
    "up_depth": 1,
    "norm": "batch",
    "strided": True,
    "stem_stride": 2,
    "merge": "add",
}

UNETS: dict[str, Callable[..., UNet]] = {"unet": unet, "residual_unet": residual_unet}


def list_unets(*, spatial_dims: int | None = None) -> list[str]:
    """Return the names that `create_unet` takes: the forms of its own, then every backbone that can be an encoder."""
    fitting = [name for name in list_models(spatial_dims=spatial_dims) if _has_maps(name)]
    return [*UNETS, *fitting]


def unet_options(name: str) -> dict[str, Any]:
    """Return the options of `create_unet(name)` with their default values.

    Raises:
        UnknownNameError: no such form and no such backbone.
    """
    if name not in {*UNETS, *list_models()}:
        try:
            model_spec(name)  # an alias, or raises with the nearest backbones
        except CnnError:
            raise unknown_name("U-Net or backbone", name, [*UNETS, *list_models()]) from None
    own = _defaults(UNETS.get(name, backbone_unet))
    return own if name in UNETS else {**model_spec(name).options, **own}


def create_unet(
    name: str,
    *,
    spatial_dims: int = 2,
    in_channels: int = 1,
    num_classes: int = 2,
    options: Mapping[str, Any] | None = None,
) -> UNet:
    """Build a U-Net with fresh weights: `[B, in_channels, *S] -> [B, K, *S]`.

    Args:
        name: "unet", "residual_unet", or a registered backbone, which becomes the encoder.
        spatial_dims: 1, 2 or 3.
        in_channels: channels of the input.
        num_classes: K, background included.
        options: see `unet_options(name)`; for a backbone, its own and those of `backbone_unet`.

    Raises:
        UnknownNameError: no such name or option.
        CnnError: the backbone does not exist in `spatial_dims` or has no maps, or an option cannot be used.
    """
    known, options = unet_options(name), dict(options or {})
    for option in options:
        if option not in known:
            raise unknown_name(f"option of the U-Net {name}", option, known)
    for label, number in (("in_channels", in_channels), ("num_classes", num_classes)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise CnnError(f"{label} of the U-Net {name} must be a whole number of at least 1, got {number!r}")
    if spatial_dims not in (1, 2, 3):
        raise CnnError(f"spatial_dims of the U-Net {name} must be 1, 2 or 3, got {spatial_dims!r}")
    changed = {key: value for key, value in options.items() if value != known[key]}  # a default may be None
    problems = option_problems(changed, own=name in UNETS)
    if problems:
        raise CnnError(f"the U-Net {name} cannot be built: {'; '.join(problems)}")
    if name in UNETS:
        return UNETS[name](in_channels, num_classes, spatial_dims=spatial_dims, **options)
    if not _has_maps(name):
        raise CnnError(
            f"{name} cannot be the encoder of a U-Net: it has no maps of several sizes; choose a convolutional network"
        )
    own = {key: value for key, value in options.items() if key in _defaults(backbone_unet)}
    rest = {key: value for key, value in options.items() if key not in own}
    encoder = create_model(name, spatial_dims=spatial_dims, in_channels=in_channels, num_classes=1, options=rest)
    return backbone_unet(encoder, num_classes, **own)


def _defaults(build: Callable[..., UNet]) -> dict[str, Any]:
    """Return the keyword options of a builder with their default values."""
    parameters = inspect.signature(build).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "spatial_dims"}


def _has_maps(name: str) -> bool:
    """Tell whether a backbone keeps maps of the input: dense layers on raw pixels have none."""
    return "input_size" not in inspect.signature(model_spec(name).build).parameters
