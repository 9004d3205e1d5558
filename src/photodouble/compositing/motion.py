"""The plate's motion blur on a face whose source picture was still."""

import cv2
import numpy as np

SLOWEST = 2.0
"""Pixels a frame: slower motion blurs less than the picture's own softness."""

OPEN = (0.25, 0.5, 0.75)
"""Parts of the frame's time for which the shutter may have been open."""

LONGEST = 48
"""Pixels of blur at most."""


def motion_line(face: np.ndarray, plate: np.ndarray, where: np.ndarray, motion: np.ndarray | None) -> np.ndarray | None:
    """The blur along its motion that a face lacks, beside the plate's own face.

    A short shutter leaves no blur, and a source picture may have its own: the length is the one with which the energy
    of slopes along the motion, over that across it, comes nearest to the plate's.

    Args:
        face, plate: luma, H x W float32, 0..255.
        where: H x W float32; they are compared where it is at least 0.9.
        motion: (2,) of the face as a whole, pixels from frame to frame; None: it rests.

    Returns:
        The kernel for `smeared`; None where the plate shows no more blur than the face.
    """
    if motion is None or not SLOWEST <= (speed := float(np.hypot(*motion))) < np.inf:
        return None
    inside = cv2.threshold(where, 0.9, 1, cv2.THRESH_BINARY)[1]
    if cv2.countNonZero(inside) < 64:
        return None
    along = np.asarray(motion, np.float64) / speed
    wanted, best = _along(plate, along, inside), _along(face, along, inside)
    chosen = None
    for part in OPEN:
        line = _line(along, min(part * speed, LONGEST))
        now = _along(smeared(face, line), along, inside)
        if abs(now - wanted) >= abs(best - wanted):
            break
        chosen, best = line, now
    return chosen


def reach(motion: np.ndarray | None) -> int:
    """Pixels from which `smeared` may fetch at most."""
    speed = 0.0 if motion is None else float(np.hypot(*motion))
    return int(min(OPEN[-1] * speed, LONGEST) / 2) + 2 if SLOWEST <= speed < np.inf else 0


def smeared(picture: np.ndarray, line: np.ndarray) -> np.ndarray:
    """A picture blurred along a line."""
    return cv2.filter2D(picture, -1, line, borderType=cv2.BORDER_REPLICATE)


def _along(grey: np.ndarray, along: np.ndarray, inside: np.ndarray) -> float:
    """Logarithm of the energy of slopes along a unit vector over that across it."""
    dx, dy = (cv2.multiply(cv2.Sobel(grey, cv2.CV_32F, *order), inside).ravel() for order in ((1, 0), (0, 1)))
    a, b, c = np.array([dx @ dx, dx @ dy, dy @ dy], np.float64) / float(inside.sum())
    x, y = along
    ahead, across = a * x * x + 2 * b * x * y + c * y * y, a * y * y - 2 * b * x * y + c * x * x
    return float(np.log((ahead + 1) / (across + 1)))


def _line(along: np.ndarray, length: float) -> np.ndarray:
    """Kernel of a line of this length, float32, sum 1."""
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for t in np.linspace(-length / 2, length / 2, max(2, int(4 * length))):
        x, y = half + along * t
        i, j = int(np.floor(y)), int(np.floor(x))
        v, u = y - i, x - j
        kernel[i : i + 2, j : j + 2] += np.outer([1 - v, v], [1 - u, u])
    return kernel / kernel.sum()
