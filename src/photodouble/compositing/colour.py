"""The new face in the light of the plate."""

import cv2
import numpy as np

SPREAD = (0.7, 1.3)
"""Contrast and saturation follow the plate's only within these factors: make-up and beards are not light."""

DARK = 40.0
"""Lightness (0..100) below which the change fades out."""

SAMPLES = 64
"""Pixels on a side that the statistics are taken from: they need no more."""


def match_colour(face: np.ndarray, plate: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Give a face the plate's mean and spread of CIELAB values (Reinhard, Ashikhmin, Gooch, Shirley 2001).

    Args:
        face, plate: H x W x 3 float32 RGB, 0..255.
        weight: H x W float32 0..1, where both show skin.

    Returns:
        H x W x 3 float32 RGB, 0..255; `face` itself where the weight is 0 everywhere.
    """
    small = (min(SAMPLES, weight.shape[1]), min(SAMPLES, weight.shape[0]))
    w = cv2.resize(weight, small, interpolation=cv2.INTER_AREA).reshape(-1, 1)
    if w.sum() < 1:
        return face
    own, wanted = (_moments(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), w) for picture in (face, plate))
    gain = np.clip(wanted[1] / np.maximum(own[1], 1e-3), *SPREAD)
    lab = _lab(face)
    # The inside of a mouth is dark in any light: a shift of its colour would tint it.
    lit = np.clip(cv2.extractChannel(lab, 0) * np.float32(1 / DARK), 0, 1)
    change = cv2.transform(lab, np.c_[np.diag(gain - 1), wanted[0] - own[0] * gain])
    change *= cv2.merge([lit] * 3)
    lab += change
    matched = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.clip(matched, 0, 1, out=matched) * np.float32(255)


def _lab(picture: np.ndarray) -> np.ndarray:
    unit = picture * np.float32(1 / 255)
    return cv2.cvtColor(np.clip(unit, 0, 1, out=unit), cv2.COLOR_RGB2LAB)


def _moments(picture: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and spread of the CIELAB values."""
    lab = _lab(picture).reshape(-1, 3)
    mean = (lab * weight).sum(0) / weight.sum()
    return mean, np.sqrt(((lab - mean) ** 2 * weight).sum(0) / weight.sum())
