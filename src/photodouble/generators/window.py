"""Where a network's crop lies in a larger picture, with a soft edge."""

from functools import lru_cache

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
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(soft_edge(size), matrix, (shape[1], shape[0]), flags=flags)


@lru_cache(4)
def soft_edge(size: int) -> np.ndarray:
    """The same in the crop itself, size x size float32; read only."""
    edge = np.clip((0.5 + np.arange(size)) / (FADE * size), 0, 1)
    ramp = np.minimum(edge, edge[::-1])
    ramp = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    result = np.outer(ramp, ramp)
    result.flags.writeable = False
    return result
