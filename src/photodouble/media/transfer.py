"""Code values and linear light: the transfer functions and primaries that plates are made with.

Linear light is relative: 1.0 is the white of paper under the scene's light, which PQ and HLG put at 203 cd/m2 (ITU-R
BT.2408-7, section 2.2) and everything else at its peak.
"""

from functools import lru_cache

import numpy as np

from photodouble.media.colour import LINEAR

PQ, HLG = 16, 18
WHITE = 203.0
"""cd/m2 of reference white in PQ and HLG."""

# SMPTE ST 2084:2014, section 5.
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_PQ_PEAK = 10_000.0
# ITU-R BT.2100-2, table 5, on a screen of 1000 cd/m2.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_PEAK, _GAMMA = 1000.0, 1.2

LINEAR_NAMES = {1: "lin_rec709_scene", 9: "lin_rec2020_scene", 12: "lin_p3d65_scene"}
"""Color interop IDs (Academy Software Foundation) of linear light with these primaries."""

# x and y of red, green, blue and white (H.273, table 2).
_D65 = (0.3127, 0.3290)
PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}


def to_linear(code: np.ndarray, transfer: int) -> np.ndarray:
    """Linear light (float32) of code values 0..1 (more in linear plates, whose negative values stay too)."""
    code = np.asarray(code, np.float32)
    if transfer == LINEAR:
        return code
    code = np.clip(code, 0, 1)
    if transfer == PQ:
        power = np.power(code, 1 / _M2)
        light = np.power(np.maximum(power - _C1, 0) / (_C2 - _C3 * power), 1 / _M1) * (_PQ_PEAK / WHITE)
    elif transfer == HLG:
        scene = np.where(code <= 0.5, code * code / 3, (np.exp((code - _C) / _A) + _B) / 12)
        # BT.2100's system gamma goes by luminance; by channel it can be undone by channel.
        light = np.power(scene, _GAMMA) * (_HLG_PEAK / WHITE)
    else:  # IEC 61966-2-1, which everything made for a screen is near enough to
        light = np.where(code <= 0.04045, code / 12.92, np.power((code + 0.055) / 1.055, 2.4))
    return light.astype(np.float32)


def from_linear(light: np.ndarray, transfer: int) -> np.ndarray:
    """The inverse of `to_linear`: float32, cut off to 0..1 unless the plate is linear."""
    light = np.asarray(light, np.float32)
    if transfer == LINEAR:
        return light
    light = np.maximum(light, 0)
    if transfer == PQ:
        power = np.power(np.minimum(light * (WHITE / _PQ_PEAK), 1), _M1)
        code = np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)
    elif transfer == HLG:
        scene = np.power(np.minimum(light * (WHITE / _HLG_PEAK), 1), 1 / _GAMMA)
        code = np.where(scene <= 1 / 12, np.sqrt(3 * scene), _A * np.log(np.maximum(12 * scene - _B, 1e-6)) + _C)
    else:
        light = np.minimum(light, 1)
        code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return code.astype(np.float32)


@lru_cache(8)
def linear_table(transfer: int) -> np.ndarray:
    """`to_linear` of each 16-bit code value: float32, 65536 entries, not to be written to."""
    table = to_linear(np.arange(65536, dtype=np.float32) / 65535, transfer)
    table.flags.writeable = False
    return table


@lru_cache(8)
def primaries_matrix(primaries: int) -> np.ndarray | None:
    """3 x 3 from linear RGB of these primaries to those of BT.709; None where they are the same or unknown.

    Derivation: SMPTE RP 177:1993, section 3.3.
    """
    if primaries not in PRIMARIES or primaries == 1:
        return None
    return np.linalg.inv(_to_xyz(1)) @ _to_xyz(primaries)


def _to_xyz(primaries: int) -> np.ndarray:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in PRIMARIES[primaries]]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
