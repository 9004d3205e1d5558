"""Landmarks of the frames between two that the network has seen: optical flow from both sides, and whether they agree.

Flow from the frame before and from the frame after are two opinions about where each point went. Where they differ
little, their mean is as near to what the network would say as the network is to itself when its window moves by a
hundredth (measured: benchmarks/RESULTS.md); where they differ, something happened that flow cannot follow.
"""

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

TOLERANCE = {"eyes": 0.03, "lips": 0.045, "all": 0.04}
"""Mean distance between the two opinions, in parts of the distance between the eyes, up to which they agree."""

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
    """Dense inverse search flow (Kroeger et al. 2016) between small pictures of one face. For one thread at a time."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def between(self, images: list[np.ndarray], first: np.ndarray, last: np.ndarray) -> list[Between]:
        """Landmarks of the frames between the first and the last picture.

        Args:
            images: consecutive frames, H x W x 3 uint8 RGB, at least two.
            first, last: (478, 3) landmarks in the first and in the last one.
        """
        roi = Roi.of_landmarks(np.concatenate([first, last]))
        matrix = replace(roi, size=roi.size * MARGIN / SCALE).matrix(SIDE)
        pictures = [grey_crop(image, matrix, SIDE) for image in images]
        steps = len(images) - 1
        return [self._one(pictures, first, last, number / steps, number, matrix) for number in range(1, steps)]

    def _one(
        self,
        pictures: list[np.ndarray],
        first: np.ndarray,
        last: np.ndarray,
        along: float,
        number: int,
        matrix: np.ndarray,
    ) -> Between:
        points = (1 - along) * first + along * last
        a = self._moved(pictures[0], pictures[number], first, matrix)
        b = self._moved(pictures[-1], pictures[number], last, matrix)
        eyes = eye_centres(points)
        unit = max(float(np.linalg.norm(eyes[1] - eyes[0])), 1e-6)
        apart = np.linalg.norm(a - b, axis=1) / unit
        sure = (
            apart[EYES,].mean() < TOLERANCE["eyes"]
            and apart[LIPS,].mean() < TOLERANCE["lips"]
            and apart.mean() < TOLERANCE["all"]
        )
        off = (1 - along) * a + along * b - points[:, :2]
        bent = np.linalg.norm(off - off.mean(0), axis=1) / unit
        points[:, :2] += off
        return Between(points.astype(np.float32), bool(sure), bool(max(bent[EYES,].mean(), bent[LIPS,].mean()) < BENT))

    def _moved(self, source: np.ndarray, target: np.ndarray, points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Where the points of one picture are in another, plate pixels, (478, 2)."""
        flow = self._flow.calc(source, target, np.zeros((SIDE, SIDE, 2), np.float32))
        at = transform(points[:, :2], matrix)
        moved = cv2.remap(flow, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        return points[:, :2] + moved @ matrix[:, :2] / scale(matrix) ** 2
