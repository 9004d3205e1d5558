"""Swap: extract, train, convert and report in one, for a first try and for scripts."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from photodouble.consent import add_record, require
from photodouble.errors import BadInput, Refused
from photodouble.generators import MESH
from photodouble.media import CODECS, Clip, Space, open_clip
from photodouble.media.codecs import choose
from photodouble.media.matte import check_place
from photodouble.media.picture_output import check_folder
from photodouble.media.sequence import output_names
from photodouble.project import Project, init_project
from photodouble.stages import convert, extract, report
from photodouble.stages.convert_ready import check_output, check_plate
from photodouble.stages.events import Event, Result, Started, Warned
from photodouble.stages.labels import check_label
from photodouble.stages.render_record import RenderRecord

STAGE = "swap"
DOUBLE, ACTOR = "double", "actor"


@dataclass(frozen=True)
class SwapConfig:
    """What to swap.

    Attributes:
        plate: footage whose face is replaced; wanted: footage and pictures of the wanted person.
        output: what to write. minutes: training budget. model: `mesh` or one of `train.MODELS`.
        project: folder that keeps faces, model and report data; made if need be.
        basis, reference: recorded as consent for both people; None: records must be there already.
        codec, matte, label, label_text: as in `convert`.
        space: the plate's colour space, where its files do not say it.
    """

    plate: Path
    wanted: list[Path]
    output: Path
    project: Path
    minutes: float = 5.0
    model: str = "lite"
    basis: str | None = None
    reference: str | None = None
    codec: str | None = None
    matte: Path | None = None
    label: str | None = None
    label_text: str | None = None
    space: Space = field(default_factory=Space)


def run(config: SwapConfig) -> Iterator[Event]:
    """Do it all.

    The result holds output, report, matte, model, codec, frames, frames_with_face, seconds of each stage, training
    (images, images_per_second, ssim, metrics, best, stopped) and quality.

    Raises:
        Refused: consent is missing or policy refuses; BadInput: something cannot be read or written.
    """
    began = time.monotonic()
    check_output(config.output, config.plate, config.matte)
    if config.model != MESH:
        _check_model(config.model)
    plate = open_clip(config.plate, space=config.space)
    check_plate(plate)
    _check_codec(config, plate)
    check_label(config.label, config.label_text, config.project)
    for path in config.wanted:
        extract.open_source(path)
    if config.basis is None or config.reference is None:
        _ask(config.project)
    project = init_project(config.project)
    consent(project, config.basis, config.reference)
    limit = {} if config.model == MESH else {"minutes": config.minutes}
    yield Started(STAGE, {"frames": plate.estimated_frames, "model": config.model} | limit)
    seconds: dict[str, float] = {}
    wanted = extract.ExtractConfig(project.root, ACTOR, config.wanted)
    double = extract.ExtractConfig(project.root, DOUBLE, [config.plate], every_frame=True, space=config.space)
    told: list[str] = []
    for name, steps in (
        (DOUBLE, extract.run(double)),
        (ACTOR, extract.run(wanted)),
    ):
        found = yield from stage(steps, told)
        seconds[f"extract {name}"] = found["seconds"]
    training: dict[str, Any] = {}
    if config.model != MESH:
        from photodouble.stages import train  # PyTorch takes seconds to load, and `mesh` does without it

        budget = train.TrainConfig(project.root, DOUBLE, ACTOR, config.model, config.minutes)
        training = yield from stage(train.run(budget), told)
        seconds["train"] = training["seconds"]
    rendering = convert.ConvertConfig(
        project.root,
        config.plate,
        DOUBLE,
        ACTOR,
        config.output,
        config.model,
        config.codec,
        config.matte,
        label=config.label,
        label_text=config.label_text,
        space=config.space,
    )
    made = yield from stage(convert.run(rendering), told)
    seconds["convert"] = made["seconds"]
    output = Path(made["output"])
    note(project, output, seconds, training, told)
    page = yield from stage(report.run(report.ReportConfig(output, project.root)), told)
    seconds["report"] = time.monotonic() - began - sum(seconds.values())
    yield Result(
        STAGE,
        {
            **{key: made[key] for key in ("output", "matte", "model", "codec", "frames", "frames_with_face")},
            "report": page["report"],
            "project": str(project.root),
            "seconds": seconds | {"all": time.monotonic() - began},
            "training": trained(training),
            "quality": page["quality"],
        },
    )


def consent(project: Project, basis: str | None, reference: str | None) -> None:
    """Record the stated basis for both people, or make sure that there are records.

    Raises:
        Refused: there are none and no basis is stated.
    """
    for name in (ACTOR, DOUBLE):
        if basis is not None and reference is not None:
            add_record(project, name, basis, reference)
        require(project, name, date.today())


def stage(steps: Iterator[Event], told: list[str]) -> Generator[Event, None, dict[str, Any]]:
    """Pass a stage's events on and return its result's values; its warnings are added to `told`."""
    values: dict[str, Any] = {}
    for event in steps:
        if isinstance(event, Result):
            values = event.values
            continue
        if isinstance(event, Warned):
            told.append(event.message)
        yield event
    return values


def note(project: Project, output: Path, seconds: dict[str, float], training: dict[str, Any], told: list[str]) -> None:
    """Add to the render's record what its report shall tell of the stages before it."""
    record = RenderRecord.load(project, output)
    record.seconds = dict(seconds)
    record.warnings = list(told)
    if training:
        history = [{"seconds": row["seconds"], **row["metrics"]} for row in training["history"]]
        record.training = trained(training) | {"history": history}
    record.save(project)


def trained(training: dict[str, Any]) -> dict[str, Any]:
    """The part of train's result that a result of swap holds."""
    told = ("images", "images_per_second", "ssim", "metrics", "best", "stopped")
    return {key: training[key] for key in told if training}


def _check_model(name: str) -> None:
    from photodouble.stages.train import MODELS

    if name not in MODELS:
        raise BadInput(f"There is no model '{name}': choose one of {', '.join((MESH, *MODELS))}.")


def _check_codec(config: SwapConfig, plate: Clip) -> None:
    """Convert would find this out too, but after the training."""
    codec = CODECS[choose(config.output, config.codec)]
    folder, names = output_names(config.output)
    single = config.output.suffix and names is None
    if single and not codec.encoder and plate.estimated_frames > 1:
        raise BadInput(f"{config.output} is one picture and cannot hold a clip: give a folder or a .mp4 file.")
    if not single and not codec.encoder:
        check_folder(folder, plate, codec.suffixes, names)
    if config.matte is not None:
        check_place(config.matte, plate)


def _ask(project: Path) -> None:
    if not (project / "identities").is_dir():
        raise Refused(
            "There is no consent on record for this swap: state one with --basis release|estate|synthetic|research "
            "and --reference TEXT (a contract's number, say)."
        )
