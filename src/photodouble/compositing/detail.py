"""The new face as sharp as the plate."""

import cv2
import numpy as np

from photodouble.compositing.look import blurred

GAIN = (0.5, 1.9)
"""Detail is weakened or strengthened within these factors: more would draw noise."""

SIGMA = 1.2
"""Pixels: what a blur of this size takes away is detail."""

STEEP = 1.25
"""Not all of the Laplacian's energy is finer than `SIGMA`: the rest must grow by so much more."""

LEAST = 0.5
"""Squared levels: less detail than this is none that could be scaled."""


def match_detail(grey: np.ndarray, own: float, wanted: float, sharpness: float = 1.0) -> np.ndarray:
    """Scale a face's finest detail towards the energy of the plate's, within `GAIN`. Grain counts in neither.

    Args:
        grey: H x W float32, the face's luma, 0..255.
        own, wanted: `Look.detail` of it and of the plate; NaN: unknown, nothing is matched.
        sharpness: scales the result's detail; 1: like the plate's.

    Returns:
        H x W float32.
    """
    gain = sharpness
    if np.isfinite(own + wanted):
        ratio = float(np.sqrt((wanted + LEAST) / (own + LEAST)))
        gain *= float(np.clip(1 + STEEP * (ratio - 1), *GAIN))
    if gain == 1:
        return grey
    return cv2.addWeighted(grey, gain, blurred(grey, SIGMA), 1 - gain, 0)
