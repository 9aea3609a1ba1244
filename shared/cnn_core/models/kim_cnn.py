"""Parallel convolutions of several widths, each max-pooled over all positions.

Kim 2014, "Convolutional Neural Networks for Sentence Classification", doi:10.3115/v1/D14-1181.
Differs from the paper: nothing in 1-D, with word vectors as channels; the vectors themselves, and which of them are
learned, are the text package's. Two sets of vectors (the paper's multichannel) are 2 E channels, with weights of their
own for each set. In 2-D and 3-D the widths are edges of square and cubic kernels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head
from cnn_core.nn.dims import dims


class ParallelConvs(nn.Module):
    """Convolutions of several widths over the same input, aligned: `[B, C, *S] -> [B, widths * filters, *S + W]`.

    W is the largest width. Cell p of a filter of width h has seen the input's cells p - h + 1 to p, zeros outside. So
    the last cell of every filter sees padding only, as does every cell beyond it: the maximum over all cells does not
    change when zeros are appended to the input, in whatever batch it is.
    """

    def __init__(self, in_channels: int, *, spatial_dims: int, widths: Sequence[int], filters: int) -> None:
        super().__init__()
        conv = dims(spatial_dims).conv
        self.spatial_dims, self.widths = spatial_dims, tuple(widths)
        self.convs = nn.ModuleList(conv(in_channels, filters, width) for width in widths)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        pads = ([width - 1, max(self.widths)] * self.spatial_dims for width in self.widths)
        return self.act(torch.cat([conv(F.pad(x, pad)) for conv, pad in zip(self.convs, pads, strict=True)], 1))

    def filters(self) -> list[tuple[Tensor, Tensor]]:
        """Return the weights [F, C, *h] and the biases [F] of every width h."""
        return [(conv.get_parameter("weight"), conv.get_parameter("bias")) for conv in self.convs]


@register_model(
    paper="Kim 2014, Convolutional Neural Networks for Sentence Classification",
    url="https://doi.org/10.3115/v1/D14-1181",
    year=2014,
    input_shape=(300, 64),
)
def kim_cnn(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    widths: Sequence[int] = (3, 4, 5),
    filters: int = 100,
    dropout: float = 0.5,
) -> Backbone:
    """One layer of filters of several widths, the maximum of each over all places, dropout, class scores.

    Args:
        in_channels: E, the length of a word vector.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        widths: of the filters, in words.
        filters: number of each width.
        dropout: probability of dropping a feature before the class scores.

    Raises:
        CnnError: a width or number below 1, or a dropout that is not a probability.
    """
    if not widths or min(widths) < 1 or filters < 1 or not 0 <= dropout < 1:
        raise CnnError(
            "kim_cnn: expected widths and filters of at least 1 and a dropout from 0 to below 1, got "
            f"widths {list(widths)}, filters {filters}, dropout {dropout}"
        )
    channels = len(widths) * filters
    head = Head(channels, num_classes, spatial_dims=spatial_dims, dropout=dropout)
    head.pool = dims(spatial_dims).adaptive_max_pool(1)
    return Backbone(
        {"ngrams": ParallelConvs(in_channels, spatial_dims=spatial_dims, widths=widths, filters=filters)},
        [FeatureInfo("ngrams", channels, 1)],
        head=head,
        spatial_dims=spatial_dims,
        in_channels=in_channels,
    )
