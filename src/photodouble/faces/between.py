"""Landmarks of the frames between two that the network has seen: optical flow from both sides, and whether they agree.

Flow from the frame before and from the frame after are two opinions about where each point went. Where they differ
little, their mean is as near to what the network would say as the network is to itself when its window moves by a
hundredth (measured: benchmarks/RESULTS.md); where they differ, something happened that flow cannot follow.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from photodouble.faces import topology
from photodouble.faces.alignment import eye_centres, grey_crop, scale, transform
from photodouble.faces.roi import SCALE, Roi

SIDE = 128
"""Side of the pictures that flow is computed of."""

MARGIN = 1.15
"""Their side over the longer side of the box that holds the face from the first to the last of them."""

EYES = (*topology.RIGHT_EYE, *topology.LEFT_EYE, *topology.RIGHT_IRIS, *topology.LEFT_IRIS)
LIPS = (*topology.LIPS_OUTER, *topology.LIPS_INNER)

TOLERANCES = np.array([0.03, 0.045, 0.04], np.float32)
"""Mean distance between the two opinions, in parts of the distance between the eyes, up to which they agree: of the
eyes' points, of the lips', of all."""

GROUPS = np.zeros((478, 3), np.float32)
"""Weights that take points to the means over those three."""
GROUPS[EYES, 0], GROUPS[LIPS, 1], GROUPS[:, 2] = 1 / len(EYES), 1 / len(LIPS), 1 / 478

BENT = 0.01
"""Part of the distance between the eyes by which eyes or lips may leave the straight way from one seen frame to the
next; up to that, blendshapes lie on the straight way too."""


@dataclass(frozen=True)
class Between:
    """What flow says of one frame.

    Attributes:
        points: (478, 3) float32, plate pixels.
        sure: whether both opinions agree.
        straight: whether eyes and lips are where they would be if nothing but time lay between the two seen frames.
    """

    points: np.ndarray
    sure: bool
    straight: bool


class Flow:
    """Dense inverse search flow (Kroeger et al. 2016) between small pictures of one face in consecutive frames.

    Each flow is computed once, however often it is asked for.
    """

    def __init__(self, images: list[np.ndarray], first: np.ndarray, last: np.ndarray) -> None:
        """Cut the face out.

        Args:
            images: frames, H x W x 3 uint8 RGB, at least two.
            first, last: (478, 3) landmarks in the first and in the last one.
        """
        roi = Roi.of_landmarks(np.concatenate([first, last]))
        self._matrix = replace(roi, size=roi.size * MARGIN / SCALE).matrix(SIDE)
        self._back = (self._matrix[:, :2] / scale(self._matrix) ** 2).astype(np.float32)
        self._pictures = [grey_crop(image, self._matrix, SIDE) for image in images]
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def between(self, start: int, stop: int, first: np.ndarray, last: np.ndarray) -> list[Between]:
        """Landmarks of the frames after `start` and before `stop`, from those in these two, (478, 3) plate pixels."""
        at_first, at_last = transform(np.stack([first, last])[..., :2], np.stack([self._matrix, self._matrix]))
        found = []
        for number in range(start + 1, stop):
            along = np.float32((number - start) / (stop - start))
            a = first[:, :2] + self._moved(start, number, at_first)
            b = last[:, :2] + self._moved(stop, number, at_last)
            found.append(_judged((1 - along) * first + along * last, a, b, along))
        return found

    def _moved(self, source: int, target: int, at: np.ndarray) -> np.ndarray:
        """By how much points of one picture moved until another one: (478, 2), plate pixels."""
        flow = self._known.get((source, target))
        if flow is None:
            pictures, empty = self._pictures, np.zeros((SIDE, SIDE, 2), np.float32)
            flow = self._known[source, target] = self._search.calc(pictures[source], pictures[target], empty)
        moved = cv2.remap(flow, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        return moved @ self._back


def _judged(points: np.ndarray, a: np.ndarray, b: np.ndarray, along: np.float32) -> Between:
    """What two opinions (478, 2) on landmarks `points` come to, which lie on the straight way; `points` is used up."""
    eyes = eye_centres(points)
    unit = max(math.dist(*eyes), 1e-6)
    apart = _means(a - b) / unit
    off = (1 - along) * a + along * b - points[:, :2]
    bent = _means(off - off.mean(0)) / unit
    points[:, :2] += off
    return Between(points, bool((apart < TOLERANCES).all()), bool(bent[:2].max() < BENT))


def _means(steps: np.ndarray) -> np.ndarray:
    """Mean length of vectors (478, 2) over eyes, lips and all: (3,)."""
    return np.sqrt(np.einsum("ij,ij->i", steps, steps)) @ GROUPS
