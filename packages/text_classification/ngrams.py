"""`ngram_max`: convolution over word vectors and the maximum over all places, without computing most of either.

A filter of width h over a sentence adds h products of a word vector and a slice of the filter. The same word gives the
same product wherever it occurs, so the products of the batch's different words are computed once, in one dense matrix
product per width (no padding, no repeats), and every window is a sum of h rows of that table. Backwards, the maximum
hands a filter's gradient to one window of each sentence, so a few numbers per sentence are scattered back into the
table instead of convolving all places again. The result is that of `torch.nn.functional.conv1d` and `amax`.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

MOST_KEPT = 256  # words of a text, up to which `OneText` keeps the windows of its length


def ngram_max(vectors: Tensor, ids: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Return the strongest response of every filter anywhere in each sentence: `-> [B, widths * F]`.

    Windows reach beyond both ends of the sentence, where there are zeros, and one window sees only zeros; see
    `cnn_core.models.kim_cnn.ParallelConvs`, whose pre-activation maximum this is.

    Args:
        vectors: of the words, [U, E]; the first is padding and must be zero.
        ids: [B, L] int64, the word at each position.
        weights: filters of each width h, [F, E, h], as many of each.
        biases: of each width, [F].
    """
    return _NgramMax.apply(vectors, ids, *weights) + torch.cat(tuple(biases))


def word_products(vectors: Tensor, weight: Tensor) -> Tensor:
    """Return the product of every word vector with every slice of every filter: `[U, E], [F, E, h] -> [U * h, F]`.

    Row `u * h + k` holds what word u adds at place k of the window.
    """
    filters, size, width = weight.shape
    return (vectors @ weight.permute(1, 2, 0).reshape(size, width * filters)).view(-1, filters)


def window_indices(ids: Tensor, width: int) -> Tensor:
    """Return for every window the rows of `word_products` that it adds: `[B, L] -> [B, L + width, width]`.

    The last window sees padding alone.
    """
    padded = F.pad(ids, (width - 1, width))
    return padded.unfold(1, width, 1) * width + torch.arange(width, device=ids.device)


def window_responses(products: Tensor, places: Tensor) -> Tensor:
    """Return the response of every filter to every window, before the bias: `[U * h, F], [B, T, h] -> [B, T, F]`."""
    batch, windows, width = places.shape
    return F.embedding_bag(places.reshape(-1, width), products, mode="sum").view(batch, windows, -1)


def strongest_windows(products: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum over the windows, and which window has it: `[U * h, F], [B, T, h] -> [B, F], [B, F]`."""
    return window_responses(products, places).max(1)


class OneText:
    """What `ngram_max` returns for one text, by filters that learn no more: `-> [1, widths * F]`.

    The filters are laid out once, and so are the windows of a text of L words: those of all widths have the columns of
    the widest one, where the narrower ones add the first vector, which is zero. Half the time of `ngram_max`.

    Args:
        weights: filters of each width h, [F, E, h], as many of each.
        biases: of each width, [F].
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        self.bias = torch.cat(tuple(biases))
        self.widths = [weight.shape[2] for weight in weights]
        slices = torch.cat([weight.permute(2, 0, 1).flatten(0, 1) for weight in weights])  # [H * F, E]
        self.slices = slices.T.contiguous()
        self._kept: dict[int, Tensor] = {}  # windows by length

    def __call__(self, vectors: Tensor) -> Tensor:
        """Take the vectors [1 + L, E] of padding, which must be zero, and of the words."""
        products = (vectors @ self.slices).view(-1, len(self.bias) // len(self.widths))  # [(1 + L) * H, F]
        sums = F.embedding_bag(self._windows(len(vectors) - 1), products, mode="sum")
        return sums.view(len(self.widths), -1, sums.shape[1]).amax(1).view(1, -1) + self.bias

    def _windows(self, length: int) -> Tensor:
        """Return the rows of the products that every window adds: [widths * (L + W), W], W the largest width."""
        if length in self._kept:
            return self._kept[length]
        total, widest = sum(self.widths), max(self.widths)
        words = F.pad(torch.arange(1, length + 1), (widest - 1, widest)).unfold(0, widest, 1)  # [L + W, W]
        rows, first = [], 0
        for width in self.widths:
            columns = torch.arange(widest)
            rows.append((words * total + first + columns).masked_fill(columns >= width, 0))
            first += width
        windows = torch.cat(rows).to(self.bias.device)
        if length <= MOST_KEPT:
            self._kept[length] = windows
        return windows


class _NgramMax(torch.autograd.Function):
    """The maxima before the biases. All widths share one table of products: row u * H + c, H the sum of the widths."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, ids: Tensor, *weights: Tensor) -> Tensor:
        slices = torch.cat([weight.permute(2, 0, 1) for weight in weights])  # [H, F, E]
        total, filters, size = slices.shape
        products = (vectors @ slices.view(-1, size).T).view(-1, filters)  # [U * H, F]
        values, best, first = [], [], 0
        for width in (weight.shape[2] for weight in weights):
            padded = F.pad(ids, (width - 1, width)).mul_(total).add_(first)
            places = padded.unfold(1, width, 1) + torch.arange(width, device=ids.device)
            strongest = strongest_windows(products, places)
            values.append(strongest[0])
            best.append(strongest[1])
            first += width
        ctx.widths = [weight.shape[2] for weight in weights]
        ctx.save_for_backward(vectors, ids, slices, *best)
        return torch.cat(values, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # Detached, or embedding_bag would prepare gradients of its own.
        vectors, ids, slices, *best = (tensor.detach() for tensor in ctx.saved_tensors)
        total, filters, size = slices.shape
        batch = len(ids)
        # The words of the winning windows, position by position, and the gradient of each: [H, F, B].
        word_parts, share_parts = [], []
        for i, width in enumerate(ctx.widths):
            steps = torch.arange(width, device=ids.device)[:, None]
            at = (best[i][:, None] + steps).view(batch, -1)  # [B, h * F]
            word_parts.append(F.pad(ids, (width - 1, width)).gather(1, at).T)
            share_parts.append(grad[:, i * filters : (i + 1) * filters].T.repeat(width, 1))
        words, shares = torch.cat(word_parts), torch.cat(share_parts)  # [H * F, B]
        # The gradient of a filter's slice has one word of each sentence: the weighted sum of B vectors.
        grad_slices = F.embedding_bag(words, vectors, mode="sum", per_sample_weights=shares).view(total, filters, size)
        grad_weights = [part.permute(1, 2, 0) for part in grad_slices.split(ctx.widths)]
        grad_vectors = None
        if ctx.needs_input_grad[0]:
            column = torch.arange(total * filters, device=ids.device)[:, None]
            scattered = grad.new_zeros(len(vectors) * total * filters)
            scattered.index_add_(0, (words * (total * filters) + column).view(-1), shares.view(-1))
            grad_vectors = scattered.view(len(vectors), -1) @ slices.view(-1, size)
            grad_vectors[0] = 0  # padding is not learned
        return grad_vectors, None, *grad_weights
