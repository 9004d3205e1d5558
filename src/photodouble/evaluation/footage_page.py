"""The data report as the page shows it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from photodouble.evaluation.clouds import Cloud, cloud
from photodouble.evaluation.coverage import ACTS, POSE, TILT, TURN, Gap, level
from photodouble.evaluation.data import DataReport, holds
from photodouble.evaluation.footage import Footage
from photodouble.evaluation.pictures import data_uri, face_box

CROPS, APART = 4, 12
"""Pictures of a gap, and frames between two of them, at least."""

HEADS = (TURN.name, TILT.name, POSE)
MOUTHS = ("jaw", "smile", "pucker", "funnel", "teeth", "skew")
"""Traits whose gaps the two clouds show."""


@dataclass(frozen=True)
class GapShown:
    """A gap's sentence and its pictures as data URIs, each with its frame."""

    says: str
    pictures: list[tuple[str, int]]


def headline(report: DataReport) -> str:
    """How much of the plate is covered, in a sentence."""
    name, share = report.wanted.name, report.coverage.share
    if not report.coverage.gaps:
        return f"The footage of {name} has all that the plate asks for."
    return f"The footage of {name} has what {100 * share:.0f} % of the plate's frames ask for; it lacks:"


def example_frames(report: DataReport) -> list[list[int]]:
    """For each gap, the frames of the plate that show it: positions in its footage, the farthest first."""
    return [_spread(gap, report.plate) for gap in report.coverage.gaps]


def shown(report: DataReport, frames: dict[int, np.ndarray]) -> list[GapShown]:
    """Every gap with its pictures, cut out of the plate's `frames` (number -> picture)."""
    result = []
    for gap, rows in zip(report.coverage.gaps, example_frames(report), strict=True):
        pictures = []
        for row in rows:
            frame = int(report.plate.frame[row])
            if frame in frames:
                height, width = frames[frame].shape[:2]
                x0, y0, x1, y1 = face_box(report.plate.box[row], width, height, 1.35)
                pictures.append((data_uri(frames[frame][y0:y1, x0:x1], 180), frame))
        result.append(GapShown(gap.sentence(report.wanted.name), pictures))
    return result


def clouds(report: DataReport) -> list[Cloud]:
    """Where the heads turn and what the mouths do: the plate's faces, the wanted person's, and those in a gap of it."""
    jaw, smile = (next(act for act in ACTS if act.name == name) for name in ("jaw", "smile"))

    def heads(footage: Footage) -> np.ndarray:
        return footage.pose[:, :2]

    def mouths(footage: Footage) -> np.ndarray:
        return np.stack([level(footage, smile), level(footage, jaw)], 1)

    drawn = []
    for title, of, traits, sides, least in (
        ("Heads", heads, HEADS, ("turned to the left", "to the right", "lifted", "lowered"), (60, 40)),
        ("Mouths", mouths, MOUTHS, ("earnest", "smiling", "open", "shut"), (0.6, 0.4)),
    ):
        plate = of(report.plate)
        lacking = [gap.rows for gap in report.coverage.gaps if gap.trait in traits]
        rows = np.unique(np.concatenate(lacking)) if lacking else np.zeros(0, np.int64)
        drawn.append(cloud(title, [("plate", plate), ("main", of(report.wanted)), ("bad", plate[rows])], sides, least))
    return [each for each in drawn if each]


def table(report: DataReport) -> list[tuple[str, str, str]]:
    """Rows of the page's table: what, of the wanted person, of the plate."""
    wanted, plate = (holds(footage) for footage in (report.wanted, report.plate))
    return [(label, _said(wanted, key), _said(plate, key)) for key, label in LABELS.items()]


LABELS = {
    "faces": "Faces",
    "turn": "Turned (left to right)",
    "tilt": "Tilted (down to up)",
    "width": "Width of the face",
    "sharpness": "Detail",
    "side": "Light from the side (right to left)",
    "brightness": "Lightness of the skin",
    "blurred": "Blurred",
    "foreign": "Perhaps somebody else's",
}


def _said(known: dict[str, Any], key: str) -> str:
    value = known.get(key)
    if value is None:
        return "–"
    if key in ("turn", "tilt"):
        return f"{value[0]:.0f}° to {value[1]:.0f}°".replace("-", "−")
    if key == "side":
        return f"{value[0]:+.1f} to {value[1]:+.1f} stops".replace("-", "−")
    if key == "width":
        return f"{value:.0f} pixels"
    return f"{value:.0f}"


def _spread(gap: Gap, plate: Footage) -> list[int]:
    chosen: list[int] = []
    for row in gap.rows.tolist():
        if len(chosen) < CROPS and all(
            abs(int(plate.frame[row]) - int(plate.frame[other])) >= APART for other in chosen
        ):
            chosen.append(row)
    return sorted(chosen)
