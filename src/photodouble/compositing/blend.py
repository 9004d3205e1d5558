"""Multi-band blending in which nothing outside the outline changes."""

import cv2
import numpy as np

from photodouble.faces import outline_mattes

BANDS = ((0.09, 0.0), (0.09, 0.02), (0.10, 0.06))
"""For each band, finest first: the matte's softness, and the blur that separates the band, in parts of the face's
width. Detail is exchanged up to the edge, colour over a wide fade (Burt and Adelson 1983)."""


def band_mattes(landmarks: np.ndarray, shape: tuple[int, int], cover: np.ndarray | None = None) -> list[np.ndarray]:
    """The matte of each band, H x W float32: 0 outside the face's outline and where `cover` (0..1) is 1."""
    mattes = outline_mattes(landmarks, shape, tuple(softness for softness, _ in BANDS))
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
    for matte, (_, sigma) in zip(mattes, [*BANDS[1:], (0, 0)], strict=True):
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
