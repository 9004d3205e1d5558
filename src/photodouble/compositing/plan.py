"""What the frames of a shot are told by it: the plate's look, filtered over time without lag, and the face's motion."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from photodouble.compositing.look import NUMBERS, Look
from photodouble.compositing.moment import Moment

STEADY, QUICK = 5.0, 2.0
"""Standard deviations, in frames, of the filters over light, and over detail, which comes and goes with motion blur."""

BELIEVED, CHANGED = 3.0, 8.0
"""Levels by which a frame's mean colour may be off the filtered one: up to the first it is noise, from the second on it
is light that changed."""

HIDDEN = 0.02
"""Weight of a frame in which something is in front of the face."""


@dataclass(frozen=True)
class Moments:
    """Frames (t,) of a shot, in order, with their filtered looks (t, `NUMBERS`; NaN: unknown) and motion (t, 2)."""

    frame: np.ndarray
    looks: np.ndarray
    motion: np.ndarray

    def at(self, frame: int) -> Moment:
        """The moment of a frame."""
        row = int(np.searchsorted(self.frame, frame))
        if row >= len(self.frame) or self.frame[row] != frame:
            return Moment(frame)
        known = np.isfinite(self.looks[row, :5]).all()
        return Moment(frame, Look.of(self.looks[row]) if known else None, self.motion[row])


def plan_moments(
    frame: np.ndarray, looks: np.ndarray, centres: np.ndarray, starts: np.ndarray, hidden: np.ndarray
) -> Moments:
    """Filter a shot's looks along its tracks.

    Args:
        frame: (t,) indices of the frames with a face, in order.
        looks: (t, `NUMBERS`) `Look.numbers` of each; NaN: nothing was to be seen.
        centres: (t, 2) of the face, pixels.
        starts: (t,) True where a track begins.
        hidden: (t,) True where something is in front of the face.
    """
    done, motion = np.full((len(frame), NUMBERS), np.nan), np.zeros((len(frame), 2))
    bounds = [*np.flatnonzero(starts | (np.arange(len(frame)) == 0)), len(frame)]
    for low, high in pairwise(bounds):
        part = np.asarray(looks[low:high], np.float64)
        weight = np.where(hidden[low:high], HIDDEN, 1.0)
        done[low:high, :5] = _light(part[:, :5], weight)
        grain = part[np.isfinite(part[:, 5:-1]).all(1), 5:-1]
        done[low:high, 5:-1] = np.median(grain, 0) if len(grain) else np.nan  # one stock for the whole track
        done[low:high, -1:] = _gaussian(part[:, -1:], weight, QUICK)
        if high - low > 2:
            motion[low:high] = np.gradient(_gaussian(centres[low:high], np.ones(high - low), QUICK), axis=0)
    return Moments(np.asarray(frame), done, motion)


def _light(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    steady = _gaussian(values, weight, STEADY)
    off = np.nan_to_num(np.abs(values[:, :3] - steady[:, :3]).max(1)) * (weight == 1)
    changed = np.clip((off - BELIEVED) / (CHANGED - BELIEVED), 0, 1)[:, None]
    return np.where(changed > 0, steady + changed * np.nan_to_num(values - steady), steady)


def _gaussian(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted Gaussian mean over time of (t, k) values; NaN counts nothing, and stays where nothing is known."""
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    known = np.isfinite(values).all(1)
    weight = np.where(known, weight, 0.0)
    filled = np.where(known[:, None], values, 0.0) * weight[:, None]

    def along(series: np.ndarray) -> np.ndarray:
        return np.convolve(series, kernel)[reach : reach + len(series)]

    total = along(weight)
    sums = np.stack([along(column) for column in filled.T], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total[:, None] > 1e-9, sums / total[:, None], np.nan)
