"""Finding faces in a picture. A detector is a part that can be swapped: see `register`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from photodouble import weights
from photodouble.errors import BadInput


@dataclass(frozen=True)
class Detection:
    """A face that a detector found. Plate pixels.

    Attributes:
        box: x0, y0, x1, y1, float32.
        score: 0..1.
        points: 5 x 2 float32: the right eye, the left eye, the nose's tip, the mouth's right and left corner
            (the person's own right, on the picture's left when the face is upright).
    """

    box: np.ndarray
    score: float
    points: np.ndarray


class Detector(Protocol):
    """What finds faces."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Faces in `image` (H x W x 3 RGB uint8), best first."""
        ...


GLANCE = 320
"""Longer side of the copy that a glance searches, pixels: faces of a twentieth of the picture's side are found."""

DETECTORS: dict[str, Callable[[], Detector]] = {}


def register(name: str) -> Callable[[Callable[[], Detector]], Callable[[], Detector]]:
    """Decorator: make a detector available to `create_detector` under `name`."""

    def add(make: Callable[[], Detector]) -> Callable[[], Detector]:
        DETECTORS[name] = make
        return make

    return add


def create_detector(name: str) -> Detector:
    """The detector called `name`: "yunet", or "hog" with the extra of that name.

    Raises:
        BadInput: there is no such detector, or what it needs is not installed.
    """
    if name not in DETECTORS:
        raise BadInput(f"There is no detector called {name!r}: choose one of {', '.join(sorted(DETECTORS))}.")
    return DETECTORS[name]()


@register("yunet")
class YuNet:
    """YuNet (Wu, Peng, Yu 2023) through OpenCV's `FaceDetectorYN`: any roll, small faces, occlusions."""

    def __init__(
        self, path: Path | None = None, threshold: float = 0.7, side: int = 640, most: int = 1024, least: int = 320
    ) -> None:
        """Load it.

        Args:
            path: the ONNX file, by default fetched once through `photodouble.weights`.
            threshold: least score; dogs get up to 0.6.
            side, most: larger pictures are searched on a copy whose longer side has `side` pixels, or half as many
                as the picture's up to `most`, so that small faces in large pictures are not lost.
            least: smaller ones on an enlarged copy whose longer side has this many.
        """
        self._net = cv2.FaceDetectorYN.create(str(path or weights.path("yunet")), "", (320, 320), threshold, 0.3, 5000)
        self._side, self._most, self._least = side, most, least
        self._make = lambda: YuNet(path, threshold, min(side, GLANCE), min(most, GLANCE), min(least, GLANCE))

    def glance(self) -> "YuNet":
        """A quicker one, which searches a small copy of large pictures and so misses the smallest faces there."""
        return self._make()

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Faces in `image` (H x W x 3 RGB uint8), best first."""
        height, width = image.shape[:2]
        longest = max(height, width)
        side = max(self._side, min(longest // 2, self._most))
        factor = min(1.0, side / longest) if longest >= self._least else self._least / longest
        small = image
        if factor != 1:
            size = max(round(width * factor), 1), max(round(height * factor), 1)
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        fx, fy = width / small.shape[1], height / small.shape[0]
        self._net.setInputSize((small.shape[1], small.shape[0]))
        found = self._net.detect(np.ascontiguousarray(small[..., ::-1]))[1]
        if found is None:
            return []
        detections = []
        for row in sorted(found, key=lambda row: -row[14]):
            x, y, w, h = row[:4]
            box = np.array([x * fx, y * fy, (x + w) * fx, (y + h) * fy], np.float32)
            detections.append(Detection(box, float(row[14]), (row[4:14].reshape(5, 2) * (fx, fy)).astype(np.float32)))
        return detections
