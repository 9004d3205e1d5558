"""Multi-band blending in which nothing outside the outline changes."""

import cv2
import numpy as np

from photodouble.faces import outline_matte

BANDS = ((0.04, 0.0), (0.06, 0.02), (0.09, 0.06))
"""For each band, finest first: the matte's softness, and the blur that separates the band, in parts of the face's
width. Detail is exchanged up to the edge, colour over a wide fade (Burt and Adelson 1983)."""


def band_mattes(landmarks: np.ndarray, shape: tuple[int, int], cover: np.ndarray | None = None) -> list[np.ndarray]:
    """The matte of each band, H x W float32: 0 outside the face's outline and where `cover` (0..1) is 1."""
    mattes = [outline_matte(landmarks, shape, softness) for softness, _ in BANDS]
    return mattes if cover is None else [matte * (1 - cover) for matte in mattes]


def blend(plate: np.ndarray, face: np.ndarray, mattes: list[np.ndarray], width: float) -> np.ndarray:
    """What must be added to the plate: the sum over the bands of matte times the difference in that band.

    Args:
        plate, face: H x W x 3 float32.
        mattes: of `band_mattes`.
        width: of the face, pixels.

    Returns:
        H x W x 3 float32, 0 wherever all mattes are 0.
    """
    change = face - plate
    result = np.zeros_like(change)
    for number, matte in enumerate(mattes):
        coarser = _blur(change, BANDS[number + 1][1] * width) if number + 1 < len(BANDS) else None
        result += matte[..., None] * (change if coarser is None else change - coarser)
        change = change if coarser is None else coarser
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
