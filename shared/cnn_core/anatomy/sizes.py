"""The size formula: how many cells a convolution or pooling puts out along one axis.

Dumoulin, Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

from cnn_core.errors import CnnError


def output_size(n: int, kernel_size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Return `(n - k + 2 p) // s + 1` with the dilated kernel's extent `k = dilation * (kernel_size - 1) + 1`.

    Args:
        n: cells of the input along the axis.
        kernel_size: cells of the kernel.
        stride: step of the kernel.
        padding: cells added on each side.
        dilation: distance between the kernel's cells.

    Raises:
        CnnError: a number out of its range, or a kernel that does not fit into the padded input.
    """
    numbers = {"n": n, "kernel_size": kernel_size, "stride": stride, "dilation": dilation, "padding": padding}
    for name, number in numbers.items():
        least = 0 if name == "padding" else 1
        if number < least:
            raise CnnError(f"{name} must be at least {least}, got {number}")
    extent = dilation * (kernel_size - 1) + 1
    size = (n - extent + 2 * padding) // stride + 1
    if size < 1:
        raise CnnError(
            f"a kernel that spans {extent} cells does not fit into {n} cells with padding {padding}; "
            "use a larger input, a smaller kernel or more padding"
        )
    return size
