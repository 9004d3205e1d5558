"""Grain: the power spectrum of fine structure on flat skin, of output and plate at the same places."""

import cv2
import numpy as np

PATCH = 16
"""Side in pixels of the squares whose spectra are taken."""

BANDS = ((0.125, 0.25), (0.25, 0.375), (0.375, 0.75))
"""Cycles a pixel, radially; what is coarser is skin."""

FLATTEST = 1 / 3
"""Part of the squares that is looked at."""

FEWEST = 6
"""Squares below which nothing is said."""


def grain_power(output: np.ndarray, plate: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power of the grain in each of `BANDS`, of output and plate, (3,) each, squared 8-bit levels; NaN if unknown.

    Periodograms with a Hann window (Welch, "The use of fast Fourier transform for the estimation of power spectra",
    1967) of the flattest third of the squares `inside`: where what is coarser than grain, in the square and around it,
    varies least in the one picture of the two in which it varies more. Eyes, nostrils and mouth of either are left out
    so. The median over the squares, so that a mole does not count.

    Args:
        output, plate: luma, H x W uint8.
        inside: H x W bool, the pixels that are the new face and nothing else.
    """
    nothing = np.full(len(BANDS), np.nan)
    if min(inside.shape) < PATCH:
        return nothing, nothing
    whole = _squares(inside).all((2, 3))
    if whole.sum() < FEWEST:
        return nothing, nothing
    rough = np.maximum(_roughness(output), _roughness(plate))
    flat = whole & (rough <= np.quantile(rough[whole], FLATTEST))
    return _power(_squares(output)[flat]), _power(_squares(plate)[flat])


def _squares(picture: np.ndarray) -> np.ndarray:
    """(rows, columns, PATCH, PATCH) of a picture, without what is left over at its right and lower edge."""
    rows, columns = (n // PATCH for n in picture.shape)
    cut = picture[: rows * PATCH, : columns * PATCH]
    return cut.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2)


def _roughness(picture: np.ndarray) -> np.ndarray:
    """(rows, columns): variance of the means of half squares in each of the squares and half a square around it."""
    rows, columns = (n // PATCH for n in picture.shape)
    cut = picture[: rows * PATCH, : columns * PATCH].astype(np.float32)
    means = cv2.resize(cut, (2 * columns, 2 * rows), interpolation=cv2.INTER_AREA)
    around = [cv2.blur(part, (4, 4), anchor=(1, 1))[::2, ::2] for part in (means, means * means)]
    return around[1] - around[0] ** 2


def _power(patches: np.ndarray) -> np.ndarray:
    """(bands,) of (n, PATCH, PATCH)."""
    patches = patches.astype(np.float32)
    window = np.outer(*(np.hanning(PATCH + 2)[1:-1],) * 2).astype(np.float32)
    away = patches - patches.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(away * window)) ** 2 / (window**2).sum() / PATCH**2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(PATCH),) * 2))
    sums = [power[:, (radius >= low) & (radius < high)].sum(1) for low, high in BANDS]
    return np.median(np.array(sums), 1)
