"""`TextNet`: word vectors and any 1-D backbone over them.

The vectors are rows of a table, [V, E]. Which of them learn makes Kim's variants (2014, doi:10.3115/v1/D14-1181):
"rand": fresh vectors that learn; "static": pretrained ones that stay; "non-static": pretrained ones that learn;
"multichannel": both side by side, 2 E channels; and "one-hot" for characters: each is a channel of its own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError, WeightsError, unknown_name
from cnn_core.models import Backbone, as_backbone, create_model
from cnn_core.models.kim_cnn import ParallelConvs
from cnn_core.weights import WeightsCard, load_model
from text_classification.contract import DOMAIN_NAME, PADDING, UNKNOWN, Encoded, TextContract
from text_classification.ngrams import ngram_max

VECTORS = ("rand", "static", "non-static", "multichannel", "one-hot")
INITIAL_SPAN = 0.25  # fresh vectors are uniform in -0.25..0.25, as in Kim's experiments
EVALUATION_BATCH = 512  # texts, on a GPU
CPU_BATCH = 128  # likewise on a CPU, where more are no faster and take more memory


class TextNet(nn.Module):
    """Numbers of tokens to class scores: `[B, L] int64 -> [B, K]`.

    Args:
        backbone: takes [B, E, L], or 2 E channels with "multichannel".
        vocab_size: V, with padding and unknown.
        size: E; of "one-hot" ignored.
        vectors: one of `VECTORS`.
        word_dropout: probability that a token is replaced by the unknown token in training.
        vector_dropout: probability that a number of a word's vector is replaced by zero in training.
    """

    learned: nn.Parameter  # [V, E]; unless the vectors are "static" or "one-hot"
    fixed: Tensor  # [V, E]; only of "static" and "multichannel"

    def __init__(
        self,
        backbone: Backbone,
        *,
        vocab_size: int,
        size: int,
        vectors: str = "rand",
        word_dropout: float = 0.0,
        vector_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone, self.vectors = backbone, vectors
        self.word_dropout, self.vector_dropout = word_dropout, vector_dropout
        self.spatial_dims, self.vocab_size = 1, vocab_size
        size = vocab_size - 1 if vectors == "one-hot" else size
        if vectors in ("rand", "non-static", "multichannel"):
            self.learned = nn.Parameter(torch.empty(vocab_size, size))
            if not self.learned.is_meta:
                nn.init.uniform_(self.learned, -INITIAL_SPAN, INITIAL_SPAN)
                with torch.no_grad():
                    self.learned[PADDING] = 0
        if vectors in ("static", "multichannel"):
            self.register_buffer("fixed", torch.zeros(vocab_size, size))
        self.sparse = False  # True: the gradient of the learned vectors has the batch's rows only

    def forward(self, ids: Tensor) -> Tensor:
        ids = self._drop_words(ids)
        stage = self.ngrams
        if stage is None:
            return self.backbone(self.embed(ids))
        # The same as backbone(embed(ids)), from the batch's different words (see `ngram_max`); they start at padding.
        words, places = torch.unique(torch.cat([ids.new_zeros(1), ids.flatten()]), return_inverse=True)
        weights, biases = zip(*stage.filters(), strict=True)
        with torch.autocast(ids.device.type, enabled=False):
            strongest = ngram_max(self._look_up(words), places[1:].view_as(ids), weights, biases)
        return self.backbone.head.after_pool(stage.act(strongest))

    @property
    def ngrams(self) -> ParallelConvs | None:
        """The filters of a network that is nothing but filters over vectors, a maximum and a last layer; else None."""
        stage = dict(self.backbone.stages.items()).get("ngrams")
        return stage if isinstance(stage, ParallelConvs) and self.vectors != "one-hot" else None

    def word_vectors(self, ids: Tensor | None = None) -> Tensor:
        """Return the vectors of words, [L] integers to [L, E]; None: of the whole vocabulary, [V, E]."""
        if ids is None:
            ids = torch.arange(self.vocab_size, device=next(self.parameters()).device)
        return self._look_up(ids)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the vectors of the tokens: `[B, L] -> [B, E, L]`."""
        if self.vectors == "one-hot":
            return F.one_hot(ids, self.backbone.in_channels + 1)[..., 1:].transpose(1, 2).float()
        return self._look_up(ids).transpose(1, 2)

    def set_vectors(self, table: Tensor, known: Tensor) -> None:
        """Put pretrained vectors [V, E] where `known` [V] is true, and random ones of their variance elsewhere.

        So did Kim; zeros would make all those words one, and small vectors would be unheard beside the others.

        Raises:
            CnnError: the vectors are of another length, or this network has no vectors to set.
        """
        tables = [getattr(self, name) for name in ("learned", "fixed") if hasattr(self, name)]
        if not tables or tables[0].shape != table.shape:
            shape = list(tables[0].shape) if tables else "none"
            raise CnnError(f"expected word vectors {shape}, got {list(table.shape)}")
        missing = ~known
        missing[: UNKNOWN + 1] = False  # padding stays zero, and what is unknown says as little as it does
        span = math.sqrt(3) * float(table[known].square().mean().sqrt())  # of a uniform distribution
        drawn = torch.empty(int(missing.sum()), table.shape[1]).uniform_(-span, span)
        with torch.no_grad():
            for vectors in tables:
                vectors[known] = table[known].to(vectors)
                vectors[missing] = drawn.to(vectors)

    def _look_up(self, ids: Tensor) -> Tensor:
        parts = []
        if hasattr(self, "learned"):
            parts.append(F.embedding(ids, self.learned, padding_idx=PADDING, sparse=self.sparse))
        if hasattr(self, "fixed"):
            parts.append(F.embedding(ids, self.fixed))
        return F.dropout(parts[0] if len(parts) == 1 else torch.cat(parts, -1), self.vector_dropout, self.training)

    def _drop_words(self, ids: Tensor) -> Tensor:
        if not self.training or not self.word_dropout:
            return ids
        dropped = (torch.rand(ids.shape, device=ids.device) < self.word_dropout) & (ids != PADDING)
        return ids.masked_fill(dropped, UNKNOWN)


def build_model(
    name: str,
    *,
    vocab_size: int,
    num_classes: int,
    length: int | None,
    size: int,
    vectors: str,
    options: Mapping[str, Any],
    dropout: Mapping[str, float] | None = None,
) -> TextNet:
    """Build a registered backbone over word vectors.

    Args:
        name: of the backbone.
        vocab_size: V, with padding and unknown.
        num_classes: K.
        length: tokens of every input, None: any number.
        size: E.
        vectors: one of `VECTORS`.
        options: of the backbone.
        dropout: `word_dropout` and `vector_dropout`, see `TextNet`.

    Raises:
        UnknownNameError: no such backbone, option, or kind of vectors.
        CnnError: it cannot be built like this.
    """
    if vectors not in VECTORS:
        raise unknown_name("kind of word vectors", vectors, VECTORS)
    channels = vocab_size - 1 if vectors == "one-hot" else size * (2 if vectors == "multichannel" else 1)
    backbone = create_model(
        name,
        spatial_dims=1,
        in_channels=channels,
        num_classes=num_classes,
        input_size=None if length is None else (length,),
        options=options,
    )
    return TextNet(as_backbone(backbone), vocab_size=vocab_size, size=size, vectors=vectors, **dropout or {})


def needs_length(name: str) -> bool:
    """Return whether a backbone's output depends on the padding, so that every text needs one length."""
    return name != "kim_cnn"


def arguments_of(card: WeightsCard) -> dict[str, Any]:
    """Return what `build_model` needs of a card, without the size of the vocabulary.

    Raises:
        WeightsError: the card lacks some of it.
    """
    options = dict(card.arguments["options"])
    size, vectors = options.pop("size", None), options.pop("vectors", None)
    if type(size) is not int or size < 1 or not isinstance(vectors, str):
        raise WeightsError(f"weights {card.name!r}: the card's options lack size or vectors; restore the card")
    length = card.arguments["input_size"]
    return {
        "name": card.model,
        "num_classes": card.arguments["num_classes"],
        "length": length[0] if length else None,
        "size": size,
        "vectors": vectors,
        "options": options,
    }


def load_text_model(name: str | Path) -> tuple[TextNet, WeightsCard]:
    """Load weights by name or folder, in evaluation mode on the CPU.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged, or do not fit their card.
    """

    def build(card: WeightsCard) -> TextNet:
        contract = TextContract.of_card(card, domain=DOMAIN_NAME)
        return build_model(vocab_size=contract.vocab_size, **arguments_of(card))

    return load_model(name, domain=DOMAIN_NAME, build=build)


def copy_weights(model: TextNet, weights: str, labels: Sequence[str]) -> None:
    """Copy weights into `model`, whose vocabulary begins with theirs; other `labels` keep the fresh last layer."""
    source, card = load_text_model(weights)
    state = source.state_dict()
    for name, value in model.state_dict().items():  # of the model's own memory
        if name in ("learned", "fixed"):
            value[: len(state[name])] = state[name]
        elif not name.startswith("backbone.head.classifier") or tuple(labels) == tuple(card.labels):
            value.copy_(state[name])


def scores_of(model: Callable[[Tensor], Tensor], encoded: Encoded, device: torch.device) -> Tensor:
    """Return the class scores of all texts, computed in batches of similar length: `-> [N, K]`."""
    size = CPU_BATCH if device.type == "cpu" else EVALUATION_BATCH
    if len(encoded) <= size:
        return model(encoded.batch(np.arange(len(encoded))).to(device))
    order = np.argsort(encoded.lengths, kind="stable")
    batches = [order[begin : begin + size] for begin in range(0, len(order), size)]
    scores = torch.cat([model(encoded.batch(batch).to(device)) for batch in batches])
    return scores[torch.from_numpy(np.argsort(order)).to(scores.device)]
