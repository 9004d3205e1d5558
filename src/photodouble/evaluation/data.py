"""The data report: what two people's footage holds, before anything is made of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from photodouble.evaluation.coverage import ACTS, Coverage, coverage, level
from photodouble.evaluation.footage import Footage, blurred, foreign, read_footage
from photodouble.faces import FaceSet

COARSE = 0.5
"""Part of the plate's size of face below which the wanted person's faces are too small for it."""

DULL = 0.25
"""Part of the plate's sharpness (an energy: a quarter is half the contrast) below which they are too soft for it."""

OFTEN, MANY = 0.03, 0.1
"""Parts of the plate in which a gap, and of the footage in which blurred faces, are worth a warning."""

TOLD = 3
"""Warnings, at most."""


@dataclass(frozen=True)
class DataReport:
    """The footage of the wanted person and the plate's, and how well one covers the other."""

    wanted: Footage
    plate: Footage
    coverage: Coverage

    def values(self) -> dict[str, Any]:
        """JSON-ready: covered (0..1), gaps (trait, says, frames, seconds, at) and what each person's footage holds."""
        gaps = [
            {
                "trait": gap.trait,
                "says": gap.sentence(self.wanted.name),
                "frames": len(gap.rows),
                "seconds": round(gap.seconds, 3),
                "at": round(gap.at, 3),
            }
            for gap in self.coverage.gaps
        ]
        footage = {each.name: holds(each) for each in (self.wanted, self.plate)}
        return {"covered": round(self.coverage.share, 4), "gaps": gaps, "footage": footage}

    def warnings(self) -> list[str]:
        """At most three sentences that somebody should know before the work begins."""
        wanted, plate = self.wanted, self.plate
        said = []
        for each in (wanted, plate):
            count = int(foreign(each).sum())
            if count:
                faces = "1 face" if count == 1 else f"{count} faces"
                said.append(f"{faces} of {each.name} may be somebody else's: delete the pictures that are wrong.")
        said += [sentence for sentence in [_detail(wanted, plate)] if sentence]
        often = [gap for gap in self.coverage.gaps if len(gap.rows) >= OFTEN * len(plate)]
        said += [gap.sentence(wanted.name) for gap in often]
        soft = int(blurred(wanted).sum())
        if soft > MANY * len(wanted):
            said.append(f"{soft} of {len(wanted)} faces of {wanted.name} are blurred: sharper footage would help.")
        return said[:TOLD]


def data_report(wanted: tuple[str, FaceSet], plate: tuple[str, FaceSet], rows: np.ndarray | None = None) -> DataReport:
    """Look at the footage of the wanted person and at the plate's (of `rows` of its faces): name and faces of each."""
    person, shot = read_footage(*wanted), read_footage(*plate, rows)
    return DataReport(person, shot, coverage(shot, person))


def holds(footage: Footage) -> dict[str, Any]:
    """What a person's footage holds, JSON-ready.

    faces, blurred, foreign: counts. turn, tilt: yaw and pitch, degrees, and `side`, the light's direction in stops:
    [5 %, 95 %] of the faces. width: median, pixels. sharpness: median. brightness: median lightness of the cheeks,
    0..100. acts: for each of `ACTS` [least, most], without the extreme hundredths.
    """
    known: dict[str, Any] = {"faces": len(footage)}
    if not len(footage):
        return known
    known |= {"blurred": int(blurred(footage).sum()), "foreign": int(foreign(footage).sum())}
    for name, of in (("turn", footage.pose[:, 0]), ("tilt", footage.pose[:, 1]), ("side", footage.side)):
        known[name] = _ends(of, 5)
    for name, of in (("width", footage.width), ("sharpness", footage.sharpness), ("brightness", footage.brightness)):
        finite = of[np.isfinite(of)]
        known[name] = round(float(np.median(finite)), 1) if len(finite) else None
    known["acts"] = {act.name: _ends(level(footage, act), 1) for act in ACTS}
    return known


def _ends(values: np.ndarray, percent: float) -> list[float] | None:
    finite = values[np.isfinite(values)]
    return [round(float(v), 2) for v in np.percentile(finite, [percent, 100 - percent])] if len(finite) else None


def _detail(wanted: Footage, plate: Footage) -> str:
    """Whether the wanted person's faces have the detail that the plate's have."""
    if not len(wanted) or not len(plate):
        return ""
    wide, wider = float(np.median(wanted.width)), float(np.median(plate.width))
    if wide < COARSE * wider:
        return (
            f"The faces of {wanted.name} are {wide:.0f} pixels wide and the plate's {wider:.0f}: expect a soft result."
        )
    ratio = float(np.median(wanted.sharpness) / max(1e-6, np.median(plate.sharpness)))
    return (
        f"The faces of {wanted.name} have {ratio:.2f} of the plate's sharpness: expect a soft result."
        if (ratio < DULL)
        else ""
    )
