"""What training minimises and held-out figures are made of. Pictures are N x C x H x W floats in 0..1."""

import torch
import torch.nn.functional as F

WINDOW = 7
C1, C2 = 0.01**2, 0.03**2


SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales of `ms_ssim`, finest first."""

LEAST = 1e-4
"""Similarities below this count as this where powers of them are taken: those of negative ones are not numbers."""


def ssim_map(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity at each place where the 7 x 7 window fits: N x C x (H-6) x (W-6), in -1..1.

    See `similarity_maps`.
    """
    luminance, structure = similarity_maps(a, b)
    return luminance * structure


def similarity_maps(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two factors of structural similarity, luminance and contrast with structure, as in `ssim_map`.

    Wang, Bovik, Sheikh, Simoncelli 2004 ("Image quality assessment: from error visibility to structural similarity"),
    equation 13, with K1 = 0.01, K2 = 0.03 and a uniform window with unbiased variances (scikit-image's default).
    """
    count = WINDOW * WINDOW
    unbiased = count / (count - 1)
    channels = a.shape[1]
    stacked = torch.cat((a, b, a * a, b * b, a * b), dim=1)
    # A square mean is a mean of rows, then of columns: 14 additions a pixel instead of 49.
    rows = F.avg_pool2d(stacked, (1, WINDOW), stride=1)
    mean_a, mean_b, aa, bb, ab = F.avg_pool2d(rows, (WINDOW, 1), stride=1).split(channels, dim=1)
    variance_a = unbiased * (aa - mean_a * mean_a)
    variance_b = unbiased * (bb - mean_b * mean_b)
    covariance = unbiased * (ab - mean_a * mean_b)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1)
    return luminance, (2 * covariance + C2) / (variance_a + variance_b + C2)


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity of each picture, N; see `ssim_map`."""
    return ssim_map(a, b).mean(dim=(1, 2, 3))


def dssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural dissimilarity, (1 - SSIM) / 2 averaged over the batch: a scalar in 0..1."""
    return 0.5 * (1 - ssim_map(a, b).mean())


def l1_each(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted absolute error of each picture, N; 0 where its `weight` (N x 1 x H x W) is 0 everywhere."""
    error = ((a - b).abs() * weight).sum((1, 2, 3))
    return error / (weight.sum((1, 2, 3)) * a.shape[1]).clamp(min=1e-9)


def l1(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean absolute error; with `weight` (N x 1 x H x W, not all zero) its mean weighted by it."""
    error = (a - b).abs()
    if weight is None:
        return error.mean()
    return (error * weight).sum() / (weight.sum() * (error.shape[1] / weight.shape[1]))


def ms_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity over five scales of each picture, N, in 0..1; pictures of 112 pixels at least.

    Wang, Simoncelli, Bovik 2003 ("Multiscale structural similarity for image quality assessment"), equation 7, with the
    window of `ssim_map` and scales made by the mean of 2 x 2 pixels.
    """
    product = torch.ones(a.shape[:2], dtype=a.dtype, device=a.device)
    for scale, exponent in enumerate(SCALES):
        if scale:
            a, b = F.avg_pool2d(torch.cat((a, b)), 2).chunk(2)
        luminance, structure = similarity_maps(a, b)
        seen = luminance * structure if scale == len(SCALES) - 1 else structure
        product = product * seen.mean((2, 3)).clamp_min(LEAST) ** exponent
    return product.mean(1)


def pyramid_l1(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor | None = None, levels: int = 3) -> torch.Tensor:
    """Mean of `l1` at full, half, a quarter ... of the size (means of 2 x 2 pixels)."""
    total = l1(a, b, weight)
    for _ in range(levels - 1):
        a, b = F.avg_pool2d(torch.cat((a, b)), 2).chunk(2)
        weight = None if weight is None else F.avg_pool2d(weight, 2)
        total = total + l1(a, b, weight)
    return total / levels


def gradient_l1(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """`l1` of the pictures' slopes along x and y (Sobel's 3 x 3 operator, per pixel), the border row left out."""
    error = a - b  # the operator is linear
    across, down = error[..., 2:] - error[..., :-2], error[..., 2:, :] - error[..., :-2, :]
    x = (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 8
    y = (down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]) / 8
    slopes = torch.cat((x, y), 1)
    return l1(slopes, torch.zeros_like(slopes), None if weight is None else weight[..., 1:-1, 1:-1])


def focal_frequency(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared error of the spectrum, weighted by itself: what is hard counts most. A scalar.

    Jiang, Dai, Wu, Loy 2021 ("Focal frequency loss for image reconstruction and synthesis"), equation 8 with alpha 1:
    the weight is the error's magnitude over the largest one of its picture and channel, and no gradient flows into it.
    """
    spectrum = torch.fft.fft2((a - b).float(), norm="ortho")
    power = spectrum.real.square() + spectrum.imag.square()
    size = power.detach().sqrt()
    return (power * size / size.amax((2, 3), keepdim=True).clamp_min(1e-12)).mean()
