"""From frames to what may be the mark: everything else is taken away that can be known to be picture.

Frames are averaged in blocks of time; from each block the mean of its surroundings in time is subtracted (what stands
still goes, the mark, which turns, stays) and its own coarse picture; what remains counts by how quiet it is around it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from scipy.fft import dctn
from scipy.ndimage import uniform_filter1d

from photodouble.provenance.watermark_code import CHIPS, WORDS, carriers, decode
from photodouble.provenance.watermark_embed import HOLD, sign, spectrum, to_luma

BLOCK = 8
"""Frames that are averaged before anything else."""

PERIOD = 2 * HOLD // BLOCK
"""Blocks after which the mark is as before."""

CANVAS = 256
"""Pixels a side at most: larger frames are reduced to this, each side by itself."""

FINEST = 0.95
"""Of the finest cosines that a picture can show; resampling leaves nothing of the others."""

LARGEST = 3.0
"""Standard deviations: what a single carrier can say at most, so that no few of them pass for a mark."""

MOVING = 6
"""Fewer blocks than this do not show a turn reliably: they are taken as they are."""


class Word(NamedTuple):
    """What was read off one residual.

    Attributes:
        payload: the most probable 32 bits.
        known: how strongly the mark's known word is there, and `whole`: how strongly all of the mark is, in standard
            deviations of what one given mark shows in unmarked pictures; `known` has the sign of the mark.
    """

    payload: int
    known: float
    whole: float


def blocks_of(images: Iterable[np.ndarray], each: int) -> Iterator[np.ndarray]:
    """Averages of `each` pictures' luma: H' x W' float32, 0..255, H' and W' at most `CANVAS`.

    The last one may be of fewer, but not of less than half unless it is the only one.
    """
    total: np.ndarray | None = None
    held = done = 0
    for image in images:
        height, width = image.shape[:2]
        size = min(width, CANVAS), min(height, CANVAS)
        small = to_luma(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        total = small if total is None else cv2.add(total, small)
        held += 1
        if held == each:
            yield total / held
            total, held, done = None, 0, done + 1
    if total is not None and (2 * held >= each or not done):
        yield total / held


def residuals(blocks: np.ndarray) -> np.ndarray:
    """What of (B, H, W) blocks may be the mark: (P, H, W) float32, one for each way in which its turns may lie.

    The other P ways are the negatives of these.
    """
    count, height, width = blocks.shape
    moving = count >= MOVING
    rest = blocks - uniform_filter1d(blocks, PERIOD, axis=0, mode="mirror") if moving else blocks
    found = np.empty_like(blocks)
    wide = max(3.0, height / 64), max(3.0, width / 64)
    for k in range(count):
        fine = rest[k] - cv2.GaussianBlur(rest[k], (0, 0), sigmaX=wide[1], sigmaY=wide[0])
        power = cv2.GaussianBlur(fine * fine, (0, 0), sigmaX=2 * wide[1], sigmaY=2 * wide[0])
        found[k] = fine / np.sqrt(power + np.float32(0.05))
    turns = signs(count)
    return np.tensordot(turns, found, 1).astype(np.float32)


def signs(count: int) -> np.ndarray:
    """(P, count) float32: the mark's sign in each block, for each half period's possible beginnings."""
    if count <= 2:
        return np.ones((1, count), np.float32)
    frame = np.array([sign(k) for k in range(4 * HOLD + BLOCK * count)])
    return np.array(
        [[frame[2 * HOLD + BLOCK * (k + p) :][:BLOCK].mean() for k in range(count)] for p in range(PERIOD // 2)],
        np.float32,
    )


def read(field: np.ndarray, shorter: int, detail: tuple[float, float] | None = None) -> Word:
    """Read a payload off a residual (H x W float32) whose sides are the marked frame's sides.

    Args:
        field: the residual.
        shorter: pixels of the marked frame's shorter side, as far as known; it says which carriers were used.
        detail: how many rows and columns of the marked frame the residual really resolves; None: its own.
    """
    which, received, weight = receive(field, shorter, detail or field.shape)
    known = carriers()
    values = received * weight * known.sign[which]
    word = known.word[which]
    sums = np.bincount(word * CHIPS + known.chip[which], values, WORDS * CHIPS).reshape(WORDS, CHIPS)
    power = np.bincount(word, weight * weight, WORDS)
    if not power.all():
        return Word(0, 0.0, 0.0)
    found = sums[0].sum()
    payload, peaks = decode(np.sign(found) * sums[1:])
    total = abs(found) + peaks.sum() * np.sqrt(CHIPS)
    return Word(payload, float(found / np.sqrt(power[0])), float(total / np.sqrt(power.sum())))


def receive(
    field: np.ndarray, shorter: int, detail: tuple[float, float] | tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What carriers show in a residual: which ones, their values with unit variance, and the weight each deserves."""
    known = carriers()
    coded = dctn(field, norm="ortho")
    strong = spectrum(known.radius, shorter)
    rows, columns = min(detail[0], field.shape[0]), min(detail[1], field.shape[1])
    which = np.flatnonzero((strong > 0) & (known.v < FINEST * rows) & (known.u < FINEST * columns))
    if not len(which):
        return which, np.zeros(0, np.float32), np.zeros(0, np.float32)
    values = coded[known.v[which], known.u[which]]
    spread = np.sqrt(uniform_filter1d(np.square(values), 401, mode="nearest"))
    # Where an encoder left nothing, what is left is no evidence.
    spread = np.maximum(spread, max(0.25 * float(np.quantile(spread, 0.75)), 1e-6))
    return which, np.clip(values / spread, -LARGEST, LARGEST), strong[which] / spread
