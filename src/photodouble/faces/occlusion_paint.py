"""A hand's landmarks as a matte: tapered capsules along the fingers, the palm between them."""

import cv2
import numpy as np

from photodouble.faces.occlusion_hands import FINGERS, KNUCKLES, WRIST, Hand

RADII = (0.125, 0.11, 0.1, 0.085)
"""Of a finger at its four landmarks, in parts of the hand's size: set by eye on the demo's plate, a little generous:
a rim of the plate's own skin is not seen, a finger's edge that became a cheek is."""
THICKNESS = (1.15, 1.0, 1.0, 1.0, 0.88)
"""Thumb to little finger."""
PALM_RADIUS = 0.12
TIP = 0.03
"""The last landmark lies this far before the finger's end."""
FOREARM, ARM_RADIUS = 0.8, 0.3
"""Length and radius of the arm that is taken to go on straight behind the wrist, in parts of the hand's size."""

SOFTNESS = 0.012
"""Sigma of the matte's edge, in parts of the hand's size; at least 0.6 pixels."""
SHUTTER = 0.5
"""Part of the time between two frames in which the film is exposed (180 degrees): fast fingers are smeared over it."""
MOST_STEPS = 9

OVERSAMPLING = 2
"""Drawn at so many times the size, then averaged: faster than OpenCV's own smooth edges."""
ROUND = 9
"""Points of a half circle."""


def paint(hand: Hand, shape: tuple[int, int], motion: np.ndarray | None = None) -> np.ndarray:
    """Matte of one hand.

    Args:
        hand: where it is in the middle of the exposure.
        shape: H, W of the picture.
        motion: (21, 2) how far each landmark moves from frame to frame, plate pixels; None: it rests.

    Returns:
        H x W float32, 0..1: soft at the edge, smeared where the hand moves.
    """
    height, width = shape
    matte = np.zeros(shape, np.float32)
    points = hand.points[:, :2].astype(np.float64)
    size = hand.size
    travel = np.zeros_like(points) if motion is None else np.asarray(motion, np.float64)[:, :2] * SHUTTER
    margin = 0.2 * size + np.abs(travel).max() + 4
    reach = np.concatenate([points, points[[WRIST]] + _arm(points) * FOREARM * size])
    low = np.floor(np.clip(reach.min(0) - margin, 0, (width, height))).astype(int)
    high = np.ceil(np.clip(reach.max(0) + margin, 0, (width, height))).astype(int)
    if (high <= low).any() or not np.isfinite(points).all():
        return matte
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    # Half a finger's width per step at most, or the smear would show its steps.
    steps = int(np.clip(np.ceil(np.linalg.norm(travel, axis=1).max() / max(0.05 * size, 1)), 1, MOST_STEPS))
    total = np.zeros((y1 - y0, x1 - x0), np.float32)
    for part in (np.arange(steps) + 0.5) / steps - 0.5:
        total += _silhouette(points + part * travel - low, size, total.shape)
    sigma = max(0.6, SOFTNESS * size)
    matte[y0:y1, x0:x1] = cv2.GaussianBlur(total / (255 * steps), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return matte


def union(mattes: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """H x W float32: the largest of several mattes, all zero if there is none."""
    return np.maximum.reduce(mattes) if mattes else np.zeros(shape, np.float32)


def _silhouette(points: np.ndarray, size: float, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 picture of the given shape, 255 inside the hand and less in the pixels that its edge crosses."""
    outlines = np.round((_capsules(points, size) + 0.5) * OVERSAMPLING * 16 - 8).astype(np.int32)
    canvas = np.zeros((shape[0] * OVERSAMPLING, shape[1] * OVERSAMPLING), np.uint8)
    for outline in outlines:
        cv2.fillConvexPoly(canvas, outline, 255, cv2.LINE_8, 4)
    palm = np.round((points[list(KNUCKLES)] + 0.5) * OVERSAMPLING * 16 - 8).astype(np.int32)
    cv2.fillConvexPoly(canvas, cv2.convexHull(palm), 255, cv2.LINE_8, 4)
    return cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)


def _capsules(points: np.ndarray, size: float) -> np.ndarray:
    """(n, 2 * ROUND, 2): outlines of the hulls of two discs each, for the fingers, the palm's rim and the arm."""
    starts, ends, radii_a, radii_b = [], [], [], []
    for finger, thickness in zip(FINGERS, THICKNESS, strict=True):
        radii = np.array(RADII) * thickness * size
        joints = points[list(finger)]
        beyond = joints[-1] - joints[-2]
        joints[-1] += beyond / max(float(np.hypot(*beyond)), 1e-6) * TIP * size
        starts += list(joints[:-1])
        ends += list(joints[1:])
        radii_a += list(radii[:-1])
        radii_b += list(radii[1:])
    rim = points[list(KNUCKLES)]
    wrist = points[WRIST]
    starts += [*rim, wrist]
    ends += [*np.roll(rim, 1, 0), wrist + _arm(points) * FOREARM * size]
    radii_a += [PALM_RADIUS * size] * len(rim) + [ARM_RADIUS * size]
    radii_b += [PALM_RADIUS * size] * len(rim) + [ARM_RADIUS * size]
    a, b = np.array(starts), np.array(ends)
    heading = np.arctan2(b[:, 1] - a[:, 1], b[:, 0] - a[:, 0])[:, None]
    half = np.linspace(np.pi / 2, 3 * np.pi / 2, ROUND)
    discs = []
    for centre, radius, turn in ((a, radii_a, heading + half), (b, radii_b, heading + half + np.pi)):
        rim_points = np.stack([np.cos(turn), np.sin(turn)], -1) * np.array(radius)[:, None, None]
        discs.append(centre[:, None] + rim_points)
    return np.concatenate(discs, 1)


def _arm(points: np.ndarray) -> np.ndarray:
    """Unit vector from the palm over the wrist."""
    along = points[WRIST] - points[[5, 9, 13, 17]].mean(0)
    return along / max(float(np.hypot(*along)), 1e-6)
