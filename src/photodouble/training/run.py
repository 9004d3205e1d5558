"""The state of one training and its way to disk and back: network, average, optimizer, generator, counters."""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.training import checkpoint
from photodouble.training.checkpoint import Meta, TrainingState
from photodouble.training.task import About, Average, Task


@dataclass
class Counters:
    """Where a run stands; saved with every checkpoint. `tail` and `end` are in parts of the budget."""

    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    rate: float = 1.0  # factor on all learning rates; halved at each rewind
    rewinds: int = 0
    tail: float = 1.0
    end: float = 1.0
    best: float = -math.inf
    best_seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """The state of one training: network, its average, optimizer, generator, counters."""

    def __init__(
        self, task: Task, seed: int, device: torch.device, start: Callable[[nn.Module], None] | None = None
    ) -> None:
        """Begin; `start` is called with the new network and may fill in weights and freeze some."""
        with torch.random.fork_rng():  # the caller's random numbers stay as they are
            torch.manual_seed(seed)
            module = task.build()
        if start is not None:
            start(module)
        self.task = task
        self.device = device
        self.module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.keeps_average = task.average.share > 0
        self.average = copy.deepcopy(self.module).requires_grad_(False).eval() if self.keeps_average else self.module
        self.optimizer = task.optimizer(self.module)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.generator = torch.Generator(device).manual_seed(seed)
        self.counters = Counters(tail=task.schedule.tail)

    def step(self, factor: float) -> dict[str, torch.Tensor]:
        """One optimizer step with the learning rates times `factor`; returns the losses, still on the device."""
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor * self.counters.rate
        batch = self.task.batch(self.generator, self.device)
        self.module.train()
        losses = self.task.losses(self.module, batch)
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        self.optimizer.step()
        self.counters.images += self.task.images_per_batch
        self.counters.steps += 1
        if self.keeps_average and self.counters.steps % self.task.average.every == 0:
            update_average(self.average, self.module, self.decay(self.task.average))
        return {key: value.detach() for key, value in losses.items()}

    def decay(self, average: Average) -> float:
        """What remains of the old average in an update."""
        half_life = min(average.images, average.share * self.counters.images)
        return 0.5 ** (self.task.images_per_batch * average.every / half_life)

    def finite(self) -> bool:
        """Whether all weights are numbers: then the optimizer's moments are, too."""
        with torch.no_grad():
            return bool(torch.stack([value.sum() for value in self.module.parameters()]).sum().isfinite())

    @torch.no_grad()
    def evaluate(self) -> tuple[dict[str, float], np.ndarray]:
        """Held-out figures and picture of the average."""
        self.average.eval()
        return self.task.evaluate(self.average), self.task.preview(self.average)

    @torch.no_grad()
    def look(self, further: Callable[[nn.Module], Any]) -> Any:
        """What `further` says of the average."""
        self.average.eval()
        return further(self.average)

    def save(self, folder: Path, about: About) -> None:
        """Write the checkpoint."""
        counters = self.counters
        meta = Meta(
            architecture=str(self.module.architecture),
            config=networks.config_of(self.module),
            identities=about.identities,
            consent=about.consent,
            data=about.data,
            start=about.start,
            task=self.task.name,
            images=counters.images,
            seconds=counters.seconds,
            metrics=counters.metrics,
            history=counters.history,
        )
        tensors = {"generator": self.generator.get_state()}
        if self.keeps_average:
            tensors |= {f"module/{key}": value for key, value in self.module.state_dict().items()}
        numbers: dict[str, Any] = {}
        for index, state in self.optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimizer/{index}/{key}"] = value
                else:
                    numbers[f"{index}/{key}"] = value
        values = {"counters": vars(counters), "optimizer": numbers}
        checkpoint.save_model(folder, self.average, meta, TrainingState(tensors, values))

    def load(self, folder: Path) -> None:
        """Take up the checkpoint in `folder`.

        Raises:
            BadInput: it is damaged or of another network.
        """
        meta = checkpoint.load_meta(folder)
        config = json.loads(json.dumps(networks.config_of(self.module)))
        same = (meta.architecture, meta.task) == (self.module.architecture, self.task.name)
        if not same or config != {**config, **meta.config}:
            raise BadInput(
                f"The model in {folder} is another network ({meta.architecture}, task {meta.task}) or has other "
                "settings: train under another name, or remove the folder."
            )
        state = checkpoint.load_state(folder, meta)
        checkpoint.load_weights(folder, meta, self.average)
        try:
            if self.keeps_average:
                prefix = "module/"
                raw = {key[len(prefix) :]: value for key, value in state.tensors.items() if key.startswith(prefix)}
                self.module.load_state_dict(raw)
            self.generator.set_state(state.tensors["generator"])
            restore_optimizer(self.optimizer, state)
            self.counters = Counters(**state.values["counters"])
        except (KeyError, RuntimeError, TypeError, ValueError, IndexError) as error:
            raise BadInput(
                f"The training state in {folder} does not fit this version of photodouble: "
                "remove the folder and train again."
            ) from error

    def rewind(self, folder: Path) -> None:
        """Go back to the checkpoint at half the learning rate; the generator goes on, so that other batches come."""
        random, rewinds, rate = self.generator.get_state(), self.counters.rewinds + 1, self.counters.rate / 2
        self.load(folder)
        self.generator.set_state(random)
        self.counters.rewinds, self.counters.rate = rewinds, rate


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move `average` toward `module`, keeping `decay` of it; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
    for mean, buffer in zip(average.buffers(), module.buffers(), strict=True):
        mean.copy_(buffer)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
    """Fill in the moments, each in the memory layout of its parameter (the fused kernels rely on that)."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.state.clear()
    for key, value in state.tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            parameter = parameters[int(index)]
            like = torch.empty_like(parameter, dtype=value.dtype) if value.shape == parameter.shape else None
            optimizer.state[parameter][name] = like.copy_(value) if like is not None else value.clone()
    for key, number in state.values["optimizer"].items():
        index, name = key.split("/")
        optimizer.state[parameters[int(index)]][name] = number
