"""How a CUDA device computes. On a CPU nothing here applies: there float32 and no compiler."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

PRECISIONS = ("float32", "tf32", "bf16")


@dataclass(frozen=True)
class Speed:
    """Settings for CUDA devices.

    Attributes:
        precision: of products and convolutions: `float32`, `tf32` (10 bits of mantissa, float32's range), or `bf16`
            where autocast allows it (weights, sums and losses stay float32) and tf32 elsewhere.
        compile: mode of torch.compile, as `default` or `reduce-overhead` (which replays CUDA graphs); empty: none.
    """

    precision: str = "bf16"
    compile: str = ""

    def __post_init__(self) -> None:
        """Check."""
        if self.precision not in PRECISIONS:
            raise ValueError(f"there is no precision {self.precision}: choose one of {', '.join(PRECISIONS)}")

    def prepare(self, device: torch.device) -> None:
        """Set PyTorch's own switches for `device`: they hold for the whole process."""
        if device.type != "cuda":
            return
        fast = self.precision != "float32"
        torch.set_float32_matmul_precision("high" if fast else "highest")
        torch.backends.cudnn.allow_tf32 = fast
        torch.backends.cudnn.benchmark = True  # all batches are alike, so that the search for the best kernel pays

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which networks run."""
        wanted = device.type == "cuda" and self.precision == "bf16"
        return torch.autocast(
            device.type,
            torch.bfloat16,
            enabled=wanted and torch.cuda.is_bf16_supported(including_emulation=False),  # emulated, it is slow
        )

    def compiled(self, function: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
        """The function, compiled if that is asked for and `device` is a CUDA device."""
        if device.type != "cuda" or not self.compile:
            return function
        return torch.compile(function, mode=self.compile, fullgraph=True, dynamic=False)
