"""Where in a changed picture the marked frame lies: cropped, squeezed or turned.

A coarse search tries scales and angles, each with all its shifts at once by a Fourier transform, for the one word of
the mark that is always the same; the best few are then moved by small steps until that word stands out most.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from scipy.fft import dctn, idctn, irfft2, rfft2
from scipy.ndimage import uniform_filter1d

from photodouble.provenance.watermark_code import carriers
from photodouble.provenance.watermark_signal import CANVAS, Word, read

COARSE = 128
"""Pixels a side of the canvas in the coarse search."""

FINEST = 88
"""The largest radius of carriers that the coarse search looks at."""

SCALES = tuple(1.0 - 0.022 * k for k in range(12))
ANGLES = (-3.3, -2.2, -1.1, 1.1, 2.2, 3.3)
STEPS = 4
"""Rounds of `refine`, each with half the step of the one before."""

SLACK = 2
"""Coarse pixels by which a picture may stand out of the frame that it was cut from."""


@dataclass(frozen=True)
class Placing:
    """Where a picture lies in the marked frame.

    Attributes:
        x, y: how far its centre is from the frame's, in parts of the frame's width and height.
        wide, high: its share of the frame's width and height.
        angle: degrees by which it has to be turned, clockwise.
    """

    x: float = 0.0
    y: float = 0.0
    wide: float = 1.0
    high: float = 1.0
    angle: float = 0.0


@dataclass(frozen=True)
class Candidate:
    """A placing, which of the ways in which the mark's turns may lie it goes with, and how much it stands out."""

    placing: Placing
    phase: int
    height: float


def place(field: np.ndarray, placing: Placing, aspect: float, size: int = CANVAS) -> np.ndarray:
    """`field` (H x W) put into a square canvas of the marked frame, zeros around it. `aspect`: width over height."""
    height, width = field.shape
    angle = np.deg2rad(placing.angle)
    cos, sin = np.cos(angle), np.sin(angle)
    # Centred and in parts of the sides; turned in the picture's own pixels, which are not the canvas's.
    linear = np.array(
        [[placing.wide * cos, -placing.wide * sin / aspect], [placing.high * sin * aspect, placing.high * cos]]
    )
    matrix = linear * size / np.array([width, height])
    shift = np.array([placing.x, placing.y]) * size + (size - 1) / 2 - matrix @ [(width - 1) / 2, (height - 1) / 2]
    return cv2.warpAffine(field, np.column_stack([matrix, shift]), (size, size), flags=cv2.INTER_LINEAR)


def whiten(fields: np.ndarray) -> np.ndarray:
    """(P, H, W) residuals with as much of every frequency that carriers may have; the others are taken out."""
    height, width = fields.shape[1:]
    radius = np.hypot(*np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).ravel()
    order = np.argsort(radius, kind="stable")
    kept = radius <= 1.3 * FINEST
    found = np.empty_like(fields)
    for k, field in enumerate(fields):
        coded = dctn(field, norm="ortho").ravel()
        power = np.empty_like(coded)
        power[order] = uniform_filter1d(np.square(coded[order]), 201, mode="nearest")
        coded = np.where(kept, coded / np.sqrt(np.maximum(power, 1e-12)), 0)
        found[k] = idctn(coded.reshape(height, width).astype(np.float32), norm="ortho")
    return found


def search(fields: np.ndarray, aspect: float, most: int) -> list[Candidate]:
    """The placings that stand out most, best first, no two of them alike.

    Args:
        fields: (P, H, W) float32 residuals.
        aspect: width over height of the picture that they come from.
        most: how many are wanted.
    """
    white = whiten(fields)
    height, width = white.shape[1:]
    size = min(width, COARSE), min(height, COARSE)
    small = [cv2.resize(field, size, interpolation=cv2.INTER_AREA) for field in white]
    found: list[Candidate] = []
    for placing in placings():
        placed = np.stack([place(field, placing, aspect, COARSE) for field in small])
        found.append(_best_shift(placed, placing))
    found.sort(key=lambda candidate: -candidate.height)
    kept: list[Candidate] = []
    for candidate in found:
        if not any(_near(candidate, other) for other in kept):
            kept.append(candidate)
        if len(kept) == most:
            break
    return kept


def refine(field: np.ndarray, start: Placing, aspect: float, shorter: int) -> Placing:
    """Move a placing by smaller and smaller steps to where the mark's known word stands out most in `field`."""
    best, height = start, _height(field, start, aspect, shorter)
    step = {"x": 0.004, "y": 0.004, "wide": 0.008, "high": 0.008, "angle": 0.4}
    for _ in range(STEPS):
        for name, size in step.items():
            for way in (size, -size):
                moved = replace(best, **{name: getattr(best, name) + way})
                if (new := _height(field, moved, aspect, shorter)) > height:
                    best, height = moved, new
                    break
        step = {name: size / 2 for name, size in step.items()}
    return best


def read_placed(field: np.ndarray, placing: Placing, aspect: float, shorter: int) -> Word:
    """`read` the part of the marked frame that `field` (H x W) shows."""
    detail = field.shape[0] / placing.high, field.shape[1] / placing.wide
    return read(place(field, placing, aspect), shorter, detail)


def _height(field: np.ndarray, placing: Placing, aspect: float, shorter: int) -> float:
    return abs(read_placed(field, placing, aspect, shorter).known)


def placings() -> Iterator[Placing]:
    """What the coarse search tries: any crop that is not turned, turned ones that keep their proportions."""
    for wide in SCALES:
        for high in SCALES:
            yield Placing(wide=wide, high=high)
        for angle in ANGLES:
            yield Placing(wide=wide, high=wide, angle=angle)


def _best_shift(placed: np.ndarray, placing: Placing) -> Candidate:
    """The best shift of (P, COARSE, COARSE) placed fields: all shifts at once."""
    sums = irfft2(np.conj(rfft2(placed)) * _template(), s=(COARSE, COARSE))
    most_x = round((1 - placing.wide) / 2 * COARSE) + SLACK
    most_y = round((1 - placing.high) / 2 * COARSE) + SLACK
    x, y = np.arange(-most_x, most_x + 1), np.arange(-most_y, most_y + 1)
    heights = np.abs(sums[:, y[:, None], x[None]]) / (sums.std((1, 2), keepdims=True) + 1e-12)
    phase, j, i = np.unravel_index(heights.argmax(), heights.shape)
    shifted = replace(placing, x=float(x[i]) / COARSE, y=float(y[j]) / COARSE)
    return Candidate(shifted, int(phase), float(heights[phase, j, i]))


def _near(one: Candidate, other: Candidate) -> bool:
    a, b = one.placing, other.placing
    return (
        max(abs(a.x - b.x), abs(a.y - b.y)) < 0.02
        and max(abs(a.wide - b.wide), abs(a.high - b.high)) < 0.02
        and abs(a.angle - b.angle) < 1
    )


@lru_cache(1)
def _template() -> np.ndarray:
    """Fourier transform of the mark's known word on the coarse canvas."""
    known = carriers()
    used = (known.word == 0) & (known.radius <= FINEST)
    field = np.zeros((COARSE, COARSE), np.float32)
    field[known.v[used], known.u[used]] = known.sign[used] / known.radius[used]
    return rfft2(idctn(field, norm="ortho"))
