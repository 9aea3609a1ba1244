"""`ngram_max`: convolution over word vectors and the maximum over all places, without computing most of either.

A filter of width h over a sentence adds h products of a word vector and a slice of the filter. The same word gives the
same product wherever it stands, so the products of the batch's different words are computed once, in one dense matrix
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


def ngram_max(rows: Tensor, ids: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Return the strongest answer of every filter anywhere in each sentence: `-> [B, F_1 + F_2 + ...]`.

    Windows reach beyond both ends of the sentence, where zeros stand, and one window sees zeros alone; see
    `cnn_core.models.kim_cnn.ParallelConvs`, whose pre-activation maximum this is.

    Args:
        rows: word vectors [U, E]; row 0 is padding and must be zero.
        ids: [B, L] int64, which row stands where.
        weights: filters of each width h, [F, E, h].
        biases: of each width, [F].
    """
    return torch.cat([
        _NgramMax.apply(rows, ids, weight) + bias for weight, bias in zip(weights, biases, strict=True)
    ], 1)  # fmt: skip


def word_products(rows: Tensor, weight: Tensor) -> Tensor:
    """Return the product of every row with every slice of every filter: `[U, E], [F, E, h] -> [U * h, F]`.

    Row `u * h + k` holds what word u adds at place k of the window.
    """
    filters, size, width = weight.shape
    return (rows @ weight.permute(1, 2, 0).reshape(size, width * filters)).view(-1, filters)


def window_rows(ids: Tensor, width: int) -> Tensor:
    """Return for every window the rows of `word_products` that it adds: `[B, L] -> [B, L + width, width]`.

    The last window sees padding alone.
    """
    padded = F.pad(ids, (width - 1, width))
    return padded.unfold(1, width, 1) * width + torch.arange(width, device=ids.device)


def strongest_windows(products: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum over the windows, and which window has it: `[U * h, F], [B, T, h] -> [B, F], [B, F]`."""
    batch, windows, width = places.shape
    answers = F.embedding_bag(places.reshape(-1, width), products, mode="sum")  # [B * T, F]
    return answers.view(batch, windows, -1).max(1)


class _NgramMax(torch.autograd.Function):
    """The maximum for filters of one width, before the bias."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ids: Tensor, weight: Tensor) -> Tensor:
        places = window_rows(ids, weight.shape[2])
        values, best = strongest_windows(word_products(rows, weight), places)
        ctx.save_for_backward(rows, weight, places, best)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        rows, weight, places, best = ctx.saved_tensors
        filters, size, width = weight.shape
        batch = len(places)
        # What the winning windows are made of: [B, F, h] rows of the products.
        won = places[torch.arange(batch, device=best.device)[:, None], best]
        # A slice of a filter learns from one word of each sentence: the weighted sum of B rows.
        words = (won // width).permute(2, 1, 0).reshape(width * filters, batch)
        shares = grad.T.expand(width, -1, -1).reshape(width * filters, batch)
        grad_weight = F.embedding_bag(words, rows, mode="sum", per_sample_weights=shares)
        grad_weight = grad_weight.view(width, filters, size).permute(1, 2, 0)
        grad_rows = None
        if ctx.needs_input_grad[0]:
            cells = won * filters + torch.arange(filters, device=best.device)[:, None]
            scattered = grad.new_zeros(len(rows) * width * filters)
            scattered.index_add_(0, cells.reshape(-1), grad.unsqueeze(2).expand(-1, -1, width).reshape(-1))
            grad_rows = scattered.view(len(rows), -1) @ weight.permute(2, 0, 1).reshape(width * filters, size)
            grad_rows[0] = 0  # padding is not learned
        return grad_rows, None, grad_weight
