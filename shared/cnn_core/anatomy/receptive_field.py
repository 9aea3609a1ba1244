"""The receptive field: which input pixels one cell of a map can see, along one axis.

Araujo, Norris, Sim 2019, "Computing receptive fields of convolutional neural networks", doi:10.23915/distill.00021.
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class ReceptiveField:
    """What the cells of a map see along one axis of the input, in input pixels.

    Cell `i` sees the pixels `start + i * stride` to `start + i * stride + size - 1`. A negative start lies in the
    padding. Sizes are theoretical: the border of the input cuts them off, and they are not limited to the input.
    Behind an interpolation to more cells, size and start can be fractions, because what is seen then differs from cell
    to cell; rounded up, the size is what the widest cell sees.
    """

    size: Fraction = Fraction(1)
    stride: Fraction = Fraction(1)  # below 1 after upsampling beyond the input's own resolution
    start: Fraction = Fraction(0)

    def through(self, kernel_size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> "ReceptiveField":
        """Return the field behind a convolution or pooling with these settings."""
        return ReceptiveField(
            self.size + dilation * (kernel_size - 1) * self.stride,
            self.stride * stride,
            self.start - padding * self.stride,
        )

    def through_transposed(
        self, kernel_size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> "ReceptiveField":
        """Return the field behind a transposed convolution: the widest that any of its outputs has.

        Output `o` is made of the inputs `i` with `0 <= o + padding - i * stride <= extent - 1`.
        """
        extent = dilation * (kernel_size - 1) + 1
        first = -((extent - 1 - padding) // stride)
        return ReceptiveField(
            self.size + (-(-extent // stride) - 1) * self.stride,
            self.stride / stride,
            self.start + first * self.stride,
        )

    def upsampled(self, ratio: Fraction, *, neighbours: int) -> "ReceptiveField":
        """Return the field behind an interpolation to `ratio` times as many cells from `neighbours` cells each."""
        return ReceptiveField(
            self.size + (neighbours - 1) * self.stride,
            self.stride / ratio,
            self.start - neighbours // 2 * self.stride,
        )

    def shifted(self, cells: int, *, step: int = 1) -> "ReceptiveField":
        """Return the field after the first `cells` cells are dropped and every `step`-th of the rest is kept."""
        return ReceptiveField(self.size, self.stride * step, self.start + cells * self.stride)

    def merged(self, other: "ReceptiveField") -> "ReceptiveField":
        """Return what a cell sees where two branches meet: everything that either of them sees."""
        start = min(self.start, other.start)
        end = max(self.start + self.size, other.start + other.size)
        return ReceptiveField(end - start, max(self.stride, other.stride), start)
