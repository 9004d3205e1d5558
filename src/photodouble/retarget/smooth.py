"""Landmarks without the detector's tremble."""

from itertools import pairwise

import numpy as np

from photodouble.faces import eye_centres

NARROW, WIDE = 5, 11
"""Frames over which a quick motion and a slow one are fitted by a parabola (Savitzky and Golay 1964)."""

STILL, QUICK = 0.004, 0.012
"""Distance between the two fits, in parts of that between the eyes, up to which the wide one is believed, and from
which the narrow one is: a landmark trembles by 0.007."""

REACH = NARROW // 2 + WIDE // 2 + 1
"""Frames on either side that a filtered one depends on."""


def smooth(landmarks: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Filter landmarks (t, 478, 3) over time, each track on its own; `starts` (t,) is True where one begins.

    Each landmark lies on the parabola through the frames around it: many of them while it moves steadily, few while
    the two fits part, as in a blink. Both are centred, hence without lag; at a track's ends the last whole window's
    parabola goes on.
    """
    result = np.array(landmarks, np.float32)
    bounds = [*np.flatnonzero(starts | (np.arange(len(starts)) == 0)), len(starts)]
    for low, high in pairwise(bounds):
        part = result[low:high]
        if high - low < NARROW:
            continue
        narrow = _parabolas(part, NARROW)
        if high - low < WIDE:
            result[low:high] = narrow
            continue
        wide = _parabolas(part, WIDE)
        right, left = eye_centres(wide)
        eyes = np.maximum(np.linalg.norm(left - right, axis=-1), 1e-6)[:, None]
        apart = np.linalg.norm((wide - narrow)[..., :2], axis=-1) / eyes
        quick = np.clip((_largest(apart) - STILL) / (QUICK - STILL), 0, 1)
        result[low:high] = wide + _mean(quick)[..., None] * (narrow - wide)
    return result


def _parabolas(values: np.ndarray, window: int) -> np.ndarray:
    """Each of the values (t, ...) on the parabola through the `window` frames around it, or the nearest ones."""
    powers = np.vander(np.arange(window) - window // 2, 3).astype(np.float64)
    fit = (powers @ np.linalg.pinv(powers)).astype(np.float32)  # row i: weights of the frames for frame i's value
    half, t = window // 2, len(values)
    result = np.empty_like(values)
    inner = np.zeros_like(values[: t - 2 * half])
    for k, weight in enumerate(fit[half]):
        inner += weight * values[k : t - 2 * half + k]
    result[half : t - half] = inner
    for i in range(half):
        result[i] = np.tensordot(fit[i], values[:window], 1)
        result[t - 1 - i] = np.tensordot(fit[window - 1 - i], values[-window:], 1)
    return result


def _largest(values: np.ndarray) -> np.ndarray:
    """Of each frame (t, k) and the ones around it: a quick motion's begin and end belong to it."""
    half = NARROW // 2
    padded = np.pad(values, ((half, half), (0, 0)), mode="edge")
    return np.maximum.reduce([padded[k : k + len(values)] for k in range(2 * half + 1)])


def _mean(values: np.ndarray) -> np.ndarray:
    """Of each frame (t, k) and its two neighbours."""
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3
