"""`TextNet`: word vectors and any 1-D backbone over them.

The vectors are rows of a table, [V, E]. Which of them learn makes Kim's variants (2014, doi:10.3115/v1/D14-1181):
"rand": fresh vectors that learn; "static": pretrained ones that stay; "non-static": pretrained ones that learn;
"multichannel": both side by side, 2 E channels; and "one-hot" for characters: each is a channel of its own.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError, unknown_name
from cnn_core.models import Backbone, create_model
from cnn_core.models.kim_cnn import ParallelConvs
from text_classification.contract import PADDING, UNKNOWN
from text_classification.ngrams import ngram_max

VECTORS = ("rand", "static", "non-static", "multichannel", "one-hot")
INITIAL_SPAN = 0.25  # fresh vectors are uniform in -0.25..0.25, as in Kim's experiments


class TextNet(nn.Module):
    """Numbers of tokens to class scores: `[B, L] int64 -> [B, K]`.

    Args:
        backbone: takes [B, E, L], or 2 E channels with "multichannel".
        rows: V, with padding and unknown.
        size: E; of "one-hot" ignored.
        vectors: one of `VECTORS`.
        word_dropout: probability with which a token is taken for an unknown one in training.
    """

    def __init__(
        self, backbone: Backbone, *, rows: int, size: int, vectors: str = "rand", word_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.backbone, self.vectors, self.word_dropout = backbone, vectors, word_dropout
        self.spatial_dims, self.vocabulary_rows = 1, rows
        size = rows - 1 if vectors == "one-hot" else size
        if vectors in ("rand", "non-static", "multichannel"):
            self.learned = nn.Parameter(torch.empty(rows, size))
            if not self.learned.is_meta:
                nn.init.uniform_(self.learned, -INITIAL_SPAN, INITIAL_SPAN)
                with torch.no_grad():
                    self.learned[PADDING] = 0
        if vectors in ("static", "multichannel"):
            self.register_buffer("fixed", torch.zeros(rows, size))
        self.sparse = False  # True: the gradient of the learned vectors has the batch's rows only

    def forward(self, ids: Tensor) -> Tensor:
        ids = self._drop_words(ids)
        stage = self.ngrams
        if stage is None:
            return self.backbone(self.embed(ids))
        # The same as backbone(embed(ids)), from the batch's different words (see `ngram_max`); they start at padding.
        words, places = torch.unique(torch.cat([ids.new_zeros(1), ids.flatten()]), return_inverse=True)
        weights, biases = [conv.weight for conv in stage.convs], [conv.bias for conv in stage.convs]
        with torch.autocast(ids.device.type, enabled=False):
            strongest = ngram_max(self._rows(words), places[1:].view_as(ids), weights, biases)
        return self.backbone.head.after_pool(stage.act(strongest))

    @property
    def ngrams(self) -> ParallelConvs | None:
        """The filters of a network that is nothing but filters over vectors, a maximum and a last layer; else None."""
        stage = dict(self.backbone.stages.items()).get("ngrams")
        return stage if isinstance(stage, ParallelConvs) and self.vectors != "one-hot" else None

    def rows(self) -> Tensor:
        """Return the vectors of the whole vocabulary: [V, E]."""
        device = next(self.parameters()).device
        return self._rows(torch.arange(self.vocabulary_rows, device=device))

    def embed(self, ids: Tensor) -> Tensor:
        """Return the vectors of the tokens: `[B, L] -> [B, E, L]`."""
        if self.vectors == "one-hot":
            return F.one_hot(ids, self.backbone.in_channels + 1)[..., 1:].transpose(1, 2).float()
        return self._rows(ids).transpose(1, 2)

    def set_vectors(self, table: Tensor, known: Tensor) -> None:
        """Put pretrained vectors [V, E] where `known` [V] says that there are some.

        Raises:
            CnnError: the vectors are of another length, or this network has none that could be set.
        """
        tables = [getattr(self, name) for name in ("learned", "fixed") if hasattr(self, name)]
        if not tables or tables[0].shape != table.shape:
            shape = list(tables[0].shape) if tables else "none"
            raise CnnError(f"expected word vectors {shape}, got {list(table.shape)}")
        with torch.no_grad():
            for own in tables:
                own[known] = table[known].to(own)

    def _rows(self, ids: Tensor) -> Tensor:
        parts = []
        if hasattr(self, "learned"):
            parts.append(F.embedding(ids, self.learned, padding_idx=PADDING, sparse=self.sparse))
        if hasattr(self, "fixed"):
            parts.append(F.embedding(ids, self.fixed))
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    def _drop_words(self, ids: Tensor) -> Tensor:
        if not self.training or not self.word_dropout:
            return ids
        dropped = (torch.rand(ids.shape, device=ids.device) < self.word_dropout) & (ids != PADDING)
        return ids.masked_fill(dropped, UNKNOWN)


def build_model(
    name: str,
    *,
    rows: int,
    num_classes: int,
    length: int | None,
    size: int,
    vectors: str,
    options: Mapping[str, Any],
    word_dropout: float = 0.0,
) -> TextNet:
    """Build a registered backbone over word vectors.

    Args:
        name: of the backbone.
        rows: V, with padding and unknown.
        num_classes: K.
        length: tokens of every input, None: any number.
        size: E.
        vectors: one of `VECTORS`.
        options: of the backbone.
        word_dropout: see `TextNet`.

    Raises:
        UnknownNameError: no such backbone, option, or kind of vectors.
        CnnError: it cannot be built like this.
    """
    if vectors not in VECTORS:
        raise unknown_name("kind of word vectors", vectors, VECTORS)
    channels = rows - 1 if vectors == "one-hot" else size * (2 if vectors == "multichannel" else 1)
    backbone = create_model(
        name,
        spatial_dims=1,
        in_channels=channels,
        num_classes=num_classes,
        input_size=None if length is None else (length,),
        options=options,
    )
    return TextNet(backbone, rows=rows, size=size, vectors=vectors, word_dropout=word_dropout)


def needs_length(name: str) -> bool:
    """Tell whether a backbone's answer depends on how far a text is padded, so that every text needs one length."""
    return name != "kim_cnn"
