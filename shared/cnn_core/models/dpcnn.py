"""A pyramid of convolutions over words: every block halves the length, so depth costs at most twice one block.

Johnson, Zhang 2017, "Deep Pyramid Convolutional Neural Networks for Text Categorization", doi:10.18653/v1/P17-1052
(figure 1a: region embedding, pre-activation, shortcuts, pooling 3 with stride 2, 250 feature maps).
Differs from the paper: the region embedding is one convolution of width 3 over learned word vectors; its pretrained
two-view embeddings are left out; He's initial weights for Gaussian ones of a fixed size.
"""

from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import register_model
from cnn_core.nn.blocks import Head
from cnn_core.nn.dims import dims
from cnn_core.nn.init import init_he


class PyramidBlock(nn.Module):
    """Halve the map, then add two pre-activated convolutions to it: `[B, C, *S] -> [B, C, *ceil(S / 2)]`."""

    def __init__(self, channels: int, *, spatial_dims: int, pool: bool) -> None:
        super().__init__()
        d = dims(spatial_dims)
        self.pool = d.max_pool(3, 2, padding=1) if pool else nn.Identity()
        self.convs = nn.Sequential(
            nn.ReLU(), d.conv(channels, channels, 3, padding=1), nn.ReLU(), d.conv(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        return x + self.convs(x)


@register_model(
    paper="Johnson, Zhang 2017, Deep Pyramid Convolutional Neural Networks for Text Categorization",
    url="https://doi.org/10.18653/v1/P17-1052",
    year=2017,
    input_shape=(300, 128),
)
def dpcnn(
    in_channels: int,
    num_classes: int,
    *,
    spatial_dims: int,
    base_channels: int = 250,
    blocks: int = 7,
    dropout: float = 0.5,
) -> Backbone:
    """Region embedding and `blocks` pyramid blocks, the first of them without pooling, then a max-pooled linear head.

    Args:
        in_channels: length of a word vector.
        num_classes: K.
        spatial_dims: 1, 2 or 3.
        base_channels: feature maps of every layer.
        blocks: pyramid blocks; 7 make the paper's 15 weight layers.
        dropout: before the class scores.

    Raises:
        CnnError: fewer than one block or channel.
    """
    if blocks < 1 or base_channels < 1:
        raise CnnError(f"dpcnn: expected at least 1 block and channel, got {blocks} and {base_channels}")
    stages: dict[str, nn.Module] = {"region": dims(spatial_dims).conv(in_channels, base_channels, 3, padding=1)}
    info = [FeatureInfo("region", base_channels, 1)]
    for i in range(blocks):
        stages[f"block{i + 1}"] = PyramidBlock(base_channels, spatial_dims=spatial_dims, pool=i > 0)
        info.append(FeatureInfo(f"block{i + 1}", base_channels, 2**i))
    head = Head(base_channels, num_classes, spatial_dims=spatial_dims, dropout=dropout)
    head.pool = dims(spatial_dims).adaptive_max_pool(1)
    model = Backbone(stages, info, head=head, spatial_dims=spatial_dims, in_channels=in_channels)
    init_he(model)
    return model
