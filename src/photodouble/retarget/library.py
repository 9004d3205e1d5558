"""The wanted person as `mesh` knows it, from a FaceSet."""

from functools import lru_cache

import numpy as np

from photodouble.errors import BadInput
from photodouble.faces import FaceSet, transform
from photodouble.retarget.mesh import Wanted, know

MOST = 800
"""Pictures to choose from; of more, these many are taken evenly."""

KEPT = 48
"""Decoded pictures kept in memory."""

BLURRED, UNLIKE = 0.003, 0.05
"""Price of a picture of half the usual sharpness, and of one that looks like nobody in particular."""


def know_faces(faces: FaceSet, most: int = MOST) -> tuple[Wanted, np.ndarray]:
    """The wanted person from its FaceSet, and which rows of the set are used (n,).

    Raises:
        BadInput: the set is empty.
    """
    if not len(faces):
        raise BadInput(f"There are no faces in {faces.folder}: extract footage or pictures of the person first.")
    rows = np.unique(np.linspace(0, len(faces) - 1, most).round().astype(int))
    landmarks = crop_landmarks(faces, rows)
    likeness = faces.embedding[rows] @ _mean(faces.embedding)
    sharp = np.log2(np.maximum(np.median(faces.sharpness), 1e-3) / np.maximum(faces.sharpness[rows], 1e-3))
    price = BLURRED * np.clip(sharp, 0, 4) + UNLIKE * np.clip(1 - likeness, 0, 1) ** 2
    return know(landmarks, faces.blendshapes[rows], price, lru_cache(KEPT)(lambda i: faces.crop(int(rows[i])))), rows


def crop_landmarks(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    """Landmarks of some faces in the pixels of their crops, (n, 478, 3) float32."""
    result = np.empty((len(rows), 478, 3), np.float32)
    for start in range(0, len(rows), 256):
        some = rows[start : start + 256]
        low, high = int(some[0]), int(some[-1]) + 1
        points = faces.landmarks(low, high)[some - low]
        result[start : start + len(some)] = transform(points, faces.matrices(low, high)[some - low])
    return result


def _mean(embeddings: np.ndarray) -> np.ndarray:
    total = embeddings.sum(0)
    return total / max(float(np.linalg.norm(total)), 1e-6)
