"""Multi-band blending in which nothing outside the outline changes."""

import cv2
import numpy as np

from photodouble.compositing.look import enlarged, reduced, times
from photodouble.compositing.settings import USUAL, Settings
from photodouble.faces import outline_mattes
from photodouble.faces.topology import OVAL


def bands(settings: Settings = USUAL) -> list[tuple[float, float]]:
    """For each band, finest first: the matte's softness, and the blur that separates the band from finer ones.

    In parts of the face's width. Detail is exchanged up to the edge, colour over a wide fade (Burt and Adelson 1983).
    """
    return [(settings.matte_softness, 0.0), (settings.matte_softness / 0.9, settings.blend_width)]


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
    """What must be added to the plate: the sum over the two bands of matte times the difference in that band.

    It is written as the finer band's matte times the whole difference, and the coarser band once more with what its
    matte has beyond that: all that is coarse can then be done on a reduced picture.

    Args:
        plate, face: H x W x 3 float32.
        mattes: of `band_mattes`.
        width: of the face, pixels.
        settings: of `band_mattes`.

    Returns:
        H x W x 3 float32; where the first matte is 0 it means nothing.
    """
    (_, (_, sigma)), (fine, wide) = bands(settings), mattes
    change = face - plate
    sigma *= width
    step = max(1, min(int(sigma / 2), *fine.shape))
    coarse = cv2.GaussianBlur(reduced(change, step), (0, 0), max(sigma / step, 0.3))
    coarse = enlarged(times(coarse, reduced(wide - fine, step)), step, fine.shape)
    times(change, fine)
    change += coarse
    return change
