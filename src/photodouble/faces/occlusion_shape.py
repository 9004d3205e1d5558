"""The silhouette of a hand from its 21 landmarks: tapered capsules along the fingers, the palm between them."""

import cv2
import numpy as np

from photodouble.faces.occlusion_hands import FINGERS, KNUCKLES, WRIST

RADII = (0.125, 0.11, 0.1, 0.085)
"""Of a finger at its four landmarks, in parts of the hand's size: set by eye on the demo's plate."""
THICKNESS = (1.15, 1.0, 1.0, 1.0, 0.88)
"""Thumb to little finger."""
PALM_RADIUS = 0.12
TIP = 0.03
"""The last landmark lies this far before the finger's end, in parts of the hand's size."""
FOREARM, ARM_RADIUS = 0.8, 0.3
"""Length and radius of the arm that is taken to go on straight behind the wrist, in parts of the hand's size."""

OVERSAMPLING = 2
"""Drawn at so many times the size, then averaged: faster than OpenCV's own smooth edges."""
ROUND = 9
"""Points of a half circle."""


def extent(points: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest x, y of the hand with its arm, without the width of the fingers."""
    reach = np.concatenate([points, (points[WRIST] + _arm(points) * FOREARM * size)[None]])
    return reach.min(0), reach.max(0)


def silhouette(points: np.ndarray, size: float, shape: tuple[int, ...], width: float = 1.0) -> np.ndarray:
    """Draw a hand.

    Args:
        points: (21, 2) in pixels of the picture to be drawn.
        size: of the hand, as `Hand.size`, in the same pixels.
        shape: H, W.
        width: factor of all radii.

    Returns:
        H x W uint8, 255 inside the hand and less in the pixels that its edge crosses.
    """
    canvas = np.zeros((shape[0] * OVERSAMPLING, shape[1] * OVERSAMPLING), np.uint8)
    for outline in _fixed(_capsules(points, size, width)):
        cv2.fillConvexPoly(canvas, outline, 255, cv2.LINE_8, 4)
    cv2.fillConvexPoly(canvas, cv2.convexHull(_fixed(points[list(KNUCKLES)])), 255, cv2.LINE_8, 4)
    return cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels to 1/16 pixels of the canvas."""
    return np.round(((points + 0.5) * OVERSAMPLING - 0.5) * 16).astype(np.int32)


def _capsules(points: np.ndarray, size: float, width: float) -> np.ndarray:
    """(n, 2 * ROUND, 2): outlines of the hulls of two discs each, for the fingers, the palm's rim and the arm."""
    starts, ends, radii_a, radii_b = [], [], [], []
    for finger, thickness in zip(FINGERS, THICKNESS, strict=True):
        joints = points[list(finger)]
        beyond = joints[-1] - joints[-2]
        joints[-1] += beyond / max(float(np.hypot(*beyond)), 1e-6) * TIP * size
        radii = np.array(RADII) * thickness
        starts += list(joints[:-1])
        ends += list(joints[1:])
        radii_a += radii[:-1].tolist()
        radii_b += radii[1:].tolist()
    rim, wrist = points[list(KNUCKLES)], points[WRIST]
    starts += [*rim, wrist]
    ends += [*np.roll(rim, 1, 0), wrist + _arm(points) * FOREARM * size]
    radii_a += [PALM_RADIUS] * len(rim) + [ARM_RADIUS]
    radii_b += [PALM_RADIUS] * len(rim) + [ARM_RADIUS]
    a, b = np.array(starts), np.array(ends)
    heading = np.arctan2(b[:, 1] - a[:, 1], b[:, 0] - a[:, 0])[:, None]
    half = np.linspace(np.pi / 2, 3 * np.pi / 2, ROUND)
    discs = []
    for centre, radius, turn in ((a, radii_a, heading + half), (b, radii_b, heading + half + np.pi)):
        around = np.stack([np.cos(turn), np.sin(turn)], -1) * (np.array(radius)[:, None, None] * size * width)
        discs.append(centre[:, None] + around)
    return np.concatenate(discs, 1)


def _arm(points: np.ndarray) -> np.ndarray:
    """Unit vector from the palm over the wrist."""
    along = points[WRIST] - points[[5, 9, 13, 17]].mean(0)
    return along / max(float(np.hypot(*along)), 1e-6)
