"""What `lite`, `standard` and `fine` have in common: `mesh`'s picture in, the same picture corrected out."""

import torch
from torch import nn


class Refiner(nn.Module):
    """Shared encoder, one decoder per identity; `mesh` and `lines` are N x 3 x size x size in 0..1.

    Attributes:
        size: height and width of its pictures.
        encoder: N x 6 x size x size (`mesh` and `lines`) to features, a tuple of tensors.
        decoders: features to a correction and the logits of a matte, N x 4 x size x size; each starts as zero.
    """

    size: int

    def __init__(self, encoder: nn.Module, decoders: list[nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoders = nn.ModuleList(decoders)

    def encode(self, mesh: torch.Tensor, lines: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the identities share."""
        return self.encoder(torch.cat([mesh, lines], 1))

    def decode(
        self, code: tuple[torch.Tensor, ...], mesh: torch.Tensor, identity: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The corrected picture (N x 3 x size x size, about 0..1) and the logits of its matte (N x 1 x size x size)."""
        out = self.decoders[identity](code)
        return mesh + out[:, :3], out[:, 3:]

    def forward(self, mesh: torch.Tensor, lines: torch.Tensor, identity: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Correct what `mesh` drew of `identity`."""
        return self.decode(self.encode(mesh, lines), mesh, identity)
