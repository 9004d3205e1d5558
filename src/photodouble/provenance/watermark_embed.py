"""Writing the watermark: a faint pattern, added to the luma of the whole frame as the last step before it is written.

A sum of cosines over the whole frame (Cox et al., "Secure spread spectrum watermarking for multimedia", 1997), stronger
where the picture is busy, with its sign turned every `HOLD` frames so that what stands still in a shot can be told
from it.
"""

from functools import lru_cache

import cv2
import numpy as np
from scipy.fft import idctn

from photodouble.provenance.watermark_code import HIGHEST, LOWEST, carriers, chips, payload_of

HOLD = 32
"""Frames between two turns of the pattern's sign. Encoders keep what stays for a second; they drop what flickers."""

TURN = 8
"""Frames that a turn takes: a fade is not seen as a jump."""

FLAT, BUSY, MOST = 1.0, 2.6, 1.85
"""RMS strength in 8-bit levels: where nothing masks it, at most, and over a whole frame at most (42.8 dB PSNR).
Frames whose shorter side has more than `SMALL` pixels get less of each, since their carriers are more and finer."""

SMALL, LEAST = 288, 0.5
DARK, BLACK = 20, 0.35
"""Below this luma the strength falls, to this share of itself in black: bars and fades stay clean."""

SHORTER = 160
"""Shorter side, in pixels, of the reduced picture in which detail is looked for."""

MASKING = 0.16
"""Levels of strength for each level of the picture's own detail."""


def embed(image: np.ndarray, frame_index: int, identifier: int, masked_by: np.ndarray | None = None) -> np.ndarray:
    """The picture with the mark: the same for the same arguments, whatever was embedded before.

    Args:
        image: H x W x 3 RGB: uint8, uint16, or float32 in linear light (values beyond 1 stay beyond 1).
        frame_index: position in the clip, from 0.
        identifier: 24 bits.
        masked_by: the picture (like `image`) whose detail says how strong the mark may be; None: `image` itself. Given
            the plate, the marked output equals the marked plate, bit for bit, wherever output and plate were equal.

    Returns:
        A new picture of the same dtype. All three channels of a pixel change alike: by the same number of levels, or
        in linear light by the same factor.
    """
    guide = image if masked_by is None else masked_by
    height, width = image.shape[:2]
    mark = _mark(_reduced(to_luma(_halved(guide)), height, width), height, width, frame_index, identifier)
    if image.dtype == np.float32:
        return _to_linear(image, guide, mark)
    if image.dtype == np.uint16:
        mark *= np.float32(257)
    return cv2.add(image, cv2.merge([mark, mark, mark]), dtype=cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_16U)


def embed_luma(
    plane: np.ndarray,
    frame_index: int,
    identifier: int,
    bits: int = 8,
    full_range: bool = False,
    masked_by: np.ndarray | None = None,
    into: np.ndarray | None = None,
) -> np.ndarray:
    """The luma plane of a YUV picture with the mark, as `embed` would change it: chroma stays as it is.

    Args:
        plane: H x W Y' code values of the upright picture: uint8, or uint16 of `bits` bits.
        frame_index, identifier, masked_by: as for `embed`.
        bits: of the code values.
        full_range: whether black is 0 and white the largest value (else 16 and 235, times 2 to the bits beyond 8).
        into: where the result is written, an array like `plane`, or `plane` itself; None: a new one.
    """
    step = 1 << (bits - 8)
    black, scale = (0, ((1 << bits) - 1) / 255) if full_range else (16 * step, 219 * step / 255)
    small = _halved(plane if masked_by is None else masked_by).astype(np.float32)
    small = _reduced(small, *plane.shape)
    luma = np.clip((small - np.float32(black)) / np.float32(scale), 0, 255)
    mark = _mark(luma, plane.shape[0], plane.shape[1], frame_index, identifier, scale)
    if plane.dtype == np.uint8:
        return cv2.add(plane, mark, dst=into, dtype=cv2.CV_8U)
    return np.minimum(cv2.add(plane, mark, dtype=cv2.CV_16U), np.uint16((1 << bits) - 1), out=into)


def sign(frame_index: int) -> float:
    """-1 to 1: which way, and how far, the pattern is turned in a frame."""
    turn, since = divmod(frame_index, HOLD)
    here = 1.0 if turn % 2 == 0 else -1.0
    return here * min(1.0, (2 * since + 1) / TURN - 1) if turn else here


@lru_cache(2)
def _pattern(height: int, width: int, identifier: int) -> np.ndarray:
    """H x W float32, RMS 1: the mark of an identifier for frames of this size."""
    known = carriers()
    words = chips(payload_of(identifier))
    fits = (known.v < height) & (known.u < width)
    values = known.sign * words[known.word, known.chip] * spectrum(known.radius, min(height, width))
    field = np.zeros((height, width), np.float32)
    field[known.v[fits], known.u[fits]] = values[fits]
    pattern = idctn(field, norm="ortho", overwrite_x=True)
    return pattern / max(float(np.sqrt(np.mean(np.square(pattern)))), 1e-6)


def spectrum(radius: np.ndarray, shorter: int) -> np.ndarray:
    """Relative strength of carriers of these radii in a frame whose shorter side has so many pixels, float32.

    Small frames keep to coarse patterns, which outlive their being halved; large ones use finer, less visible ones.
    """
    top = np.clip(0.4 * shorter, 4 * LOWEST, HIGHEST)
    falls = np.clip((top * 1.1 - radius) / (top * 0.2), 0, 1)
    return (falls / radius).astype(np.float32)


def _mark(luma: np.ndarray, height: int, width: int, frame_index: int, identifier: int, scale: float = 1) -> np.ndarray:
    """What is to be added: H x W float32, 8-bit levels times `scale`. `luma`: the reduced picture that hides it."""
    strength = _strength(luma, min(height, width)) * np.float32(sign(frame_index) * scale)
    wide = cv2.resize(strength, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(wide, _pattern(height, width, identifier), dst=wide)


def _halved(guide: np.ndarray) -> np.ndarray:
    """The picture, halved as often as its shorter side keeps `SHORTER` pixels: that is far faster than other steps."""
    while min(guide.shape[:2]) >= 2 * SHORTER:
        wide, high = (n // 2 for n in guide.shape[1::-1])
        guide = cv2.resize(guide[: 2 * high, : 2 * wide], (wide, high), interpolation=cv2.INTER_AREA)
    return guide


def _reduced(halved: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture of H x W, halved, with a shorter side of at most `SHORTER`: detail is looked for at one scale."""
    scale = max(1.0, min(height, width) / SHORTER)
    return cv2.resize(halved, (round(width / scale), round(height / scale)), interpolation=cv2.INTER_AREA)


def _strength(luma: np.ndarray, shorter: int) -> np.ndarray:
    """How strong the mark may be (RMS, 8-bit levels) where the reduced picture, of a frame of this size, is `luma`."""
    detail = cv2.absdiff(luma, cv2.GaussianBlur(luma, (0, 0), 1.5))
    detail = cv2.GaussianBlur(detail, (0, 0), 2.5)
    strength = np.minimum(np.float32(MASKING) * detail + np.float32(FLAT), np.float32(BUSY))
    strength *= np.clip(luma / np.float32(DARK), np.float32(BLACK), 1)
    share = min(1.0, max(LEAST, SMALL / shorter))
    return strength * np.float32(share * min(1.0, MOST / float(np.sqrt(np.mean(np.square(strength))))))


def to_luma(image: np.ndarray) -> np.ndarray:
    """H x W float32, 0..255: luma (BT.601 weights) of RGB, uint8, uint16 or linear float32; or of one channel."""
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=1 / 257)
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if grey.dtype != np.float32:
        return grey.astype(np.float32)
    # A plain power stands in for the transfer curve; light beyond white counts as white.
    return 255 * cv2.pow(np.clip(np.nan_to_num(grey, nan=0.0), 0, 1), 1 / 2.4)


def _to_linear(image: np.ndarray, guide: np.ndarray, mark: np.ndarray) -> np.ndarray:
    """Linear light times what the mark's levels are there: d(light)/light = 2.4 d(code)/code."""
    code = np.maximum(to_luma(guide), 16)  # in the dark a level would be a large factor
    return image * (1 + np.float32(2.4) * mark / code)[..., None]
