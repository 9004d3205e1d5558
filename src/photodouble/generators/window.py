"""Where a network's crop lies in a larger picture, with a soft edge."""

import cv2
import numpy as np

FADE = 0.08
"""Width of the soft edge, in parts of the crop."""


def window(matrix: np.ndarray, size: int, shape: tuple[int, int]) -> np.ndarray:
    """H x W float32: 1 inside the crop, fading to 0 at its border.

    Args:
        matrix: (2, 3) from the larger picture's pixels to the crop's.
        size: of the crop; shape: H, W of the larger picture.
    """
    edge = np.clip((0.5 + np.arange(size)) / (FADE * size), 0, 1)
    ramp = np.minimum(edge, edge[::-1])
    ramp = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(np.outer(ramp, ramp), matrix, (shape[1], shape[0]), flags=flags)
