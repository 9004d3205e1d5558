"""The network that finds what covers a face: a small U-Net, trained by `benchmarks/make_cover.py`.

It is used through ONNX, without PyTorch (`retarget.covered`), and is no model that `train` knows.
"""

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = (16, 32, 64)


class Cover(nn.Module):
    """N x 11 x 64 x 64, `retarget.uncovered.evidence`, to N x 1 x 64 x 64: the share of each pixel that is covered.

    A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) on pixels folded two by two (Shi et al. 2016,
    arXiv:1609.05158), with batch normalisation (Ioffe and Szegedy 2015), which costs nothing once folded in.
    """

    def __init__(self, channels: int = 11, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        first, *_, last = widths
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), _block(4 * channels, first), _block(first, first))
        self.downs = nn.ModuleList(
            nn.Sequential(_block(a, b, 2), _block(b, b)) for a, b in zip(widths, (*widths[1:], last), strict=True)
        )
        self.ups = nn.ModuleList(
            nn.Sequential(_block(b + a, a), _block(a, a)) for a, b in zip(widths, (*widths[1:], last), strict=True)
        )
        self.out = nn.Conv2d(first, 4, 3, padding=1)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """N x 1 x 64 x 64, before the sigmoid."""
        features = [self.stem(x)]
        for down in self.downs:
            features.append(down(features[-1]))
        y = features.pop()
        for up, skip in zip(list(self.ups)[::-1], features[::-1], strict=True):
            y = up(torch.cat([F.interpolate(y, scale_factor=2.0, mode="nearest"), skip], 1))
        return F.pixel_shuffle(self.out(y), 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.logits(x).sigmoid()


def _block(channels: int, filters: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)
    )
