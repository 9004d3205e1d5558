"""Which frames a person should look at: the worst ones with the reason, and an even choice of the whole shot."""

from dataclasses import dataclass

import numpy as np

from photodouble.evaluation.quality import PRESENT


@dataclass(frozen=True)
class Worst:
    """A frame, how many times the usual deviation it is off, and why in words."""

    frame: int
    severity: float
    reason: str


def worst_frames(frames: dict[str, np.ndarray], count: int = 6) -> list[Worst]:
    """The worst frames, worst first, no two of them within half a second (of 24 frames: 12 frames).

    A frame without a face where the plate has one comes before all others, one that is nearer to the replaced person
    next; the rest are ranked by the robust z-score (distance from the median in units of 1.4826 times the median
    absolute deviation) of likeness, expression, gaze, sharpness, steadiness and seam, whichever is worst.
    """
    found: list[Worst] = []
    scores = _scores(frames)
    for frame in np.argsort(-np.max([score for score, _ in scores], axis=0), kind="stable"):
        severity, reason = max(((score[frame], text) for score, text in scores), key=lambda pair: pair[0])
        if severity < 2.0 or len(found) == count:
            break
        if all(abs(int(frame) - other.frame) >= 12 for other in found):
            found.append(Worst(int(frame), float(severity), reason.format(**_values(frames, int(frame)))))
    return found


def filmstrip(frames: dict[str, np.ndarray], count: int = 8) -> list[int]:
    """An even choice of frames of the shot, of those with a face where there are any; sorted, no frame twice."""
    known = np.flatnonzero(np.isfinite(frames["box"]).all(1))
    choice = known if known.size else np.arange(len(frames["box"]))
    if not choice.size:
        return []
    ends = np.linspace(0, choice.size - 1, min(count, choice.size) * 2 + 1)[1::2]  # the middles of equal parts
    return sorted({int(choice[round(k)]) for k in ends})


def _scores(frames: dict[str, np.ndarray]) -> list[tuple[np.ndarray, str]]:
    f = frames
    lost = np.isfinite(f["box"]).all(1) & ~(f["presence"] >= PRESENT)
    trace = f["similarity_replaced"] - f["similarity_wanted"]
    with np.errstate(invalid="ignore", divide="ignore"):
        blur = -np.log(f["sharpness_output"] / f["sharpness_plate"])
        tremble = np.log(f["jitter_output"] / f["jitter_plate"])
    shut = f["eyes_shut"] > 0
    return [
        (np.where(lost, 1000.0, 0.0), "No face found, though the plate has one"),
        (np.where(trace > 0, 100 + np.nan_to_num(trace), 0), "Nearer to the double, {trace:.2f} against {wanted:.2f}"),
        (_deviation(-f["similarity_wanted"]), "Least like the wanted person, {wanted:.2f}"),
        (_deviation(f["expression_error"]), "Expression off, {expression:.2f} from the plate's"),
        (_deviation(np.where(shut, np.nan, f["gaze_error"])), "Gaze off, {gaze:.2f} of an eye's width"),
        (_deviation(blur), "Soft, {sharp:.2f} of the plate's detail"),
        (_deviation(tremble), "Features jump, {jitter:.1f} times the plate's"),
        (_deviation(f["edge_output"] - f["edge_plate"]), "Seam at the matte's edge, {edge:.1f} ΔE"),
    ]  # fmt: skip


def _deviation(values: np.ndarray) -> np.ndarray:
    """Robust z-score, larger is worse; 0 where unknown."""
    known = np.isfinite(values)
    if known.sum() < 8:
        return np.zeros(len(values))
    median = np.median(values[known])
    away = np.abs(values[known] - median)
    spread = 1.4826 * np.median(away) or 1.2533 * away.mean()  # where most frames are equal: the mean deviation
    score = np.zeros(len(values))
    if spread > 0:
        score[known] = np.minimum((values[known] - median) / spread, 99.0)
    return score


def _values(frames: dict[str, np.ndarray], k: int) -> dict[str, float]:
    f = frames
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "wanted": float(f["similarity_wanted"][k]),
            "trace": float(f["similarity_replaced"][k]),
            "expression": float(f["expression_error"][k]),
            "gaze": float(f["gaze_error"][k]),
            "sharp": float(f["sharpness_output"][k] / f["sharpness_plate"][k]),
            "jitter": float(f["jitter_output"][k] / f["jitter_plate"][k]),
            "edge": float(f["edge_output"][k] - f["edge_plate"][k]),
        }
