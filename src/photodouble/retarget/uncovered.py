"""How a plate's own person looks uncovered in a frame's pose and expression, drawn small from the plate's other frames.

What the network that finds covers (`retarget.covered`) is shown: a frame, and what was expected there. It need not
know what skin is, nor anybody's beard or light, only in which way a thing before a face differs from both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from photodouble.faces import FaceSet, alignment, crop, transform
from photodouble.faces.alignment import Layout
from photodouble.faces.topology import OVAL
from photodouble.retarget.mesh import features
from photodouble.retarget.shape import neutral_shape, unpose
from photodouble.retarget.warp import mesh_points, rasterise, source_map, triangulate, warp

SIZE = 64
"""Side of what the network sees, pixels."""

LAYOUT = Layout(0.30, 0.345)
"""Where a face lies in it: the whole outline, of an open mouth too."""

KEPT = 96
"""Side of the kept pictures that predictions are drawn from, pixels."""

PICTURES = 4
"""Pictures that each prediction is made of."""

CHANNELS = 11
"""Of `evidence`."""

DARK = 8.0
"""Added before a gain is taken, so that noise in the dark counts little."""


CENTRE = np.array([0.5, 0.5, 0], np.float32)
"""From a pixel's corner to its centre."""

BLOCK = 256
"""Faces whose landmarks are read at once."""


@dataclass(frozen=True)
class Pictures:
    """Small pictures of one person: (n, `KEPT`, `KEPT`, 3) uint8, their mesh vertices (n, k, 3), and triangles."""

    images: np.ndarray
    vertices: np.ndarray
    triangles: np.ndarray


def keep(faces: FaceSet, rows: np.ndarray) -> Pictures:
    """Take these rows of a FaceSet, (n,) in rising order, as small pictures."""
    found = list(small_faces(faces, rows, KEPT))
    landmarks = np.stack([points for _, points in found])
    mesh = triangulate(neutral_shape(unpose(landmarks).shape, faces.blendshapes[rows]))
    return Pictures(np.stack([image for image, _ in found]), np.stack([mesh_points(p) for p in landmarks]), mesh)


def small_faces(faces: FaceSet, rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Faces of a FaceSet, (n,) rising rows, in `LAYOUT`: size x size x 3 uint8 and landmarks (478, 3) in its pixels."""
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        low, high = int(some[0]), int(some[-1]) + 1
        landmarks = transform(faces.landmarks(low, high)[some - low], faces.matrices(low, high)[some - low])
        for row, points in zip(some.tolist(), landmarks, strict=True):
            picture = faces.small_crop(row, 2 * size)
            step = faces.crop_size / len(picture)
            shrunk = (points + CENTRE) / step - CENTRE
            matrix = alignment(shrunk, size, LAYOUT)
            yield crop(picture, matrix, size, cv2.INTER_LINEAR), transform(shrunk, matrix)


def predict(known: Pictures, target: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """Warp the chosen pictures onto landmarks (478, 3) of a face in `SIZE` pixels: (k, SIZE, SIZE, 3) float32."""
    raster = rasterise(mesh_points(target), known.triangles, (SIZE, SIZE), 2)
    return np.stack([warp(known.images[i], source_map(raster, known.vertices[i])) for i in chosen])


def inside(target: np.ndarray) -> np.ndarray:
    """The face's outline of landmarks (478, 2 or 3) in `SIZE` pixels: SIZE x SIZE uint8, 1 inside."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, [np.round(target[list(OVAL), :2] * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask


def alike(landmarks: np.ndarray, angles: np.ndarray, blendshapes: np.ndarray) -> np.ndarray:
    """What faces are compared by, (n, d) float32: landmarks (n, 478, 3), degrees (n, 3) and blendshapes (n, 52)."""
    shapes = unpose(landmarks).shape
    parts = [features(shapes, angles, blendshapes, region) for region in ("face", "mouth", "eyes")]
    return np.concatenate(parts, 1).astype(np.float32)


def evidence(frame: np.ndarray, pictures: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """What the network sees.

    Args:
        frame: SIZE x SIZE x 3 uint8.
        pictures: (k >= 3, SIZE, SIZE, 3) float32, 0..255: several predictions of it. Each is brought to the frame's
            brightness and tint by the median gain inside the outline, which a cover of less than half leaves alone.
        outline: SIZE x SIZE uint8, 1 inside.

    Returns:
        (`CHANNELS`, SIZE, SIZE) float32: the frame; the middle of the predictions; how the frame differs from the
        nearest of them at each pixel; how much they differ among themselves; the outline.
    """
    here = frame.astype(np.float32)
    some = np.flatnonzero(outline)[::3]
    if len(some):
        looked = np.log(here.reshape(-1, 3)[some] + DARK)
        seen = np.log(pictures.reshape(len(pictures), -1, 3)[:, some] + DARK)
        gain = np.exp(np.clip(np.median(looked - seen, 1), -1.2, 1.2)).astype(np.float32)
        pictures = (pictures + DARK) * gain[:, None, None] - DARK
    low, high, total = pictures.min(0), pictures.max(0), pictures.sum(0)
    middle = (total - low - high) / (len(pictures) - 2)
    apart = here - pictures
    nearest = abs(apart).sum(-1).argmin(0)
    least = np.take_along_axis(apart, nearest[None, :, :, None], 0)[0]
    spread = (high - low).mean(-1, keepdims=True)
    parts = [here / 255 - 0.5, middle / 255 - 0.5, least / 64, spread / 64, outline[..., None]]
    return np.ascontiguousarray(np.concatenate(parts, -1, dtype=np.float32).transpose(2, 0, 1))
