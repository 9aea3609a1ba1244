"""The 3-D convolution of the core: torch's, except that one small sample on a CPU is computed as two halves."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKED = 20_480  # channels x depth x height of one sample: above it torch takes oneDNN's kernel by itself
WORTH = 256  # positions of the result: below, cutting and joining cost as much as they save


class Conv3d(nn.Conv3d):
    """`torch.nn.Conv3d`: [N, C, D, H, W] to [N, K, D', H', W'], the same within the rounding of float32.

    Torch hands a single float32 sample of few channels x depth x height to a kernel that is 2 to 10 times slower than
    the one for two samples (`ConvParams::use_mkldnn` in its Convolution.cpp). Cut along the depth into two halves,
    which overlap by what the kernel reaches over, one sample is two. Measured with one thread, 3 x 3 x 3, forward and
    backward: 16 channels of 34^3 580 to 55 ms, 32 of 24^3 336 to 89, 64 of 12^3 64 to 33 (AVX2).
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self._slow(input):
            return super()._conv_forward(input, weight, bias)
        depth, stride = input.shape[2], self.stride[0]
        padding = int(self.padding[0])
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        rows = (depth + 2 * padding - reach) // stride + 1
        half = (rows + 1) // 2
        start, length = half * stride, (half - 1) * stride + reach
        padded = F.pad(input, (0, 0, 0, 0, padding, max(0, start + length - depth - padding)))
        halves = torch.cat((padded[:, :, :length], padded[:, :, start : start + length]))
        first, second = F.conv3d(
            halves, weight, bias, self.stride, (0, *self.padding[1:]), self.dilation, self.groups
        ).split(1)
        return torch.cat((first, second), 2)[:, :, :rows]

    def _slow(self, x: Tensor) -> bool:
        """Whether torch's own way is the slow one; never while the network is traced or compiled."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"):
            return False
        if x.dim() != 5 or len(x) != 1 or x.device.type != "cpu" or x.dtype != torch.float32:
            return False
        if self.groups != 1 or self.padding_mode != "zeros" or isinstance(self.padding, str):
            return False
        if max(self.kernel_size) == 1 or x.numel() > BLOCKED * x.shape[-1]:
            return False
        edges = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        positions = 1
        for edge, kernel, stride, padding, dilation in edges:
            positions *= max(0, (edge + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
        return positions >= WORTH
