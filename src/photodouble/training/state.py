"""Pieces of a training's state: moving average, optimizer, random numbers, and the means of losses."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from photodouble.training.checkpoint import TrainingState


class Meter:
    """Means of the losses since the last reading, summed on the device."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, losses: dict[str, torch.Tensor]) -> None:
        """Add one step's."""
        for key, value in losses.items():
            self.sums[key] = self.sums[key] + value if key in self.sums else value.clone()
        self.count += 1

    def read(self) -> tuple[list[str], torch.Tensor]:
        """Names and means, still on the device; starts anew."""
        names, sums, count = list(self.sums), list(self.sums.values()), max(1, self.count)
        self.sums, self.count = {}, 0
        return names, torch.stack([value.float() for value in sums]) / count if sums else torch.zeros(0)


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move `average` toward `module`, keeping `decay` of it; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
    for mean, buffer in zip(average.buffers(), module.buffers(), strict=True):
        mean.copy_(buffer)


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Its moments by `optimizer/INDEX/NAME`, and what of its state is no tensor by `INDEX/NAME`."""
    tensors, numbers = {}, {}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer/{index}/{key}"] = value
            else:
                numbers[f"{index}/{key}"] = value
    return tensors, numbers


def restore_optimizer(optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
    """Fill in the moments, each in the memory layout of its parameter (the fused kernels rely on that).

    The count of steps, which is one number, lies where the kernels want it: with its parameter for fused and capturable
    ones, on the CPU for others (as in PyTorch's own `Optimizer.load_state_dict`).
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    fused = [
        bool(group.get("fused") or group.get("capturable")) for group in optimizer.param_groups for _ in group["params"]
    ]
    optimizer.state.clear()
    for key, value in state.under("optimizer/").items():
        index, name = key.split("/")
        parameter = parameters[int(index)]
        if name != "step" and value.shape == parameter.shape:
            restored = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        else:
            stays = name == "step" and not fused[int(index)]
            restored = value.to(value.device if stays else parameter.device, copy=True)
        optimizer.state[parameter][name] = restored
    for key, number in state.values["optimizer"].items():
        index, name = key.split("/")
        optimizer.state[parameters[int(index)]][name] = number


def seed_of(seed: int, rank: int, images: int = 0) -> int:
    """The seed of a process: that of the run for the first, unrelated ones for the others and for a fresh start."""
    if rank == 0 and images == 0:
        return seed
    return int(np.random.SeedSequence([abs(seed), rank, images]).generate_state(1, np.uint64)[0] >> 1)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's own random numbers (dropout draws them) begin at `seed` here; outside they go on as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
        torch.manual_seed(seed)
        yield
