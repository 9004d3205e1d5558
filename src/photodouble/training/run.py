"""The state of one training and its way to disk and back: network, average, optimizer, generator, counters."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.training import checkpoint, model_json
from photodouble.training.checkpoint import TrainingState
from photodouble.training.memory import (
    BACKWARD,
    activation_bytes,
    fitting_parts,
    free_memory,
    out_of_memory,
    part_of,
    weight_bytes,
)
from photodouble.training.model_json import Meta
from photodouble.training.state import (
    Meter,
    pack_optimizer,
    restore_optimizer,
    seed_of,
    seeded,
    update_average,
)
from photodouble.training.task import About, Average, Budget, Task
from photodouble.training.team import Order, Team, alone


@dataclass
class Counters:
    """Where a run stands; saved with every checkpoint. `tail` and `end` are in parts of `budget`, the values of one."""

    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    rate: float = 1.0  # factor on all learning rates; halved at each rewind
    rewinds: int = 0
    parts: int = 1  # that a step is taken in, one after the other, where memory is short
    least: int = 1  # of them, since memory ran out with fewer
    tail: float = 1.0
    end: float = 1.0
    why: str = ""  # training is to end before its budget does
    budget: dict[str, Any] = field(default_factory=dict)
    since: int = 0  # row of the history: those before were judged on other faces
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


class _Step(nn.Module):
    """A task's losses as a module's forward pass, so that Fabric sees each step as one."""

    def __init__(self, task: Task, module: nn.Module, helper: nn.Module | None) -> None:
        super().__init__()
        self.task, self.module, self.helper = task, module, helper

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        losses = self.task.losses(self.module, batch)
        return {key: value if key == "total" else value.detach() for key, value in losses.items()}


class Run:
    """The state of one training: network, its average, optimizer, generator, counters.

    With a team of several processes each has a run of its own. What the leader's does to weights, the others' do at its
    order (see `follow`); only the leader's keeps the average, judges and writes.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        device: torch.device | str = "cpu",
        start: Callable[[nn.Module], None] | None = None,
        team: Team | None = None,
    ) -> None:
        """Begin; `start` is called with the new network and may fill in weights and freeze some.

        With a `team`, `device` is not asked.
        """
        self.team = team or alone(device)
        self.device = self.team.device
        with seeded(seed, self.device):  # the caller's random numbers stay as they are
            module = task.build()
        if start is not None:
            start(module)
        if hasattr(task, "speed"):
            task.speed.prepare(self.device)
        self.task, self.seed = task, seed
        self.module = module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.helper: nn.Module | None = getattr(task, "helper", None)
        if self.helper is not None:
            self.helper.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.keeps_average = task.average.share > 0 and self.team.leads
        self.average = copy.deepcopy(self.module).requires_grad_(False).eval() if self.keeps_average else self.module
        self.optimizer = task.optimizer(self.module)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.generator = torch.Generator(self.device).manual_seed(seed_of(seed, self.team.rank))
        self.counters = Counters(tail=task.schedule.tail)
        self.best: dict[str, Any] = {}  # see Meta.best
        self.best_weights: dict[str, torch.Tensor] | None = None  # until they are on the disk
        self.meter = Meter()
        self._step = _Step(task, self.module, self.helper)
        self._model = self.team.fabric.setup_module(self._step, move_to_device=False)

    @property
    def images_per_step(self) -> int:
        """Pictures that all processes see in one step."""
        return self.task.images_per_batch * self.team.size

    def step(self, factor: float, late: float = 0.0) -> dict[str, torch.Tensor]:
        """One optimizer step with the learning rates times `factor`; returns the losses, still on the device.

        Where memory does not suffice, the step is taken in more and smaller parts, from here on: `counters.parts`.
        `late`: see `Schedule.late`.

        Raises:
            BadInput: memory does not suffice for the smallest part.
        """
        self.team.tell(Order.STEP, factor, late, self.counters.parts)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor * self.counters.rate
        self.module.train()
        losses = self._gradients(late)
        while losses is None:
            self._divide()
            losses = self._gradients(late)
        self.optimizer.step()
        self.counters.images += self.images_per_step
        self.counters.steps += 1
        if self.keeps_average and self.counters.steps % self.task.average.every == 0:
            update_average(self.average, self.module, self.decay(self.task.average))
        self.meter.add(losses)
        return losses

    def _gradients(self, late: float) -> dict[str, torch.Tensor] | None:
        """Draw a batch and leave its gradients; returns the losses, or None where memory does not suffice."""
        parts = self.counters.parts
        task = part_of(self.task, parts) or self.task
        if self.helper is not None:
            task.late = late  # type: ignore[attr-defined]
        self._step.task = task
        means: dict[str, torch.Tensor] = {}
        try:
            self.optimizer.zero_grad(set_to_none=True)
            with seeded(seed_of(self.seed, self.team.rank, self.counters.images + 1), self.device):
                for part in range(parts):
                    with self.team.last_of(self._model, part == parts - 1):
                        losses = self._model(task.batch(self.generator, self.device))
                        self.team.fabric.backward(losses["total"] / parts)
                    for key, value in losses.items():
                        share = value.detach() / parts
                        means[key] = means[key] + share if key in means else share
            return means
        except Exception as error:
            if not out_of_memory(error):
                raise
        return None  # outside of the handler: the error kept everything that it happened in

    def _divide(self) -> None:
        """Take steps in twice as many parts."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        parts = 2 * self.counters.parts
        # several processes exchange gradients during the step: one of them cannot begin it anew
        if self.team.size > 1 or part_of(self.task, parts) is None:
            size = self.task.images_per_batch // self.counters.parts
            raise BadInput(
                f"The memory of {self.device} does not suffice to train on {size} pictures at once: "
                "close other programs, or train a smaller model."
            )
        self.counters.parts = self.counters.least = parts

    def fit_memory(self) -> int | None:
        """Divide steps as far as memory asks for, before the first one; returns the bytes that one is to take.

        The estimate is of weights, optimizer and what the forward pass keeps: see `memory`. None where there is none.

        Raises:
            BadInput: the network alone does not fit.
        """
        batch = self.task.batch(torch.Generator(self.device).manual_seed(0), self.device)
        kept, free = activation_bytes(self.task, batch, self.team.fabric.autocast()), self.least_free()
        if kept is None:
            return None
        kept = round(BACKWARD * kept)
        ours = [self.module] if self.helper is None else [self.module, self.helper]
        fixed = sum(weight_bytes(module, self.keeps_average) for module in ours)
        held = sum(p.numel() * p.element_size() for p in self.module.parameters()) * (1 + self.keeps_average)
        if free is None:
            return fixed + kept
        if fixed - held > free:
            raise BadInput(
                f"Training this network takes {fixed / 1e9:.1f} GB of memory, and {(free + held) / 1e9:.1f} GB are "
                f"free on {self.device}: close other programs, or train a smaller model."
            )
        parts = fitting_parts(self.task, fixed - held, kept, free)
        self.counters.parts = max(self.counters.parts, parts)
        return fixed + kept // self.counters.parts

    def least_free(self) -> int | None:
        """Bytes that are free on the device of the process that has the fewest; None where one cannot tell."""
        self.team.tell(Order.MEMORY)
        free = free_memory(self.device)
        least = min(int(found) for found in self.team.gather(torch.tensor(-1 if free is None else free)))
        return None if least < 0 else least

    def take_up(self, budget: Budget, anew: bool) -> bool:
        """Train for this budget; returns whether it is another one than before, so that no end ahead of it is known.

        `anew`: the same holds since the held-out faces are others.
        """
        counters, known = self.counters, vars(budget)
        if counters.budget == known and not anew:
            return False
        counters.budget, counters.tail, counters.end, counters.why = dict(known), self.task.schedule.tail, 1.0, ""
        counters.since = len(counters.history) if anew else counters.since
        return True

    @torch.no_grad()
    def judge_best(self, folder: Path) -> None:
        """Take the figures of the best weights, which lie in `folder`, on the held-out faces as they are now."""
        if not self.best:
            return
        module = copy.deepcopy(self.average)
        checkpoint.load_weights(folder, model_json.load_meta(folder), module, best=True)
        metrics = self.task.evaluate(module.eval())
        self.best = self.best | {"metrics": metrics, "score": float(self.task.score(metrics))}

    def read(self) -> dict[str, float]:
        """Mean losses since the last reading, of all processes. Waits for the device."""
        self.team.tell(Order.READ)
        names, means = self.meter.read()
        if not names:
            return {}
        return dict(zip(names, self.team.mean(means).tolist(), strict=True))

    def decay(self, average: Average) -> float:
        """What remains of the old average in an update."""
        half_life = min(average.images, average.share * self.counters.images)
        return 0.5 ** (self.images_per_step * average.every / half_life)

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

    def keep_best(self, score: float) -> None:
        """Keep the average as it stands now: its held-out score is the best so far."""
        counters = self.counters
        self.best = {"images": counters.images, "seconds": counters.seconds, "score": score}
        self.best["metrics"] = counters.metrics
        self.best_weights = {key: value.to("cpu", copy=True) for key, value in self.average.state_dict().items()}

    def save(self, folder: Path, about: About) -> None:
        """Write the checkpoint."""
        self.team.tell(Order.SAVE)
        generators = self.team.gather(self.generator.get_state())
        if not self.team.leads:
            return
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
            best=self.best,
        )
        tensors, numbers = pack_optimizer(self.optimizer)
        tensors |= {f"generator/{rank}" if rank else "generator": state for rank, state in enumerate(generators)}
        if self.keeps_average:
            tensors |= {f"module/{key}": value for key, value in self.module.state_dict().items()}
        if self.helper is not None:
            tensors |= {f"helper/{key}": value for key, value in self.helper.state_dict().items()}
        values = {"counters": vars(counters), "optimizer": numbers, "device": self.device.type}
        state = TrainingState(tensors, values)
        self.best = checkpoint.save_model(folder, self.average, meta, state, self.best_weights).best
        self.best_weights = None

    def load(self, folder: Path) -> None:
        """Take up the checkpoint in `folder`.

        Raises:
            BadInput: it is damaged or of another network.
        """
        meta = model_json.load_meta(folder)
        config = json.loads(json.dumps(networks.config_of(self.module)))
        same = (meta.architecture, meta.task) == (self.module.architecture, self.task.name)
        if not same or config != {**config, **meta.config}:
            raise BadInput(
                f"The model in {folder} is another network ({meta.architecture}, task {meta.task}) or has other "
                "settings: train under another name, or remove the folder."
            )
        state = checkpoint.load_state(folder, meta)
        raw = state.under("module/")
        if self.keeps_average or not raw:
            checkpoint.load_weights(folder, meta, self.average)
        try:
            if raw:
                self.module.load_state_dict(raw)
            if self.helper is not None:
                self.helper.load_state_dict(state.under("helper/"))
            restore_optimizer(self.optimizer, state)
            known = {entry.name for entry in fields(Counters)}
            self.counters = Counters(**{k: v for k, v in state.values["counters"].items() if k in known})
            # only where memory ran out do parts stay, and on a CPU alone: there the same bytes are to come of it
            self.counters.least = self.counters.least if self.device.type == "cpu" else 1
            self.counters.parts = self.counters.least
            self._restore_generator(state)
        except (KeyError, RuntimeError, TypeError, ValueError, IndexError) as error:
            raise BadInput(
                f"The training state in {folder} does not fit this version of photodouble: "
                "remove the folder and train again."
            ) from error
        self.best, self.best_weights = meta.best, None
        self.meter = Meter()

    def _restore_generator(self, state: TrainingState) -> None:
        """Go on with this process's random numbers; begin new ones on another kind of device or in a new process."""
        rank = self.team.rank
        known = state.tensors["generator"] if rank == 0 else state.tensors.get(f"generator/{rank}")
        if known is not None and state.values.get("device", self.device.type) == self.device.type:
            self.generator.set_state(known)
        else:
            self.generator.manual_seed(seed_of(self.seed, rank, self.counters.images))
            self.counters.parts = self.counters.least = 1

    def rewind(self, folder: Path) -> None:
        """Go back to the checkpoint at half the learning rate; the generator goes on, so that other batches come."""
        self.team.tell(Order.REWIND)
        random, rewinds, rate = self.generator.get_state(), self.counters.rewinds + 1, self.counters.rate / 2
        parts, least = self.counters.parts, self.counters.least
        self.load(folder)
        self.generator.set_state(random)
        self.counters.parts, self.counters.least = parts, least
        self.counters.rewinds, self.counters.rate = rewinds, rate


def follow(team: Team, task: Task, seed: int, start: Callable[[nn.Module], None] | None, folder: Path) -> None:
    """What a process that does not lead does: as it is told, until it is told to stop."""
    known = model_json.exists(folder)
    team.fabric.barrier()  # the leader waits, too, before it writes the first checkpoint
    run = Run(task, seed, start=start, team=team)
    if known:
        run.load(folder)
    while True:
        order, (factor, late, parts) = team.hear()
        if order == Order.STEP:
            run.counters.parts = int(parts)
            run.step(factor, late)
        elif order == Order.READ:
            run.read()
        elif order == Order.SAVE:
            run.save(folder, About())
        elif order == Order.REWIND:
            run.rewind(folder)
        elif order == Order.MEMORY:
            run.least_free()
        else:
            return
