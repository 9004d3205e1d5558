"""Faces of AI-generated people, found once for all tests of this room."""

import numpy as np
import pytest

from photodouble import weights
from photodouble.faces import FACE, Face, Tracker, alignment, crop, find_faces, transform
from photodouble.media import read_picture
from photodouble.retarget import Wanted
from photodouble.retarget.mesh import know

SIZE = 256


@pytest.fixture(scope="session")
def sheets() -> dict[str, list[tuple[np.ndarray, Face]]]:
    """Of two people, a dozen or so expressions each: crops of 256 x 256 RGB and faces in the crops' pixels."""
    tracker = Tracker()
    found = {}
    for person in ("p001", "p002"):
        image = np.ascontiguousarray(read_picture(weights.path(f"person_{person}_emotions"))[..., :3])
        found[person] = []
        for face in find_faces(image, lambda: tracker):
            matrix = alignment(face.landmarks, SIZE, FACE)
            picture = crop(image, matrix, SIZE)
            face.landmarks = transform(face.landmarks, matrix).astype(np.float32)
            found[person].append((picture, face))
    return found


@pytest.fixture(scope="session")
def people(sheets) -> dict[str, Wanted]:
    """The same as `mesh` knows them."""
    return {person: _known(faces) for person, faces in sheets.items()}


def _known(faces: list[tuple[np.ndarray, Face]]) -> Wanted:
    landmarks = np.stack([face.landmarks for _, face in faces])
    blendshapes = np.stack([face.blendshapes for _, face in faces])
    return know(landmarks, blendshapes, np.zeros(len(faces)), lambda i: faces[i][0])
