"""What the plate's face looks like in a frame: its light, grain and detail, in a few numbers that can be filtered."""

from dataclasses import dataclass

import cv2
import numpy as np

from photodouble.faces.topology import BROWS, LEFT_EYE, LIPS_OUTER, OVAL, RIGHT_EYE

SMALL = 64
"""Pixels across a face's box in which light is looked at: it has no detail."""

AXES = np.array([[0.299, 0.587, 0.114], [0.5, -0.5, 0.0], [-0.25, -0.25, 0.5]])
"""Luma, and two colour axes: red against green, blue against both."""

FEATURES = (*BROWS, RIGHT_EYE, LEFT_EYE, LIPS_OUTER)
RIM, AROUND = 0.1, 0.03
"""What is left out of the skin along the outline and around the features, in parts of the face's width."""

SIGMAS = (0.8, 1.6)
"""Pixels: blurs between which the bands of grain lie, finest first. What is coarser is skin."""

CELL = 8
"""Side in pixels of the cells in which fine structure is measured."""

FEWEST = 6
"""Cells below which nothing is said about grain."""


@dataclass(frozen=True)
class Look:
    """A face in one frame.

    Attributes:
        light: (5,) of the skin, 0..255: mean of R, G, B; standard deviation of the luma; that of both colour axes.
        grain: (2,) variance of the luma of flat skin in the bands between `SIGMAS`, squared 8-bit levels.
        detail: variance of the luma's Laplacian over the face, less that of flat skin.
    """

    light: np.ndarray
    grain: np.ndarray
    detail: float

    def numbers(self) -> np.ndarray:
        """All of it, (8,) float64."""
        return np.array([*self.light, *self.grain, self.detail], np.float64)

    @staticmethod
    def of(numbers: np.ndarray) -> "Look":
        """What `numbers` gave."""
        return Look(numbers[:5], numbers[5:7], float(numbers[7]))


def measure_look(picture: np.ndarray, points: np.ndarray, cover: np.ndarray | None = None) -> Look | None:
    """The look of a face; None where too little of its skin is to be seen.

    Args:
        picture: H x W x 3 float32 RGB 0..255, cut to the face's box.
        points: landmarks (478, 2 or 3) in its pixels.
        cover: H x W float32, 1 where something is in front of the face.
    """
    shape = picture.shape[:2]
    small, bare = small_size(shape), bare_skin(points, shape)
    if cover is not None:
        bare *= 1 - reduced(cover, small)
    light = skin_light(reduced(picture, small), bare)
    if light is None:
        return None
    grey = luma(picture)
    cells = Cells.of(grey, bare)
    return Look(light, cells.grain(bands(grey)), cells.detail(grey))


def small_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height of the small picture that stands for one of H, W."""
    return min(SMALL, shape[1]), max(1, min(round(SMALL * shape[0] / shape[1]), shape[0]))


def shrunk(points: np.ndarray, shape: tuple[int, ...], small: tuple[int, int]) -> np.ndarray:
    """Landmarks in pixels of a picture of H, W as (478, 2) in those of the small one of the given width and height."""
    scale = np.array([small[0] / shape[1], small[1] / shape[0]])
    return (np.asarray(points, np.float64)[:, :2] + 0.5) * scale - 0.5


def reduced(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A smaller picture of the given width and height, each pixel a mean."""
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def luma(picture: np.ndarray) -> np.ndarray:
    """BT.601 luma of RGB float32."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def bare_skin(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`skin` on the small picture, of landmarks (478, 2 or 3) in a picture of H, W."""
    small = small_size(shape)
    return skin(shrunk(points, shape, small), small[::-1])


def skin_light(picture: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """`Look.light` of an h x w x 3 picture where the weight is; None if it is nowhere."""
    flat, w = picture.reshape(-1, 3).astype(np.float64), weight.reshape(-1, 1).astype(np.float64)
    total = w.sum()
    if total < 4:
        return None
    mean = (flat * w).sum(0) / total
    away = (flat - mean) @ AXES.T
    power = (away * away * w).sum(0) / total
    return np.array([*mean, np.sqrt(power[0]), np.sqrt(power[1] + power[2])])


def skin(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """H x W float32, 1 where bare skin may be: well inside the outline, without brows, eyes and lips.

    Args:
        points: landmarks (478, 2) in pixels of the picture. shape: its H, W.
    """
    width = float(np.ptp(points[list(OVAL), 0]))
    canvas = np.zeros(shape, np.uint8)
    _draw(canvas, points[list(OVAL)], 255, 0, 2 * RIM * width)
    for polygon in FEATURES:
        _draw(canvas, points[list(polygon)], 0, 0, 2 * AROUND * width)
    return canvas * np.float32(1 / 255)


def _draw(canvas: np.ndarray, outline: np.ndarray, inside: int, border: int, thickness: float) -> None:
    fixed = [np.round(outline * 16).astype(np.int32)]
    cv2.fillPoly(canvas, fixed, inside, cv2.LINE_AA, 4)
    cv2.polylines(canvas, fixed, True, border, max(1, round(thickness)), cv2.LINE_AA, 4)


def bands(grey: np.ndarray) -> list[np.ndarray]:
    """A grey picture's bands between `SIGMAS`, finest first, float32."""
    found, before = [], 0.0
    for sigma in SIGMAS:
        coarser = cv2.GaussianBlur(grey, (0, 0), float(np.sqrt(sigma**2 - before**2)))
        found.append(grey - coarser)
        grey, before = coarser, sigma
    return found


@dataclass(frozen=True)
class Cells:
    """Squares of `CELL` pixels of a face; bool pictures with one pixel for each.

    Attributes:
        flat: the flatter half of the bare skin, judged by what is too coarse to be grain. face: skin and features.
    """

    flat: np.ndarray
    face: np.ndarray

    @staticmethod
    def of(grey: np.ndarray, bare: np.ndarray) -> "Cells":
        """Of an H x W float32 luma; `bare` says where its skin is, at any smaller size."""
        size = max(1, grey.shape[1] // CELL), max(1, grey.shape[0] // CELL)
        tiny = _cells(grey, size)
        slope = cv2.magnitude(cv2.Sobel(tiny, cv2.CV_32F, 1, 0), cv2.Sobel(tiny, cv2.CV_32F, 0, 1))
        whole = cv2.resize(bare, size, interpolation=cv2.INTER_AREA) > 0.9
        face = np.zeros_like(whole)
        if whole.sum() < FEWEST:
            return Cells(face, face)
        rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
        face[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        return Cells(whole & (slope <= np.median(slope[whole])), face)

    def grain(self, fine: list[np.ndarray]) -> np.ndarray:
        """(2,) variance in each of a luma's `bands` on flat skin: median over the cells. NaN if there is none."""
        return np.array([self._median(band * band) for band in fine])

    def detail(self, grey: np.ndarray) -> float:
        """Variance of the Laplacian over the face less that on flat skin; NaN if there is none."""
        edges = cv2.Laplacian(grey, cv2.CV_32F)
        energy = edges * edges
        over = self._reduced(energy)[self.face]
        return max(float(over.mean()) - self._median(energy), 0.0) if over.size else float("nan")

    def _median(self, energy: np.ndarray) -> float:
        values = self._reduced(energy)[self.flat]
        return float(np.median(values)) if values.size else float("nan")

    def _reduced(self, energy: np.ndarray) -> np.ndarray:
        return _cells(energy, (self.flat.shape[1], self.flat.shape[0]))


def _cells(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means over cells, of which `size` (width, height) fit into a picture; what is over at two sides is left out."""
    return reduced(picture[: size[1] * CELL, : size[0] * CELL], size)
