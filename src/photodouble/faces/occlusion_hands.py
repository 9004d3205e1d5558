"""Hands in a picture: palms found, 21 landmarks each, by MediaPipe's palm and hand models (Apache-2.0).

Model cards: "MediaPipe Hands" (Lite/Full, 2021). Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking",
2020, arXiv 2006.10214: palms are found by a single-shot detector whose box is turned by the line from wrist to
middle finger and enlarged; the landmarks of one frame give the region of the next.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from photodouble import weights
from photodouble.faces.alignment import crop, invert, transform
from photodouble.faces.landmarks import _interpreter
from photodouble.faces.roi import Roi

WRIST, MIDDLE = 0, 9
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
"""Thumb to little finger, each from the joint nearest to the wrist to the tip."""
KNUCKLES = (0, 1, 2, 5, 9, 13, 17)
"""The palm's outline."""

PALM_SIDE, HAND_SIDE = 192, 224
"""Sides of the two models' input pictures, pixels."""

PALM_SCALE, PALM_SHIFT = 2.6, 0.5
HAND_SCALE, HAND_SHIFT = 2.0, 0.1
"""The next region: side over that of the palm's box (of the steady landmarks' box), shift towards the fingers."""

STEADY = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Landmarks whose box the next region is made of: without the outer finger joints, which move most."""


@dataclass(frozen=True)
class Hand:
    """One hand: `points` (21, 3) float32 in plate pixels (z in the scale of x), `presence` 0..1."""

    points: np.ndarray
    presence: float

    @property
    def size(self) -> float:
        """Mean distance from the wrist to three knuckles in plate pixels: about 9 cm on an adult's hand."""
        return float(np.linalg.norm(self.points[[5, 9, 17]] - self.points[WRIST], axis=1).mean())

    def roi(self) -> Roi:
        """Where this hand's landmarks are to be looked for in the next frame."""
        points = self.points[:, :2].astype(np.float64)
        along = 0.25 * (points[5] + points[13]) + 0.5 * points[MIDDLE] - points[WRIST]
        angle = math.atan2(along[0], -along[1])
        c, s = math.cos(angle), math.sin(angle)
        turn = np.array([[c, s], [-s, c]])
        upright = points[list(STEADY)] @ turn.T
        low, high = upright.min(0), upright.max(0)
        side = float((high - low).max())
        x, y = turn.T @ ((low + high) / 2 - (0, HAND_SHIFT * side))
        return Roi(float(x), float(y), HAND_SCALE * side, angle)


class PalmDetector:
    """Finds palms in a square of a picture. One instance serves one thread at a time."""

    def __init__(self, path: Path | None = None, threshold: float = 0.3) -> None:
        """Load it from `path`, by default fetched once through `photodouble.weights`; scores below are dropped."""
        self._model = _interpreter((path or weights.path("palm_detection")).read_bytes(), 2)
        self._input = self._model.get_input_details()[0]["index"]
        self._boxes, self._scores = (item["index"] for item in self._model.get_output_details())
        self._anchors = _anchors()
        self._threshold = threshold

    def __call__(self, image: np.ndarray, square: Roi) -> list[tuple[float, Roi]]:
        """Score (0..1) and hand region of every palm, the surest first.

        Args:
            image: H x W x 3 RGB uint8.
            square: where to look; its angle is 0. Outside of the picture it is black.
        """
        matrix = square.matrix(PALM_SIDE)
        picture = _framed(image, square)
        self._model.set_tensor(self._input, picture[None].astype(np.float32) * np.float32(1 / 255))
        self._model.invoke()
        scores = self._model.get_tensor(self._scores)[0, :, 0]
        scores = 1 / (1 + np.exp(-np.clip(scores, -60, 60)))
        chosen = np.flatnonzero(scores >= self._threshold)
        values = self._model.get_tensor(self._boxes)[0][chosen]
        anchors = self._anchors[chosen]
        boxes = np.c_[values[:, :2] + anchors - values[:, 2:4] / 2, values[:, 2:4]]
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores[chosen].tolist(), self._threshold, 0.3)
        back = invert(matrix)
        found = []
        for i in np.asarray(kept, int).ravel():
            keys = values[i, 4:].reshape(7, 2) + anchors[i]
            along = keys[2] - keys[0]  # from the wrist to the middle finger's knuckle
            angle = math.atan2(along[0], -along[1])
            side = float(boxes[i, 2:].max())
            ahead = np.array([math.sin(angle), -math.cos(angle)]) * (PALM_SHIFT * side)
            x, y = transform((boxes[i, :2] + boxes[i, 2:] / 2 + ahead - 0.5)[None], back)[0]
            scale = square.size / PALM_SIDE
            found.append((float(scores[chosen][i]), Roi(float(x), float(y), PALM_SCALE * side * scale, angle)))
        return sorted(found, key=lambda item: -item[0])


class HandLandmarker:
    """The 21 landmarks of the hand in a region. One instance serves one thread at a time."""

    def __init__(self, path: Path | None = None) -> None:
        """Load it from `path`, by default fetched once through `photodouble.weights`."""
        self._model = _interpreter((path or weights.path("hand_landmark")).read_bytes(), 2)
        self._input = self._model.get_input_details()[0]["index"]
        outputs = {item["name"]: item["index"] for item in self._model.get_output_details()}
        self._points, self._presence = outputs["Identity"], outputs["Identity_1"]

    def __call__(self, image: np.ndarray, roi: Roi) -> Hand:
        """The hand inside `roi` of `image` (H x W x 3 RGB uint8); its fingers point up in the turned square."""
        matrix = roi.matrix(HAND_SIDE)
        picture = crop(image, matrix, HAND_SIDE, cv2.INTER_LINEAR)
        self._model.set_tensor(self._input, picture[None].astype(np.float32) * np.float32(1 / 255))
        self._model.invoke()
        raw = self._model.get_tensor(self._points).reshape(21, 3).astype(np.float64)
        raw[:, :2] -= 0.5  # the model counts from the pixels' corners
        presence = float(np.clip(self._model.get_tensor(self._presence).reshape(()), 0, 1))
        return Hand(transform(raw, invert(matrix)).astype(np.float32), presence)


def _anchors() -> np.ndarray:
    """(2016, 2): centres of the detector's anchors in input pixels: 2 a cell of 8 pixels, then 6 a cell of 16."""
    levels = []
    for stride, count in ((8, 2), (16, 6)):
        centres = (np.arange(PALM_SIDE // stride) + 0.5) * stride
        x, y = np.meshgrid(centres, centres)
        levels.append(np.repeat(np.c_[x.ravel(), y.ravel()], count, axis=0))
    return np.concatenate(levels)


def _framed(image: np.ndarray, square: Roi) -> np.ndarray:
    """PALM_SIDE^2 x 3 crop of an unturned square, black where it leaves the picture, as the detector was trained."""
    matrix = square.matrix(PALM_SIDE)
    picture = crop(image, matrix, PALM_SIDE, cv2.INTER_LINEAR)
    height, width = image.shape[:2]
    corners = transform(np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]), matrix)
    (x0, y0), (x1, y1) = np.clip(np.ceil(corners), 0, PALM_SIDE).astype(int).tolist()
    framed = np.zeros_like(picture)
    framed[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    return framed
