"""How much of the machine training uses: its matrix-product peak, and what a network's step costs."""

import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def matrix_peak(
    device: torch.device | str = "cpu", size: int = 1536, seconds: float = 1.0, dtype: torch.dtype = torch.float32
) -> float:
    """Best matrix product of `size` x `size` within about `seconds` (three at least), in FLOP/s.

    `dtype`: of the numbers; float32 is what `torch.set_float32_matmul_precision` makes of it on a GPU.

    Other work on the machine lowers it: measure it right before or after what it is compared with.
    """
    device = torch.device(device)
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    result = a @ b
    best, rounds, start = float("inf"), 0, time.perf_counter()
    while rounds < 3 or time.perf_counter() - start < seconds:
        _wait(device)
        begin = time.perf_counter()
        torch.mm(a, b, out=result)
        _wait(device)
        best, rounds = min(best, time.perf_counter() - begin), rounds + 1
    return 2 * size**3 / best


def forward_flops(module: nn.Module, *inputs: object) -> int:
    """FLOP of one forward pass, additions and multiplications; a training step costs about three times that."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
