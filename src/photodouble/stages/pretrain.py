"""Pretrain: from any mix of faces to a prior, the weights that a new model starts from."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photodouble.consent import add_record, digest, require
from photodouble.consent.binding import bound, check_faces
from photodouble.errors import BadInput, Refused
from photodouble.faces import FaceSet
from photodouble.faces.faceset import INDEX
from photodouble.files import explain
from photodouble.networks import size_of
from photodouble.project import MARKER, Project, init_project
from photodouble.retarget.examples import free_of
from photodouble.stages.events import Event, Preview, Progress, Result, Started, Warned
from photodouble.stages.extract import extract_faces
from photodouble.training import model_json
from photodouble.training.engine import fit
from photodouble.training.model_json import PREVIEW
from photodouble.training.pair_cache import PairCache
from photodouble.training.pairs import FEWEST, draw_pairs
from photodouble.training.prior import EVERYBODY
from photodouble.training.recipes import RECIPES, refine
from photodouble.training.task import About, Began, Budget, Divided, Evaluated, Rewound, Stopped, Ticked

STAGE = "pretrain"
MODELS = tuple(RECIPES)
LONGEST = 60.0
"""Minutes, where neither minutes nor images are given: the held-out figures stop it earlier."""

PAIRS = 2400
"""Training pairs in all, divided evenly among the groups of faces; one is ten times the bytes of the model's pixels."""

REPEATS = 30
"""How often one face is a target, at most."""

GROUP = 8
"""So many faces of one person in one clip or picture draw one another only."""


@dataclass(frozen=True)
class PretrainConfig:
    """What to pretrain on.

    Attributes:
        faces: face sets, identities' folders of projects, clips, pictures and folders of pictures, in any mix.
        output: the prior's folder.
        project: keeps the faces extracted from clips and pictures, and their consent records; made if need be.
        model: one of `MODELS`.
        minutes, images: budget; None and None: until the held-out figures stop rising, at most an hour.
        basis, reference: recorded as consent for every source that is not a project's identity.
        seed: of every random choice.
    """

    faces: list[Path]
    output: Path
    project: Path
    model: str = "lite"
    minutes: float | None = None
    images: int | None = None
    basis: str | None = None
    reference: str | None = None
    seed: int = 0
    pairs: int = PAIRS


@dataclass(frozen=True)
class Source:
    """Some faces to learn from: `name` among the sources, `folder` of their set, `footage` that it is yet to be made
    of, and digest of the `consent` record."""

    name: str
    folder: Path
    footage: Path | None
    consent: str


def run(config: PretrainConfig) -> Iterator[Event]:
    """Make a prior, or go on with the one that was begun on the same faces.

    The result holds output, people, faces, pairs, images, seconds, metrics (held-out), stopped and resumed.

    Raises:
        Refused: consent is missing, or policy refuses a source.
        BadInput: a source cannot be read, nobody is seen often enough, or something else lies in `output`.
    """
    began = time.monotonic()
    if config.model not in MODELS:
        raise BadInput(f"There is no model '{config.model}' that can be pretrained: choose {', '.join(MODELS)}.")
    _check_output(config.output)
    sources = find_sources(config)
    sets = {}
    for source in sources:
        if source.footage is not None:
            yield from _extracted(source, source.footage)
        sets[source.name] = FaceSet.open(source.folder)
    people = {name: split_people(faces) for name, faces in sets.items()}
    for name, faces in sets.items():
        alone = len(faces) - sum(len(part) for parts in people[name] for part in parts)
        if alone:
            yield Warned(
                STAGE, f"Of {name}, {alone} of {len(faces)} faces are left out: no other picture shows the same person."
            )
    everybody = [parts for some in people.values() for parts in some]
    groups = [part for parts in everybody for part in parts]
    if not groups:
        raise BadInput("Nobody is seen in two different pictures or moments: give more pictures of the same people.")
    data = {
        name: {"faces": len(faces), "people": len(people[name]), "mark": str(faces.info.get("mark", ""))}
        for name, faces in sets.items()
    }
    if model_json.exists(config.output) and model_json.load_meta(config.output).data != data:
        raise BadInput(f"The prior in {config.output} was begun on other faces: choose another --output, or remove it.")
    minutes = LONGEST if config.minutes is None and config.images is None else config.minutes
    seen = sum(map(len, groups))
    yield Started(STAGE, {"people": len(everybody), "faces": seen, "minutes": minutes, "images": config.images})
    cache = yield from _pairs(groups, config)
    task = refine(config.model, {EVERYBODY: cache}, name=STAGE)
    about = About([EVERYBODY], {source.name: source.consent for source in sources}, data)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    task.speed.prepare(torch.device(device))
    values: dict[str, Any] = {"resumed": False}
    budget = Budget(minutes, config.images)
    for event in fit(task, config.output, budget, seed=config.seed, device=device, about=about):
        if isinstance(event, Began) and event.images:
            values["resumed"] = True
            yield Warned(STAGE, f"Continuing the training of {config.output}: {event.images} images are done.")
        elif isinstance(event, Ticked):
            yield _progress(event, budget)
        elif isinstance(event, Evaluated):
            yield Preview(STAGE, event.preview)
        elif isinstance(event, Rewound | Divided):
            yield Warned(STAGE, event.message)
        elif isinstance(event, Stopped):
            values |= {"images": event.images, "metrics": event.metrics, "stopped": event.message}
    values |= {"output": str(config.output), "preview": str(config.output / PREVIEW)}
    values |= {"people": len(everybody), "faces": seen, "pairs": int((~cache.held_out).sum())}
    yield Result(STAGE, values | {"seconds": time.monotonic() - began})


def find_sources(config: PretrainConfig) -> list[Source]:
    """The sources with their consent, which is recorded where a basis is stated.

    Raises:
        Refused: a source has no valid consent record and no basis is stated.
        BadInput: there are no sources, or one is not there.
    """
    if not config.faces:
        raise BadInput("There is nothing to pretrain on: give face sets, clips or pictures.")
    sources: list[Source] = []
    for path in config.faces:
        if not path.exists():
            raise BadInput(f"There is no file or folder {path}: check the name.")
        folder = next((place for place in (path, path / "faces") if (place / INDEX).is_file()), None)
        project = _owner(folder) if folder else None
        if folder and project:
            known = folder.resolve().parent.name
            name = _unused(known, sources)
            require(project, known, date.today())
            if (person := bound(project, known)) is not None:
                check_faces(person, FaceSet.open(folder))
            sources.append(Source(name, folder, None, digest(require(project, known, date.today()))))
            continue
        name = _unused(path.resolve().stem if path.is_file() else path.resolve().name, sources)
        kept = _recorded(config, name, path)
        sources.append(Source(name, folder or kept.faces(name), None if folder else path, _consent(kept, name)))
    return sources


def _owner(faces: Path) -> Project | None:
    """The project of whose identities one has this face set."""
    above = faces.resolve().parents
    known = faces.resolve().name == "faces" and len(above) > 2 and (above[2] / MARKER).is_file()
    return Project(above[2]) if known else None


def split_people(faces: FaceSet) -> list[list[FaceSet]]:
    """The set divided into people, and each person into groups, among which faces draw one another.

    A clip, or a sheet of several pictures of one person, is a group: its light and hair are the same throughout, so
    that what differs is what can be learned. Single pictures are one group together. People of whom one picture is all,
    or frames next to each other, are left out.
    """
    people = []
    for person in np.unique(faces.person):
        rows = np.flatnonzero(faces.person == person)
        sources, count = np.unique(faces.source[rows], return_counts=True)
        large = sources[count >= GROUP]
        label = np.where(np.isin(faces.source[rows], large), faces.source[rows], -1)
        parts = [faces.only(rows[label == group]) for group in np.unique(label)]
        parts = [part for part in parts if len(part) >= FEWEST or free_of(part, np.arange(len(part))).any(1).all()]
        people += [parts] if parts else []
    return people


def _check_output(output: Path) -> None:
    if not model_json.exists(output):
        return
    meta = model_json.check(output)
    if meta.task != STAGE:
        raise BadInput(f"The model in {output} is no prior: choose another --output.")


def _unused(name: str, sources: list[Source]) -> str:
    taken = {source.name for source in sources}
    return next(wanted for n in range(1, len(taken) + 2) if (wanted := f"{name}-{n}" if n > 1 else name) not in taken)


def _recorded(config: PretrainConfig, name: str, path: Path) -> Project:
    """The project that keeps the record, after stating the basis there."""
    project = Project(config.project)
    if config.basis is not None and config.reference is not None:
        add_record(init_project(config.project), name, config.basis, config.reference)
    elif not project.consent(name).is_file():
        raise Refused(
            f"There is no consent on record for the faces in {path}: state one with "
            "--basis release|estate|synthetic|research and --reference TEXT (a contract's number, say)."
        )
    return project


def _consent(project: Project, name: str) -> str:
    return digest(require(project, name, date.today()))


def _extracted(source: Source, footage: Path) -> Iterator[Event]:
    """The events of extraction but its result."""
    try:
        source.folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, source.folder) from error
    for event in extract_faces(source.folder, [footage], everybody=True):
        if not isinstance(event, Result):
            yield event


def _pairs(groups: list[FaceSet], config: PretrainConfig) -> Generator[Event, None, PairCache]:
    """Everybody's pairs as one cache (returned)."""
    share = max(1, config.pairs // len(groups))
    caches = []
    for number, faces in enumerate(groups):
        count = min(share, REPEATS * len(faces))
        steps = draw_pairs(faces, count, config.seed + number, size=size_of(config.model))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                caches.append(end.value)
                break
        yield Progress(STAGE, number + 1, len(groups), "groups of faces", "drawing training pairs")
    mesh, lines, target, matte = (
        torch.cat([getattr(cache, name) for cache in caches]) for name in ("mesh", "lines", "target", "matte")
    )
    weights = [np.ones(len(cache.held_out)) if cache.weight is None else cache.weight for cache in caches]
    held_out = np.concatenate([cache.held_out for cache in caches])
    return PairCache(mesh, lines, target, matte, held_out, np.concatenate(weights))


def _progress(event: Ticked, budget: Budget) -> Progress:
    text = f"{event.images_per_second:.0f} images/s"
    if "ssim" in event.metrics:
        text += f", held-out SSIM {event.metrics['ssim']:.3f} (mesh {event.metrics['ssim_mesh']:.3f})"
    if budget.minutes is not None:
        return Progress(STAGE, event.seconds, 60 * budget.minutes, "seconds", text)
    return Progress(STAGE, event.images, budget.images or 0, "images", text)
