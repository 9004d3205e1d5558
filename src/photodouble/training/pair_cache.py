"""Training pairs in memory, and the choice among them on the device."""

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class PairCache:
    """One identity's pairs, uint8: `mesh`, `lines`, `target` n x S x S x 3 and `matte` n x S x S.

    `held_out` (n,) bool: those that no training step sees. `weight` (n,) float, above 0: how often each is seen beside
    the others, see `balance`; None: all alike.
    """

    mesh: torch.Tensor
    lines: torch.Tensor
    target: torch.Tensor
    matte: torch.Tensor
    held_out: np.ndarray
    weight: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Height and width of the pictures."""
        return int(self.mesh.shape[1])

    def to(self, device: torch.device) -> "PairCache":
        """The same pairs on `device`."""
        parts = (self.mesh, self.lines, self.target, self.matte)
        mesh, lines, target, matte = (part.to(device) for part in parts)
        return replace(self, mesh=mesh, lines=lines, target=target, matte=matte)

    def stack(self, rows: np.ndarray | torch.Tensor, device: torch.device) -> torch.Tensor:
        """Some pairs as n x 10 x S x S float 0..1: mesh, target, lines, matte."""
        at = torch.as_tensor(rows, device=self.mesh.device)
        whole = torch.cat([self.mesh[at], self.target[at], self.lines[at], self.matte[at][..., None]], 3)
        return whole.to(device).permute(0, 3, 1, 2).float().div_(255)


class Sampler:
    """Draws training pairs of one cache at random on `device`, where the cache is kept; the host waits for nothing."""

    def __init__(self, cache: PairCache, device: torch.device, balanced: bool) -> None:
        rows = np.flatnonzero(~cache.held_out)
        weight = np.ones(len(rows)) if cache.weight is None or not balanced else cache.weight[rows].astype(np.float64)
        self.cache, self.device = cache.to(device), device
        self.rows = torch.from_numpy(rows).to(device)
        self.ends = torch.from_numpy(np.cumsum(weight / weight.sum())).to(device)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """`count` pairs as `PairCache.stack` gives them; `generator` lives on the device."""
        where = torch.rand(count, generator=generator, device=self.device, dtype=torch.float64)
        at = torch.searchsorted(self.ends, where, right=True).clamp_max(len(self.rows) - 1)
        return self.cache.stack(self.rows[at], self.device)
