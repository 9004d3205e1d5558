"""The U-Net inside `standard` and `fine`: residual blocks, attention where the picture is small, PixelShuffle."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

HEAD = 64
"""Channels of an attention head."""

ATTENDED = 16
"""Pictures of this size and smaller are attended: each place sees the whole face."""


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation (Wu and He 2018, arXiv:1803.08494) in groups of 16 channels."""
    return nn.GroupNorm(max(1, channels // 16), channels)


def silent(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights of zero: what it is added to starts as it is."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def enlarge(channels: int, filters: int) -> nn.Sequential:
    """Twice the height and width by pixel shuffle (Shi et al. 2016, arXiv:1609.05158)."""
    return nn.Sequential(nn.Conv2d(channels, 4 * filters, 1), nn.PixelShuffle(2))


class Residual(nn.Module):
    """The input and two 3 x 3 convolutions of it, each after a norm and SiLU (He et al. 2016, arXiv:1603.05027)."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            norm(channels),
            nn.SiLU(inplace=True),
            nn.Conv2d(channels, filters, 3, padding=1),
            norm(filters),
            nn.SiLU(inplace=True),
            silent(nn.Conv2d(filters, filters, 3, padding=1)),
        )
        self.straight = nn.Identity() if channels == filters else nn.Conv2d(channels, filters, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x channels x H x W to N x filters x H x W."""
        return self.straight(x) + self.convolutions(x)


class Attention(nn.Module):
    """The input and what each place takes from all the others (Vaswani et al. 2017, arXiv:1706.03762)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD)
        self.norm = norm(channels)
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.out = silent(nn.Conv2d(channels, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x channels x H x W, and the same back."""
        n, c, h, w = x.shape
        asked = self.ask(self.norm(x)).reshape(n, 3, self.heads, c // self.heads, h * w)
        query, key, value = asked.transpose(-1, -2).unbind(1)
        taken = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(taken.transpose(-1, -2).reshape(n, c, h, w))


def level(channels: int, filters: int, size: int, depth: int) -> nn.Sequential:
    """`depth` residual blocks on a picture of `size` pixels, and attention behind them where it is small."""
    blocks: list[nn.Module] = [Residual(channels if not number else filters, filters) for number in range(depth)]
    return nn.Sequential(*blocks, *([Attention(filters)] if size <= ATTENDED else []))


class Encoder(nn.Module):
    """N x 6 x size x size to features at half, a quarter ... of the size, one for each of `widths`, finest first."""

    def __init__(self, widths: tuple[int, ...], depth: int, size: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(24, widths[0], 3, padding=1))
        self.levels = nn.ModuleList(level(c, c, size >> (at + 1), depth) for at, c in enumerate(widths))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths))

    def forward(self, x: torch.Tensor, finer: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Encode a batch; `finer` is added to the stem's features (N x widths[0] x size / 2 x size / 2)."""
        x = self.stem(x)
        if finer is not None:
            x = x + finer
        features = [self.levels[0](x)]
        for down, blocks in zip(self.downs, self.levels[1:], strict=True):
            features.append(blocks(down(features[-1])))
        return tuple(features)


class Decoder(nn.Module):
    """The encoder's features to a correction and the logits of a matte, N x 4 x size x size. It starts as zero."""

    def __init__(self, widths: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.middle = level(widths[-1], widths[-1], size >> len(widths), 1)
        steps = [(at, *pair) for at, pair in enumerate(itertools.pairwise(widths))][::-1]
        self.ups = nn.ModuleList(enlarge(coarse, fine) for _, fine, coarse in steps)
        self.mixes = nn.ModuleList(level(2 * fine, fine, size >> (at + 1), 1) for at, fine, _ in steps)
        self.out = silent(nn.Conv2d(widths[0], 16, 3, padding=1))

    def features(self, code: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """N x widths[0] x size / 2 x size / 2."""
        y = self.middle(code[-1])
        for up, mix, skip in zip(self.ups, self.mixes, code[-2::-1], strict=True):
            y = mix(torch.cat([up(y), skip], 1))
        return y

    def picture(self, features: torch.Tensor) -> torch.Tensor:
        """What `features` stand for."""
        return F.pixel_shuffle(self.out(features), 2)

    def forward(self, code: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Decode a batch."""
        return self.picture(self.features(code))
