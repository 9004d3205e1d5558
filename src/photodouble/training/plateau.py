"""When to stop: what more training would add to the held-out score, told from the curve so far.

Scores of networks rise about linearly in the logarithm of the time trained, until they bend. So the slope over ln(t) is
taken over the newer half of the time trained, and over the half before that; how much the second is flatter than the
first, from one doubling of the time to the next, is carried on to the end of the budget. A curve that goes on like a
logarithm is forecast as that; one that saturates is seen to.
"""

import math
from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.005
"""Part of the score: training stops where all that is left to gain is surely less."""

SOONEST = 0.2
"""Part of the budget before which nothing is judged: some runs rise late."""

FEWEST = 6  # scores in the newer half
SURE = 2.0  # standard errors
TAIL = 0.2
"""After a plateau a whole tail of the learning rate would take this part of the time trained so far."""


@dataclass(frozen=True)
class Forecast:
    """What is to be expected of the held-out score.

    Attributes:
        score: now, by the trend; rise: since half of the time trained ago.
        gain: what it will rise until the end of the budget; error: of that, two standard errors.
        seconds: of training in all until the rule stops it, `inf` if the budget ends first.
        flat: the rule says stop.
    """

    score: float
    rise: float
    gain: float
    error: float
    seconds: float
    flat: bool

    def sentence(self, now: float, budget: float) -> str:
        """Why training stops, with figures; times in seconds."""
        return (
            f"The held-out score has stopped rising: {self.score:.3f} after {now / 60:.1f} min, {self.rise:+.4f} in "
            f"the newer half of that; {budget / 60:.0f} min would add about {self.gain:.4f} "
            f"(at most {self.gain + self.error:.4f})."
        )


def forecast(seconds: np.ndarray, scores: np.ndarray, budget: float, patience: float = 0.5) -> Forecast | None:
    """Carry the curve of held-out scores on.

    Args:
        seconds: n, of training at each score, rising.
        scores: n, larger is better; those that are no numbers are left out.
        budget: seconds of training in all.
        patience: part of the time trained that the trend is taken from.

    Returns:
        None while there are too few scores to tell, or too little of the budget is used up.
    """
    seconds, scores = np.asarray(seconds, float), np.asarray(scores, float)
    known = np.isfinite(scores) & (seconds > 0)
    seconds, scores = seconds[known], scores[known]
    if not len(seconds):
        return None
    now = float(seconds[-1])
    keep = 1 - patience
    newer, older = seconds > keep * now, (seconds > keep * keep * now) & (seconds <= keep * now)
    if now < max(60.0, SOONEST * budget) or newer.sum() < FEWEST or older.sum() < 2:
        return None
    slope, error, score = _trend(seconds[newer], scores[newer])
    before, _, _ = _trend(seconds[older], scores[older])
    newest = seconds > (1 - patience / 2) * now
    quick, unsure, _ = _trend(seconds[newest], scores[newest]) if newest.sum() > 2 else (slope, error, score)
    if quick > slope + SURE * unsure:  # it rises faster and faster: no end to be seen
        slope, before = quick, quick
    bend = min(1.0, max(0.0, slope / before)) if before > 0 else 1.0
    steps = np.geomspace(now, max(now, budget), 65)
    gains = _gain(slope, bend, steps / now, max(now, budget) / now, keep)
    allowed = TOLERANCE * max(abs(score), 0.1)
    doubt = SURE * error * math.log(max(1.0, budget / now))
    ends = steps[gains < allowed]
    flat = bool(gains[0] + doubt < allowed and now < budget)
    soon = len(ends) and (1 + TAIL) * ends[0] < budget  # else nothing is saved
    stop = now if flat else float(ends[0]) if soon else math.inf
    return Forecast(score, -slope * math.log(keep), float(gains[0]), doubt, stop, flat)


def _gain(slope: float, bend: float, start: np.ndarray, end: float, keep: float) -> np.ndarray:
    """Rise from `start` to `end`, both in times now, where the slope is `bend` times itself one window later.

    A window is a factor of 1 / `keep` in time; `slope` is that of the middle of the newest one.
    """
    width = -math.log(keep)
    first, last = np.log(start) / width + 0.5, math.log(end) / width + 0.5
    bend = min(max(bend, 1e-9), 1 - 1e-9)  # the integral of bend ** x
    return max(0.0, slope) * width * (bend**last - bend**first) / math.log(bend)


def _trend(seconds: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    """Least squares over ln(t): slope, its standard error, and the line's value at the last one."""
    along = np.log(seconds)
    centred = along - along.mean()
    spread = float((centred**2).sum())
    slope = float((centred * (scores - scores.mean())).sum() / spread)
    line = scores.mean() + slope * centred
    variance = float(((scores - line) ** 2).sum()) / max(1, len(scores) - 2)
    return slope, math.sqrt(variance / spread), float(line[-1])
