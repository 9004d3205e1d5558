"""`standard`: `lite`'s task at 256 pixels for one GPU. It sees the face whole (attention) and has room for its detail.

`lite`'s plan, wider and deeper: a residual U-Net on half the resolution that corrects what `mesh` drew.
"""

from dataclasses import dataclass

from photodouble.networks.refiner import Refiner
from photodouble.networks.registry import register
from photodouble.networks.unet import Decoder, Encoder


@dataclass(frozen=True)
class StandardConfig:
    """What `standard` is made of.

    Attributes:
        identities: number of decoders.
        widths: channels at 128, 64, 32, 16 and 8 pixels.
        depth: residual blocks of the encoder at each of them; a decoder has one.
    """

    identities: int = 2
    widths: tuple[int, ...] = (64, 128, 256, 384, 512)
    depth: int = 2


@register("standard", StandardConfig)
class Standard(Refiner):
    """A `Refiner` of 256 pixels."""

    size = 256

    def __init__(self, config: StandardConfig) -> None:
        super().__init__(
            Encoder(config.widths, config.depth, self.size),
            [Decoder(config.widths, self.size) for _ in range(config.identities)],
        )
