"""Multi-band blending in which nothing outside the outline changes."""

import cv2
import numpy as np

from photodouble.compositing.settings import USUAL, Settings
from photodouble.faces import outline_mattes
from photodouble.faces.topology import OVAL


def bands(settings: Settings = USUAL) -> list[tuple[float, float]]:
    """For each band, finest first: the matte's softness, and the blur that separates the band from finer ones.

    In parts of the face's width. Detail is exchanged up to the edge, colour over a wide fade (Burt and Adelson 1983).
    """
    soft, wide = settings.matte_softness, settings.blend_width
    return [(soft, 0.0), (soft, wide / 3), (soft / 0.9, wide)]


def band_mattes(
    landmarks: np.ndarray, shape: tuple[int, int], cover: np.ndarray | None = None, settings: Settings = USUAL
) -> list[np.ndarray]:
    """The matte of each band, H x W float32: 0 outside the face's outline and where `cover` (0..1) is 1."""
    mattes = outline_mattes(
        grown(landmarks, settings.matte_grow), shape, tuple(softness for softness, _ in bands(settings))
    )
    return mattes if cover is None else [matte * (1 - cover) for matte in mattes]


def grown(landmarks: np.ndarray, by: float) -> np.ndarray:
    """Landmarks (478, 2 or 3) whose outline is moved outwards by `by` of the face's width; the others stay."""
    if not by:
        return landmarks
    result = np.array(landmarks, np.float64)
    outline = result[list(OVAL), :2]
    centre = outline.mean(0)
    away = outline - centre
    length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    reach = np.maximum(length + by * np.ptp(outline[:, 0]), 0)
    result[list(OVAL), :2] = centre + away / length * reach
    return result


def blend(
    plate: np.ndarray, face: np.ndarray, mattes: list[np.ndarray], width: float, settings: Settings = USUAL
) -> np.ndarray:
    """What must be added to the plate: the sum over the bands of matte times the difference in that band.

    Args:
        plate, face: H x W x 3 float32.
        mattes: of `band_mattes`.
        width: of the face, pixels.
        settings: of `band_mattes`.

    Returns:
        H x W x 3 float32, 0 wherever all mattes are 0.
    """
    change = face - plate
    result = np.zeros_like(change)
    for matte, (_, sigma) in zip(mattes, [*bands(settings)[1:], (0, 0)], strict=True):
        coarser = _blur(change, sigma * width) if sigma else 0
        change -= coarser
        # One channel times three is slow in NumPy.
        change *= cv2.merge([matte] * 3)
        result += change
        change = coarser
    return result


def _blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; a wide one is done on a reduced picture, where it costs little and looks the same."""
    step = max(1, int(sigma / 2))
    if step == 1:
        return cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3))
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(1, width // step), max(1, height // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
