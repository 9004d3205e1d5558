"""Train: from two FaceSets to a model, with held-out figures on the way."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photodouble.consent import digest, require
from photodouble.errors import BadInput
from photodouble.faces import FaceSet
from photodouble.project import open_project
from photodouble.retarget import know_faces
from photodouble.retarget.examples import free_of, hold_out_stills
from photodouble.retarget.pairs import make_pairs
from photodouble.stages.events import Event, Preview, Progress, Result, Started, Warned
from photodouble.training import checkpoint
from photodouble.training.autoencode import SIZE as ORIGINAL_SIZE
from photodouble.training.autoencode import Autoencode
from photodouble.training.data import load_crops, split_by_time
from photodouble.training.engine import PREVIEW, fit
from photodouble.training.refine import SIZE as LITE_SIZE
from photodouble.training.refine import PairCache, Refine
from photodouble.training.task import About, Began, Budget, Evaluated, Rewound, Stopped, Task, Ticked

STAGE = "train"
MODELS = ("lite", "original")
LONGEST = 60.0
"""Minutes, where neither minutes nor images are given: the held-out figures stop it earlier."""

FEWEST, PAIRS = 40, (1200, 400)
"""Fewer faces than this are stills; training pairs made of the wanted and of the replaced person."""

SHARE, GAP = 0.08, 8
"""Held-out part, and the frames left out between it and the rest, of the pairs."""


@dataclass(frozen=True)
class TrainConfig:
    """What to train.

    Attributes:
        project: the project's folder.
        source: the identity to be replaced (`--from`); target: the wanted one (`--to`).
        model: `lite` or `original`; the model's folder has the same name.
        minutes, images: budget; None and None: until the held-out figures stop rising, at most an hour.
        seed: of every random choice.
    """

    project: Path
    source: str
    target: str
    model: str = "lite"
    minutes: float | None = None
    images: int | None = None
    seed: int = 0


def run(config: TrainConfig) -> Iterator[Event]:
    """Train a model, or go on with the one that is there.

    The result holds model (folder), images, images_per_second, seconds, ssim (held-out), metrics, stopped, resumed and
    history (rows of seconds, images, metrics).

    Raises:
        Refused: consent is missing.
        BadInput: faces are missing, or a model is there that does not load or is of other people.
    """
    began = time.monotonic()
    project = open_project(config.project)
    records = {name: require(project, name, date.today()) for name in (config.target, config.source)}
    if config.model not in MODELS:
        raise BadInput(f"There is no trainable model '{config.model}': choose {' or '.join(MODELS)}.")
    folder = project.model(config.model)
    _check_known(folder, config)
    sets = {name: FaceSet.open(project.faces(name)) for name in records}
    minutes = LONGEST if config.minutes is None and config.images is None else config.minutes
    yield Started(
        STAGE,
        {"faces": {name: len(faces) for name, faces in sets.items()}, "minutes": minutes, "images": config.images}
        | {"disk_bytes": 1_000_000_000 if config.model == "original" else 30_000_000},
    )
    for name, faces in sets.items():
        if faces.missing:
            yield Warned(STAGE, f"{faces.missing} faces of {name} are left out: their pictures were deleted.")
    task: Task
    if config.model == "original":
        task = Autoencode({name: load_crops(faces, ORIGINAL_SIZE, name) for name, faces in sets.items()})
    else:
        task = Refine((yield from _pair_caches(sets, config.seed)))
    about = About(
        list(sets),
        {name: digest(record) for name, record in records.items()},
        {name: {"faces": len(faces), "mark": str(faces.info.get("mark", ""))} for name, faces in sets.items()},
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    budget = Budget(minutes, config.images)
    values: dict[str, Any] = {"resumed": False}
    for event in fit(task, folder, budget, seed=config.seed, device=device, about=about):
        if isinstance(event, Began) and event.resumed:
            values["resumed"] = True
            done = f"{event.images} images and {event.seconds:.0f} s of training are done"
            yield Warned(STAGE, f"Continuing the training of {folder} from its last checkpoint: {done}.")
        elif isinstance(event, Ticked):
            values["images_per_second"] = event.images_per_second
            yield _progress(event, budget)
        elif isinstance(event, Evaluated):
            yield Preview(STAGE, event.preview)
        elif isinstance(event, Rewound):
            yield Warned(STAGE, event.message)
        elif isinstance(event, Stopped):
            values |= {"images": event.images, "trained_seconds": event.seconds, "metrics": event.metrics}
            values |= {"stopped": event.message, "ssim": event.metrics.get("ssim")}
    if values.get("trained_seconds"):
        values["images_per_second"] = values["images"] / values["trained_seconds"]
    values["history"] = checkpoint.load_meta(folder).history
    values |= {"model": str(folder), "preview": str(folder / PREVIEW), "seconds": time.monotonic() - began}
    yield Result(STAGE, values)


def _check_known(folder: Path, config: TrainConfig) -> None:
    """A model that is there must load and be of the same two people; nothing is ever trained over another."""
    if not checkpoint.exists(folder):
        return
    meta = checkpoint.load_meta(folder)
    if meta.identities != [config.target, config.source]:
        raise BadInput(
            f"The model {folder} is of {' and '.join(meta.identities)}, not of {config.target} and {config.source}: "
            "move it away, or use another project."
        )


def _pair_caches(sets: dict[str, FaceSet], seed: int) -> Generator[Event, None, dict[str, PairCache]]:
    """The pairs of each identity (returned)."""
    caches = {}
    for (name, faces), count in zip(sets.items(), PAIRS, strict=True):
        person, rows = know_faces(faces)
        stills = len(rows) < FEWEST
        if stills:
            held = hold_out_stills(len(rows))
            train = np.flatnonzero(~held)
        else:
            split = split_by_time(faces.frame[rows], faces.source[rows], SHARE, GAP)
            held = np.zeros(len(rows), bool)
            held[split.held_out] = True
            train = split.train
        usable = np.zeros(len(rows), bool)
        usable[train] = True
        times = max(1, round(count / len(train)))
        wanted = np.concatenate([np.tile(train, times), np.flatnonzero(held)])
        made = []
        for pair in make_pairs(person, wanted, free_of(faces, rows), LITE_SIZE, seed, usable):
            made.append(pair)
            if len(made) % 32 == 0:
                yield Progress(STAGE, len(made), len(wanted), "pairs", f"drawing training pairs of {name}")
        columns = [torch.from_numpy(np.stack(column)) for column in zip(*made, strict=True)]
        caches[name] = PairCache(*columns, held[wanted])
    return caches


def _progress(event: Ticked, budget: Budget) -> Progress:
    figures = event.metrics
    text = f"{event.images_per_second:.0f} images/s"
    if "ssim" in figures:
        text += f", held-out SSIM {figures['ssim']:.3f}"
    if "ssim_mesh" in figures:
        text += f" (mesh {figures['ssim_mesh']:.3f})"
    if budget.minutes is not None:
        return Progress(STAGE, event.seconds, 60 * budget.minutes, "seconds", text)
    return Progress(STAGE, event.images, budget.images or 0, "images", text)
