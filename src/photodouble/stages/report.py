"""The report of a finished render: measured if that is still to be done, and written as one page."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photodouble.errors import BadInput
from photodouble.evaluation import Quality, ReportData, Version, measuring, plate_rows, write_report
from photodouble.evaluation.data import DataReport, data_report
from photodouble.evaluation.quality import SUMMARY
from photodouble.faces import FaceSet
from photodouble.faces.occlusion import Hands
from photodouble.faces.occlusion_cover import Covers
from photodouble.media import CODECS
from photodouble.project import Project, open_project
from photodouble.provenance import read_manifest
from photodouble.stages.events import Event, Progress, Result, Started
from photodouble.stages.render_record import RenderRecord, place
from photodouble.training import model_json
from photodouble.training.model_json import WORST

STAGE = "report"


@dataclass(frozen=True)
class ReportConfig:
    """What to report on.

    Attributes:
        output: a render of this project, as it was named for convert, or its folder. project: the project's folder.
        others: further renders of the same plate, to show side by side with it.
        path: where the page goes; None: beside the output, its name with `.report.html`.
        again: measure even if the figures are there.
    """

    output: Path
    project: Path
    others: tuple[Path, ...] = ()
    path: Path | None = None
    again: bool = False


def run(config: ReportConfig) -> Iterator[Event]:
    """Measure what is not measured yet, and write the page.

    The result's values: report (path), output, model, codec, frames, frames_with_face, quality (of `output`), coverage
    (`DataReport.values`; None where the faces are gone), and `qualities` (name -> figures) if there are `others`.

    Raises:
        BadInput: a render is unknown to the project, or one of its files is gone or damaged.
    """
    began = time.monotonic()
    project = open_project(config.project)
    outputs = [place(output) for output in (config.output, *config.others)]
    records = [RenderRecord.load(project, output) for output in outputs]
    yield Started(STAGE, {"renders": len(records), "frames": sum(record.frames for record in records)})
    versions = []
    for name, output, record in zip(_names(records), outputs, records, strict=True):
        if not output.exists():
            raise BadInput(f"There is no file {output}: convert the plate again.")
        quality = yield from measured(project, record, output, config.again)
        versions.append(Version(name, quality, output, record.model, record.codec))
    target = config.path or report_path(outputs[0])
    main = records[0]
    main.seconds[STAGE] = time.monotonic() - began
    data = footage(project, main)
    write_report(target, report_data(project, main, versions, outputs[0], data))
    summary = versions[0].quality.summary
    values: dict[str, Any] = {
        "report": str(target),
        "output": str(outputs[0]),
        "model": main.model,
        "codec": main.codec,
        "frames": summary["frames"],
        "frames_with_face": summary["frames_with_face"],
        "quality": summary,
        "coverage": data.values() if data else None,
    }
    if config.others:
        values["qualities"] = {version.name: version.quality.summary for version in versions}
    yield Result(STAGE, values)


def report_path(output: Path) -> Path:
    """Where the report of `output` goes unless asked otherwise: beside it."""
    return output.with_name(f"{output.stem}.report.html")


def measured(
    project: Project, record: RenderRecord, output: Path, again: bool = False
) -> Generator[Event, None, Quality]:
    """The figures of a render: those kept in its render folder, or measured now and kept there."""
    folder = project.render(output)
    if not again and Quality.saved(folder) and (folder / SUMMARY).stat().st_mtime >= output.stat().st_mtime:
        return Quality.load(folder)
    faces, wanted = FaceSet.open(record.faces), FaceSet.open(project.faces(record.wanted))
    steps = measuring(
        record.plate,
        output,
        record.matte if record.matte and record.matte.exists() else None,
        faces,
        better_half(wanted),
        ignore=[record.label_box] if record.label_box else [],
        rows=plate_rows(faces, record.person, record.source),
        watermark=None if CODECS[record.codec].exact else record.watermark,  # where the matte is 0, it is the plate
        space=record.space,
    )
    try:
        while True:
            done = next(steps)
            if done % 8 == 0:
                yield Progress(STAGE, done, record.frames, "frames", "measuring")
    except StopIteration as end:
        quality: Quality = end.value
    quality.save(folder)
    return quality


def better_half(faces: FaceSet) -> np.ndarray:
    """Embeddings (n, 128) of the faces whose quality is at least the median: what the person is measured against."""
    quality = np.asarray(faces.quality)
    return np.asarray(faces.embedding)[quality >= np.median(quality)] if len(faces) else np.zeros((0, 128), np.float32)


def footage(project: Project, record: RenderRecord) -> DataReport | None:
    """What the two people's footage holds; None if their faces are there no longer."""
    try:
        wanted, plate = FaceSet.open(project.faces(record.wanted)), FaceSet.open(record.faces)
    except BadInput:
        return None
    rows = plate_rows(plate, record.person, record.source)
    order = np.array([rows[frame] for frame in sorted(rows)], np.int64)
    return data_report((record.wanted, wanted), (record.replaced, plate), order)


def covered(record: RenderRecord) -> list[int]:
    """The frames in which a hand or something else is in front of the plate's face, as far as is known."""
    kinds: tuple[tuple[Path | None, type[Hands] | type[Covers]], ...] = (record.hands, Hands), (record.covers, Covers)
    known = [kind.load(path).frame for path, kind in kinds if path is not None and path.is_file()]
    return np.unique(np.concatenate([np.zeros(0, np.int32), *known])).tolist()


def learned(project: Project, record: RenderRecord) -> tuple[dict[str, Any], Path | None]:
    """The training behind a render, and the picture of its worst held-out faces if the model is still that one."""
    folder = project.model(record.model)
    if not model_json.exists(folder):
        return record.training, None
    meta = model_json.load_meta(folder)
    training = record.training
    if not training:  # the model was trained by a stage of its own
        history = [{"seconds": row["seconds"], **row["metrics"]} for row in meta.history]
        training = {
            "images": meta.images,
            "images_per_second": meta.images / max(1.0, meta.seconds),
            "history": history,
            "best": meta.best,
        }
    same = training.get("images") == meta.images
    return training, folder / WORST if same else None


def report_data(
    project: Project, record: RenderRecord, versions: list[Version], output: Path, data: DataReport | None
) -> ReportData:
    """What the page about `versions` tells, the main one made as `record` says."""
    training, worst = learned(project, record)
    settings = {"model": record.model, "codec": record.codec} | record.settings
    if training.get("images_per_second"):
        settings["training"] = f"{training.get('images', 0)} images, {training['images_per_second']:.0f} a second"
    return ReportData(
        plate=record.plate,
        versions=versions,
        wanted=record.wanted,
        replaced=record.replaced,
        training=training.get("history", []),
        stopped=str(training.get("stopped", "")),
        kept=training.get("best") or {},
        worst=worst,
        data=data,
        covered=covered(record),
        settings=settings,
        seconds=record.seconds,
        consent=[{"name": name} | row for name, row in record.consent.items()],
        marks=_marks(record, output),
        notes=record.warnings,
        space=record.space,
    )


def _marks(record: RenderRecord, output: Path) -> dict[str, str]:
    marks = {}
    if output.is_file():
        found = read_manifest(output)
        words = {"valid": "valid", "tampered": "the file was changed after it was signed", "absent": "absent"}
        trust = ", from a trusted signer" if found.trusted else ""
        marks["C2PA manifest"] = words[found.state] + (trust if found.state == "valid" else "")
        if found.signer:
            marks["signed by"] = found.signer
        if found.consent:
            marks["names consent"] = ", ".join(digest[:12] for digest in found.consent)
    if record.watermark is not None:
        marks["watermark"] = f"{record.watermark:06x}"
    if record.label_box:
        marks["visible label"] = "at {}, {} to {}, {}".format(*record.label_box)
    return marks


def _names(records: list[RenderRecord]) -> list[str]:
    """What to call each version: its model, or its file where two have the same model."""
    models = [record.model for record in records]
    return models if len(set(models)) == len(models) else [record.output.name for record in records]
