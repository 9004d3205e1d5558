"""From plate pixels to crop pixels and back: one similarity for each face.

A matrix is 2 x 3 float32 and maps (x, y, 1) of the plate to (x, y) of the crop; pixel centres are at integers.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from photodouble.faces import topology

STEADY = (33, 133, 362, 263, 168, 6, 197, 195, 5, 98, 2, 327)
"""Landmarks that expressions move least: the eyes' corners, the bridge of the nose and its base."""

TEMPLATE = np.array(
    [
        *((-4.4459, 2.6640), (-1.8564, 2.5852), (1.8564, 2.5852), (4.4459, 2.6640)),
        *((0.0, 3.2710), (0.0, 2.4733), (0.0, 1.7284), (0.0, 1.0594), (0.0, 0.3657)),
        *((-1.4056, -1.7142), (0.0, -2.0890), (1.4056, -1.7142)),
    ],
    np.float64,
)
"""The steady points of MediaPipe's canonical face seen from the front: x to the picture's right, y up, in cm."""

TEMPLATE_EYE = (3.1601, 2.6431)
"""The left eye's centre (the mean of its lid points) there."""


@dataclass(frozen=True)
class Layout:
    """Where an upright frontal face lies in its crop, in parts of the crop's size.

    Attributes:
        eye_distance: between the centres of the two eyes.
        eye_y: height of the line through them, from the top.
    """

    eye_distance: float
    eye_y: float


FACE = Layout(0.27, 0.38)
"""The whole face with some margin: what extract stores."""

INNER = Layout(0.36, 0.27)
"""From the brows to the chin: what networks see."""


def alignment(landmarks: np.ndarray, size: int, layout: Layout = FACE) -> np.ndarray:
    """The similarity that takes a face's steady points nearest to the template, in least squares.

    Args:
        landmarks: (478, 2 or 3) or (n, 478, 2 or 3), plate pixels.
        size: of the crop, pixels.
        layout: where the face is to lie.

    Returns:
        (2, 3) or (n, 2, 3) float32. It depends smoothly on the landmarks: nothing is picked or rejected.
        Closed form of Umeyama (1991), "Least-squares estimation of transformation parameters between two point
        patterns"; in two dimensions a rotation and a scale are one complex number.
    """
    points = np.asarray(landmarks, np.float64)[..., STEADY, :2]
    source = points[..., 0] + 1j * points[..., 1]
    target = _template(size, layout)
    source_mean = source.mean(-1, keepdims=True)
    target_mean = target.mean()
    centred = source - source_mean
    spread = np.maximum((abs(centred) ** 2).sum(-1, keepdims=True), 1e-12)
    turn = (centred.conj() * (target - target_mean)).sum(-1, keepdims=True) / spread
    shift = target_mean - turn * source_mean
    turn, shift = turn[..., 0], shift[..., 0]
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.stack([np.stack(row, -1) for row in rows], -2).astype(np.float32)


def _template(size: int, layout: Layout) -> np.ndarray:
    """The template as complex crop coordinates, (12,)."""
    pixels = layout.eye_distance * size / (2 * TEMPLATE_EYE[0])
    x = TEMPLATE[:, 0] * pixels + (size - 1) / 2
    y = (TEMPLATE_EYE[1] - TEMPLATE[:, 1]) * pixels + layout.eye_y * size - 0.5
    return x + 1j * y


def transform(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map points through a matrix.

    Args:
        points: (..., 2) or (..., 3); a third coordinate is multiplied by the matrix's scale.
        matrix: (2, 3), or (n, 2, 3) for points (n, m, 2 or 3).

    Returns:
        Same shape as `points`, float32.
    """
    matrix = np.asarray(matrix, np.float64)
    points = np.asarray(points, np.float64)
    linear, shift = matrix[..., :2], matrix[..., 2]
    flat = points[..., :2] @ np.swapaxes(linear, -1, -2) + (shift[..., None, :] if matrix.ndim == 3 else shift)
    if points.shape[-1] == 2:
        return flat.astype(np.float32)
    factor = scale(matrix)
    depth = points[..., 2:] * (factor[..., None, None] if matrix.ndim == 3 else factor)
    return np.concatenate([flat, depth], -1).astype(np.float32)


def invert(matrix: np.ndarray) -> np.ndarray:
    """The matrix that undoes `matrix`; (2, 3) or (n, 2, 3), float32."""
    matrix = np.asarray(matrix, np.float64)
    a, b, x = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2]
    c, d, y = matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2]
    undone = np.empty(matrix.shape, np.float32)
    area = a * d - b * c
    undone[..., 0, 0], undone[..., 0, 1], undone[..., 0, 2] = d / area, -b / area, (b * y - d * x) / area
    undone[..., 1, 0], undone[..., 1, 1], undone[..., 1, 2] = -c / area, a / area, (c * x - a * y) / area
    return undone


def scale(matrix: np.ndarray) -> np.ndarray:
    """Crop pixels per plate pixel of a (…, 2, 3) matrix."""
    matrix = np.asarray(matrix, np.float64)
    return np.sqrt(abs(matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]))


def crop(image: np.ndarray, matrix: np.ndarray, size: int, interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
    """Cut the face out of a picture.

    Args:
        image: H x W (x C), uint8, uint16 or float32.
        matrix: (2, 3), plate pixels to crop pixels.
        size: of the crop, pixels.
        interpolation: OpenCV's number of the kernel.

    Returns:
        size x size (x C), same dtype. Where the crop leaves the picture, the picture's edge is repeated.
        A face that must shrink by two or more is averaged over whole blocks of pixels first, so nothing aliases.
    """
    matrix = np.asarray(matrix, np.float64)
    step = min(int(1 / max(float(scale(matrix)), 1e-6)), *image.shape[:2])
    if step >= 2:
        image, (x, y) = _cut(image, matrix, size)
        step = min(step, *image.shape[:2])
        height, width = (n // step for n in image.shape[:2])
        image = cv2.resize(image[: height * step, : width * step], (width, height), interpolation=cv2.INTER_AREA)
        # A pixel of the averaged picture at u covers the plate's pixels from u * step + x on.
        matrix = matrix @ np.array([[step, 0, x + (step - 1) / 2], [0, step, y + (step - 1) / 2], [0, 0, 1]])
    return cv2.warpAffine(image, matrix, (size, size), flags=interpolation, borderMode=cv2.BORDER_REPLICATE)


def grey_crop(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Like `crop` with linear interpolation, of an H x W x 3 RGB uint8 picture, as size x size grey."""
    matrix = np.asarray(matrix, np.float64)
    part, offset = _cut(image, matrix, size)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ offset
    return crop(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), shifted, size, cv2.INTER_LINEAR)


def _cut(image: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of `image` that the crop can see, and its x, y offset: what lies elsewhere need not be averaged."""
    height, width = image.shape[:2]
    # Plain numbers: this runs several times a frame, and arrays of four points cost more than the picture's work.
    (a, b, x), (c, d, y) = matrix.tolist()
    area = a * d - b * c
    x0, y0, x1, y1 = 0, 0, width, height
    if math.isfinite(area + x + y) and abs(area) > 1e-12:
        corners = [(u - x, v - y) for u in (-0.5, size - 0.5) for v in (-0.5, size - 0.5)]
        across, down = [(d * u - b * v) / area for u, v in corners], [(a * v - c * u) / area for u, v in corners]
        margin = 3 * max(1.0, 1 / math.sqrt(abs(area)))
        x0, x1 = (min(max(math.floor(v), 0), width) for v in (min(across) - margin, max(across) + margin + 1))
        y0, y1 = (min(max(math.floor(v), 0), height) for v in (min(down) - margin, max(down) + margin + 1))
    if x1 - x0 < 1 or y1 - y0 < 1:  # the crop sees only what lies beyond the picture's edge
        x0, y0, x1, y1 = 0, 0, width, height
    return image[y0:y1, x0:x1], (x0, y0)


def eye_centres(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the lid points of the right and of the left eye: two arrays (..., 2)."""
    points = np.asarray(landmarks)[..., :2]
    return points[..., topology.RIGHT_EYE, :].mean(-2), points[..., topology.LEFT_EYE, :].mean(-2)
