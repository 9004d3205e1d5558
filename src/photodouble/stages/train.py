"""Train: from two FaceSets to a model, or one more identity in it, with held-out figures on the way."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from photodouble.consent import digest, require, require_known
from photodouble.errors import BadInput
from photodouble.evaluation.data import data_report
from photodouble.faces import FaceSet
from photodouble.networks import size_of
from photodouble.project import open_project
from photodouble.stages.events import Event, Preview, Progress, Result, Started, Warned
from photodouble.stages.recognise import check_model, settle
from photodouble.stages.swap_judge import SwapJudge
from photodouble.training import model_json
from photodouble.training.autoencode import SIZE as ORIGINAL_SIZE
from photodouble.training.autoencode import Autoencode
from photodouble.training.engine import fit
from photodouble.training.grow import plan_growth
from photodouble.training.model_json import PREVIEW
from photodouble.training.pair_cache import PairCache
from photodouble.training.pairs import draw_pairs, few_or_many
from photodouble.training.prior import NONE, load_prior
from photodouble.training.recipes import RECIPES, refine
from photodouble.training.refine import Refine
from photodouble.training.task import About, Began, Budget, Divided, Evaluated, Rewound, Stopped, Task, Ticked

STAGE = "train"
MODELS = (*RECIPES, "original")
DISK = {"lite": 30_000_000, "standard": 900_000_000, "fine": 900_000_000, "original": 1_000_000_000}
"""Bytes of each model with its training state, about."""

LONGEST = 60.0
"""Minutes, where neither minutes nor images are given: the held-out figures stop it earlier."""

PAIRS = (1200, 400)
"""Training pairs made of the wanted and of the replaced person, for a minute of training or more."""

PAIR_MEMORY = 1_500_000_000
"""Bytes of pairs of one person, at most."""

ALIKE = 0.5
"""Cosine between one person's mean embeddings in two sets of footage, at least: single faces of one person have 0.73 on
average and of two people 0.05."""


@dataclass(frozen=True)
class TrainConfig:
    """What to train.

    Attributes:
        project: the project's folder.
        source: the identity to be replaced (`--from`); target: the wanted one (`--to`).
        model: one of `MODELS`; the model's folder has the same name.
        minutes, images: budget; None and None: until the held-out figures stop rising, at most an hour.
        seed: of every random choice.
        devices: CUDA devices to train on together, each with whole batches of its own.
        init: what a new model starts from: `bundled`, `none`, or the folder of a prior or a model; None: the bundled
            prior where there is one for the model.
        add: take those of the two into the model that it does not know yet; everybody else in it stays as is.
    """

    project: Path
    source: str
    target: str
    model: str = "lite"
    minutes: float | None = None
    images: int | None = None
    seed: int = 0
    devices: int = 1
    init: str | None = None
    add: bool = False


def run(config: TrainConfig) -> Iterator[Event]:
    """Train a model, go on with the one that is there, or add somebody to it.

    The result holds model (folder), images, images_per_second, seconds, ssim (held-out), metrics, stopped, resumed,
    init (what the model started from), identities, history (rows of seconds, images, metrics) and coverage (what the
    plate asks for and the wanted person's footage lacks: `evaluation.data.DataReport.values`).

    Raises:
        Refused: consent is missing or does not hold, or faces or the model are not those of the people who consented.
        BadInput: faces are missing, a model is there that does not load or is of other people, or there is nothing to
            start from where `init` says.
    """
    began = time.monotonic()
    project = open_project(config.project)
    if config.source == config.target:
        raise BadInput(f"--from and --to are both {config.target}: name the person in the plate and the wanted one.")
    records = {name: require(project, name, date.today()) for name in (config.target, config.source)}
    if config.model not in MODELS:
        raise BadInput(f"There is no trainable model '{config.model}': choose one of {', '.join(MODELS)}.")
    folder = project.model(config.model)
    sets = {name: FaceSet.open(project.faces(name)) for name in records}
    for name, faces in sets.items():
        yield from settle(project, name, faces, STAGE)
    growth = plan_growth(folder, list(sets), Refine.name) if config.add else None
    _check_known(folder, sets, grows=config.add)
    device = _device(config.devices)
    known = model_json.exists(folder)
    if known:
        check_model(project, folder, model_json.load_meta(folder))
    prior = None if known else load_prior(config.init, config.model)
    if prior:
        require_known(project, prior.meta.consent | prior.meta.start.get("consent", {}), date.today())
    minutes = LONGEST if config.minutes is None and config.images is None else config.minutes
    yield Started(
        STAGE,
        {"faces": {name: len(faces) for name, faces in sets.items()}, "minutes": minutes, "images": config.images}
        | {"disk_bytes": DISK[config.model]},
    )
    if known and config.init is not None:
        yield Warned(STAGE, f"--init starts a new model only: the one in {folder} goes on from where it is.")
    report = data_report((config.target, sets[config.target]), (config.source, sets[config.source]))
    for message in report.warnings():
        yield Warned(STAGE, message)
    judged = sets[config.target], sets[config.source]
    if growth:
        sets = {name: sets[name] for name in growth.new}
    for name, faces in sets.items():
        if faces.missing:
            yield Warned(STAGE, f"{faces.missing} faces of {name} are left out: their pictures were deleted.")
    task: Task
    if config.model == "original":
        plate = sets[config.source]
        crops = {name: few_or_many(faces, plate, ORIGINAL_SIZE, name) for name, faces in sets.items()}
        if config.devices == 1:  # more of them start from copies, which have to lie in memory
            crops = {name: cache.to(torch.device(device)) for name, cache in crops.items()}
        task = Autoencode(crops)
    else:
        numbers = growth.numbers if growth else ()
        task = refine(config.model, (yield from _pair_caches(sets, config)), numbers=numbers)
    consent = {name: digest(records[name]) for name in sets}
    data = {name: _fingerprint(faces) for name, faces in sets.items()}
    if device == "cpu" and config.model in ("standard", "fine"):
        yield Warned(STAGE, f"There is no CUDA device: {config.model} is made for one and trains very slowly without.")
    budget = Budget(minutes, config.images)
    values: dict[str, Any] = {"resumed": False}
    about = About(list(sets), consent, data, model_json.load_meta(folder).start if known else {})
    start: Callable[[nn.Module], None] | None = None
    if growth:
        about = growth.about(consent, data)
        start = growth.begin(task, about, config.seed, device).start
    elif prior:
        about = replace(about, start=prior.record())
        start = partial(prior.fill, identities=about.identities)
    judge = SwapJudge(*judged, about.identities.index(config.target))
    values |= {"coverage": report.values()}
    values |= {"init": about.start.get("from", NONE), "identities": about.identities}
    settings: dict[str, Any] = {"seed": config.seed, "device": device, "devices": config.devices}
    before = model_json.load_meta(folder).data if known else {}
    others = [name for name, row in data.items() if name in before and _other_faces(before[name], row)]
    settings["anew"] = bool(others)
    for event in fit(task, folder, budget, about=about, start=start, further=judge, **settings):
        if isinstance(event, Began) and event.images:
            values["resumed"] = True
            done = f"{event.images} images and {event.seconds:.0f} s of training are done"
            yield Warned(STAGE, f"Continuing the training of {folder} from its last checkpoint: {done}.")
            if others and budget.progress(event.images, event.seconds) < 1:
                yield Warned(
                    STAGE,
                    f"The faces of {' and '.join(others)} are not those of before: the best weights so far are judged "
                    "anew on the held-out ones of now, and older figures have no say in when training ends.",
                )
        elif isinstance(event, Ticked):
            values["images_per_second"] = event.images_per_second
            yield _progress(event, budget)
        elif isinstance(event, Evaluated):
            yield Preview(STAGE, event.preview)
        elif isinstance(event, Rewound | Divided):
            yield Warned(STAGE, event.message)
        elif isinstance(event, Stopped):
            values |= {"images": event.images, "trained_seconds": event.seconds, "metrics": event.metrics}
            values |= {"stopped": event.message, "reason": event.reason, "best": event.best}
            values["ssim"] = event.best.get("metrics", event.metrics).get("ssim")
    if values.get("trained_seconds"):
        values["images_per_second"] = values["images"] / values["trained_seconds"]
    values["history"] = model_json.load_meta(folder).history
    values |= {"model": str(folder), "preview": str(folder / PREVIEW), "seconds": time.monotonic() - began}
    yield Result(STAGE, values)


def _device(count: int) -> str:
    """The kind of device to train on, of which there are `count`.

    Raises:
        BadInput: there are fewer.
    """
    known = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count > max(1, known):
        raise BadInput(f"There are {known} CUDA devices, not {count}: give a smaller --devices.")
    return "cuda" if known else "cpu"


def _check_known(folder: Path, sets: dict[str, FaceSet], grows: bool) -> None:
    """A model that is there must be whole and of the same two people; nothing is ever trained over another.

    One that `grows` may be of more and of others.

    The same names are not enough: `swap` calls everybody by the same two.
    """
    if not model_json.exists(folder):
        return
    meta = model_json.check(folder)
    remedy = "move it away, or use another project"
    if meta.identities != list(sets) and not grows:
        raise BadInput(
            f"The model {folder} is of {' and '.join(meta.identities)}, not of {' and '.join(sets)}: {remedy}."
        )
    for name, faces in sets.items():
        known = meta.data.get(name, {}).get("likeness")
        if known and float(np.dot(known, _likeness(faces))) < ALIKE:
            raise BadInput(f"The model {folder} was trained on another person's faces than those of {name}: {remedy}.")


def _fingerprint(faces: FaceSet) -> dict[str, Any]:
    """What a model says of the faces that it was trained on."""
    return {
        "faces": len(faces),
        "mark": str(faces.info.get("mark", "")),
        "likeness": [round(value, 4) for value in _likeness(faces).tolist()],
    }


def _other_faces(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether two fingerprints are of different faces, as far as the older one tells."""
    return any(key in before and before[key] != now[key] for key in ("faces", "mark"))


def _likeness(faces: FaceSet) -> np.ndarray:
    """The person's mean embedding, (128,), of unit length."""
    total = np.asarray(faces.embedding, np.float64).sum(0)
    return total / max(float(np.linalg.norm(total)), 1e-6)


def _pair_caches(sets: dict[str, FaceSet], config: TrainConfig) -> Generator[Event, None, dict[str, PairCache]]:
    """The pairs of each identity (returned)."""
    caches = {}
    counts = dict(zip((config.target, config.source), pair_counts(config), strict=True))
    for name, faces in sets.items():
        steps = draw_pairs(faces, counts[name], config.seed, size=size_of(config.model))
        caches[name] = yield from _shown(steps, name)
    return caches


def pair_counts(config: TrainConfig) -> list[int]:
    """How many pairs of the wanted and of the replaced person to draw: a short training does not see them all."""
    share = 1.0 if config.minutes is None else min(1.0, config.minutes)
    most = PAIR_MEMORY // (10 * size_of(config.model) ** 2)
    if config.images is not None:
        most = min(most, config.images)
    return [max(1, min(most, round(share * count))) for count in PAIRS]


def _shown(steps: Generator[tuple[int, int], None, PairCache], name: str) -> Generator[Event, None, PairCache]:
    """The pairs that `steps` end with (returned)."""
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            return end.value
        if done % 32 == 0 or done == total:
            yield Progress(STAGE, done, total, "pairs", f"drawing training pairs of {name}")


def _progress(event: Ticked, budget: Budget) -> Progress:
    figures = event.metrics
    text = f"{event.images_per_second:.0f} images/s"
    if "ssim" in figures:
        text += f", held-out SSIM {figures['ssim']:.3f}"
    if "ssim_mesh" in figures:
        text += f" (mesh {figures['ssim_mesh']:.3f})"
    if budget.minutes is not None:
        left = 60 * budget.minutes - event.seconds if event.left is None else event.left
        return Progress(STAGE, event.seconds, event.seconds + left, "seconds", text)
    return Progress(STAGE, event.images, budget.images or 0, "images", text)
