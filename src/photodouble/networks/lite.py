"""`lite`: what `mesh` draws, corrected. One encoder for everybody, one decoder for each identity, 128 pixels.

It does not have to learn a face: `mesh` gives it one, in the right pose. What it learns is what that picture lacks:
gaze, the inside of the mouth, the light of an expression, the seams between pictures; how much of that is put to use
is said in `generators/refined.py`. A residual U-Net on half the
resolution (pixel unshuffle; Shi et al. 2016 run backwards), small enough for two processor cores.
"""

from dataclasses import dataclass

import torch
from torch import nn

from photodouble.networks.refiner import Refiner
from photodouble.networks.registry import register


@dataclass(frozen=True)
class LiteConfig:
    """`identities`: number of decoders. `width`: channels at half the resolution."""

    identities: int = 2
    width: int = 24


def convolve(channels: int, filters: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution and LeakyReLU 0.1."""
    return nn.Sequential(nn.Conv2d(channels, filters, 3, stride, 1), nn.LeakyReLU(0.1, inplace=True))


def enlarge(channels: int, filters: int) -> nn.Sequential:
    """Twice the height and width by pixel shuffle."""
    return nn.Sequential(nn.Conv2d(channels, 4 * filters, 1), nn.PixelShuffle(2))


class Encoder(nn.Module):
    """N x 6 x 128 x 128 to four pictures of features, finest first."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), convolve(24, c))
        self.down1 = nn.Sequential(convolve(c, 2 * c, 2), convolve(2 * c, 2 * c))
        self.down2 = nn.Sequential(convolve(2 * c, 4 * c, 2), convolve(4 * c, 4 * c))
        self.down3 = nn.Sequential(convolve(4 * c, 6 * c, 2), convolve(6 * c, 6 * c), convolve(6 * c, 6 * c))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Encode a batch."""
        x0 = self.stem(x)
        x1 = self.down1(x0)
        x2 = self.down2(x1)
        return x0, x1, x2, self.down3(x2)


class Decoder(nn.Module):
    """Four pictures of features to a correction and a matte, N x 4 x 128 x 128. It starts as zero."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.up2, self.mix2 = enlarge(6 * c, 4 * c), convolve(8 * c, 4 * c)
        self.up1, self.mix1 = enlarge(4 * c, 2 * c), convolve(4 * c, 2 * c)
        self.up0, self.mix0 = enlarge(2 * c, c), convolve(2 * c, c)
        self.out = nn.Conv2d(c, 16, 3, 1, 1)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, code: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Decode a batch."""
        x0, x1, x2, x3 = code
        y = self.mix2(torch.cat([self.up2(x3), x2], 1))
        y = self.mix1(torch.cat([self.up1(y), x1], 1))
        y = self.mix0(torch.cat([self.up0(y), x0], 1))
        return nn.functional.pixel_shuffle(self.out(y), 2)


@register("lite", LiteConfig)
class Lite(Refiner):
    """A `Refiner` of 128 pixels."""

    size = 128

    def __init__(self, config: LiteConfig) -> None:
        super().__init__(Encoder(config.width), [Decoder(config.width) for _ in range(config.identities)])
