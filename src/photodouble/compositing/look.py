"""What the plate's face looks like in a frame: its light, grain and detail, in a few numbers that can be filtered."""

from dataclasses import dataclass

import cv2
import numpy as np

from photodouble.faces.topology import BROWS, LEFT_EYE, LIPS_OUTER, OVAL, RIGHT_EYE

VERSION = 2
"""Of what the numbers of a `Look` mean: another one makes kept looks out of date."""

SMALL = 52
"""Pixels across a face, about, in which light is looked at: it has no detail."""

AXES = np.array([[0.299, 0.587, 0.114], [0.5, -0.5, 0.0], [-0.25, -0.25, 0.5]])
"""Luma, and two colour axes: red against green, blue against both."""

FEATURES = (*BROWS, RIGHT_EYE, LEFT_EYE, LIPS_OUTER)
RIM, AROUND = 0.1, 0.03
"""What is left out of the skin along the outline and around the features, in parts of the face's width."""

SIGMAS = (0.8, 1.6, 3.2)
"""Pixels: blurs between which the bands of grain lie, finest first. What is coarser is skin."""

NUMBERS = 6 + 2 * len(SIGMAS)
"""Of a `Look`."""

CELL = 8
"""Side in pixels of the cells in which fine structure is measured."""

FEWEST = 6
"""Cells below which nothing is said about grain."""

FLATTEST = 1 / 3
"""Part of the skin's cells that counts as flat."""


@dataclass(frozen=True)
class Look:
    """A face in one frame.

    Attributes:
        light: (5,) of the skin, 0..255: mean of R, G, B; standard deviation of the luma; that of both colour axes.
        grain: (2, 3) variance of the luma in the bands between `SIGMAS`, squared 8-bit levels: of flat skin, which is
            grain, and of all bare skin, which has its own structure, too.
        detail: variance of the luma's Laplacian over the face, less that of flat skin.
    """

    light: np.ndarray
    grain: np.ndarray
    detail: float

    def numbers(self) -> np.ndarray:
        """All of it, (`NUMBERS`,) float64: light, grain, detail."""
        return np.array([*self.light, *self.grain.ravel(), self.detail], np.float64)

    @staticmethod
    def of(numbers: np.ndarray) -> "Look":
        """What `numbers` gave."""
        return Look(numbers[:5], numbers[5:-1].reshape(2, -1), float(numbers[-1]))


def measure_look(picture: np.ndarray, points: np.ndarray, cover: np.ndarray | None = None) -> Look | None:
    """The look of a face; None where too little of its skin is to be seen.

    Args:
        picture: H x W x 3 float32 RGB 0..255, cut to the face's box.
        points: landmarks (478, 2 or 3) in its pixels.
        cover: H x W float32, 1 where something is in front of the face.
    """
    step, bare = small_step(points, picture.shape), bare_skin(points, picture.shape)
    if cover is not None:
        bare *= 1 - reduced(cover, step)
    light = skin_light(reduced(picture, step), bare)
    if light is None:
        return None
    grey = luma(picture)
    cells = Cells.of(grey, bare)
    return Look(light, cells.grain(bands(grey)), cells.detail(grey))


def small_step(points: np.ndarray, shape: tuple[int, ...]) -> int:
    """How many pixels of a picture of H, W, a side, become one of the small picture that stands for it."""
    width = float(np.ptp(np.asarray(points)[list(OVAL), 0]))
    return max(1, min(round(width / SMALL), shape[0], shape[1]))


def shrunk(points: np.ndarray, step: int) -> np.ndarray:
    """Landmarks in pixels of a picture as (478, 2) in those of its `reduced` one."""
    return (np.asarray(points, np.float64)[:, :2] + 0.5) / step - 0.5


def reduced(picture: np.ndarray, step: int) -> np.ndarray:
    """A smaller picture, each pixel the mean of `step` x `step`; what is left over at two sides is left out."""
    if step == 1:
        return picture
    width, height = picture.shape[1] // step, picture.shape[0] // step
    return cv2.resize(picture[: height * step, : width * step], (width, height), interpolation=cv2.INTER_AREA)


def enlarged(small: np.ndarray, step: int, shape: tuple[int, ...]) -> np.ndarray:
    """A picture of H, W of its `reduced` one."""
    if step == 1:
        return small
    large = cv2.resize(small, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    over = shape[0] - large.shape[0], shape[1] - large.shape[1]
    return cv2.copyMakeBorder(large, 0, over[0], 0, over[1], cv2.BORDER_REPLICATE) if any(over) else large


def times(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """H x W x 3 float32 times H x W float32, in place; one channel times three is slow in NumPy."""
    return cv2.multiply(picture, cv2.cvtColor(matte, cv2.COLOR_GRAY2RGB), picture)


def luma(picture: np.ndarray) -> np.ndarray:
    """BT.601 luma of RGB float32."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def bare_skin(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`skin` on the small picture, of landmarks (478, 2 or 3) in a picture of H, W."""
    step = small_step(points, shape)
    return skin(shrunk(points, step), (shape[0] // step, shape[1] // step))


def skin_light(picture: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """`Look.light` of an h x w x 3 picture where the weight is; None if it is nowhere."""
    flat, w = picture.reshape(-1, 3).astype(np.float64), weight.reshape(-1).astype(np.float64)
    total = w.sum()
    if total < 4:
        return None
    mean = w @ flat / total
    away = flat - mean
    spread = AXES @ ((away * w[:, None]).T @ away / total) @ AXES.T
    return np.array([*mean, np.sqrt(spread[0, 0]), np.sqrt(spread[1, 1] + spread[2, 2])])


def skin(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """H x W float32, 1 where bare skin may be: well inside the outline, without brows, eyes and lips.

    Args:
        points: landmarks (478, 2) in pixels of the picture. shape: its H, W.
    """
    fixed = np.round(points * 16).astype(np.int32)
    outline, features = fixed[list(OVAL)], [fixed[list(polygon)] for polygon in FEATURES]
    width = float(np.ptp(outline[:, 0])) / 16
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [outline], 255, cv2.LINE_AA, 4)
    cv2.polylines(canvas, [outline], True, 0, max(1, round(2 * RIM * width)), cv2.LINE_AA, 4)
    cv2.fillPoly(canvas, features, 0, cv2.LINE_AA, 4)
    cv2.polylines(canvas, features, True, 0, max(1, round(2 * AROUND * width)), cv2.LINE_AA, 4)
    return canvas * np.float32(1 / 255)


def blurred(grey: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a few pixels; out to three sigmas, where OpenCV's own choice for float is four."""
    size = 2 * int(np.ceil(3 * sigma)) + 1
    return cv2.GaussianBlur(grey, (size, size), sigma)


def bands(grey: np.ndarray) -> list[np.ndarray]:
    """A grey picture's bands between `SIGMAS`, finest first, float32."""
    found, before = [], 0.0
    for sigma in SIGMAS:
        more = float(np.sqrt(sigma**2 - before**2))
        # What has been blurred already loses nothing at half the size.
        step = 2 if before > 1 and min(grey.shape) > 1 else 1
        coarser = enlarged(blurred(reduced(grey, step), more / step), step, grey.shape)
        found.append(grey - coarser)
        grey, before = coarser, sigma
    return found


@dataclass(frozen=True)
class Cells:
    """Squares of `CELL` pixels of a face; bool pictures with one pixel for each.

    Attributes:
        flat: the flattest third of the bare skin, judged by what is too coarse to be grain. skin: all of it. Both are
            empty where a face is too small for `FEWEST` cells.
        face: skin and features.
    """

    flat: np.ndarray
    skin: np.ndarray
    face: np.ndarray

    @staticmethod
    def of(grey: np.ndarray, bare: np.ndarray) -> "Cells":
        """Of an H x W float32 luma; `bare` says where its skin is, at any smaller size."""
        tiny = _cells(grey)
        slope = cv2.magnitude(cv2.Sobel(tiny, cv2.CV_32F, 1, 0), cv2.Sobel(tiny, cv2.CV_32F, 0, 1))
        share = cv2.resize(bare, tiny.shape[::-1], interpolation=cv2.INTER_AREA)
        whole = share > 0.9
        if whole.sum() < FEWEST:  # a small face: its grain cannot be told from it
            none = np.zeros_like(whole)
            return Cells(none, none, _filled(share > 0.5))
        return Cells(whole & (slope <= np.quantile(slope[whole], FLATTEST)), whole, _filled(whole))

    def grain(self, fine: list[np.ndarray]) -> np.ndarray:
        """`Look.grain` of a luma with these `bands`: medians over the cells. NaN if there are none."""
        means = [_cells(band * band) for band in fine]
        return np.array([[_median(mean[where]) for mean in means] for where in (self.flat, self.skin)])

    def detail(self, grey: np.ndarray) -> float:
        """Variance of the Laplacian over the face less that on flat skin, if any is known; NaN if there is no face."""
        edges = cv2.Laplacian(grey, cv2.CV_32F)
        energy = edges * edges
        means = _cells(energy)
        over = means[self.face]
        noise = _median(means[self.flat]) if self.flat.any() else 0.0
        return max(float(over.mean()) - noise, 0.0) if over.size else float("nan")


def _filled(where: np.ndarray) -> np.ndarray:
    """The smallest box that holds all that is True."""
    box = np.zeros_like(where)
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    if len(rows):
        box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box


def _median(values: np.ndarray) -> float:
    """Of (n,) values; of an even number the upper one. NaN of none. `np.median` costs more than the sums it is of."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2]) if values.size else float("nan")


def _cells(picture: np.ndarray) -> np.ndarray:
    """Means over cells; what is over at two sides is left out."""
    return reduced(picture, min(CELL, *picture.shape))
