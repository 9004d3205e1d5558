"""`fine`: `standard` with one more level around it, 512 pixels, for film.

The inside is a whole `standard` that works on the picture at half size; its correction is enlarged, and the outer level
adds what half the size cannot show. So a trained `standard` can grow into a `fine` that starts where it ended
(progressive growing: Karras et al. 2018, arXiv:1710.10196; here without a fade, as the outer level starts as zero).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from photodouble.networks.refiner import Refiner
from photodouble.networks.registry import config_of, create, register
from photodouble.networks.standard import Standard, StandardConfig
from photodouble.networks.unet import Decoder, Encoder, Residual, enlarge, silent


@dataclass(frozen=True)
class FineConfig(StandardConfig):
    """`outer`: channels at 256 pixels; the others are those of the `standard` inside."""

    outer: int = 32


class OuterEncoder(nn.Module):
    """N x 6 x 512 x 512 to the features at 256 pixels and the inner encoder's."""

    def __init__(self, config: FineConfig, size: int) -> None:
        super().__init__()
        self.inner = Encoder(config.widths, config.depth, size)
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(24, config.outer, 3, padding=1), Residual(config.outer, config.outer)
        )
        self.down = silent(nn.Conv2d(config.outer, config.widths[0], 3, stride=2, padding=1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Encode a batch."""
        finest = self.stem(x)
        return finest, *self.inner(F.avg_pool2d(x, 2), self.down(finest))


class OuterDecoder(nn.Module):
    """The features to a correction and the logits of a matte, N x 4 x 512 x 512."""

    def __init__(self, config: FineConfig, size: int) -> None:
        super().__init__()
        self.inner = Decoder(config.widths, size)
        self.up = enlarge(config.widths[0], config.outer)
        self.mix = Residual(2 * config.outer, config.outer)
        self.out = silent(nn.Conv2d(config.outer, 16, 3, padding=1))

    def forward(self, code: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Decode a batch."""
        features = self.inner.features(code[1:])
        coarse = F.interpolate(self.inner.picture(features), scale_factor=2, mode="bilinear", align_corners=False)
        finest = self.mix(torch.cat([self.up(features), code[0]], 1))
        return coarse + F.pixel_shuffle(self.out(finest), 2)


@register("fine", FineConfig)
class Fine(Refiner):
    """A `Refiner` of 512 pixels."""

    size = 2 * Standard.size

    def __init__(self, config: FineConfig) -> None:
        super().__init__(
            OuterEncoder(config, Standard.size),
            [OuterDecoder(config, Standard.size) for _ in range(config.identities)],
        )


def grow(standard: nn.Module, **values: int) -> nn.Module:
    """A `fine` around a trained `standard`, which is left as it is; `values` are for what only a `fine` has.

    At the start it gives the large `mesh` plus the correction that `standard` has for the picture at half size (mean of
    2 x 2 pixels), enlarged bilinearly.
    """
    fine = create("fine", **config_of(standard), **values)
    inner = [fine.encoder.inner, *(decoder.inner for decoder in fine.decoders)]  # type: ignore[union-attr]
    for part, known in zip(inner, [standard.encoder, *standard.decoders], strict=True):  # type: ignore[list-item, misc]
        part.load_state_dict(known.state_dict())  # type: ignore[union-attr, operator]
    return fine.to(next(standard.parameters()).device).train(standard.training)
