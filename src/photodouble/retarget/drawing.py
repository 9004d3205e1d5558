"""Landmarks as a picture, so that a convolution can see what the face does."""

import cv2
import numpy as np

from photodouble.faces.topology import (
    BROWS,
    LEFT_EYE,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    NOSE,
    OVAL,
    RIGHT_EYE,
    RIGHT_IRIS,
)

SHIFT = 4
"""Binary digits behind the point in OpenCV's coordinates."""


def drawing(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Draw a face's landmarks.

    Args:
        landmarks: (478, 2 or 3) in pixels of the crop.
        size: of the crop.

    Returns:
        size x size x 3 uint8: the lips, filled (130) and open (255); the eyes, filled (120), with their irises (255);
        brows, nose and outline as lines (180).
    """
    points = np.asarray(landmarks, np.float32)[:, :2]
    lips, eyes, lines = (np.zeros((size, size), np.uint8) for _ in range(3))
    _fill(lips, points, LIPS_OUTER, 130)
    _fill(lips, points, LIPS_INNER, 255)
    irises = np.zeros((size, size), np.uint8)
    for lids, iris in ((RIGHT_EYE, RIGHT_IRIS), (LEFT_EYE, LEFT_IRIS)):
        _fill(eyes, points, lids, 120)
        centre = points[iris[0]]
        radius = float(np.linalg.norm(points[list(iris[1:])] - centre, axis=1).mean())
        at = np.round(centre * (1 << SHIFT)).astype(int)
        cv2.circle(irises, (int(at[0]), int(at[1])), round(radius * (1 << SHIFT)), 135, -1, cv2.LINE_AA, SHIFT)
    eyes = np.where(eyes > 0, cv2.add(eyes, irises), eyes)
    for line, closed in ((BROWS[0], True), (BROWS[1], True), (NOSE, False), (OVAL, True)):
        cv2.polylines(lines, _fixed(points, line), closed, 180, max(1, size // 64), cv2.LINE_AA, SHIFT)
    return np.dstack([lips, eyes, lines])


def _fill(picture: np.ndarray, points: np.ndarray, outline: tuple[int, ...], value: int) -> None:
    cv2.fillPoly(picture, _fixed(points, outline), value, cv2.LINE_AA, SHIFT)


def _fixed(points: np.ndarray, which: tuple[int, ...]) -> list[np.ndarray]:
    return [np.round(points[list(which)] * (1 << SHIFT)).astype(np.int32)]
