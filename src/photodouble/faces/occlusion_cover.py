"""Mattes of what covers a face besides hands: kept small and in face coordinates, painted where a frame is drawn.

They are found by `retarget.covered`.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from photodouble.errors import BadInput
from photodouble.faces.occlusion_shot import Hands
from photodouble.files import NOT_ARRAYS, atomic

MARGIN = 3
"""Cells of the small matte around what it covers that are painted, too: there its edge is looked for."""

STRICT = 0.002
"""Regularisation of the guided filter, squared parts of white: differences below about 0.045 are no edge."""

STEEP = 2.5
"""The filtered matte's slope is steepened so much around a half."""

HAND = 0.4
"""A piece of which more than this part lies under a known hand is that hand."""

MOST = 160
"""Wider regions are filtered at this many pixels, which bounds the time; the edge is as much softer."""


@dataclass(frozen=True)
class Covers:
    """What covers a shot's face, one row for each frame in which anything does, in the order of frames.

    Attributes:
        frame: (n,) int32.
        matrix: (n, 2, 3) float32, plate pixels to those of the small matte.
        matte: (n, S, S) uint8, 255 where the face is covered.
    """

    frame: np.ndarray
    matrix: np.ndarray
    small: np.ndarray

    def rows(self, index: int) -> np.ndarray:
        """Rows of the frame `index`: one or none."""
        first, last = np.searchsorted(self.frame, [index, index + 1])
        return np.arange(first, last)

    def matte(self, index: int, image: np.ndarray) -> np.ndarray:
        """H x W float32: 1 where something covers the face, 0 elsewhere.

        Args:
            index: of the frame in its clip.
            image: the frame, H x W x 3 RGB uint8: edges are drawn to its own.
        """
        total = np.zeros(image.shape[:2], np.float32)
        for row in self.rows(index):
            _paint(total, self.small[row], self.matrix[row], image)
        return total

    def save(self, path: Path) -> None:
        """Write a compressed npz file, atomically."""
        with atomic(Path(path)) as part, part.open("wb") as file:
            np.savez_compressed(file, frame=self.frame, matrix=self.matrix, small=self.small)

    @classmethod
    def load(cls, path: Path) -> "Covers":
        """Read what `save` wrote.

        Raises:
            BadInput: the file is missing, cut off, or something else.
        """
        remedy = "delete the file and run the same command again"
        try:
            with np.load(Path(path), allow_pickle=False) as data:
                covers = cls(*(data[name] for name in ("frame", "matrix", "small")))
        except NOT_ARRAYS as error:
            raise BadInput(f"Cannot read what covers the face in {path}: {remedy}.") from error
        n = covers.frame.size
        side = covers.small.shape[-1] if covers.small.ndim else 0
        shapes = [array.shape for array in (covers.frame, covers.matrix, covers.small)]
        if shapes != [(n,), (n, 2, 3), (n, side, side)] or (np.diff(covers.frame) <= 0).any():
            raise BadInput(f"There is nothing about covers of a shot in {path}: {remedy}.")
        return covers


NO_COVERS = Covers(np.zeros(0, np.int32), np.zeros((0, 2, 3), np.float32), np.zeros((0, 1, 1), np.uint8))


@dataclass(frozen=True)
class Front:
    """All that is in front of a shot's face: hands, and what else covers it."""

    hands: Hands
    covers: Covers

    @property
    def frame(self) -> np.ndarray:
        """Numbers of the frames in which anything is, (n,) int32 in rising order."""
        return np.union1d(self.hands.frame, self.covers.frame)

    def hides(self, index: int) -> bool:
        """Whether anything is in front of the face in the frame `index`."""
        return len(self.hands.rows(index)) > 0 or len(self.covers.rows(index)) > 0

    def matte(self, index: int, image: np.ndarray) -> np.ndarray:
        """H x W float32 of the frame `index`: 1 where something is in front of the face, 0 elsewhere.

        Args:
            index: of the frame in its clip.
            image: the frame, H x W x 3 RGB uint8.
        """
        covers = self.covers.matte(index, image)
        if not len(self.hands.rows(index)):
            return covers
        hands = self.hands.matte(index, image)
        return np.maximum(hands, beside(covers, hands))


def beside(covers: np.ndarray, hands: np.ndarray) -> np.ndarray:
    """A matte of covers, H x W float32, without the pieces that mostly are hands, H x W float32: those have a better
    edge of their own."""
    x, y, wide, high = cv2.boundingRect((covers > 0).astype(np.uint8))
    if not wide:
        return covers
    here = (slice(y, y + high), slice(x, x + wide))
    count, labels = cv2.connectedComponents((covers[here] > 0).astype(np.uint8))
    weight, hidden = covers[here].ravel(), (covers[here] * hands[here]).ravel()
    total, under = (np.bincount(labels.ravel(), values, count) for values in (weight, hidden))
    left = covers.copy()
    left[here][(under > HAND * total)[labels]] = 0
    return left


def _paint(total: np.ndarray, small: np.ndarray, matrix: np.ndarray, image: np.ndarray) -> None:
    """Add one small matte (S x S uint8) to a full-size one, in place, its edges drawn to the picture's."""
    height, width = total.shape
    ys, xs = np.nonzero(small > 12)
    if not len(xs):
        return
    corners = np.array([(x, y) for x in (xs.min(), xs.max()) for y in (ys.min(), ys.max())], np.float64)
    out = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) * MARGIN
    points = np.linalg.solve(matrix[:, :2].astype(np.float64), (corners + out - matrix[:, 2]).T).T
    x0, y0 = np.clip(np.floor(points.min(0)), 0, (width, height)).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(points.max(0)) + 1, 0, (width, height)).astype(int).tolist()
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    factor = min(1.0, MOST / max(x1 - x0, y1 - y0))
    shape = (max(round((y1 - y0) * factor), 3), max(round((x1 - x0) * factor), 3))
    grow = np.array([(x1 - x0) / shape[1], (y1 - y0) / shape[0]])
    here = matrix.astype(np.float64).copy()
    here[:, 2] += here[:, :2] @ (np.array([x0, y0]) + grow / 2 - 0.5)
    here[:, :2] *= grow
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    rough = cv2.warpAffine(small.astype(np.float32) / 255, here, shape[::-1], flags=flags)
    cell = 1 / max(float(np.sqrt(abs(np.linalg.det(here[:, :2])))), 1e-6)  # of the small matte, pixels here
    light = cv2.resize(cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2LAB), shape[::-1], interpolation=cv2.INTER_AREA)
    fine = np.zeros(shape, np.float32)
    radius = max(round(1.2 * cell), 1)
    for channel in cv2.split(light):
        fine += guided(rough, channel.astype(np.float32) / 255, radius) / 3
    fine = np.clip((fine - 0.5) * STEEP + 0.5, 0, 1)
    whole = cv2.resize(fine, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    part = total[y0:y1, x0:x1]
    np.maximum(part, whole, out=part)


def guided(matte: np.ndarray, guide: np.ndarray, radius: int, strict: float = STRICT) -> np.ndarray:
    """The matte as a locally linear function of the guide, both H x W float32 0..1 (He, Sun and Tang 2010)."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, side, borderType=cv2.BORDER_REFLECT)

    g, m = mean(guide), mean(matte)
    slope = (mean(guide * matte) - g * m) / (mean(guide * guide) - g * g + strict)
    return mean(slope) * guide + mean(m - slope * g)
