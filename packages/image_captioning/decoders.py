"""The two decoders: Show and Tell, and Show, Attend and Tell.

Vinyals, Toshev, Bengio, Erhan 2015, "Show and Tell: A Neural Image Caption Generator", arXiv:1411.4555: the pooled
picture is the first input of a recurrent network, words are the others.
Xu et al. 2015, "Show, Attend and Tell: Neural Image Caption Generation with Visual Attention", arXiv:1502.03044: before
every word, soft attention picks a mean of the map's cells (section 4.2, with the gate of 4.2.1).
Differs from the papers: the map is normalised and gets two channels with its cells' places; input and output word
vectors are the same table.

A decoder has `remember(features, positions) -> Memory`, `words(numbers) -> vectors`, `step(vectors, state, memory) ->
Step` and `scores(out) -> logits`; a row is a caption that is being written; a picture may have several rows.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError
from image_captioning.contract import CaptionerOptions
from image_captioning.words import FIRST, PADDING

State = tuple[Tensor, Tensor]  # h and c of the LSTM: [R, H] each


@dataclass(frozen=True)
class Memory:
    """The decoder's memory of each row's picture: state before the first word, and the grid that is attended to."""

    start: State
    values: Tensor | None = None  # [R, P, A]
    keys: Tensor | None = None  # [R, P, A]

    def __len__(self) -> int:
        return len(self.start[0])

    @property
    def grid(self) -> tuple[Tensor, Tensor]:
        """Values and keys of the grid; CnnError where the decoder attends to none."""
        if self.values is None or self.keys is None:
            raise CnnError("expected a memory of the grid, got the state before the first word alone")
        return self.values, self.keys

    def rows(self, index: Tensor | slice) -> "Memory":
        """Return the memory of some rows, in the order of `index`, repeated where it repeats."""
        kept = [getattr(self, f.name) for f in fields(self)[1:]]
        h, c = self.start
        return Memory((h[index], c[index]), *(None if p is None else p[index] for p in kept))


@dataclass(frozen=True)
class Step:
    """The result of one word: `out` [R, ...] for `scores`, the next state, and the attention [R, P], if any."""

    out: Tensor
    state: State
    weights: Tensor | None = None


class WordVectors(nn.Module):
    """The table of word vectors, [V, E], for what goes in and, with a bias per word, for what comes out."""

    def __init__(self, vocab_size: int, size: int, *, dropout: float) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocab_size, size, padding_idx=PADDING)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.dropout = nn.Dropout(dropout)
        if not self.vectors.weight.is_meta:
            nn.init.normal_(self.vectors.weight, std=size**-0.5)

    @torch.no_grad()
    def grow(self, vocab_size: int) -> None:
        """Append fresh words until there are `vocab_size`; each has the lowest bias of the known words."""
        known = len(self.bias)
        if vocab_size <= known:
            return
        fresh = WordVectors(vocab_size, self.vectors.embedding_dim, dropout=self.dropout.p)
        fresh.vectors.weight[:known], fresh.bias[:known] = self.vectors.weight, self.bias
        fresh.bias[known:] = self.bias[FIRST:].min()
        self.vectors, self.bias = fresh.vectors, fresh.bias

    def forward(self, words: Tensor) -> Tensor:
        """Return the vectors of words: `[...] -> [..., E]`."""
        return self.dropout(self.vectors(words) * self.vectors.embedding_dim**0.5)

    def scores(self, out: Tensor) -> Tensor:
        """Return the scores of all words before softmax: `[R, E] -> [R, V]`."""
        return F.linear(self.dropout(out), self.vectors.weight, self.bias)


class Recurrence(nn.Module):
    """The LSTM cell; without a state it begins from zeros."""

    def __init__(self, in_size: int, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(in_size, hidden)

    def forward(self, x: Tensor, state: State | None = None) -> State:
        return self.cell(x, state)


class ShowTell(nn.Module):
    """The picture as the first word: `features [B, P, C]`, averaged over the grid, start a recurrent network."""

    attends = False

    def __init__(self, channels: int, vocab_size: int, *, hidden: int, size: int, dropout: float) -> None:
        super().__init__()
        self.words = WordVectors(vocab_size, size, dropout=dropout)
        self.norm = nn.LayerNorm(channels + 2)
        self.picture = nn.Linear(channels + 2, size)
        self.recurrence = Recurrence(size, hidden)
        self.to_words = nn.Linear(hidden, size)

    def remember(self, features: Tensor, positions: Tensor) -> Memory:
        """Read pictures: `[B, P, C]`, places `[P, 2] -> Memory` of B rows."""
        pooled = self.norm(_placed(features, positions)).mean(1)
        first = self.picture(self.words.dropout(pooled))
        return Memory(self.recurrence(first))

    def step(self, vectors: Tensor, state: State, memory: Memory) -> Step:
        state = self.recurrence(vectors, state)
        return Step(state[0], state)

    def scores(self, out: Tensor) -> Tensor:
        return self.words.scores(self.to_words(out))


class ShowAttendTell(nn.Module):
    """Soft attention over the grid `features [B, P, C]` before every word."""

    attends = True

    def __init__(
        self, channels: int, vocab_size: int, *, hidden: int, size: int, attention: int, dropout: float
    ) -> None:
        super().__init__()
        self.words = WordVectors(vocab_size, size, dropout=dropout)
        self.norm = nn.LayerNorm(channels + 2)
        self.values = nn.Linear(channels + 2, attention)
        self.keys = nn.Linear(attention, attention)
        self.query = nn.Linear(hidden, attention, bias=False)
        self.energy = nn.Linear(attention, 1, bias=False)
        self.gate = nn.Linear(hidden, attention)
        self.recurrence = Recurrence(size + attention, hidden)
        self.start = nn.Linear(attention, 2 * hidden)
        self.state_to_words = nn.Linear(hidden, size)
        self.picture_to_words = nn.Linear(attention, size, bias=False)

    def remember(self, features: Tensor, positions: Tensor) -> Memory:
        """Read pictures: `[B, P, C]`, places `[P, 2] -> Memory` of B rows."""
        values = self.words.dropout(F.relu(self.values(self.norm(_placed(features, positions)))))  # [B, P, A]
        h, c = torch.tanh(self.start(values.mean(1))).chunk(2, 1)
        return Memory((h, c), values, self.keys(values))

    def step(self, vectors: Tensor, state: State, memory: Memory) -> Step:
        """Read one word each of R = N k captions, k in a row of each of the N pictures of the memory."""
        values, keys = memory.grid
        query = self.query(state[0]).view(len(keys), -1, 1, keys.shape[2])  # [N, k, 1, A]
        energy = self.energy(torch.tanh(keys[:, None] + query))[..., 0]  # [N, k, P]
        weights = energy.softmax(2)
        context = torch.bmm(weights, values).flatten(0, 1)  # [R, A]
        context = torch.sigmoid(self.gate(state[0])) * context
        state = self.recurrence(torch.cat([vectors, context], 1), state)
        return Step(torch.cat([state[0], context], 1), state, weights.flatten(0, 1))

    def scores(self, out: Tensor) -> Tensor:
        state, context = out.split([self.gate.in_features, self.gate.out_features], 1)
        return self.words.scores(self.state_to_words(state) + self.picture_to_words(context))


Decoder = ShowTell | ShowAttendTell


def build_decoder(options: CaptionerOptions, channels: int, vocab_size: int) -> Decoder:
    """Build the decoder that `options` name, for a map of C `channels` and a vocabulary of V words."""
    hidden, size, dropout = options.hidden, options.size, options.dropout
    if options.decoder == "show-tell":
        return ShowTell(channels, vocab_size, hidden=hidden, size=size, dropout=dropout)
    return ShowAttendTell(channels, vocab_size, attention=options.attention, hidden=hidden, size=size, dropout=dropout)


def _placed(features: Tensor, positions: Tensor) -> Tensor:
    """Append each cell's place to its channels: `[B, P, C], [P, 2] -> [B, P, C + 2]`."""
    return torch.cat([features, positions.to(features).expand(len(features), -1, -1)], 2)


def grid_positions(height: int, width: int, *, device: torch.device | str = "cpu") -> Tensor:
    """Return (y, x) of a grid's cells, row by row, -1 at one edge of the picture and 1 at the other: [H * W, 2]."""
    y, x = ((torch.arange(n, device=device) + 0.5) * (2 / n) - 1 for n in (height, width))
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), 2).view(-1, 2)
