"""FastNet: a small network of our own for pictures of 28 to 32 pixels that trains in minutes on a CPU.

Built from published parts: the whitened, frozen first convolution of Page (2018, "How to train your ResNet") and the
convolution-pool-convolution stages of Jordan (2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
arXiv:2404.00498). Differs from the latter: widths and depths are options, a 3 x 3 stem for one-channel pictures, a
learnable logit scale folded into the head, and the same network in 1-D and 3-D.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head
from cnn_core.nn.dims import dims

BATCH_NORM_MOMENTUM = 0.4  # quick running statistics: the whole training is a few hundred steps
WHITENING_NUMBERS = 2**27  # patches are collected in parts of at most 1 GiB


class WhitenedStem(nn.Module):
    """Patches expressed in their decorrelated directions and their negatives, then GELU.

    `[B, in_channels, *S] -> [B, 2 * in_channels * kernel_size ** spatial_dims, *S']`, S' = S - kernel_size + 1 + 2 p.
    The filters are computed once from training pictures (`whiten`) and are not trained; the bias is.
    """

    def __init__(self, in_channels: int, *, spatial_dims: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.spatial_dims = spatial_dims
        directions = in_channels * kernel_size**spatial_dims
        self.conv = dims(spatial_dims).conv(
            in_channels, 2 * directions, kernel_size, stride, padding=(kernel_size - 1) // 2
        )
        if not self.conv.weight.is_meta:  # without memory there is nothing to set, and torch would load SymPy for it
            nn.init.orthogonal_(self.conv.weight)
        self.conv.weight.requires_grad_(False)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))

    @torch.no_grad()
    def whiten(self, x: Tensor, *, epsilon: float = 5e-4) -> None:
        """Set the filters to the whitening directions of the patches of `x` [B, in_channels, *S] (normalised).

        The directions are the eigenvectors v of the patch covariance, divided by sqrt(eigenvalue + epsilon).
        """
        weight = self.conv.weight
        numbers = x[0].numel() * weight[0, 0].numel()  # of the patches of one input
        products, count = x.new_zeros((), dtype=torch.double), 0
        for part in x.split(max(1, WHITENING_NUMBERS // numbers)):
            patches = self._patches(part)
            products, count = products + patches.T @ patches, count + len(patches)
        values, vectors = torch.linalg.eigh(products / count)
        filters = (vectors / (values + epsilon).sqrt()).T.flip(0).reshape(-1, *weight.shape[1:])
        weight.copy_(torch.cat([filters, -filters]).to(weight.dtype))

    def _patches(self, x: Tensor) -> Tensor:
        """Return all patches that a filter meets, without padding: [B, C, *S] -> [B * cells, C * prod(K)]."""
        n, weight = self.spatial_dims, self.conv.weight
        for axis, edge in enumerate(weight.shape[2:]):
            x = x.unfold(2 + axis, edge, 1)  # [B, C, *S', *K]
        order = [0, *range(2, 2 + n), 1, *range(2 + n, 2 + 2 * n)]
        return x.permute(order).reshape(-1, weight[0].numel()).double()


def stage(in_channels: int, out_channels: int, *, spatial_dims: int, depth: int) -> nn.Sequential:
    """`depth` convolutions, the map halved after the first: `[B, in_channels, *S] -> [B, out_channels, *S // 2]`."""
    d = dims(spatial_dims)
    layers: list[nn.Module] = []
    for i in range(depth):
        conv = d.conv(in_channels if i == 0 else out_channels, out_channels, 3, padding=1, bias=False)
        nn.init.dirac_(conv.weight[: conv.in_channels].data)  # starts as the identity on the channels it is given
        layers += [conv, d.max_pool(2)] if i == 0 else [conv]
        norm = d.batch_norm(out_channels, momentum=BATCH_NORM_MOMENTUM, eps=1e-12)
        norm.weight.requires_grad_(False)  # the next convolution can scale; only the shift is learned
        layers += [norm, nn.GELU()]
    return nn.Sequential(*layers)


class FastNet(Backbone):
    """A `Backbone` whose first convolution is set from data before training (`initialise`)."""

    def initialise(self, x: Tensor) -> None:
        """Whiten the stem on normalised training inputs `x` [B, C, *S]; a few thousand pictures are enough.

        Raises:
            CnnError: `x` is not an input of this network.
        """
        self.check_input(x)
        for module in self.stages.values():
            if isinstance(module, WhitenedStem):
                module.whiten(x)


@register_model(
    paper="CNN Showcase, after Page 2018 and Jordan 2024, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
    url="https://arxiv.org/abs/2404.00498",
    year=2024,
    input_shape=(3, 32, 32),
)
def fastnet(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    widths: Sequence[int] = (64, 256, 256),
    depth: int = 2,
    stem_kernel: int | None = None,
    stem_stride: int = 1,
    dropout: float = 0.0,
) -> FastNet:
    """Whitened stem, one or more halving stages, a max-pooled linear head.

    Args:
        in_channels: channels of the input.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        widths: channels of each stage.
        depth: convolutions in each stage.
        stem_kernel: edge of the stem's kernel; None: 3 for one-channel inputs, else 2.
        stem_stride: step of the stem; 2 makes the network about three times cheaper.
        dropout: probability of dropping a feature before the last layer.

    Raises:
        CnnError: a width, depth, kernel or stride below 1, or a dropout that is not a probability.
    """
    if not widths or min(widths) < 1 or depth < 1 or stem_stride < 1 or (stem_kernel or 1) < 1:
        raise CnnError(
            "fastnet: expected one or more widths, and widths, depth, stem_kernel and stem_stride of at least 1, got "
            f"widths {list(widths)}, depth {depth}, stem_kernel {stem_kernel}, stem_stride {stem_stride}"
        )
    if not 0 <= dropout < 1:
        raise CnnError(f"fastnet: expected a dropout from 0 to below 1, got {dropout}")
    kernel = stem_kernel or (3 if in_channels == 1 else 2)
    stem = WhitenedStem(in_channels, spatial_dims=spatial_dims, kernel_size=kernel, stride=stem_stride)
    stages: dict[str, nn.Module] = {"stem": stem}
    channels = stem.conv.out_channels
    info = [FeatureInfo("stem", channels, stem_stride)]
    for i, width in enumerate(widths, start=1):
        stages[f"stage{i}"] = stage(channels, width, spatial_dims=spatial_dims, depth=depth)
        info.append(FeatureInfo(f"stage{i}", width, stem_stride * 2**i))
        channels = width
    head = Head(channels, num_classes, spatial_dims=spatial_dims, dropout=dropout)
    head.pool = dims(spatial_dims).adaptive_max_pool(1)
    nn.init.normal_(head.classifier.weight, std=channels**-0.5 / 9)  # small first logits: no loss spike at the start
    nn.init.zeros_(head.classifier.bias)
    return FastNet(
        stages,
        info,
        head=head,
        spatial_dims=spatial_dims,
        in_channels=in_channels,
        minimum_size=stem_stride * 2 ** len(widths) + (kernel - 1) % 2,
    )
