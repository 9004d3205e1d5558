"""A hand's landmarks and the picture as a matte.

The landmarks say to within half a finger's width where the hand is; its edge is the strongest edge of the picture
between a thin silhouette, which is hand for certain, and a wide one, beyond which nothing is: a watershed from these
two (Meyer, 1991; OpenCV's). A hand that moves fast has no edge: it is the silhouette, smeared over the exposure.
"""

import cv2
import numpy as np

from photodouble.faces.occlusion_hands import Hand
from photodouble.faces.occlusion_shape import extent, silhouette

INNER, OUTER = 0.65, 1.85
"""Widths between which the edge is looked for, chosen on four frames of the demo's plate traced by hand: overlap with
the hand inside the face 0.88, 0.87 with 0.6 to 0.7 and 1.7, 0.85 with 1.5, 0.75 with the silhouette alone."""

LOBE = 9
"""Lobes of the found edge that are thinner than half of this are cut off, pixels that are worked on."""
SMEARED = 1.2
"""Width of the silhouette of a moving hand: a rim of the plate's own skin is not seen, a finger cut off is."""

RESOLUTION = 110
"""A larger hand is worked on at this size (pixels), which bounds the time; the edge is as much softer."""

SOFTNESS = 0.9
"""Sigma of the matte's edge in the pixels that are worked on."""

SHUTTER = 0.5
"""Part of the time between two frames in which the film is exposed (180 degrees)."""
SLOW, FAST = 0.08, 0.16
"""Smear in parts of the hand's size up to which the picture's edges are believed, and from which the silhouette is."""
MOST_STEPS = 9


def paint(hand: Hand, image: np.ndarray, motion: np.ndarray | None = None) -> np.ndarray:
    """Matte of one hand.

    Args:
        hand: where it is in the middle of the exposure.
        image: H x W x 3 RGB; uint8, uint16 or float32 (1.0 is white).
        motion: (21, 2 or 3) how far each landmark moves from frame to frame, plate pixels; None: it rests.

    Returns:
        H x W float32, 0..1.
    """
    height, width = image.shape[:2]
    matte = np.zeros((height, width), np.float32)
    points, size = hand.points[:, :2].astype(np.float64), hand.size
    if not np.isfinite(points).all() or size < 2:
        return matte
    travel = np.zeros_like(points) if motion is None else np.asarray(motion, np.float64)[:, :2] * SHUTTER
    low, high = extent(points, size)
    margin = 0.35 * size + np.abs(travel).max() + 4
    x0, y0 = np.floor(np.clip(low - margin, 0, (width, height))).astype(int).tolist()
    x1, y1 = np.ceil(np.clip(high + margin, 0, (width, height))).astype(int).tolist()
    if x1 - x0 < 3 or y1 - y0 < 3:
        return matte
    cut = image[y0:y1, x0:x1]
    factor = min(1.0, RESOLUTION / size)
    shape = (max(round((y1 - y0) * factor), 3), max(round((x1 - x0) * factor), 3))
    scale = np.array([shape[1] / (x1 - x0), shape[0] / (y1 - y0)])
    points = (points - (x0, y0) + 0.5) * scale - 0.5
    small = _painted(_eight_bits(cut), points, size * float(scale.mean()), travel * scale, shape)
    whole = small if factor == 1 else cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    matte[y0:y1, x0:x1] = whole
    return matte


def union(mattes: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """H x W float32: the largest of several mattes, all zero if there is none."""
    return np.maximum.reduce(mattes) if mattes else np.zeros(shape, np.float32)


def _painted(
    image: np.ndarray, points: np.ndarray, size: float, travel: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Matte of the given shape; `image` (uint8) is brought to it, the other numbers are in its pixels."""
    smear = float(np.linalg.norm(travel, axis=1).max())
    trust = float(np.clip((FAST - smear / size) / (FAST - SLOW), 0, 1))
    matte = np.zeros(shape, np.float32)
    if trust > 0:
        matte += trust * _by_edges(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA), points, size)
    if trust < 1:
        matte += (1 - trust) * _by_shape(points, size, travel, shape)
    # The picture's edge is no edge of the hand: a hand that it cuts off stays opaque there.
    return cv2.GaussianBlur(matte, (0, 0), SOFTNESS, borderType=cv2.BORDER_REPLICATE)


def _by_edges(image: np.ndarray, points: np.ndarray, size: float) -> np.ndarray:
    shape = image.shape[:2]
    inside = silhouette(points, size, shape, INNER) > 127
    outside = silhouette(points, size, shape, OUTER) < 127
    labels = inside + 2 * outside.astype(np.int32)
    # Grain makes false edges. The frame keeps its labels, which OpenCV's watershed would take for itself.
    padded = cv2.copyMakeBorder(cv2.GaussianBlur(image, (0, 0), 0.7), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    found = cv2.watershed(padded, cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_REPLICATE))
    hand = (found[1:-1, 1:-1] == 1).astype(np.uint8)
    return cv2.medianBlur(hand, LOBE).astype(np.float32)  # thin lobes along false edges go


def _by_shape(points: np.ndarray, size: float, travel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    longest = float(np.linalg.norm(travel, axis=1).max())
    # Half a finger's width per step at most, or the smear would show its steps.
    steps = int(np.clip(np.ceil(longest / max(0.05 * size, 1)), 1, MOST_STEPS))
    total = np.zeros(shape, np.float32)
    for part in (np.arange(steps) + 0.5) / steps - 0.5:
        total += silhouette(points + part * travel, size, shape, SMEARED)
    return total / (255 * steps)


def _eight_bits(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    return (np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8)
