"""The figures in a reader's words: what each is called, what it says, and what it should be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from photodouble.evaluation.quality import Figure
from photodouble.media import CODECS


@dataclass(frozen=True)
class Wording:
    """One figure as the report shows it.

    Attributes:
        name: in `Quality.summary`, or one that `shown` derives from it.
        label, says: a short name, and one plain sentence. How it is measured: `HOW`.
        unit: "ratio" (x), "share" (%), "score", "degrees", "percent", "eyes" (eye widths), "delta" or "levels".
        target: what it should reach; None where there is none. `above`: at least (True) or at most (False).
    """

    name: str
    label: str
    says: str
    unit: str = "score"
    target: float | None = None
    above: bool = True


FIGURES = (
    # The first ten are what a front end shows.
    Wording(
        "similarity_wanted",
        "Likeness",
        "How near the new face is to the wanted person: 1 is the same, 0 a stranger.",
        target=0.6,
    ),
    Wording(
        "similarity_replaced",
        "Trace of the double",
        "How near it still is to the person who was replaced.",
        above=False,
    ),
    Wording(
        "share_nearer_wanted",
        "Frames recast",
        "Frames whose face is nearer to the wanted person than to the double.",
        "share",
        target=0.99,
    ),
    Wording(
        "share_with_face",
        "No face lost",
        "Frames in which the plate has a face and the result has one too.",
        "share",
        target=0.99,
    ),
    Wording(
        "blendshape_correlation",
        "Expression",
        "How closely brows, lids and mouth move with the plate's: 1 is in step.",
        target=0.65,
    ),
    Wording("gaze_correlation", "Gaze", "How closely the eyes look where the plate's eyes look: 1 is in step."),
    Wording("sharpness_ratio", "Sharpness", "Fine detail of the face, in parts of the plate's.", "ratio", target=0.7),
    Wording(
        "jitter_ratio",
        "Steadiness",
        "How much the features tremble, in parts of the plate's own trembling.",
        "ratio",
        target=1.05,
        above=False,
    ),
    Wording(
        "edge_step",
        "Seam",
        "Colour step that the matte's edge adds: about 2.3 is what an eye just sees.",
        "delta",
        target=2.0,
        above=False,
    ),
    Wording(
        "outside_change",
        "Untouched",
        "Largest change outside the matte, of 255 levels.",
        "levels",
        target=0.0,
        above=False,
    ),
    Wording(
        "similarity_wanted_own",
        "Likeness of the original",
        "How near the wanted person's own faces are to their mean: what likeness could reach.",
    ),
    Wording(
        "blendshape_correlation_pooled",
        "Expression, pooled",
        "The same in one correlation: large motions weigh more.",
    ),
    Wording(
        "gaze_error",
        "Gaze error",
        "Distance of the irises from where the plate's are, in eye widths.",
        "eyes",
        above=False,
    ),
    Wording(
        "landmark_error",
        "Features' distance",
        "Mean distance of the features from the plate's, in percent of the distance between the eyes. "
        "Part of it is meant: the wanted person's face has another shape.",
        "percent",
        above=False,
    ),
    Wording("pose_error", "Pose error", "Mean difference of yaw, pitch and roll.", "degrees", above=False),
    Wording(
        "warped_error_ratio",
        "Flicker",
        "Change from frame to frame that the plate's motion does not explain, in parts of the plate's own.",
        "ratio",
        target=1.15,
        above=False,
    ),
    Wording(
        "grain_ratio",
        "Grain",
        "Power of the grain on the face's flat skin, in parts of the plate's: 1 is the same.",
        "ratio",
    ),
    Wording(
        "grain_spectrum",
        "Grain, by fineness",
        "The same in whichever of three bands, coarse to fine, is furthest from the plate's.",
        "ratio",
    ),
    Wording(
        "outside_change_mean",
        "Outside, mean",
        "Mean change outside the matte, of 255 levels.",
        "levels",
        above=False,
    ),
)

HOW = {
    "Likeness": "Cosine between the SFace embedding of each frame's new face and the mean embedding of the wanted "
    "person's better faces, mean over the frames (of more than 300, over an even choice). Two "
    "photographs of one person have about 0.7, two people 0.05.",
    "Frames recast": "Frames in which that cosine is greater than the one with the replaced person's mean embedding.",
    "No face lost": "The landmark model looks for a face where the plate has one, and has to be at least half sure.",
    "Expression": "52 blendshapes are read from the plate and from the result. Of those that move in the plate "
    "(standard deviation of at least 0.03), the correlation over time between both; the mean of these.",
    "Gaze": "Correlation over time of the irises' sideways place between the corners of the eyes. Frames in "
    "which the plate's eyes are shut (lids nearer than a tenth of the eye's width) are left out.",
    "Gaze error": "Place of each iris between the corners of its eye, sideways and up, in parts of the eye's width: "
    "its distance from the plate's, mean of both eyes and of the frames in which the plate's eyes are open.",
    "Sharpness": "Variance of the Laplacian of the luma where the matte is above 0.9, over the plate's at the same "
    "pixels, median over the frames. It is an energy: half the contrast of the detail gives a quarter.",
    "Steadiness": "Length of the landmarks' second difference over three frames, median, over the plate's.",
    "Seam": "Colour difference between points just inside and just outside the line where the matte is 0.5, less "
    "that of the plate at the same points.",
    "Untouched": "Pixels whose matte is exactly 0, apart from the visible label, against the plate with the same "
    "watermark. With a codec that loses detail this "
    "shows what the codec changed, and there is no target.",
    "Grain": "Power spectrum of 16 x 16 squares of flat skin, of luma from 0.125 cycles a pixel upwards, median over "
    "the squares and over every fourth frame, over the plate's in the same squares.",
    "Flicker": "Every fourth frame is compared with the frame before it, moved along the plate's optical flow.",
}

MODEL_TARGETS: dict[str, dict[str, float]] = {
    "mesh": {"blendshape_correlation": 0.65, "sharpness_ratio": 0.8},
    "lite": {"blendshape_correlation": 0.75, "sharpness_ratio": 0.7},
}


@dataclass(frozen=True)
class Shown:
    """A figure ready for the page. `met` is None where there is no target or no figure."""

    label: str
    says: str
    value: str
    target: str
    met: bool | None


def targets(model: str, codec: str) -> dict[str, float | None]:
    """Target of every figure for this model; "untouched" is one only where the codec keeps pixels as they are."""
    wanted: dict[str, float | None] = {figure.name: figure.target for figure in FIGURES}
    wanted |= MODEL_TARGETS.get(model, {})
    entry = CODECS.get(codec.lower())
    if entry is None or not entry.exact:
        wanted["outside_change"] = None
    return wanted


def shown(summary: Mapping[str, Figure], wanted: Mapping[str, float | None]) -> list[Shown]:
    """Every figure of `FIGURES`, in that order, in words."""
    values = dict(summary)
    faces = values.get("frames_with_plate_face")
    values["share_with_face"] = 1 - (values.get("frames_lost") or 0) / faces if faces else None
    lines = []
    for figure in FIGURES:
        value, target = values.get(figure.name), wanted.get(figure.name)
        known = value is not None and math.isfinite(value)
        met = None
        if known and target is not None:
            met = bool(value >= target - 1e-9 if figure.above else value <= target + 1e-9)  # type: ignore[operator]
        limit = "" if target is None else ("at least " if figure.above else "at most ") + spell(target, figure.unit)
        if target == 0 and not figure.above:
            limit = "none"
        text = spell(value, figure.unit) if known else "–"  # type: ignore[arg-type]
        lines.append(Shown(figure.label, figure.says, text, limit, met))
    return lines


def verdict(lines: list[Shown]) -> str:
    """One or two sentences: how many targets are met, and which are not."""
    judged = [line for line in lines if line.met is not None]
    missed = [line for line in judged if not line.met]
    if not judged:
        return "Nothing could be measured: there is no face to compare."
    if not missed:
        return f"All {len(judged)} targets are met." if len(judged) > 1 else "The target is met."
    names = ", ".join(f"{line.label.lower()} {line.value}" for line in missed)
    return f"{len(judged) - len(missed)} of {len(judged)} targets are met. Not met: {names}."


def spell(value: float, unit: str) -> str:
    """A figure with as many digits as it deserves."""
    if unit == "share":
        percent = 100 * value
        return f"{percent:.0f} %" if abs(percent - round(percent)) < 0.05 else f"{percent:.1f} %"
    if unit == "levels":
        return f"{value:.0f}" if value == round(value) else f"{value:.2f}"
    digits, ending = {
        "ratio": (2, "×"),
        "degrees": (1, "°"),
        "percent": (1, " %"),
        "delta": (1, " ΔE"),
        "eyes": (3, ""),
    }.get(unit, (2, ""))
    return f"{value:.{digits}f}{ending}".replace("-", "−")
