"""What to explain: a class per sample, or any function of the model's output, as one number per sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_core.errors import CnnError

Target = int | Sequence[int] | Tensor | Callable[[Tensor], Tensor] | None


@dataclass(frozen=True)
class Score:
    """The explained number of every sample: that of its class, or of a function."""

    batch: int
    explained: Tensor | Callable[[Tensor], Tensor]  # classes [B], or [B, K] -> [B]

    @property
    def classes(self) -> Tensor | None:
        """The class of each item, int64 [B]; None where something else than a class is explained."""
        return self.explained if isinstance(self.explained, Tensor) else None

    def __call__(self, logits: Tensor) -> Tensor:
        """`[N * B, K] -> [N * B]`; the rows are N repeats of the batch, so sample b is in rows b, b + B, ..."""
        if isinstance(self.explained, Tensor):
            return logits.gather(1, self.explained.repeat(len(logits) // self.batch)[:, None])[:, 0]
        return torch.cat([self.explained(part) for part in logits.split(self.batch)])


def resolve(logits: Tensor, target: Target) -> Score:
    """Turn the user's target into a `Score`, given the model's output `[B, K]` for the input.

    Raises:
        CnnError: the output is not finite, or the target does not fit it.
    """
    if not isinstance(logits, Tensor) or logits.ndim < 1:
        raise CnnError(f"expected the model to return one tensor [B, K], got {type(logits).__name__}")
    if not torch.isfinite(logits).all():
        raise CnnError(
            "the model's output for this input is not finite, so there is nothing to explain; check its weights"
        )
    batch = len(logits)
    if callable(target):
        values = target(logits)
        if not isinstance(values, Tensor) or values.shape != (batch,):
            got = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise CnnError(f"the target function must return one number per sample, shape [{batch}], got {got}")
        return Score(batch, target)
    if logits.ndim != 2:
        raise CnnError(
            f"a class can be explained of outputs [B, K] only, this model gives {list(logits.shape)}; "
            "pass a function from the output to one number per sample as target"
        )
    return Score(batch, _classes(logits, target))


def _classes(logits: Tensor, target: int | Sequence[int] | Tensor | None) -> Tensor:
    """Return the class of every sample `[B]`: the given ones, or the most probable ones."""
    batch, num_classes = logits.shape
    if target is None:
        return logits.argmax(1)
    wanted = f"expected a class 0..{num_classes - 1}, one such class for each of the {batch} samples, or a function"
    try:
        classes = torch.as_tensor(target).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise CnnError(f"{wanted}; got {target!r}") from error
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise CnnError(f"{wanted}; got {target!r}")
    if classes.ndim > 1 or (classes.ndim == 1 and len(classes) != batch):
        raise CnnError(f"{wanted}; got classes of shape {list(classes.shape)}")
    if classes.numel() and (classes.min() < 0 or classes.max() >= num_classes):
        raise CnnError(f"{wanted}; got {classes.tolist()}")
    return classes.long().expand(batch).clone().to(logits.device)
