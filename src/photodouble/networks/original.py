"""The first network of its kind: a shared 64-pixel encoder and one decoder per identity.

The layers, their sizes and their start values are those of the deepfakes project of December 2017 (its Keras model):
kept as the reference that others are measured against. Two things differ in form and not in what can be learned:
Keras pads a stride-2 'same' convolution by one pixel before and two after, PyTorch by two before and one after (the
same network seen in a mirror along both axes), and the channel order inside PixelShuffle and Flatten is PyTorch's.

It can be built without its Dense layers and without PixelShuffle: what is known of that is in docs/ABLATION.md.
"""

from dataclasses import dataclass

import torch
from torch import nn

from photodouble.errors import BadInput
from photodouble.networks.blocks import Upscale, glorot_, resize, transposed
from photodouble.networks.convolution import Conv2d
from photodouble.networks.registry import register

BOTTLENECKS = ("dense", "none")
UPSCALES = {"shuffle": Upscale, "transposed": transposed, "resize": resize}


@dataclass(frozen=True)
class OriginalConfig:
    """Its values are the original's.

    Attributes:
        identities: number of decoders. width: filters of the first convolution.
        bottleneck: "dense": two Dense layers mix all places of the 4x4 picture; "none": nothing does.
        upscale: "shuffle" (PixelShuffle), "transposed" (convolution of stride 2) or "resize" (and convolution).
    """

    identities: int = 2
    width: int = 128
    bottleneck: str = "dense"
    upscale: str = "shuffle"

    def __post_init__(self) -> None:
        if self.bottleneck not in BOTTLENECKS or self.upscale not in UPSCALES:
            known = f"a bottleneck {' or '.join(BOTTLENECKS)} and an upscale {', '.join(UPSCALES)}"
            raise BadInput(f"The network 'original' knows {known}, not {self.bottleneck} and {self.upscale}.")


class Encoder(nn.Module):
    """N x 3 x 64 x 64 in 0..1 to N x 4*width x 8 x 8."""

    def __init__(self, config: OriginalConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, channels = config.width, 3
        for filters in (width, 2 * width, 4 * width, 8 * width):
            convolution = Conv2d if layers else nn.Conv2d  # the first one's input has no gradient and few channels
            layers += [convolution(channels, filters, 5, stride=2, padding=2), nn.LeakyReLU(0.1, inplace=True)]
            channels = filters
        self.convolutions = nn.Sequential(*layers)
        self.dense = config.bottleneck == "dense"
        if self.dense:
            self.narrow = nn.Linear(4 * 4 * channels, 8 * width)
            self.widen = nn.Linear(8 * width, 4 * 4 * 8 * width)
        self.upscale = UPSCALES[config.upscale](8 * width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode a batch."""
        x = self.convolutions(x)
        if self.dense:
            x = self.widen(self.narrow(x.flatten(1))).unflatten(1, (-1, 4, 4))
        return self.upscale(x)


class Decoder(nn.Module):
    """N x 4*width x 8 x 8 to N x 3 x 64 x 64 in 0..1."""

    def __init__(self, config: OriginalConfig) -> None:
        super().__init__()
        width, upscale = config.width, UPSCALES[config.upscale]
        self.upscales = nn.Sequential(
            upscale(4 * width, 2 * width), upscale(2 * width, width), upscale(width, width // 2)
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
        self.encoder = Encoder(config)
        self.decoders = nn.ModuleList(Decoder(config) for _ in range(config.identities))
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
