"""The first network of its kind: a shared 64-pixel encoder and one decoder per identity.

The layers, their sizes and their start values are those of the deepfakes project of December 2017 (its Keras model):
kept as the reference that others are measured against. Two things differ in form and not in what can be learned:
Keras pads a stride-2 'same' convolution by one pixel before and two after, PyTorch by two before and one after (the
same network seen in a mirror along both axes), and the channel order inside PixelShuffle and Flatten is PyTorch's.
"""

from dataclasses import dataclass

import torch
from torch import nn

from photodouble.networks.blocks import Upscale, glorot_
from photodouble.networks.convolution import Conv2d
from photodouble.networks.registry import register


@dataclass(frozen=True)
class OriginalConfig:
    """`identities`: number of decoders. `width`: filters of the first convolution; 128 is the original."""

    identities: int = 2
    width: int = 128


class Encoder(nn.Module):
    """N x 3 x 64 x 64 in 0..1 to N x 4*width x 8 x 8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for filters in (width, 2 * width, 4 * width, 8 * width):
            convolution = Conv2d if layers else nn.Conv2d  # the first one's input has no gradient and few channels
            layers += [convolution(channels, filters, 5, stride=2, padding=2), nn.LeakyReLU(0.1, inplace=True)]
            channels = filters
        self.convolutions = nn.Sequential(*layers)
        self.narrow = nn.Linear(4 * 4 * channels, 8 * width)
        self.widen = nn.Linear(8 * width, 4 * 4 * 8 * width)
        self.upscale = Upscale(8 * width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode a batch."""
        x = self.convolutions(x).flatten(1)
        x = self.widen(self.narrow(x))
        return self.upscale(x.unflatten(1, (-1, 4, 4)))


class Decoder(nn.Module):
    """N x 4*width x 8 x 8 to N x 3 x 64 x 64 in 0..1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.upscales = nn.Sequential(
            Upscale(4 * width, 2 * width), Upscale(2 * width, width), Upscale(width, width // 2)
        )
        self.picture = nn.Conv2d(width // 2, 3, 5, padding=2)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Decode a batch."""
        return self.picture(self.upscales(code)).sigmoid()


@register("original", OriginalConfig)
class Original(nn.Module):
    """Shared encoder, one decoder per identity; pictures are N x 3 x 64 x 64 in 0..1."""

    size = 64

    def __init__(self, config: OriginalConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config.width)
        self.decoders = nn.ModuleList(Decoder(config.width) for _ in range(config.identities))
        glorot_(self)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """What the identities share: N x 512 x 8 x 8 for the original width."""
        return self.encoder(x)

    def decode(self, code: torch.Tensor, identity: int) -> torch.Tensor:
        """The picture of `identity` (its number) that a code stands for."""
        return self.decoders[identity](code)

    def forward(self, x: torch.Tensor, identity: int) -> torch.Tensor:
        """Reconstruct (same identity) or swap (another one)."""
        return self.decode(self.encode(x), identity)
