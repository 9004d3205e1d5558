"""A small real task for the engine's tests; run as a script it trains: toy.py FOLDER IMAGES [SAVE_SECONDS]."""

import copy
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from photodouble import networks
from photodouble.training.augment import Augmentation, augment
from photodouble.training.engine import fit
from photodouble.training.losses import l1, ssim
from photodouble.training.task import Average, Budget, Pace, Saved, Schedule


class Toy:
    name = "toy"
    images_per_batch = 4

    def __init__(self, share: float = 0.05, poison: range = range(0), broken: bool = False) -> None:
        self.schedule = Schedule(warm_up=0.1, tail=0.6)
        self.average = Average(share=share)
        self.poison, self.broken, self.calls = poison, broken, 0
        self.pictures = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(5))
        self.pictures = nn.functional.interpolate(self.pictures, size=(64, 64), mode="bicubic").clamp(0, 1)

    def build(self) -> nn.Module:
        return networks.create("original", width=2)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(module.parameters(), 2e-3, fused=True)

    def batch(self, generator: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        pick = torch.randint(len(self.pictures), (self.images_per_batch,), generator=generator)
        warped, target = augment(self.pictures[pick], Augmentation(), generator)
        return {"input": warped, "target": target}

    def part(self, parts: int) -> "Toy | None":
        part = copy.copy(self)
        part.images_per_batch = self.images_per_batch // parts
        return part if part.images_per_batch * parts == self.images_per_batch else None

    def losses(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        loss = l1(module(batch["input"], 0), batch["target"])
        self.calls += 1
        if self.broken or self.calls in self.poison:
            loss = loss * float("nan")
        return {"total": loss}

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        assert not module.training
        return {"ssim": float(ssim(module(self.pictures, 0), self.pictures).mean())}

    def score(self, metrics: dict[str, float]) -> float:
        return metrics["ssim"]

    def worst(self, module: nn.Module) -> np.ndarray:
        return self.preview(module)

    def preview(self, module: nn.Module) -> np.ndarray:
        return (module(self.pictures[:1], 0)[0] * 255).byte().permute(1, 2, 0).numpy()


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, images, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    for event in fit(Toy(), folder, Budget(images=images), seed=3, pace=Pace(0, 60, seconds, save_share=1e9)):
        if isinstance(event, Saved):
            print(event.images, flush=True)
