"""What RGB a plate's code values mean, and back.

Own arithmetic instead of libswscale's: its 8-bit default is off by up to 2 of 255 and it turns white of more than
8 bits into 65280 instead of 65535. Formulas: ITU-T H.273 (2021), section 8.3, equations 20 to 43.
"""

from dataclasses import replace

import cv2
import numpy as np

from photodouble.media.frame import Colour

RGB_MATRIX, UNSPECIFIED = 0, 2
LIMITED, FULL = 1, 2
LINEAR, SRGB = 8, 13

# Weights of red and blue in luma, by H.273's MatrixCoefficients. Those absent are read as `guess` says and keep
# their tag, so that a plate that passes through is unchanged.
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}
_WEIGHTS |= {9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}


def guess(width: int, height: int) -> int:
    """Matrix of an untagged plate, as players choose it: 1 (BT.709) from 1280 x 577 on, else 6 (BT.601)."""
    return 1 if width >= 1280 or height > 576 else 6


def coding(colour: Colour, width: int, height: int) -> Colour:
    """Colour to tag and to encode YUV with for a clip of `colour`: RGB gets a matrix and limited range."""
    if colour.matrix == RGB_MATRIX:
        return replace(colour, matrix=guess(width, height), range=LIMITED)
    return colour


def yuv_matrix(colour: Colour, width: int, height: int, bits: int, white: float) -> np.ndarray:
    """3 x 4 float64 matrix from Y, Cb, Cr code values of `bits` bits to R, G, B where `white` is the peak."""
    red, blue = _WEIGHTS.get(colour.matrix, _WEIGHTS[guess(width, height)])
    green, step = 1 - red - blue, 1 << (bits - 8)
    top = (1 << bits) - 1
    luma, black, chroma = (top, 0, top) if colour.range == FULL else (219 * step, 16 * step, 224 * step)
    matrix = np.array(
        [
            [1, 0, 2 * (1 - red)],
            [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1, 2 * (1 - blue), 0],
        ]
    ) * (white / np.array([luma, chroma, chroma]))
    return np.column_stack([matrix, -matrix @ [black, 128 * step, 128 * step]])


def rgb_matrix(colour: Colour, width: int, height: int, bits: int, white: float) -> np.ndarray:
    """The inverse of `yuv_matrix`: 3 x 4 from R, G, B to Y, Cb, Cr code values."""
    forward = yuv_matrix(colour, width, height, bits, white)
    inverse = np.linalg.inv(forward[:, :3])
    return np.column_stack([inverse, -inverse @ forward[:, 3]])


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1 transfer of linear light (float32, below 0 and above 1 cut off) to 0..1."""
    linear = np.clip(np.nan_to_num(linear), 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.power(linear, 1 / 2.4) - 0.055).astype(np.float32)


def decode_srgb(code: np.ndarray) -> np.ndarray:
    """The inverse of `encode_srgb`: 0..1 to linear light, float32."""
    return np.where(code <= 0.04045, code / 12.92, np.power((code + 0.055) / 1.055, 2.4)).astype(np.float32)


def to_depth(image: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Give `image` (uint8, uint16 or float32) the depth `dtype`; no copy where it already has it.

    float32 is linear light, integers are sRGB-encoded or whatever the plate's transfer is: only the way between
    float32 and integers applies the sRGB curve.
    """
    dtype = np.dtype(dtype)
    if image.dtype == dtype:
        return image
    if dtype == np.float32:
        return decode_srgb(image.astype(np.float32) / np.iinfo(image.dtype).max)
    if image.dtype == np.float32:
        return (encode_srgb(image) * np.iinfo(dtype).max + 0.5).astype(dtype)
    if dtype == np.uint8:
        return cv2.convertScaleAbs(image, alpha=1 / 257)
    return image.astype(np.uint16) * 257


def alpha_to_depth(alpha: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Give alpha the depth `dtype`, 0..1 in floats: it is no light, so without a curve; no copy where it has it."""
    dtype = np.dtype(dtype)
    if alpha.dtype == dtype:
        return alpha
    part = alpha.astype(np.float32) / (1 if alpha.dtype == np.float32 else np.iinfo(alpha.dtype).max)
    if dtype == np.float32:
        return part
    return np.rint(np.clip(np.nan_to_num(part), 0, 1) * np.iinfo(dtype).max).astype(dtype)
