"""What the watermark says, and how its 32 bits become the signs of some thousand cosines.

The payload is an identifier of 24 bits and its CRC-8. Each of its four bytes picks one of 256 words of the
biorthogonal code of length 128 (the Walsh functions and their negatives: Reed-Muller RM(1, 7); MacWilliams and Sloane,
"The Theory of Error-Correcting Codes", chapter 13), which is decoded exactly by a Walsh-Hadamard transform. A fifth
word, always the same, is for finding the mark. The chips of the five words are dealt over the cosines of a canvas that
is stretched over the frame, so that a larger or smaller copy of the frame shows the same cosines.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BITS = 24
CHIPS = 128
WORDS = 5  # the first one is for synchronisation
LOWEST, HIGHEST = 14, 192
"""Half periods a frame: what lies below is too visible, what lies above does not survive."""

_SEED = b"photodouble watermark 1"


@dataclass(frozen=True)
class Carriers:
    """The cosines that carry the mark, in the order of their frequency; all arrays have one entry for each.

    Attributes:
        v, u: half periods over the frame's height and width: indices of a DCT-II.
        radius: hypot(v, u).
        word, chip: which chip of which word each of them carries.
        sign: float32, +1 or -1: its own pseudo-random sign.
    """

    v: np.ndarray
    u: np.ndarray
    radius: np.ndarray
    word: np.ndarray
    chip: np.ndarray
    sign: np.ndarray


@lru_cache(1)
def carriers() -> Carriers:
    """All carriers. The same everywhere and always: their signs and places come from SHAKE-128, not from a library."""
    v, u = (grid.ravel() for grid in np.mgrid[1 : HIGHEST + 1, 1 : HIGHEST + 1])
    radius = np.hypot(v, u)
    order = np.lexsort((u, v, np.round(radius, 6)))
    order = order[(radius[order] >= LOWEST) & (radius[order] <= HIGHEST)]
    group = WORDS * CHIPS  # each run of so many holds every chip of every word once
    count = len(order) // group
    order = order[: count * group]
    noise = np.frombuffer(hashlib.shake_128(_SEED).digest(len(order) * 5), np.uint8)
    keys = noise[: len(order) * 4].view("<u4").reshape(count, group)
    place = np.argsort(keys, axis=1, kind="stable").ravel()
    sign = np.where(noise[len(order) * 4 :] & 1, np.float32(1), np.float32(-1))
    return Carriers(v[order], u[order], radius[order], place // CHIPS, place % CHIPS, sign)


def payload_of(identifier: int) -> int:
    """The 32 bits that are written for an identifier of 24 bits.

    Raises:
        ValueError: the identifier is negative or has more bits.
    """
    if not 0 <= identifier < 1 << BITS:
        raise ValueError(f"an identifier has {BITS} bits")
    return identifier << 8 | _crc8(identifier.to_bytes(3, "big"))


def identifier_of(payload: int) -> int | None:
    """The identifier in 32 bits that were read; None if its check does not fit."""
    identifier = payload >> 8
    return identifier if payload_of(identifier) == payload else None


def chips(payload: int) -> np.ndarray:
    """The five words of a payload: (WORDS, CHIPS) float32 of +1 and -1."""
    table = walsh()
    words = np.ones((WORDS, CHIPS), np.float32)
    for k, byte in enumerate(payload.to_bytes(4, "big")):
        words[k + 1] = table[byte & 127] * (-1 if byte & 128 else 1)
    return words


def decode(sums: np.ndarray) -> tuple[int, np.ndarray]:
    """The most probable payload.

    Args:
        sums: (4, CHIPS) float: what was received for each chip of the four words, its noise alike everywhere.

    Returns:
        The payload, and how far each word's own sum stands out: (4,) in the unit of `sums` times sqrt(CHIPS).
    """
    heights = sums @ walsh().T / np.sqrt(CHIPS)
    best = np.abs(heights).argmax(1)
    peaks = heights[np.arange(len(best)), best]
    coded = [int(index) | (128 if peak < 0 else 0) for index, peak in zip(best, peaks, strict=True)]
    return int.from_bytes(bytes(coded), "big"), np.abs(peaks)


@lru_cache(1)
def walsh() -> np.ndarray:
    """(128, 128) float32: Walsh functions, row i at t is (-1) to the number of bits that i and t share."""
    i = np.arange(CHIPS)
    shared = np.bitwise_count(i[:, None] & i[None]) & 1
    return np.where(shared, np.float32(-1), np.float32(1))


def _crc8(data: bytes) -> int:
    """CRC-8 with the polynomial x^8 + x^5 + x^3 + x^2 + x + 1 (0x2F, as in AUTOSAR), first value 0xFF."""
    value = 0xFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x2F) & 0xFF if value & 0x80 else value << 1
    return value ^ 0xFF
