"""The size formula: how many cells a convolution or pooling puts out along one axis.

Dumoulin, Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

from cnn_core.errors import CnnError


def output_size(
    n: int, kernel_size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Return `(n - k + 2 p) // s + 1` with the dilated kernel's extent `k = dilation * (kernel_size - 1) + 1`.

    Args:
        n: cells of the input along the axis.
        kernel_size: cells of the kernel.
        stride: step of the kernel.
        padding: cells added on each side.
        dilation: distance between the kernel's cells.
        ceil_mode: True also counts a last window that leaves the input (pooling only), as long as it starts inside
            the input or the padding before it: torch's rule.

    Raises:
        CnnError: a number out of its range, or a kernel that does not fit into the padded input.
    """
    _check(n=n, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check_not_negative(padding=padding)
    extent = dilation * (kernel_size - 1) + 1
    room = n - extent + 2 * padding
    if ceil_mode:
        size = -(-room // stride) + 1
        if (size - 1) * stride >= n + padding:
            size -= 1
    else:
        size = room // stride + 1
    if size < 1:
        raise CnnError(
            f"a kernel that spans {extent} cells does not fit into {n} cells with padding {padding}; "
            "use a larger input, a smaller kernel or more padding"
        )
    return size


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise CnnError(f"{name} must be at least 1, got {number}")


def _check_not_negative(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise CnnError(f"{name} must not be negative, got {number}")
