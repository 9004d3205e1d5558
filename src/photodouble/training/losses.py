"""What training minimises and held-out figures are made of. Pictures are N x C x H x W floats in 0..1."""

import torch
import torch.nn.functional as F

WINDOW = 7
C1, C2 = 0.01**2, 0.03**2


def ssim_map(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity at each place where the 7 x 7 window fits: N x C x (H-6) x (W-6), in -1..1.

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
    return luminance * (2 * covariance + C2) / (variance_a + variance_b + C2)


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity of each picture, N; see `ssim_map`."""
    return ssim_map(a, b).mean(dim=(1, 2, 3))


def dssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural dissimilarity, (1 - SSIM) / 2 averaged over the batch: a scalar in 0..1."""
    return 0.5 * (1 - ssim_map(a, b).mean())


def l1(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean absolute error; with `weight` (N x 1 x H x W, not all zero) its mean weighted by it."""
    error = (a - b).abs()
    if weight is None:
        return error.mean()
    return (error * weight).sum() / (weight.sum() * (error.shape[1] / weight.shape[1]))
