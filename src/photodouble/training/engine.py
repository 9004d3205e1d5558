"""The one training loop: it knows time, budgets and disks, and nothing of faces.

On a CPU, a run by images that was killed and continued ends in the same bytes as one that was not: everything the next
step depends on is in the checkpoint. Nothing in the loop waits for the device except once a tick.
"""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from photodouble.files import write_bytes
from photodouble.training import checkpoint
from photodouble.training.run import Run
from photodouble.training.task import (
    About,
    Began,
    Budget,
    Evaluated,
    Pace,
    Rewound,
    Saved,
    Stopped,
    Task,
    Ticked,
    TrainingEvent,
)

MAX_REWINDS = 2
LONGEST = 50.0  # seconds between two checkpoints, at most
PREVIEW, WORST = "preview.png", "worst.png"
REASONS = {
    "budget": "The training budget is used up.",
    "plateau": "The held-out figures have stopped rising: more training would not help.",
    "diverged": "The loss left the numbers again and again, so training stopped at its last good checkpoint.",
}


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

    def read(self) -> dict[str, float]:
        """The means; starts anew. Waits for the device."""
        means = {key: float(value) / self.count for key, value in self.sums.items()}
        self.__init__()  # type: ignore[misc]
        return means


class Due:
    """True once every `seconds`, less often where the work itself takes more than `share` of the time."""

    def __init__(self, seconds: float, share: float, longest: float = math.inf) -> None:
        self.seconds, self.share, self.longest = seconds, share, longest
        self.last = self.took = -math.inf

    def now(self, time: float) -> bool:
        """Whether it is time."""
        return time - self.last >= max(self.seconds, min(self.longest, self.took / self.share))

    def done(self, start: float, end: float) -> None:
        """The work was done between these times."""
        self.last, self.took = end, end - start


def fit(
    task: Task,
    folder: Path,
    budget: Budget,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    about: About | None = None,
    pace: Pace | None = None,
    patience: float | None = 0.4,
    start: Callable[[nn.Module], None] | None = None,
    further: Callable[[nn.Module], dict[str, float]] | None = None,
) -> Iterator[TrainingEvent]:
    """Train `task` until `budget` is used up, keeping the model in `folder`; a model that lies there is continued.

    A budget by minutes ends early on a plateau: where the held-out score has not risen by 0.001 during the last
    `patience` part of the time trained (60 s at least), the tail of the learning rate is run now, over a fifth of the
    time trained so far, and that is the end. `patience=None` turns it off; a budget by images alone never ends early.
    `start` is called with the new network, before what lies in `folder` is loaded: it may fill in or freeze weights.
    `further` takes more held-out figures of the averaged network, half as often as the task and at the end; they stand
    among the task's own in metrics and history.

    Raises:
        BadInput: what lies in `folder` does not load (it is left as it is), or the disk refuses.
    """
    folder, about, pace = Path(folder), about or About(), pace or Pace()
    run = Run(task, seed, torch.device(device), start)
    resumed = checkpoint.exists(folder)
    if resumed:
        run.load(folder)
    began = time.perf_counter() - run.counters.seconds

    def seconds() -> float:
        run.counters.seconds = time.perf_counter() - began
        return run.counters.seconds

    def save() -> Saved:
        begin = seconds()
        run.save(folder, about)
        saving.done(begin, seconds())
        return Saved(run.counters.images, saving.took)

    saving = Due(pace.save, pace.save_share, max(pace.save, LONGEST))
    meter = Meter()
    judging, looking = (Due(every, pace.evaluate_share / 2) for every in (pace.evaluate, 2 * pace.evaluate))
    yield Began(resumed, run.counters.images, run.counters.seconds, sum(p.numel() for p in run.module.parameters()))
    if not resumed:
        yield save()  # from here on there is a checkpoint to go back to
    saving.last = seconds()
    ticked, reason = seconds(), ""
    images = judged = saved = run.counters.images
    while not reason:
        counters = run.counters
        progress = budget.progress(counters.images, seconds())
        if progress < counters.end:
            meter.add(run.step(task.schedule.factor(progress, counters.tail, counters.end)))
        else:
            reason = "budget" if counters.end >= 1 else "plateau"
        now = seconds()
        if now - ticked < pace.tick and not reason:
            continue
        losses = meter.read()
        if not (all(math.isfinite(value) for value in losses.values()) and run.finite()):
            run.rewind(folder)
            ticked, images = seconds(), run.counters.images
            reason = "diverged" if run.counters.rewinds > MAX_REWINDS else ""
            if not reason:
                yield Rewound("The loss was not a number: training goes on from its last checkpoint at half the rate.")
            continue
        if losses:
            rate = (counters.images - images) / max(1e-9, now - ticked)
            progress = min(1.0, budget.progress(counters.images, now) / counters.end)
            yield Ticked(now, counters.images, progress, rate, losses, counters.metrics)
        if counters.images > judged and (reason or judging.now(now)):
            more: dict[str, float] = {}
            if reason or looking.now(now):
                more = run.look(further) if further else {}
                write_picture(folder / WORST, run.look(task.worst))
                looking.done(now, seconds())
            begin = seconds()
            yield judge(run, folder, budget, patience, more)
            judging.done(begin, seconds())
            judged = counters.images
        if counters.images > saved and (reason or saving.now(seconds())):
            yield save()
            saved = counters.images
        ticked, images = seconds(), counters.images
    counters = run.counters
    yield Stopped(reason, REASONS[reason], counters.images, counters.seconds, counters.metrics)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write H x W x 3 uint8 RGB as PNG, atomically."""
    write_bytes(path, cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes())


def judge(run: Run, folder: Path, budget: Budget, patience: float | None, more: dict[str, float]) -> Evaluated:
    """Take held-out figures, join them with those taken already, and a preview; on a plateau move the end ahead."""
    counters = run.counters
    metrics, picture = run.evaluate()
    metrics = more | metrics
    counters.metrics = metrics
    counters.history.append({"seconds": round(counters.seconds, 2), "images": counters.images, "metrics": metrics})
    write_picture(folder / PREVIEW, picture)
    score = run.task.score(metrics)
    if score > counters.best + 0.001:
        counters.best, counters.best_seconds = score, counters.seconds
    waited = counters.seconds - counters.best_seconds
    progress = budget.progress(counters.images, counters.seconds)
    stuck = patience is not None and waited > max(60.0, patience * counters.seconds)
    if stuck and budget.minutes is not None and progress < counters.tail:
        counters.tail, counters.end = progress, min(1.0, 1.2 * progress)
    return Evaluated(counters.seconds, counters.images, metrics, folder / PREVIEW)
