"""`mesh`: the wanted person's own pictures, warped. Nothing is trained."""

from dataclasses import replace

import cv2
import numpy as np

from photodouble.generators.protocol import Drawn, PlateFace
from photodouble.retarget import Wanted, render

OUTER_CORNERS = (33, 263)
"""Landmarks of the eyes' outer corners."""

SPARE = 1.2
"""Pixels, along an axis, that a reduced drawing has for each one of the pictures: enlarged, it looks as sharp."""


class MeshGenerator:
    """Draws with `retarget.render`."""

    name = "mesh"
    model_digest: str | None = None
    batch = 1

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def draw(self, faces: list[PlateFace]) -> list[Drawn]:
        """Draw some faces."""
        sizes = [self.reduction(face) for face in faces]
        return [enlarged(self.sketch(reduced(face, by)), face, by) for face, by in zip(faces, sizes, strict=True)]

    def reduction(self, face: PlateFace) -> int:
        """How many times smaller a face can be drawn: it still has the pixels of its pictures, and `SPARE`."""
        have = max(eye_distance(self._wanted.landmarks[picture]) for picture in set(face.choice.values()))
        return max(1, int(eye_distance(face.target) / max(SPARE * have, 1e-6)))

    def sketch(self, face: PlateFace) -> Drawn:
        """Draw one face in the size that it has."""
        x0, y0, x1, y1 = face.box
        inside = face.target - np.array([x0, y0, 0], np.float32)
        plate = face.image, face.landmarks
        picture = render(self._wanted, inside, face.choice, (y1 - y0, x1 - x0), plate, face.fade)
        return Drawn(picture, face.target)


def eye_distance(landmarks: np.ndarray) -> float:
    """Between the eyes' outer corners, of landmarks (478, 2 or 3), in their unit."""
    right, left = OUTER_CORNERS
    return float(np.linalg.norm(landmarks[right] - landmarks[left]))


def reduced(face: PlateFace, by: int) -> PlateFace:
    """What a face is drawn from, `by` times smaller: box and target are those of a picture of the box alone."""
    if by == 1:
        return face
    x0, y0, x1, y1 = face.box
    half = np.array([0.5, 0.5, 0], np.float32)
    target = (face.target - np.array([x0, y0, 0], np.float32) + half) / np.float32(by) - half
    return replace(face, target=target, box=(0, 0, -(-(x1 - x0) // by), -(-(y1 - y0) // by)))


def enlarged(drawn: Drawn, face: PlateFace, by: int) -> Drawn:
    """What was drawn of `reduced(face, by)`, in the size of the face's box."""
    if by == 1:
        return drawn
    x0, y0, x1, y1 = face.box

    def large(picture: np.ndarray, kernel: int) -> np.ndarray:
        size = picture.shape[1] * by, picture.shape[0] * by
        return cv2.resize(picture, size, interpolation=kernel)[: y1 - y0, : x1 - x0]

    picture = large(drawn.picture, cv2.INTER_CUBIC)
    opacity = None if drawn.opacity is None else large(drawn.opacity, cv2.INTER_LINEAR)
    return Drawn(np.clip(picture, 0, 255, out=picture), face.target, opacity)
