"""A backbone whose head sees several stages at once: means of rows of their maps, and their maxima, standardised.

Middle stages answer to texture and late ones to things; data of another kind than the backbone was trained on are told
apart better by several (Azizpour et al. 2016, doi:10.1109/TPAMI.2015.2500224). Rows keep where a feature was along the
first axis: of a spectrogram, how high.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import unknown_name
from cnn_core.models.backbone import Backbone
from cnn_core.nn.blocks import Head

ROWS = 4


class PooledHead(Head):
    """Standardise pooled features, drop some, class scores: `[B, F] -> [B, K]`.

    Args:
        features: F.
        num_classes: K.
        dropout: probability of dropping a feature.
    """

    def __init__(self, features: int, num_classes: int, *, dropout: float = 0.0) -> None:
        nn.Sequential.__init__(
            self,
            OrderedDict(
                norm=nn.BatchNorm1d(features, affine=False, momentum=None),  # None: the mean over all batches
                dropout0=nn.Dropout(dropout),
                classifier=nn.Linear(features, num_classes),
            ),
        )
        self.register_buffer("references", None)


class PooledStages(Backbone):
    """The stages of a backbone, and a head on what some of them put out.

    Args:
        backbone: gives its stages, up to the last one of `taps`; its head is not used.
        taps: names of the stages whose maps are pooled, each to the means of `ROWS` parts of its first axis and to one
            maximum, of every channel.
        num_classes: K.
        dropout: of the head.

    Raises:
        UnknownNameError: no such stage.
    """

    def __init__(self, backbone: Backbone, taps: Sequence[str], num_classes: int, *, dropout: float = 0.0) -> None:
        names = [info.name for info in backbone.feature_info]
        for tap in taps:
            if tap not in names:
                raise unknown_name("stage", tap, names)
        kept = names[: 1 + max(map(names.index, taps))]
        features = (ROWS + 1) * sum(info.channels for info in backbone.feature_info if info.name in taps)
        super().__init__(
            {name: backbone.stages[name] for name in kept}, backbone.feature_info[: len(kept)],
            head=PooledHead(features, num_classes, dropout=dropout), spatial_dims=backbone.spatial_dims,
            in_channels=backbone.in_channels, minimum_size=backbone.minimum_size, input_size=backbone.input_size,
        )  # fmt: skip
        self.taps = tuple(name for name in kept if name in taps)

    def pooled(self, x: Tensor) -> Tensor:
        """Return what the head sees: `[B, in_channels, *S] -> [B, F]`."""
        self.check_input(x)
        features = []
        for name, stage in self.stages.items():
            x = stage(x)
            if name in self.taps:
                along = x.flatten(3).mean(3) if x.ndim > 3 else x  # [B, C, S1]
                features += [F.adaptive_avg_pool1d(along, ROWS).flatten(1), x.flatten(2).amax(2)]
        return torch.cat(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores before softmax: `[B, in_channels, *S] -> [B, K]`."""
        scores: Tensor = self.head(self.pooled(x))
        return scores
