"""`Captioner`: any registered backbone up to one of its stages, and a decoder that reads the map."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError, unknown_name
from cnn_core.models import Backbone, as_backbone, create_model
from cnn_core.weights import WeightsCard, load_model
from image_captioning.contract import DOMAIN_NAME, CaptionContract, CaptionerOptions
from image_captioning.decoders import Decoder, Memory, build_decoder, grid_positions
from image_captioning.words import PADDING, START

SHRINK = 0.85  # ended captions are dropped once at most this share of a batch is active


class CaptionBatch(NamedTuple):
    """Captions and their pictures; row r is a caption of picture `owner[r]`.

    Attributes:
        pictures: network input [B, 3, H, W], or features [B, P, C] that are computed already.
        words: int64 [R, T], the token ids of words and the end, padded with 0.
        lengths: int64 [R], words and end of each row, at least 1.
        owner: int64 [R] in 0..B-1.
        source: int64 [B], the numbers of the pictures in the training set where captions that the network draws are
            rewarded (see `self_critical`); None: these captions are learned.
    """

    pictures: Tensor
    words: Tensor
    lengths: Tensor
    owner: Tensor
    source: Tensor | None = None


class DecoderOutput(NamedTuple):
    """The scores of captions under teacher forcing: one row per word, none for padding.

    Attributes:
        logits: [N, V] for N words of all captions together.
        targets: int64 [N], the words themselves.
        row: int64 [N], the caption that each belongs to.
        coverage: [R, P], the attention of each caption to each cell, added up over its words; None without attention.
        attention: [N, P], the attention weights of each word; None without attention.
    """

    logits: Tensor
    targets: Tensor
    row: Tensor
    coverage: Tensor | None
    attention: Tensor | None


class Encoder(nn.Module):
    """The stages of a backbone up to one of them: `[B, 3, H, W] -> [B, C, H', W']`.

    A fresh FastNet keeps the random orthogonal filters of its stem: of drawn scenes, whitened ones made fewer true
    captions (0.947 against 0.977 of 300 validation scenes).

    Args:
        backbone: gives its stages; its head is not used.
        stage: the last one that is kept; None: all.

    Raises:
        UnknownNameError: no such stage.
    """

    def __init__(self, backbone: Backbone, *, stage: str | None = None) -> None:
        super().__init__()
        names = [info.name for info in backbone.feature_info]
        if stage is not None and stage not in names:
            raise unknown_name("stage", stage, names)
        kept = names[: names.index(stage) + 1] if stage else names
        self.stages = nn.ModuleDict({name: backbone.stages[name] for name in kept})
        self.feature_info = backbone.feature_info[: len(kept)]
        self.spatial_dims, self.in_channels = backbone.spatial_dims, backbone.in_channels
        self.minimum_size, self.input_size = backbone.minimum_size, backbone.input_size

    @property
    def channels(self) -> int:
        """C of the map."""
        return self.feature_info[-1].channels

    check_input = Backbone.check_input

    def forward(self, x: Tensor) -> Tensor:
        self.check_input(x)
        for stage in self.stages.values():
            x = stage(x)
        return x


class Captioner(nn.Module):
    """An encoder and a decoder; `forward` is the training pass with the true words as input.

    `word_dropout` is the share of words that the decoder is not shown in training.
    """

    def __init__(self, encoder: Encoder | None, decoder: Decoder, *, word_dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder, self.decoder, self.word_dropout = encoder, decoder, word_dropout
        self.references: Tensor | None
        self.register_buffer("references", None)  # int8 [M, C], see `checks.familiarity`

    def maps(self, x: Tensor) -> Tensor:
        """Return the encoder's map, `[B, 3, H, W] -> [B, C, H', W']`; CnnError if there is none, only a decoder."""
        if self.encoder is None:
            raise CnnError("this captioner has no encoder; give it features [B, P, C]")
        return self.encoder(x)

    def features(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the encoder's map as cells in a row, and its grid: `[B, 3, H, W] -> [B, P, C], (H', W')`."""
        return cells_of(self.maps(x))

    def remember(self, pictures: Tensor, *, grid: tuple[int, int] | None = None) -> Memory:
        """Return what the decoder knows of pictures [B, 3, H, W], or of features [B, P, C] on `grid` (None: square)."""
        if pictures.ndim == 4:
            pictures, grid = self.features(pictures)
        side = round(pictures.shape[1] ** 0.5)
        height, width = grid or (side, side)
        if height * width != pictures.shape[1]:
            raise CnnError(f"expected features of a grid {height} x {width}, got {pictures.shape[1]} cells")
        return self.decoder.remember(pictures, grid_positions(height, width, device=pictures.device))

    def forward(self, batch: CaptionBatch) -> DecoderOutput:
        memory = self.remember(batch.pictures)
        return self.teacher_force(memory, batch.words, batch.lengths, batch.owner)

    def teacher_force(self, memory: Memory, words: Tensor, lengths: Tensor, owner: Tensor) -> DecoderOutput:
        """Score captions [R, T] of given lengths [R], every word from the true words before it.

        The captions are sorted by length, so that a step computes only those that have not ended (and a few that
        have, see `SHRINK`): padding takes no part in the result.
        """
        order = lengths.argsort(descending=True, stable=True)
        words, memory = words[order], memory.rows(owner[order])
        going = (lengths[order][:, None] > torch.arange(words.shape[1], device=words.device)).sum(0).tolist()
        shown = torch.cat([torch.full_like(words[:, :1], START), words[:, :-1]], 1)  # [R, T]
        vectors = self.decoder.words(self._hidden(shown))  # [R, T, E]
        state, outs = memory.start, []
        attention: list[Tensor] = []
        for t, count in enumerate(going):
            if count == 0:
                break
            if count < SHRINK * len(state[0]):  # each cut costs a gradient as large as the memory
                memory, state = memory.rows(slice(count)), (state[0][:count], state[1][:count])
            step = self.decoder.step(vectors[: len(memory), t], state, memory)
            state = step.state
            outs.append(step.out[:count])
            if step.weights is not None:
                attention.append(step.weights[:count])
        row = torch.cat([order[:count] for count in going])
        targets = torch.cat([words[:count, t] for t, count in enumerate(going)])
        logits = self.decoder.scores(torch.cat(outs))
        if not self.decoder.attends:
            return DecoderOutput(logits, targets, row, None, None)
        weights = torch.cat(attention)  # [N, P]
        coverage = weights.new_zeros(len(lengths), weights.shape[1]).index_add(0, row, weights)
        return DecoderOutput(logits, targets, row, coverage, weights)

    def score_sentence(self, memory: Memory, numbers: Sequence[int]) -> DecoderOutput:
        """Score one sentence of T words for each of B pictures: the rows are those of word 1, of word 2, ..."""
        words = torch.tensor([numbers], device=memory.start[0].device).expand(len(memory), -1)
        lengths = torch.full_like(words[:, 0], words.shape[1])
        return self.teacher_force(memory, words, lengths, torch.arange(len(memory), device=words.device))

    def _hidden(self, words: Tensor) -> Tensor:
        """In training, replace a share of the words by padding, whose vector carries no information."""
        if not self.training or not self.word_dropout:
            return words
        hidden = torch.rand(words.shape, device=words.device) < self.word_dropout
        return words.masked_fill(hidden & (words != START), PADDING)


def cells_of(maps: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Return the cells of maps in a row, and their grid: `[B, C, H, W] -> [B, H W, C], (H, W)`."""
    return maps.flatten(2).transpose(1, 2), (maps.shape[2], maps.shape[3])


def caption_loss(output: DecoderOutput, *, smoothing: float = 0.0, attention_weight: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of all words, plus the doubly stochastic term of Xu et al. 2015, equation 14.

    The term is `attention_weight` times the mean over captions and cells of `(1 - coverage)^2`: over a whole caption,
    the attention to every cell should add up to about 1. (The paper has sums in place of both means.)
    """
    loss = F.cross_entropy(output.logits.float(), output.targets, label_smoothing=smoothing)
    if attention_weight and output.coverage is not None:
        loss = loss + attention_weight * (1 - output.coverage.float()).square().mean()
    return loss


def load_captioner(name: str | Path) -> tuple[Captioner, WeightsCard]:
    """Load weights by name or folder, in evaluation mode on the CPU.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged, or do not fit their card.
    """
    return load_model(name, domain=DOMAIN_NAME, build=_build)


def _build(card: WeightsCard) -> Captioner:
    contract, options = CaptionContract.of_card(card), CaptionerOptions.of_card(card)
    backbone = create_model(card.model, num_classes=1, input_size=contract.input_size, options=options.encoder)
    encoder = Encoder(as_backbone(backbone), stage=options.stage)
    return Captioner(encoder, build_decoder(options, encoder.channels, contract.vocab_size))
