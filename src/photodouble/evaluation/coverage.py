"""What a plate asks for and the wanted person's footage does not have."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from photodouble.evaluation.footage import Footage, blurred, foreign
from photodouble.faces.topology import BLENDSHAPES


@dataclass(frozen=True)
class Trait:
    """One thing that a face does, as a number.

    Attributes:
        name: for `Gap`.
        step: two faces this far apart can still stand for one another.
        more, less: what a face does that has more, or less, of it than all others; "" where that is nothing.
        plus, minus: blendshapes whose mean counts for and against it; none: it is an angle.
        from_rest: counts from the person's face at rest, which differs between people (low brows, say).
    """

    name: str
    step: float
    more: str
    less: str = ""
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    from_rest: bool = False


TURN = Trait("turn", 20.0, "turns the head to the picture's right", "turns the head to the picture's left")
TILT = Trait("tilt", 15.0, "lifts the head", "lowers the head")
ACTS = (
    Trait("jaw", 0.25, "opens the mouth wide", "keeps the jaw shut", ("jawOpen",)),
    Trait("smile", 0.35, "smiles broadly", "", ("mouthSmileLeft", "mouthSmileRight")),
    Trait("pucker", 0.4, "purses the lips", "", ("mouthPucker",)),
    Trait("funnel", 0.25, "rounds the lips", "", ("mouthFunnel",)),
    Trait("teeth", 0.3, "bares the teeth", "",
          ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight")),
    Trait("skew", 0.3, "pulls the mouth to the picture's right", "pulls the mouth to the picture's left",
          ("mouthLeft",), ("mouthRight",)),
    Trait("lids", 0.4, "shuts the eyes", "opens the eyes", ("eyeBlinkLeft", "eyeBlinkRight")),
    Trait("brows", 0.35, "raises the brows", "",
          ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), from_rest=True),
    Trait("frown", 0.35, "frowns", "", ("browDownLeft", "browDownRight"), from_rest=True),
    Trait("aside", 0.5, "looks far to the picture's right", "looks far to the picture's left",
          ("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight")),
    Trait("up", 0.5, "looks far up", "looks far down",
          ("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight")),
)  # fmt: skip
"""What faces do besides turning; a person's left is the picture's right.

The steps were measured on eight renders by `mesh` and `lite`, 4655 frames: up to 0.3 steps from the nearest picture the
result is 0.1 steps off in the median; at 1 to 1.5 steps it lacks 0.6 (jaw), 0.7 (teeth, lids, gaze aside), 1.0 (smile)
or 1.3 (funnel) of them.
"""

POSE = "pose"

LIGHT = 0.8
"""Stops: light from the side that differs by more is seen in the result."""

FEWEST, SHARE = 3, 0.01
"""Frames, and part of the plate, from which a gap is worth a word."""

TOLD = 8
"""Gaps told, at most."""

CONSIDERED = 800
"""The wanted person's pictures that are compared with, evenly over the footage: as many as `mesh` chooses from."""

CALM = 0.15
"""Part of a person's frames that show it at rest: those with the least expression."""

GAZE = tuple(range(11, 19))
"""Blendshapes that say where the eyes look."""

BLOCK = 256


@dataclass(frozen=True)
class Gap:
    """Something that the plate asks for and the footage lacks.

    Attributes:
        trait: name of the trait, `POSE` for turn and tilt together, "side" for the light.
        does, instead: what the plate does, and what the footage does: two parts of a sentence.
        rows: faces of the plate, (k,), the farthest from what the footage has first.
        distance: (k,) how far, in steps of the trait; above 1.
        seconds, at: how long all of them are, and when the longest stretch of them begins.
    """

    trait: str
    does: str
    instead: str
    rows: np.ndarray
    distance: np.ndarray
    seconds: float
    at: float

    def sentence(self, wanted: str) -> str:
        """In words: "The plate frowns in 34 frames (1.4 s, at 0:12.0); the footage of Ada never does."."""
        frames = f"{len(self.rows)} frames"
        if self.seconds:
            frames += f" ({self.seconds:.1f} s, at {int(self.at) // 60}:{self.at % 60:04.1f})"
        return f"The plate {self.does} in {frames}; the footage of {wanted} {self.instead}."


@dataclass(frozen=True)
class Coverage:
    """How well a person's footage covers a plate.

    Attributes:
        share: part (0..1) of the plate's frames in which nothing is lacking.
        gaps: what the footage lacks, the weightiest first.
        uncovered: (n,) bool, the plate's faces that are in a gap.
    """

    share: float
    gaps: list[Gap]
    uncovered: np.ndarray


def coverage(plate: Footage, wanted: Footage) -> Coverage:
    """Compare a plate with what the wanted person's footage has.

    A frame of the plate is covered where for each of `ACTS` there is a picture of the wanted person that is at most a
    step away in it and in both angles, and where some picture is lit alike: the pictures may differ, as those that
    `mesh` takes the parts of a face from. Pictures that are blurred or show somebody else do not count.
    """
    usable = np.flatnonzero(~blurred(wanted) & ~foreign(wanted))
    usable = usable[np.unique(np.linspace(0, max(0, len(usable) - 1), min(CONSIDERED, len(usable))).astype(int))]
    uncovered = np.zeros(len(plate), bool)
    if not len(plate) or not len(usable):
        return Coverage(0.0, [], ~uncovered)
    gaps = []
    for trait, does, instead, rows, distance in _lacking(plate, wanted.take(usable)):
        if len(rows) < max(FEWEST, SHARE * len(plate)):
            continue
        uncovered[rows] = True
        order = np.argsort(-distance, kind="stable")
        gaps.append(Gap(trait, does, instead, rows[order], distance[order], *_when(plate.time, rows)))
    gaps.sort(key=lambda gap: -float(np.minimum(gap.distance, 3).sum()))
    return Coverage(float(1 - uncovered.mean()), gaps[:TOLD], uncovered)


def level(footage: Footage, trait: Trait) -> np.ndarray:
    """How much of a trait each face has, (n,): degrees, or -1..1."""
    if not trait.plus:
        return np.asarray(footage.pose[:, 0 if trait is TURN else 1], np.float64)
    result = np.zeros(len(footage))
    for sign, names in ((1, trait.plus), (-1, trait.minus)):
        if names:
            result += sign * footage.blendshapes[:, [BLENDSHAPES.index(name) for name in names]].mean(1)
    if trait.from_rest:
        effort = np.delete(footage.blendshapes, GAZE, axis=1).sum(1)
        calm = np.argsort(effort, kind="stable")[: max(5, int(CALM * len(effort)))]
        result -= np.median(result[calm])
    return result


Lacking = tuple[str, str, str, np.ndarray, np.ndarray]
"""A gap's trait, does and instead, its rows and their distances."""


def _lacking(plate: Footage, wanted: Footage) -> Iterator[Lacking]:
    """Everything that some frames ask for in vain, however few."""
    alone, beside, far = distances(plate, wanted)
    for trait in (TURN, TILT, *ACTS):
        for sign, does in ((1, trait.more), (-1, trait.less)):
            rows = np.flatnonzero(sign * alone[trait.name] > 1)
            if does and len(rows) and trait.plus:
                yield trait.name, does, "never does", rows, abs(alone[trait.name][rows])
            elif len(rows):
                want, have = (sign * level(footage, trait) for footage in (plate, wanted))
                far_as = f"{does} by up to {want[rows].max():.0f}°"
                yield trait.name, far_as, f"by {max(0.0, have.max()):.0f}° at most", rows, abs(alone[trait.name][rows])
    turned = np.maximum(abs(alone[TURN.name]), abs(alone[TILT.name])) > 1
    rows = np.flatnonzero((far > 1) & ~turned)
    if len(rows):
        does = f"holds the head {facing(plate.pose[rows])}"
        yield POSE, does, "turns and tilts it as far, but not both at once", rows, far[rows]
    for act in ACTS:
        for sign, does in ((1, act.more), (-1, act.less)):
            rows = np.flatnonzero((sign * beside[act.name] > 1) & (far <= 1) & (abs(alone[act.name]) <= 1))
            if does and len(rows):
                says = f"{does} with the head {facing(plate.pose[rows])}"
                yield act.name, says, "does so at other angles only", rows, abs(beside[act.name][rows])
    yield from _lit(plate, wanted)


def distances(plate: Footage, wanted: Footage) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """How far each plate frame is from the nearest picture, in steps.

    Returns:
        For each trait (n,) the signed distance, above 0 where the plate has more of it; the same, without the angles,
        to the nearest among pictures at most a step away in both angles, infinite where there is none; and (n,) the
        distance to the nearest pose, the greater one of both angles.
    """
    traits = (TURN, TILT, *ACTS)
    have = {trait.name: level(wanted, trait) / trait.step for trait in traits}
    want = {trait.name: level(plate, trait) / trait.step for trait in traits}
    alone: dict[str, list[np.ndarray]] = {trait.name: [] for trait in traits}
    beside: dict[str, list[np.ndarray]] = {trait.name: [] for trait in ACTS}
    far = []
    for start in range(0, len(plate), BLOCK):
        apart = {name: want[name][start : start + BLOCK, None] - have[name][None] for name in want}
        angle = np.maximum(abs(apart[TURN.name]), abs(apart[TILT.name]))
        far.append(angle.min(1))
        for name, difference in apart.items():
            alone[name].append(_least(difference))
            if name in beside:
                beside[name].append(_least(np.where(angle <= 1, difference, np.inf)))
    joined = ({name: np.concatenate(parts) for name, parts in each.items()} for each in (alone, beside))
    return (*joined, np.concatenate(far))  # type: ignore[return-value]


def facing(pose: np.ndarray) -> str:
    """Where heads (n, 3) look on the whole, in words."""
    yaw, pitch = (float(value) for value in np.median(pose[:, :2], axis=0))
    words = []
    if abs(yaw) >= TURN.step / 2:
        words.append("turned to the picture's " + ("right" if yaw > 0 else "left"))
    if abs(pitch) >= TILT.step / 2:
        words.append("lifted" if pitch > 0 else "lowered")
    return " and ".join(words) or "upright"


def _lit(plate: Footage, wanted: Footage) -> Iterator[Lacking]:
    known = wanted.side[np.isfinite(wanted.side)]
    if not len(known) or not np.isfinite(plate.side).all():
        return
    least = np.concatenate(
        [_least(part[:, None] - known[None]) for part in np.array_split(plate.side, -(-len(plate) // BLOCK))]
    )
    ends = np.percentile(known, [5, 95])
    for sign, where, most in ((1, "left", ends[1]), (-1, "right", -ends[0])):
        rows = np.flatnonzero(sign * least > LIGHT)
        if len(rows):
            stops = float(np.median(abs(plate.side[rows])))
            does = f"is lit from the picture's {where} (by {stops:.1f} stops)"
            yield "side", does, f"is so by {max(0.0, most):.1f} stops at most", rows, abs(least[rows]) / LIGHT


def _least(difference: np.ndarray) -> np.ndarray:
    """(m, n) -> (m,): of each row the value nearest to 0, with its sign."""
    return difference[np.arange(len(difference)), abs(difference).argmin(1)]


def _when(time: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """How many seconds these frames last together, and when their longest stretch begins."""
    steps = np.diff(time)
    frame = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    breaks = np.flatnonzero(np.diff(rows) > 1) + 1
    longest = max(np.split(rows, breaks), key=len)
    return frame * len(rows), float(time[longest[0]])
