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


def glorot_(module: nn.Module) -> None:
    """Give every convolution and dense layer in `module` Glorot's uniform weights (2010) and zero biases, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
