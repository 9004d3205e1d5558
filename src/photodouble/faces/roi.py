"""The square, turned part of a picture in which the landmarks of one face are looked for."""

import math
from dataclasses import dataclass

import numpy as np

SCALE = 1.5
"""The square's side over the longer side of the face's box, as in MediaPipe's face landmarker."""


@dataclass(frozen=True)
class Roi:
    """A square turned by `angle`. Plate pixels; `angle` in radians, clockwise in the picture.

    Attributes:
        x, y: centre.
        size: side.
        angle: of the eye line; 0 for an upright face.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3) float64: plate pixels to the pixels of a size x size crop of this square."""
        factor = size / self.size
        c, s = math.cos(self.angle) * factor, math.sin(self.angle) * factor
        middle = (size - 1) / 2
        return np.array([[c, s, middle - c * self.x - s * self.y], [-s, c, middle + s * self.x - c * self.y]])

    @staticmethod
    def of_box(box: np.ndarray, points: np.ndarray | None = None) -> "Roi":
        """Around a detector's box (x0, y0, x1, y1), turned by the eyes, the first two of its `points` if given."""
        x0, y0, x1, y1 = (float(v) for v in box)
        angle = 0.0 if points is None else math.atan2(points[1][1] - points[0][1], points[1][0] - points[0][0])
        return Roi((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) * SCALE, angle)

    @staticmethod
    def of_landmarks(landmarks: np.ndarray) -> "Roi":
        """Around a face's (478, 2 or 3) landmarks, turned by the line through its outer eye corners."""
        points = np.asarray(landmarks, np.float64)[:, :2]
        along = points[263] - points[33]
        angle = math.atan2(along[1], along[0])
        c, s = math.cos(angle), math.sin(angle)
        upright = points @ np.array([[c, -s], [s, c]])  # the box is taken in the turned frame
        low, high = upright.min(0), upright.max(0)
        middle = np.array([[c, -s], [s, c]]) @ ((low + high) / 2)
        return Roi(float(middle[0]), float(middle[1]), float((high - low).max()) * SCALE, angle)
