"""A convolution that trains faster on a CPU: its weight gradient is one matrix product.

oneDNN's weight gradients reach about half of what its forward pass does where channels are many and the picture is
small (benchmarks/RESULTS.md). Unfolding the input and multiplying (Chellapilla et al. 2006) reaches the machine's
product peak. Values are those of `nn.Conv2d` but for rounding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

CHUNK = 64 * 2**20  # bytes of unfolded input at a time


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` with the same padding on all sides, stride and kernel equal along both axes, one group."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve N x C x H x W."""
        plain = x.device.type != "cpu" or x.dtype != torch.float32 or not torch.is_grad_enabled()
        if plain or torch.compiler.is_compiling() or torch.jit.is_tracing():
            return super().forward(x)
        return _Convolve.apply(x, self.weight, self.bias, self.stride[0], self.padding[0])


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: int, padding: int
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.biased = stride, padding, bias is not None
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        sizes, stride, padding = [weight.shape[0]], [ctx.stride] * 2, [ctx.padding] * 2
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                gradient, x, weight, sizes, stride, padding, [1, 1], False, [0, 0], 1, [True, False, False]
            )[0]
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(x, gradient, weight.shape[-1], ctx.stride, ctx.padding)
        if ctx.biased and ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_x, of_weight, of_bias, None, None


def weight_gradient(x: torch.Tensor, gradient: torch.Tensor, kernel: int, stride: int, padding: int) -> torch.Tensor:
    """Gradient of a convolution's weight from its input N x C x H x W and its output's gradient N x D x h x w.

    Returns:
        D x C x kernel x kernel, channels last in memory.
    """
    channels = x.shape[1]
    filters, height, width = gradient.shape[1:]
    row = height * width * kernel * kernel * channels * x.element_size()
    total = x.new_zeros(filters, kernel * kernel * channels)
    for pictures, part in zip(x.split(max(1, CHUNK // row)), gradient.split(max(1, CHUNK // row)), strict=True):
        padded = F.pad(pictures.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding)).contiguous()
        n, y, x_, c = padded.stride()
        shape = (len(pictures), height, width, kernel, kernel, channels)
        windows = padded.as_strided(shape, (n, y * stride, x_ * stride, y, x_, c))
        unfolded = windows.reshape(len(pictures) * height * width, -1)
        total.addmm_(part.permute(0, 2, 3, 1).reshape(-1, filters).t(), unfolded)
    return total.view(filters, kernel, kernel, channels).permute(0, 3, 1, 2)
