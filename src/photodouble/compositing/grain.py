"""The plate's grain on the new face."""

from functools import cache

import cv2
import numpy as np

from photodouble.compositing.look import SIGMAS, bands

TILE = 512
"""Side of the noise tiles, pixels; a larger face sees them repeated."""

SEED, PAD = 20170412, 32
SIZES = (0.0, 0.5, 0.7, 1.0, 1.5, 2.5)
"""Sizes of grain that are mixed: sigmas of the blurs of white noise, pixels."""

CORE, SOFTEST = 8.0, 0.05
"""A face with more fine structure on its skin than the plate: on skin, what is smaller than `CORE` of its standard
deviations is weakened, to `SOFTEST` at most, so that moles and wrinkles stay."""
OVERLAP = np.array([0.8, 1.6, 2.6])
"""Power of the ratio of wanted and own energy that each band is scaled by. With the root alone all of them would keep
more than is wanted: skin has larger values than noise, which stay, the bands overlap, and what is coarser than grain
reaches into the last."""
KEPT = 0.95
"""A band this near to its wanted strength is left alone."""


def match_grain(
    grey: np.ndarray,
    fine: list[np.ndarray],
    own: np.ndarray,
    wanted: np.ndarray,
    index: int,
    amount: float = 1.0,
    skin: np.ndarray | None = None,
    at: tuple[int, int] = (0, 0),
    rounded: float = 0.0,
) -> np.ndarray:
    """Give a face the plate's grain, band by band; the result depends on nothing but the arguments.

    Args:
        grey: H x W float32, the face's luma, 0..255. fine: its `bands`.
        own, wanted: `Look.grain` of the face and of the plate; NaN: unknown, nothing is done. What flat skin lacks is
            added; what all of the skin has too much is weakened.
        index: of the frame: no two have the same noise.
        amount: 0..1, part of the grain that is given.
        skin: H x W float32, 1 where grain that is too much may be weakened; None: everywhere.
        at: y and x of the picture in its face's box: the noise is that of the box, whatever part of it is worked on.
        rounded: step, in 8-bit levels, to which the result will be rounded: that is noise, too, of step ** 2 / 12.

    Returns:
        H x W float32.
    """
    if not amount or not np.isfinite(own + wanted).all():
        return grey
    wanted = np.maximum(wanted - rounded**2 / 12 * _response()[:, 0], 0)
    grey = _cored(grey, fine, own[1], wanted[1], amount, skin)
    offsets = np.random.default_rng([SEED, index]).integers(0, TILE, (len(SIZES), 2))
    for tile, variance, (y, x) in zip(_tiles(), _powers(wanted[0] - own[0]), offsets.tolist(), strict=True):
        if variance > 1e-3:
            noise = _cut(tile, (y + at[0]) % TILE, (x + at[1]) % TILE, grey.shape)
            grey = cv2.scaleAdd(noise, amount * float(np.sqrt(variance)), grey)
    return grey


def _cored(
    grey: np.ndarray,
    fine: list[np.ndarray],
    own: np.ndarray,
    wanted: np.ndarray,
    amount: float,
    skin: np.ndarray | None,
) -> np.ndarray:
    """A luma whose skin has no more fine structure than it should.

    Small values are weakened, large ones stay ("coring": Rossi, "Digital techniques for reducing television noise",
    SMPTE Journal, 1978).
    """
    gains = np.clip(((wanted + 1e-3) / (own + 1e-3)) ** OVERLAP, SOFTEST, 1)
    for band, gain, variance in zip(fine, gains, own, strict=True):
        if gain < KEPT:
            small = cv2.multiply(band, band, scale=-1 / (CORE**2 * variance + 1e-3))
            small = cv2.multiply(cv2.exp(small, small), band, small)
            if skin is not None:
                small *= skin
            grey = cv2.scaleAdd(small, amount * float(gain - 1), grey)
    return grey


def _cut(tile: np.ndarray, y: int, x: int, shape: tuple[int, ...]) -> np.ndarray:
    """A part of H, W of a tile that goes on for ever."""
    if y + shape[0] <= len(tile) and x + shape[1] <= len(tile):
        return tile[y : y + shape[0], x : x + shape[1]]
    return tile[np.ix_((y + np.arange(shape[0])) % len(tile), (x + np.arange(shape[1])) % len(tile))]


def _powers(missing: np.ndarray) -> np.ndarray:
    """Variance of each tile of noise, of which at most two neighbours are used, so that they have the missing power.

    The two finest bands decide: in what is coarser, noise of any size looks alike.
    """
    powers, missing = np.zeros(len(SIZES)), np.maximum(missing[:2], 0)
    response = _response()[:2]
    if not missing.any():
        return powers
    k = int(np.searchsorted(response[1] / response[0], missing[1] / max(missing[0], 1e-9)))
    if 0 < k < len(SIZES):
        powers[k - 1 : k + 1] = np.maximum(np.linalg.solve(response[:, k - 1 : k + 1], missing), 0)
    else:  # finer or coarser than any: its power as a whole
        k = min(k, len(SIZES) - 1)
        powers[k] = missing.sum() / response[:, k].sum()
    return powers


@cache
def _tiles() -> list[np.ndarray]:
    """Noise of variance 1 and of each size, TILE x TILE float32, without a seam."""
    random = np.random.default_rng(SEED)
    tiles = []
    for sigma in SIZES:
        white = random.standard_normal((TILE, TILE)).astype(np.float32)
        tile = cv2.GaussianBlur(_wrapped(white), (0, 0), sigma)[PAD:-PAD, PAD:-PAD] if sigma else white
        tiles.append(tile / tile.std())
    return tiles


@cache
def _response() -> np.ndarray:
    """(bands, sizes): variance in each band of each tile."""
    parts = [bands(_wrapped(tile)) for tile in _tiles()]
    return np.array([[part[i][PAD:-PAD, PAD:-PAD].var(dtype=np.float64) for part in parts] for i in range(len(SIGMAS))])


def _wrapped(tile: np.ndarray) -> np.ndarray:
    return np.pad(tile, PAD, mode="wrap")
