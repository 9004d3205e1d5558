"""What the engine can train, and the small records that the two exchange."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Budget:
    """How long to train: until `minutes` have passed or `images` pictures were seen, whichever comes first.

    Both count from the start of the model's training, so that an interrupted run goes on to the same end.
    """

    minutes: float | None = None
    images: int | None = None

    def progress(self, images: int, seconds: float) -> float:
        """0 at the start, 1 and more at the end."""
        parts = []
        if self.minutes is not None:
            parts.append(seconds / max(1e-9, 60 * self.minutes))
        if self.images is not None:
            parts.append(images / max(1, self.images))
        if not parts:
            raise ValueError("a budget needs minutes or images")
        return max(parts)


@dataclass(frozen=True)
class Schedule:
    """Factor on the learning rate by progress: linear up until `warm_up`, 1, half a cosine from `tail` on to `floor`.

    `warm_up=0, tail=1` is constant.
    """

    warm_up: float = 0.0
    tail: float = 1.0
    floor: float = 0.02

    def factor(self, progress: float, tail: float, end: float) -> float:
        """The factor; `tail` and `end` are where the tail starts and stops (a plateau moves both ahead)."""
        if progress < self.warm_up:
            return max(0.01, progress / self.warm_up)
        along = self.late(progress, tail, end)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * along))

    @staticmethod
    def late(progress: float, tail: float, end: float) -> float:
        """0 before the tail, then the part of it that is over, 1 at its end."""
        return 0.0 if progress <= tail or tail >= end else min(1.0, (progress - tail) / (end - tail))


@dataclass(frozen=True)
class Average:
    """Moving average of the weights, the one that is used and judged.

    Its half-life is `share` of the images seen so far (so the start is forgotten quickly), at most `images`; it is
    brought up to date every `every` steps. `share=0`: none is kept. (Karras et al. 2022 ramp it the same way.)
    """

    share: float = 0.05
    images: int = 100_000
    every: int = 1


class Task(Protocol):
    """A thing that can be trained. Tensors are on the engine's device; nothing here reads files or keeps time.

    Attributes:
        name: for model.json.
        images_per_batch: pictures seen in each step.
        schedule, average: see there.

    A task may have a `helper`, made by `build`: a network that is needed in training only (a critic), kept in the
    training state and in no model; its weights are among those of `optimizer`. It has a `late`, too, which is
    `Schedule.late` at each step. One with a `speed` (see there) says itself what is computed in which precision; for
    others Fabric does: bfloat16 where that is safe and a GPU has it, float32 elsewhere.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def images_per_batch(self) -> int: ...  # noqa: D102

    @property
    def schedule(self) -> Schedule: ...  # noqa: D102

    @property
    def average(self) -> Average: ...  # noqa: D102

    def build(self) -> nn.Module:
        """A new network from `photodouble.networks.create`; the engine seeds torch around this call."""

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """Its optimizer with the full learning rates; the engine multiplies them by the schedule."""

    def batch(self, generator: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        """The next batch; every random choice comes from `generator` (on `device`)."""

    def losses(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Scalars; "total" is minimised, the others are shown."""

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Held-out figures of the averaged network (evaluation mode, no gradients)."""

    def score(self, metrics: dict[str, float]) -> float:
        """The one figure that tells whether training still helps, made of `evaluate`'s; larger is better."""

    def preview(self, module: nn.Module) -> np.ndarray:
        """A picture of held-out results, H x W x 3 uint8 RGB."""

    def worst(self, module: nn.Module) -> np.ndarray:
        """The same of the worst ones, with their figures: see `worst.worst_sheet`."""


@runtime_checkable
class Divisible(Protocol):
    """A task whose batch can be taken in parts, one after the other, where memory is short."""

    def part(self, parts: int) -> Task | None:
        """The same task with one `parts`-th of the pictures in each batch (of each identity); None if that is no whole.

        The mean of the parts' losses should be the loss of the batch. What this task holds, the part may share.
        """


@dataclass(frozen=True)
class About:
    """What model.json should say beyond the network: see `model_json.Meta`."""

    identities: list[str] = field(default_factory=list)
    consent: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """Seconds between things: progress events, held-out figures with a preview, checkpoints.

    Figures and checkpoints that take long are taken less often, so that they use up at most `evaluate_share` and
    `save_share` of the time; yet a checkpoint is written every 50 s at least.
    """

    tick: float = 1.0
    evaluate: float = 20.0
    save: float = 30.0
    evaluate_share: float = 0.1
    save_share: float = 0.05


@dataclass(frozen=True)
class Began:
    """First event. `resumed`: a model was there and goes on from `images` and `seconds`.

    `memory`: bytes that a step is estimated to take at its most, in `parts` parts; None where that cannot be told.
    """

    resumed: bool
    images: int
    seconds: float
    parameters: int
    memory: int | None = None
    parts: int = 1


@dataclass(frozen=True)
class Ticked:
    """About every second: means since the last one. `progress` is 0..1 of the budget.

    `left`: seconds, by the budget, or less where the held-out score is forecast to stop rising earlier; None at first.
    """

    seconds: float
    images: int
    progress: float
    images_per_second: float
    losses: dict[str, float]
    metrics: dict[str, float]
    left: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """New held-out figures, and where their picture lies."""

    seconds: float
    images: int
    metrics: dict[str, float]
    preview: Path


@dataclass(frozen=True)
class Saved:
    """The model on disk is that of `images`; writing took `took` seconds."""

    images: int
    took: float


@dataclass(frozen=True)
class Rewound:
    """Training left the numbers; it went back to the last checkpoint. One sentence."""

    message: str


@dataclass(frozen=True)
class Divided:
    """Memory is short: each step is taken in `parts` parts from here on. One sentence."""

    message: str
    parts: int


@dataclass(frozen=True)
class Stopped:
    """Last event. `reason`: "budget", "plateau" or "diverged"; `message` says it in one sentence.

    `metrics` are the newest; `best` is `model_json.Meta.best`: of the weights that `load_model` gives.
    """

    reason: str
    message: str
    images: int
    seconds: float
    metrics: dict[str, float]
    best: dict[str, Any] = field(default_factory=dict)


TrainingEvent = Began | Ticked | Evaluated | Saved | Rewound | Divided | Stopped
