"""What a person's footage holds, as arrays: what coverage is judged from."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import partial

import cv2
import numpy as np

from photodouble.errors import BadInput
from photodouble.evaluation.metrics import cosine, mean_embedding
from photodouble.faces import FaceSet, transform

LIT = 120
"""Faces whose light is looked at, evenly over the footage: only these pictures are read."""

BLURRED = 0.25
"""Part of the footage's median sharpness (an energy: a quarter is half the contrast) below which a face is blurred."""

FOREIGN = 0.363
"""Cosine to the person's mean embedding below which a face may be somebody else's: OpenCV's threshold for SFace."""

TURNED = 30.0
"""Degrees of yaw from which one cheek is not seen well enough to compare its light with the other's."""

CHEEKS = ((117, 118, 101, 36, 205, 187, 123), (346, 347, 330, 266, 425, 411, 352))
"""Landmarks around the cheek on the picture's left, and around the one on its right."""

LINEAR = (np.arange(256) / 255) ** 2.2
"""Luminance of 8-bit levels."""

THREADS = 2


@dataclass(frozen=True)
class Footage:
    """One person's n faces.

    Attributes:
        name: of the person.
        frame: (n,) numbers of the frames; time: (n,) seconds in the clip, 0 for stills. box: (n, 4) in plate pixels.
        pose: (n, 3) degrees; blendshapes: (n, 52); embedding: (n, 128), zeros where there is none.
        sharpness: (n,).
        brightness: (n,) of the cheeks, CIELAB lightness 0..100; side: (n,) by how many stops the cheek on the
            picture's left is lighter than the other one. Where no picture was looked at, that of the nearest face;
            NaN if none was.
    """

    name: str
    frame: np.ndarray
    time: np.ndarray
    box: np.ndarray
    pose: np.ndarray
    blendshapes: np.ndarray
    embedding: np.ndarray
    sharpness: np.ndarray
    brightness: np.ndarray
    side: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    @property
    def width(self) -> np.ndarray:
        """Of the boxes, (n,) pixels."""
        return self.box[:, 2] - self.box[:, 0]

    def take(self, rows: np.ndarray) -> "Footage":
        """The same of some faces."""
        arrays = {item.name: getattr(self, item.name)[rows] for item in fields(self) if item.name != "name"}
        return Footage(self.name, **arrays)


def read_footage(name: str, faces: FaceSet, rows: np.ndarray | None = None) -> Footage:
    """What is known of a FaceSet's faces, or of some of its rows; `LIT` of their pictures are read."""
    rows = np.arange(len(faces)) if rows is None else np.asarray(rows, np.int64)
    brightness, side = (np.full(len(rows), np.nan) for _ in range(2))
    looked = np.unique(np.linspace(0, max(0, len(rows) - 1), min(LIT, len(rows))).round().astype(int))
    wanted = rows[looked].tolist()
    points = [transform(faces.landmarks(row, row + 1)[0], faces.matrices(row, row + 1)[0]) for row in wanted]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(partial(_light_of, faces), wanted, points))
    brightness[looked], side[looked] = np.array(found).reshape(-1, 2).T
    return Footage(
        name,
        faces.frame[rows],
        _seconds(faces)[rows],
        faces.box[rows],
        faces.pose[rows],
        faces.blendshapes[rows],
        faces.embedding[rows],
        faces.sharpness[rows],
        _nearest(brightness),
        _nearest(side),
    )


def _light_of(faces: FaceSet, row: int, points: np.ndarray) -> tuple[float, float]:
    try:
        picture = faces.crop(row)
    except BadInput:
        return float("nan"), float("nan")  # a set without pictures
    return light(picture, points, float(faces.pose[row, 0]))


def light(picture: np.ndarray, landmarks: np.ndarray, yaw: float) -> tuple[float, float]:
    """Lightness of the cheeks (CIELAB, 0..100) and by how many stops the picture's left one is lighter than the right.

    Args:
        picture: H x W x 3 uint8 RGB.
        landmarks: (478, 2|3) in its pixels.
        yaw: degrees; of a head turned by 30 and more, the second figure is NaN.

    A stop is a factor of 2 in luminance (BT.709 weights, a gamma of 2.2).
    """
    levels = []
    for cheek in CHEEKS:
        inside = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillConvexPoly(inside, cv2.convexHull(np.round(landmarks[list(cheek), :2]).astype(np.int32)), 1)
        pixels = picture[inside > 0]
        levels.append(float((LINEAR[pixels] @ (0.2126, 0.7152, 0.0722)).mean()) if len(pixels) else float("nan"))
    left, right = (max(level, 1e-4) for level in levels)
    mean = (left + right) / 2
    lightness = 116 * mean ** (1 / 3) - 16 if mean > 0.008856 else 903.3 * mean
    return lightness, float(np.log2(left / right)) if abs(yaw) < TURNED else float("nan")


def blurred(footage: Footage) -> np.ndarray:
    """(n,) bool: faces of less than half the contrast of detail that is usual in this footage."""
    return footage.sharpness < BLURRED * np.median(footage.sharpness) if len(footage) else np.zeros(0, bool)


def foreign(footage: Footage) -> np.ndarray:
    """(n,) bool: faces that do not look like the person (`FOREIGN`); a blurred one cannot be told."""
    alike = cosine(footage.embedding, mean_embedding(footage.embedding, footage.sharpness))
    return np.isfinite(alike) & (alike < FOREIGN) & ~blurred(footage)


def _nearest(values: np.ndarray) -> np.ndarray:
    """The same with NaN replaced by the nearest known value; light changes slowly."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values
    middles = (known[1:] + known[:-1]) / 2
    return values[known[np.searchsorted(middles, np.arange(len(values)))]]


def _seconds(faces: FaceSet) -> np.ndarray:
    """Time of each face in its clip; 0 where the set does not say its clips' time bases."""
    bases = [float(Fraction(base)) for base in faces.info.get("time_bases", [])]
    if len(bases) < len(faces.sources):
        return np.zeros(len(faces))
    return np.asarray(faces.pts, np.float64) * np.array(bases)[faces.source]
