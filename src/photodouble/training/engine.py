"""The one training loop: it knows time, budgets and disks, and nothing of faces.

On a CPU, a run by images that was killed and continued ends in the same bytes as one that was not: everything the next
step depends on is in the checkpoint. Nothing in the loop waits for the device except once a tick.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from photodouble.files import write_bytes
from photodouble.training import model_json
from photodouble.training.lock import held
from photodouble.training.logs import Logs
from photodouble.training.plateau import TAIL, Forecast, forecast
from photodouble.training.run import Run, follow
from photodouble.training.task import (
    About,
    Began,
    Budget,
    Divided,
    Evaluated,
    Pace,
    Rewound,
    Saved,
    Stopped,
    Task,
    Ticked,
    TrainingEvent,
)
from photodouble.training.team import gathered

MAX_REWINDS = 2
LONGEST = 50.0  # seconds between two checkpoints, at most
WORTH = 0.95  # part of the budget: an end after that saves nothing


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
    devices: int = 1,
    about: About | None = None,
    pace: Pace | None = None,
    patience: float | None = 0.5,
    start: Callable[[nn.Module], None] | None = None,
    further: Callable[[nn.Module], dict[str, float]] | None = None,
    anew: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[TrainingEvent]:
    """Train `task` until `budget` is used up, keeping the model in `folder`; a model that lies there is continued.

    A budget by minutes ends early on a plateau: where the trend of the held-out score over the last `patience` part of
    the time trained says that all the rest of the budget would surely add less than half a hundredth (`plateau`), what
    is left of the learning rate's tail is run, at the pace of a whole one in a fifth of the time trained so far, and
    that is the end. `patience=None` turns it off; a budget by images alone never ends early. With another budget than
    before all that is judged anew.
    `start` is called with the new network, before what lies in `folder` is loaded: it may fill in or freeze weights.
    `further` takes more held-out figures of the averaged network, half as often as the task and at the end; they stand
    among the task's own in metrics and history.
    `anew`: the held-out faces are not those that the model in `folder` was judged on. Then its best weights are judged
    once more, and what the scores before said of the end is forgotten.
    With more than one of the `devices` of this kind each has a process of its own and draws whole batches of its own,
    so that a step sees `devices` times the pictures; `task` and `start` are pickled on their way there. On a CPU that
    is of no use but to try it.

    Raises:
        BadInput: what lies in `folder` does not load (it is left as it is) or is being trained already, the disk
            refuses, or memory does not suffice for the smallest part of a batch.
    """
    folder = Path(folder)
    mixed = not hasattr(task, "speed")  # such a task says itself what is computed how
    others = follow, task, seed, start, folder
    with held(folder), gathered(device, devices, mixed, *others) as team:
        resumed = model_json.exists(folder)
        if devices > 1:
            team.fabric.barrier()  # the others, too, have looked whether there is a model
        run = Run(task, seed, start=start, team=team)
        if resumed:
            run.load(folder)
        about, pace = about or About(), pace or Pace()
        with contextlib.closing(Logs(folder, run.counters.images)) as logs:
            yield from _train(run, folder, budget, about, pace, patience, further, anew, clock, logs, resumed)


def _train(
    run: Run,
    folder: Path,
    budget: Budget,
    about: About,
    pace: Pace,
    patience: float | None,
    further: Callable[[nn.Module], dict[str, float]] | None,
    anew: bool,
    clock: Callable[[], float],
    logs: Logs,
    resumed: bool,
) -> Iterator[TrainingEvent]:
    """The loop of `fit`, in the process that leads."""
    task = run.task
    began = clock() - run.counters.seconds

    def seconds() -> float:
        run.counters.seconds = clock() - began
        return run.counters.seconds

    def save() -> Saved:
        begin = seconds()
        run.save(folder, about)
        saving.done(begin, seconds())
        return Saved(run.counters.images, saving.took)

    changed = run.take_up(budget, anew)
    saving = Due(pace.save, pace.save_share, max(pace.save, LONGEST))
    judging, looking = (Due(every, pace.evaluate_share / 2) for every in (pace.evaluate, 2 * pace.evaluate))
    asked = run.counters.parts
    goes_on = budget.progress(run.counters.images, run.counters.seconds) < 1
    memory = run.fit_memory() if goes_on else None
    if anew and goes_on:
        run.judge_best(folder)
    parts = run.counters.parts
    size = sum(p.numel() for p in run.module.parameters())
    yield Began(resumed, run.counters.images, run.counters.seconds, size, memory, parts)
    if parts > asked:
        yield _divided(parts, "by the estimate")
    if not resumed or (changed and goes_on):
        yield save()  # from here on there is a checkpoint to go back to
    saving.last = seconds()
    ticked, reason, left = seconds(), "", None
    images = judged = looked = saved = run.counters.images
    while not reason:
        counters = run.counters
        progress = budget.progress(counters.images, seconds())
        if progress < counters.end:
            along = progress, counters.tail, counters.end
            run.step(task.schedule.factor(*along), task.schedule.late(*along))
            if counters.parts > parts:
                parts = counters.parts
                yield _divided(parts, "it ran out")
        else:
            reason = "budget" if counters.end >= 1 else "plateau"
        if seconds() - ticked < pace.tick and not reason:
            continue
        losses = run.read()
        now = seconds()
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
            left = time_left(run, budget, rate, now, patience)
            logs.add(counters.images, {f"loss/{key}": value for key, value in losses.items()})
            logs.add(counters.images, {"speed/images": rate, "rate": run.optimizer.param_groups[0]["lr"]})
            yield Ticked(now, counters.images, progress, rate, losses, counters.metrics, left)
        if (counters.images > judged and judging.now(now)) or (counters.images > looked and reason):
            more: dict[str, float] = {}
            if reason or looking.now(now):
                more = run.look(further) if further else {}
                write_picture(folder / model_json.WORST, run.look(task.worst))
                looking.done(now, seconds())
                looked = counters.images
            begin = seconds()
            yield judge(run, folder, budget, patience, more)
            logs.add(counters.images, {f"held_out/{key}": value for key, value in counters.metrics.items()})
            judging.done(begin, seconds())
            judged = counters.images
        if counters.images > saved and (reason or saving.now(seconds())):
            yield save()
            saved = counters.images
        ticked, images = seconds(), counters.images
    counters = run.counters
    yield Stopped(reason, _message(reason, run, budget), counters.images, counters.seconds, counters.metrics, run.best)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write H x W x 3 uint8 RGB as PNG, atomically."""
    write_bytes(path, cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes())


def judge(run: Run, folder: Path, budget: Budget, patience: float | None, more: dict[str, float]) -> Evaluated:
    """Take held-out figures, join them with those taken already, and a preview; on a plateau move the end ahead."""
    counters = run.counters
    metrics, picture = run.evaluate()
    metrics = more | metrics
    counters.metrics = metrics
    score = float(run.task.score(metrics))
    entry = {"seconds": round(counters.seconds, 2), "images": counters.images, "metrics": metrics, "score": score}
    counters.history.append(entry)
    write_picture(folder / model_json.PREVIEW, picture)
    if score > run.best.get("score", -math.inf):
        run.keep_best(score)
    told = look_ahead(run, budget, patience)
    tail, end = _ahead(run, budget.progress(counters.images, counters.seconds))
    if told is not None and told.flat and end < WORTH * counters.end:
        counters.tail, counters.end = tail, end
        counters.why = told.sentence(counters.seconds, 60 * (budget.minutes or 0))
    return Evaluated(counters.seconds, counters.images, metrics, folder / model_json.PREVIEW)


def _ahead(run: Run, progress: float) -> tuple[float, float]:
    """Where the learning rate's tail begins and ends if training is to end soon: it goes on from where it stands."""
    counters = run.counters
    left = 1 - run.task.schedule.late(progress, counters.tail, counters.end)
    end = progress + TAIL * progress * left
    return end - TAIL * progress, end


def look_ahead(run: Run, budget: Budget, patience: float | None) -> Forecast | None:
    """What the held-out scores so far let expect; None where they cannot end the training earlier than its budget."""
    counters = run.counters
    if patience is None or budget.minutes is None:
        return None
    if counters.why and budget.progress(counters.images, counters.seconds) >= counters.tail:
        return None  # it is ending
    rows = [(row["seconds"], row["score"]) for row in counters.history[counters.since :] if "score" in row]
    if not rows:
        return None
    seconds, scores = np.array(rows, float).T
    return forecast(seconds, scores, 60 * budget.minutes, patience)


def time_left(run: Run, budget: Budget, rate: float, now: float, patience: float | None) -> float:
    """Seconds to the end of the budget or of the tail after a plateau, or to a plateau that is to be expected."""
    counters = run.counters
    lefts = []
    if budget.minutes is not None:
        lefts.append(60 * budget.minutes * counters.end - now)
    if budget.images is not None:
        lefts.append((budget.images * counters.end - counters.images) / max(rate, 1e-9))
    told = look_ahead(run, budget, patience)
    if told is not None:
        progress = budget.progress(counters.images, now)
        tail = 1 - run.task.schedule.late(progress, counters.tail, counters.end)
        lefts.append((1 + TAIL * tail) * told.seconds - now)
    return max(0.0, min(lefts))


def _message(reason: str, run: Run, budget: Budget) -> str:
    """Why training ended, with figures."""
    counters = run.counters
    if reason == "plateau":
        return counters.why or "The held-out score has stopped rising."
    if reason == "diverged":
        return "The loss left the numbers again and again, so training stopped at its last good checkpoint."
    done = f"{counters.seconds / 60:.1f} min, {counters.images} images"
    best = run.best
    if not best:
        return f"The training budget is used up ({done})."
    return f"The training budget is used up ({done}); the best held-out score is {best['score']:.3f}."


def _divided(parts: int, why: str) -> Divided:
    return Divided(
        f"Memory is short ({why}): each step is taken in {parts} parts, one after the other, which is slower but "
        "learns the same.",
        parts,
    )
