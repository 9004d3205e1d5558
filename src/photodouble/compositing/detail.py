"""The new face as sharp as the plate."""

import cv2
import numpy as np

GAIN = (0.8, 1.9)
"""Detail is weakened or strengthened within these factors: more would draw noise."""

SIGMA = 1.2
"""Pixels: what a blur of this size takes away is detail."""


def match_detail(face: np.ndarray, plate: np.ndarray, matte: np.ndarray, sharpness: float = 1.0) -> np.ndarray:
    """Scale the face's finest detail towards the energy of the plate's, within `GAIN`: strong motion blur is not met.

    Args:
        face, plate: H x W x 3 float32 RGB, 0..255.
        matte: H x W float32; the energies are compared where it is at least 0.9.
        sharpness: scales the result's detail; 1: like the plate's.

    Returns:
        H x W x 3 float32.
    """
    inside = cv2.inRange(matte, 0.9, 2)
    gain = sharpness
    if cv2.countNonZero(inside) >= 64:
        own, wanted = (_energy(picture, inside) for picture in (face, plate))
        gain *= float(np.clip(wanted / max(own, 0.03), *GAIN))
    if gain == 1:
        return face
    return cv2.addWeighted(face, gain, cv2.GaussianBlur(face, (0, 0), SIGMA), 1 - gain, 0)


def _energy(picture: np.ndarray, inside: np.ndarray) -> float:
    """Standard deviation of the Laplacian where `inside` is not 0."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F), mask=inside)[1][0, 0])
