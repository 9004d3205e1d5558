"""A critic of patches, for sharpness: what it takes for drawn, the network learns to avoid. Never part of a model."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class Critic(nn.Module):
    """Says of each patch of N x 3 x S x S whether it looks real, given the landmarks' drawing (above 0: real).

    A PatchGAN (Isola et al. 2017, arXiv:1611.07004) that sees 46 x 46 pixels, with spectral normalisation (Miyato et
    al. 2018, arXiv:1802.05957). Its output is N x 1 x (S / 8 - 1) x (S / 8 - 1).
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        channels = (6, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise(channels):
            layers += [spectral_norm(nn.Conv2d(inside, outside, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(channels[-1], 1, 4, padding=1)))

    def forward(self, picture: torch.Tensor, lines: torch.Tensor) -> torch.Tensor:
        """Judge a batch."""
        return self.layers(2 * torch.cat([picture, lines], 1) - 1)


def adversarial(
    critic: nn.Module, drawn: torch.Tensor, real: torch.Tensor, lines: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network minimises and what the critic minimises (hinge loss: Lim and Ye 2017, arXiv:1705.02894).

    No gradient of the first reaches the critic and none of the second the network, so that one backward pass of their
    sum serves both.
    """
    count = len(drawn)
    judged = critic(torch.cat([drawn.detach(), real]), torch.cat([lines, lines]))
    learns = F.relu(1 + judged[:count]).mean() + F.relu(1 - judged[count:]).mean()
    critic.requires_grad_(False)
    convinces = -critic(drawn, lines).mean()
    critic.requires_grad_(True)
    return convinces, learns
