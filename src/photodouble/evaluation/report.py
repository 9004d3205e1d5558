"""The report of a render: one HTML page that needs nothing but itself."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import jinja2
import numpy as np

from photodouble.evaluation import footage_page, learning, pictures, wording
from photodouble.evaluation.data import DataReport
from photodouble.evaluation.learning import duration
from photodouble.evaluation.plots import Line, Plot, draw
from photodouble.evaluation.quality import PRESENT, Quality
from photodouble.evaluation.worst import filmstrip, worst_frames
from photodouble.files import write_bytes
from photodouble.media import Clip, Space, open_clip, open_made

COVERED = 12
"""Frames with a hand that are shown."""
STYLES = ("main", "second", "third")


@dataclass(frozen=True)
class Version:
    """One result on the plate: what the page calls it, its figures, its clip, its model and codec."""

    name: str
    quality: Quality
    output: Path
    model: str = ""
    codec: str = ""


@dataclass
class ReportData:
    """Everything the page tells. Whatever is empty is left out of it.

    Attributes:
        plate: the footage. versions: the results on it, the main one first.
        space: the plate's colour space, where its files do not say it.
        wanted, replaced: names of the two identities.
        training: rows of the training's history with at least `seconds` and `ssim` (held-out); `stopped`: why it
            ended, one sentence. kept: seconds and metrics of the weights that are used. worst: the picture of the worst
            held-out faces.
        data: what the two people's footage holds.
        covered: frames in which a hand is in front of the face.
        settings: name -> value. seconds: stage -> seconds.
        consent: a row (name, basis, reference, digest) for each identity. marks: name -> what the file carries.
        notes: sentences to show below the headline, such as warnings of the run.
    """

    plate: Path
    versions: Sequence[Version]
    title: str = ""
    wanted: str = ""
    replaced: str = ""
    training: Sequence[dict[str, Any]] = ()
    stopped: str = ""
    kept: dict[str, Any] = field(default_factory=dict)
    worst: Path | None = None
    data: DataReport | None = None
    covered: Sequence[int] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    consent: Sequence[dict[str, str]] = ()
    marks: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    space: Space | None = None


def write_report(path: Path, report: ReportData) -> Path:
    """Write the page to `path`, atomically; it holds its pictures and refers to nothing outside itself.

    Raises:
        BadInput: the plate or an output cannot be read, or `path` cannot be written.
        ValueError: there is no version.
    """
    if not report.versions:
        raise ValueError("a report needs at least one version")
    main = report.versions[0]
    strip = filmstrip(main.quality.frames) if main.quality.frames else []
    worst = worst_frames(main.quality.frames) if main.quality.frames else []
    covered = evenly(report.covered, COVERED)
    plate = open_clip(report.plate, space=report.space)
    clips = [("plate", plate), *((version.name, open_made(version.output, plate)) for version in report.versions)]
    shots = {name: pictures.grab(clip, [*strip, *covered, *(item.frame for item in worst)]) for name, clip in clips}
    data = _footage(report, plate)
    names = list(shots)
    figures = [wording.shown(v.quality.summary, wording.targets(v.model, v.codec)) for v in report.versions]
    page = _environment().get_template("report.html.j2").render(
        report=report,
        title=report.title or main.output.name,
        made=datetime.datetime.now().strftime("%-d %B %Y"),
        facts=_facts(main, shots["plate"]),
        verdict=wording.verdict(figures[0]),
        figures=figures,
        rows=range(len(figures[0])),
        key_rows=[k for k in range(len(figures[0])) if any(lines[k].target for lines in figures)],
        names=names,
        styles=STYLES,
        strip=[_pair(shots, main.quality, k, 1.8) for k in strip],
        wipe=[_whole(shots, k) for k in strip],
        wipe_start=len(strip) // 2,
        wide=_size(shots["plate"]),
        how=wording.HOW,
        link=quote(main.output.name) if main.output.resolve().parent == Path(path).resolve().parent else "",
        worst=[_pair(shots, main.quality, item.frame, 1.35) | {"reason": item.reason} for item in worst],
        covered=[_pair(shots, main.quality, k, 1.8) for k in covered] if main.quality.frames else [],
        covered_count=len(report.covered),
        plots=[plot for plot in _plots(report) if plot],
        learned=learning.summary(report.training, report.stopped, report.kept),
        curve=learning.reconstruction(report.training),
        swaps=learning.swaps(report.training),
        unlearned=_worst_picture(report.worst),
        data=data,
        longest=max(report.seconds.values(), default=0.0),
        total=sum(report.seconds.values()),
    )  # fmt: skip
    write_bytes(Path(path), page.encode())
    return Path(path)


def evenly(frames: Sequence[int], count: int) -> list[int]:
    """At most `count` of some frames, evenly from the first to the last."""
    return [frames[k] for k in sorted({round(k) for k in np.linspace(0, len(frames) - 1, count)})] if frames else []


def timecode(seconds: float) -> str:
    """Minutes, seconds and hundredths, like 1:07.32."""
    if not np.isfinite(seconds):
        return ""
    hundredths = round(seconds * 100)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("photodouble", "evaluation")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"duration": duration}
    environment.undefined = jinja2.StrictUndefined
    return environment


def _facts(main: Version, plate: dict[int, np.ndarray]) -> list[str]:
    summary, facts = main.quality.summary, []
    if plate:
        facts.append("{} × {}".format(*_size(plate)))
    if summary.get("frames"):
        facts.append(f"{summary['frames']} frames")
    if summary.get("frames_with_face") is not None:
        facts.append(f"{summary['frames_with_face']} with a face")
    return facts


def _size(frames: dict[int, np.ndarray]) -> tuple[int, int]:
    """Width and height of the frames, for the page's layout."""
    height, width = next(iter(frames.values())).shape[:2] if frames else (9, 16)
    return width, height


def _frame_label(quality: Quality, k: int) -> dict[str, Any]:
    times = quality.frames.get("time", np.zeros(0))
    return {"frame": k, "time": timecode(float(times[k])) if k < len(times) else ""}


def _pair(shots: dict[str, dict[int, np.ndarray]], quality: Quality, k: int, size: float) -> dict[str, Any]:
    """A frame's face in the plate and in every version, cut alike, `size` times the face."""
    cells = []
    for name, frames in shots.items():
        if k in frames:
            height, width = frames[k].shape[:2]
            x0, y0, x1, y1 = pictures.face_box(quality.frames["box"][k], width, height, size)
            cells.append({"name": name, "picture": pictures.data_uri(frames[k][y0:y1, x0:x1], 300)})
    return _frame_label(quality, k) | {"cells": cells}


def _whole(shots: dict[str, dict[int, np.ndarray]], k: int) -> dict[str, Any]:
    return {"pictures": {name: pictures.data_uri(f[k], 960, 80) for name, f in shots.items() if k in f}, "frame": k}


def _plots(report: ReportData) -> list[Plot | None]:
    """What happens along the shot: likeness, expression, steadiness, sharpness, seam."""
    if not any(version.quality.frames for version in report.versions):
        return []
    main = report.versions[0].quality.frames
    at, ends = main["time"], (timecode(float(main["time"][0])), timecode(float(main["time"][-1])))

    def lines(series: str, ratio: bool = False, difference: bool = False) -> list[Line]:
        found = []
        for version, style in zip(report.versions, STYLES, strict=False):
            f = version.quality.frames
            if not f or len(f["time"]) != len(at):
                continue
            if ratio or difference:
                a, b = f[f"{series}_output"], f[f"{series}_plate"]
                with np.errstate(invalid="ignore", divide="ignore"):
                    values = a / np.where(b > 0, b, np.nan) if ratio else np.maximum(a - b, 0)
            else:
                values = np.where(f["presence"] >= PRESENT, bridged(f[series]), np.nan)
            found.append(Line(version.name, values, style))
        return found

    tremble = [Line(line.name, running_median(line.values), line.style) for line in lines("jitter", ratio=True)]
    to_double = np.where(main["presence"] >= PRESENT, bridged(main["similarity_replaced"]), np.nan)
    double = [Line("to the double", to_double, "plate")]
    return [
        draw("Likeness", "Similarity to the wanted person, and to the double who was replaced.", at,
             double + lines("similarity_wanted"), limits=(None, 1.0), ends=ends),
        draw("Expression", "Distance from the plate's expression; lower is closer.", at,
             lines("expression_error"), limits=(0.0, None), ends=ends),
        draw("Steadiness", "Trembling of the features in parts of the plate's, median of 15 frames.",
             at, tremble, limits=(0.0, None), target=1.0, ends=ends),
        draw("Sharpness", "Fine detail of the face in parts of the plate's; 1 is like the plate.", at,
             lines("sharpness", ratio=True), limits=(0.0, None), target=1.0, ends=ends),
        draw("Seam", "Colour step that the matte's edge adds, ΔE; below 2.3 hardly anyone sees it.", at,
             lines("edge", difference=True), limits=(0.0, None), target=2.3, ends=ends, digits=1),
    ]  # fmt: skip


def bridged(values: np.ndarray) -> np.ndarray:
    """A series with straight lines over what was not measured; NaN only if nothing was."""
    known = np.flatnonzero(np.isfinite(values))
    return np.interp(np.arange(len(values)), known, values[known]) if known.size else values


def running_median(values: np.ndarray, width: int = 15) -> np.ndarray:
    """Median of the finite values in a window of `width` around each position; NaN where there is none."""
    half = width // 2
    padded = np.pad(values, half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    known = np.isfinite(windows).any(1)
    result = np.full(len(values), np.nan)
    result[known] = np.nanmedian(windows[known], axis=1)
    return result


def _footage(report: ReportData, plate: Clip) -> dict[str, Any] | None:
    """The section about the two people's footage; None if there is nothing to tell."""
    data = report.data
    if data is None or not len(data.wanted) or not len(data.plate):
        return None
    wanted = sorted({int(data.plate.frame[row]) for rows in footage_page.example_frames(data) for row in rows})
    return {
        "headline": footage_page.headline(data),
        "gaps": footage_page.shown(data, pictures.grab(plate, wanted)),
        "clouds": footage_page.clouds(data),
        "table": footage_page.table(data),
        "wanted": data.wanted.name,
        "plate": data.plate.name,
    }


def _worst_picture(path: Path | None) -> str:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path is not None and path.is_file() else None
    return pictures.data_uri(np.ascontiguousarray(image[..., ::-1]), 1600) if image is not None else ""
