"""The training of `lite`: to turn what `mesh` draws of a person into what the person really looks like there."""

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from photodouble import networks
from photodouble.training.augment import Augmentation, affine, recolour, resample
from photodouble.training.data import contact_sheet
from photodouble.training.losses import dssim, l1, l1_each, ssim
from photodouble.training.task import Average, Schedule
from photodouble.training.worst import worst_sheet

SIZE = 128
HELD_OUT = 48
SHOWN = 6
FEATURES = 3.0
"""How much more eyes and lips count than the rest."""

MOVES = Augmentation(rotation=8.0, zoom=0.06, shift=0.04, flip=0.5, warp=0.0, colour=0.12)


@dataclass(frozen=True)
class PairCache:
    """One identity's pairs, uint8: `mesh`, `lines`, `target` n x 128 x 128 x 3 and `matte` n x 128 x 128.

    `held_out` (n,) bool: those that no training step sees.
    """

    mesh: torch.Tensor
    lines: torch.Tensor
    target: torch.Tensor
    matte: torch.Tensor
    held_out: np.ndarray

    def stack(self, rows: np.ndarray, device: torch.device) -> torch.Tensor:
        """Some pairs as n x 10 x 128 x 128 float 0..1: mesh, target, lines, matte."""
        at = torch.from_numpy(rows)
        whole = torch.cat([self.mesh[at], self.target[at], self.lines[at], self.matte[at][..., None]], 3)
        return whole.to(device).permute(0, 3, 1, 2).float().div_(255)


@dataclass
class Refine:
    """`caches` by identity; the first is the wanted person, whom `evaluate` judges.

    `numbers`: of their decoders, where they are not the first ones: the network has others, which stay as they are.
    """

    caches: dict[str, PairCache]
    batch_size: int = 12
    others: int = 4
    width: int = 24
    rate: float = 1e-3
    strength: Augmentation = MOVES
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=0.02, tail=0.5))
    average: Average = field(default_factory=Average)
    name: str = "refine"
    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Number the decoders."""
        self.numbers = self.numbers or tuple(range(len(self.caches)))

    @property
    def images_per_batch(self) -> int:
        """Pictures seen in each step."""
        return sum(self._counts())

    def _counts(self) -> list[int]:
        """Of the wanted person `batch_size`, of each other `others`."""
        return [self.batch_size] + [self.others] * (len(self.caches) - 1)

    def build(self) -> nn.Module:
        """A decoder for each identity."""
        return networks.create("lite", identities=max(self.numbers) + 1, width=self.width)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(module.parameters(), self.rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)

    def batch(self, generator: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        """`pairs` N x 10 x 128 x 128: mesh, target, lines, matte; each pair is moved and recoloured as one."""
        parts = []
        for count, cache in zip(self._counts(), self.caches.values(), strict=True):
            train = np.flatnonzero(~cache.held_out)
            pick = torch.randint(len(train), (count,), generator=generator, device=device).cpu().numpy()
            parts.append(cache.stack(train[pick], device))
        pairs = torch.cat(parts)
        size = [len(pairs), pairs.shape[1], SIZE, SIZE]
        pairs = resample(pairs, F.affine_grid(affine(len(pairs), self.strength, generator), size, align_corners=False))
        gain, offset = recolour(len(pairs), self.strength.colour, generator)
        colours = pairs[:, :6].unflatten(1, (2, 3)) * gain[:, None] + offset[:, None]
        return {"pairs": torch.cat([colours.clamp(0, 1).flatten(1, 2), pairs[:, 6:]], 1)}

    def losses(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weighted absolute error and structural dissimilarity of each identity, and the matte's cross entropy."""
        mesh, target, lines, matte = batch["pairs"].split((3, 3, 3, 1), 1)
        levels = module.encode(mesh, lines)  # type: ignore[operator]
        parts = [piece.split(self._counts()) for piece in (mesh, target, lines, matte)]
        codes = list(zip(*(level.split(self._counts()) for level in levels), strict=True))
        terms = []
        for number, code, m, t, line, a in zip(self.numbers, codes, *parts, strict=True):
            picture, logits = module.decode(code, m, number)  # type: ignore[operator]
            weight = importance(line)
            terms.append(
                torch.stack([l1(picture, t, weight), dssim(picture, t), F.binary_cross_entropy_with_logits(logits, a)])
            )
        error, dissimilar, alpha = torch.stack(terms).mean(0)
        return {"l1": error, "dssim": dissimilar, "matte": alpha, "total": error + 0.5 * dissimilar + 0.05 * alpha}

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Held-out pairs of the wanted person: `ssim` of the result and `ssim_mesh` of what it was given."""
        mesh, target, lines, _ = self._held_out(HELD_OUT, next(module.parameters()).device)
        picture = module(mesh, lines, self.numbers[0])[0].clamp(0, 1)
        weight = importance(lines) - 1
        return {
            "ssim": float(ssim(picture, target).mean()),
            "ssim_mesh": float(ssim(mesh, target).mean()),
            "features": float(l1(picture, target, weight)),
            "features_mesh": float(l1(mesh, target, weight)),
        }

    def score(self, metrics: dict[str, float]) -> float:
        """Structural similarity, less the error in eyes and lips."""
        return metrics["ssim"] - metrics["features"]

    def worst(self, module: nn.Module) -> np.ndarray:
        """The held-out pairs of the lowest score: what `mesh` drew, the result, the truth."""
        mesh, target, lines, _ = self._held_out(HELD_OUT, next(module.parameters()).device)
        picture = module(mesh, lines, self.numbers[0])[0].clamp(0, 1)
        error = l1_each(picture, target, importance(lines) - 1)
        after, before = ssim(picture, target), ssim(mesh, target)
        figures = [f"SSIM {a:.3f} (mesh {b:.3f})" for a, b in zip(after.tolist(), before.tolist(), strict=True)]
        return worst_sheet([("mesh", mesh), ("result", picture), ("truth", target)], after - error, figures)

    def preview(self, module: nn.Module) -> np.ndarray:
        """Held-out pairs: what `mesh` drew, the result, the truth."""
        mesh, target, lines, _ = self._held_out(SHOWN, next(module.parameters()).device)
        return contact_sheet([list(mesh), list(module(mesh, lines, self.numbers[0])[0]), list(target)])

    def _held_out(self, count: int, device: torch.device) -> tuple[torch.Tensor, ...]:
        cache = next(iter(self.caches.values()))
        rows = np.flatnonzero(cache.held_out)
        rows = rows if len(rows) else np.arange(len(cache.held_out))
        some = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
        return cache.stack(some, device).split((3, 3, 3, 1), 1)


def importance(lines: torch.Tensor) -> torch.Tensor:
    """Weight of each pixel, N x 1 x H x W: 1, and 1 + `FEATURES` in and around eyes and lips."""
    marked = (lines[:, :2].amax(1, keepdim=True) > 0.2).float()
    return 1 + FEATURES * F.max_pool2d(marked, 5, 1, 2)
