"""The original network's training, as it was: each identity's warped faces, one encoder, mean absolute error."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from photodouble import networks
from photodouble.training.augment import ORIGINAL, Augmentation, augment
from photodouble.training.data import CropCache, contact_sheet
from photodouble.training.losses import l1, ssim
from photodouble.training.task import Average, Schedule
from photodouble.training.worst import worst_sheet

SIZE = 64
HELD_OUT = 24
SHOWN = 6


@dataclass
class Autoencode:
    """`caches` by identity in the order of the decoders, crops of 64 pixels; `batch` pictures of each a step.

    Adam 5e-5 with betas 0.5 and 0.999 and Keras' epsilon at a constant rate, no average of the weights.
    """

    caches: dict[str, CropCache]
    batch_size: int = 16
    width: int = 128
    strength: Augmentation = ORIGINAL
    schedule: Schedule = field(default_factory=Schedule)
    average: Average = field(default_factory=lambda: Average(share=0))
    name: str = "autoencode"

    @property
    def images_per_batch(self) -> int:
        """Pictures seen in each step."""
        return self.batch_size * len(self.caches)

    def build(self) -> nn.Module:
        """The original network with a decoder for each identity."""
        return networks.create("original", identities=len(self.caches), width=self.width)

    def part(self, parts: int) -> "Autoencode | None":
        """The same with one `parts`-th of the pictures in each batch; None if that is no whole."""
        return None if self.batch_size % parts else replace(self, batch_size=self.batch_size // parts)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """The original's."""
        return torch.optim.Adam(module.parameters(), 5e-5, betas=(0.5, 0.999), eps=1e-7, fused=True)

    def batch(self, generator: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        """`input` and `target`, identities x batch pictures one after the other, N x 3 x 64 x 64."""
        pictures = torch.cat([cache.sample(self.batch_size, generator, device) for cache in self.caches.values()])
        warped, target = augment(pictures, self.strength, generator)
        return {"input": warped, "target": target}

    def losses(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Mean absolute error by identity and their sum."""
        codes = module.encode(batch["input"]).split(self.batch_size)  # type: ignore[operator]
        targets = batch["target"].split(self.batch_size)
        losses = {
            name: l1(module.decode(code, identity), target)  # type: ignore[operator]
            for identity, (name, code, target) in enumerate(zip(self.caches, codes, targets, strict=True))
        }
        return {**losses, "total": torch.stack(list(losses.values())).sum()}

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Structural similarity of the held-out faces' reconstructions at 64 pixels: `ssim` and `ssim_NAME` of each."""
        device = next(module.parameters()).device
        figures = {}
        for identity, (name, cache) in enumerate(self.caches.items()):
            pictures = cache.held_out(HELD_OUT, device)
            figures[f"ssim_{name}"] = float(ssim(module(pictures, identity), pictures).mean())
        return {"ssim": sum(figures.values()) / len(figures), **figures}

    def score(self, metrics: dict[str, float]) -> float:
        """Mean structural similarity."""
        return metrics["ssim"]

    def worst(self, module: nn.Module) -> np.ndarray:
        """The worst held-out reconstructions of all identities, and the crops."""
        device = next(module.parameters()).device
        pairs = [(cache.held_out(HELD_OUT, device), number) for number, cache in enumerate(self.caches.values())]
        target = torch.cat([pictures for pictures, _ in pairs])
        drawn = torch.cat([module(pictures, number) for pictures, number in pairs])
        scores = ssim(drawn, target)
        return worst_sheet(
            [("result", drawn), ("truth", target)], scores, [f"SSIM {score:.3f}" for score in scores.tolist()]
        )

    def preview(self, module: nn.Module) -> np.ndarray:
        """Held-out faces of each identity: the crop, its reconstruction, and it as every other identity."""
        device = next(module.parameters()).device
        rows = []
        for identity, cache in enumerate(self.caches.values()):
            pictures = cache.held_out(SHOWN, device)
            others = [number for number in range(len(self.caches)) if number != identity]
            columns = [pictures, *(module(pictures, number) for number in (identity, *others))]
            rows += [list(column) for column in columns]
        width = max(len(row) for row in rows)
        blank = torch.zeros(3, SIZE, SIZE)
        return contact_sheet([row + [blank] * (width - len(row)) for row in rows])
