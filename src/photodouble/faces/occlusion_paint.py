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
FOREARM = 0.8
"""Length of the arm that is taken to go on straight behind the wrist, in parts of the hand's size."""

SOFTNESS = 0.012
"""Sigma of the matte's edge, in parts of the hand's size; at least 0.6 pixels."""
SHUTTER = 0.5
"""Part of the time between two frames in which the film is exposed (180 degrees): fast fingers are smeared over it."""
MOST_STEPS = 9

_SHIFT = 4  # OpenCV draws in 1/16 pixels


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
    """uint8 picture of the given shape, 255 inside the hand."""
    canvas = np.zeros(shape, np.uint8)
    for finger, thickness in zip(FINGERS, THICKNESS, strict=True):
        radii = np.array(RADII) * thickness * size
        joints = points[list(finger)]
        end = joints[-1] - joints[-2]
        joints[-1] += end / max(float(np.hypot(*end)), 1e-6) * TIP * size
        for i in range(3):
            _capsule(canvas, joints[i], joints[i + 1], radii[i], radii[i + 1])
    outline = points[list(KNUCKLES)]
    hull = cv2.convexHull(np.round(outline * (1 << _SHIFT)).astype(np.int32))
    cv2.fillConvexPoly(canvas, hull, 255, cv2.LINE_AA, _SHIFT)
    radius = PALM_RADIUS * size
    for i in range(len(outline)):
        _capsule(canvas, outline[i - 1], outline[i], radius, radius)
    wrist = points[WRIST]
    _capsule(canvas, wrist, wrist + _arm(points) * FOREARM * size, 0.3 * size, 0.3 * size)
    return canvas


def _arm(points: np.ndarray) -> np.ndarray:
    """Unit vector from the palm over the wrist."""
    along = points[WRIST] - points[[5, 9, 13, 17]].mean(0)
    return along / max(float(np.hypot(*along)), 1e-6)


def _capsule(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, radius_a: float, radius_b: float) -> None:
    """Draw the hull of two discs."""
    along = b - a
    across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    corners = np.array([a + across * radius_a, b + across * radius_b, b - across * radius_b, a - across * radius_a])
    unit = 1 << _SHIFT
    cv2.fillConvexPoly(canvas, np.round(corners * unit).astype(np.int32), 255, cv2.LINE_AA, _SHIFT)
    for centre, radius in ((a, radius_a), (b, radius_b)):
        x, y = np.round(centre * unit).astype(int).tolist()
        cv2.circle(canvas, (x, y), round(radius * unit), 255, -1, cv2.LINE_AA, _SHIFT)
