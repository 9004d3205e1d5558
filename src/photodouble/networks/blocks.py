"""Parts that several networks share."""

import torch
from torch import nn

from photodouble.networks.convolution import Conv2d


class Upscale(nn.Module):
    """Twice the height and width: 3x3 convolution to four times the filters, LeakyReLU 0.1, PixelShuffle.

    Sub-pixel convolution: Shi et al. 2016, arXiv:1609.05158.
    """

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.convolution = Conv2d(channels, 4 * filters, 3, padding=1)
        self.activation = nn.LeakyReLU(0.1, inplace=True)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x channels x H x W to N x filters x 2H x 2W."""
        return self.shuffle(self.activation(self.convolution(x)))


def transposed(channels: int, filters: int) -> nn.Sequential:
    """Twice the height and width by a 4x4 transposed convolution of stride 2; LeakyReLU 0.1.

    With a 6x6 kernel it would be `Upscale` itself, its weights in another order (but for three biases of four; Shi et
    al. 2016, arXiv:1609.07009).
    """
    return nn.Sequential(nn.ConvTranspose2d(channels, filters, 4, 2, 1), nn.LeakyReLU(0.1, inplace=True))


def resize(channels: int, filters: int) -> nn.Sequential:
    """Twice the height and width by repeating each pixel, then a 3x3 convolution and LeakyReLU 0.1."""
    convolution = Conv2d(channels, filters, 3, padding=1)
    return nn.Sequential(nn.Upsample(scale_factor=2), convolution, nn.LeakyReLU(0.1, inplace=True))


def glorot_(module: nn.Module) -> None:
    """Give every convolution and dense layer in `module` Glorot's uniform weights (2010) and zero biases, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
