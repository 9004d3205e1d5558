"""The training of `lite`, `standard` and `fine`: to turn what `mesh` draws of a person into what is really there."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from photodouble import networks
from photodouble.training.augment import Augmentation, affine, recolour, resample
from photodouble.training.critic import Critic, adversarial
from photodouble.training.data import contact_sheet
from photodouble.training.losses import l1, l1_each, ssim
from photodouble.training.pair_cache import PairCache, Sampler
from photodouble.training.pair_losses import Weights, importance, pair_losses
from photodouble.training.speed import Speed
from photodouble.training.task import Average, Schedule
from photodouble.training.worst import worst_sheet

SIZE = networks.size_of("lite")
HELD_OUT, SOME = 48, 16
"""Held-out pairs of the wanted person that are judged, and of everybody else."""

SHOWN = 6
AT_ONCE = 12
"""Held-out pictures drawn at a time."""

MOVES = Augmentation(rotation=8.0, zoom=0.06, shift=0.04, flip=0.5, warp=0.0, colour=0.12)


@dataclass
class Refine:
    """`caches` by identity; the first is the wanted person, whom `evaluate` judges.

    `numbers`: of their decoders, where they are not the first ones: the network has others, which stay as they are.
    `settings`: of the network `model`, beside the number of identities. `balanced`: pairs are seen as often as their
    weights say. `late`: 0, and during the tail of the learning rate the part of it that is over; the engine sets it.
    The values for `lite` are the default, `recipes` has the others.
    """

    caches: dict[str, PairCache]
    model: str = "lite"
    settings: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 12
    others: int = 4
    rate: float = 1e-3
    weights: Weights = field(default_factory=Weights)
    balanced: bool = False
    speed: Speed = field(default_factory=Speed)
    strength: Augmentation = MOVES
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=0.02, tail=0.5))
    average: Average = field(default_factory=Average)
    name: str = "refine"
    numbers: tuple[int, ...] = ()
    helper: nn.Module | None = field(default=None, init=False)
    late: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Number the decoders."""
        self.numbers = self.numbers or tuple(range(len(self.caches)))
        self._at: dict[str, tuple[list[Sampler], Callable[..., Any]]] = {}

    @property
    def images_per_batch(self) -> int:
        """Pictures seen in each step."""
        return sum(self._counts())

    def _counts(self) -> list[int]:
        """Of the wanted person `batch_size`, of each other `others`."""
        return [self.batch_size] + [self.others] * (len(self.caches) - 1)

    def build(self) -> nn.Module:
        """A decoder for each identity, and a critic for the training if it has a say."""
        module = networks.create(self.model, identities=max(self.numbers) + 1, **self.settings)
        if self.weights.critic and torch.get_default_device().type != "meta":  # there only shapes are wanted
            self.helper = Critic()
        return module

    def part(self, parts: int) -> "Refine | None":
        """The same task with `parts` times fewer pictures in a step; None where they cannot be divided so."""
        if any(count % parts for count in self._counts()):
            return None
        smaller = copy.copy(self)
        smaller.batch_size, smaller.others = self.batch_size // parts, self.others // parts
        return smaller

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW; the critic's without momentum, which a game of two would swing with."""
        groups: list[dict[str, Any]] = [{"params": list(module.parameters()), "betas": (0.9, 0.99)}]
        if self.helper is not None:
            groups.append({"params": list(self.helper.parameters()), "betas": (0.0, 0.99), "weight_decay": 0.0})
        return torch.optim.AdamW(groups, self.rate, weight_decay=1e-4, fused=True)

    def batch(self, generator: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        """`pairs` N x 10 x S x S: mesh, target, lines, matte; each pair is moved and recoloured as one."""
        samplers, _ = self._ready(device)
        pairs = torch.cat([s.draw(count, generator) for s, count in zip(samplers, self._counts(), strict=True)])
        grid = F.affine_grid(affine(len(pairs), self.strength, generator), list(pairs.shape), align_corners=False)
        pairs = resample(pairs, grid)
        gain, offset = recolour(len(pairs), self.strength.colour, generator)
        colours = pairs[:, :6].unflatten(1, (2, 3)) * gain[:, None] + offset[:, None]
        return {"pairs": torch.cat([colours.clamp(0, 1).flatten(1, 2), pairs[:, 6:]], 1)}

    def losses(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Those of `pair_losses`, and late in training `convinces` (the critic) and what the `critic` learns."""
        pairs = batch["pairs"]
        _, judge = self._ready(pairs.device)
        losses, drawn = judge(module, pairs, self._counts(), self.numbers, self.weights, self.speed)
        if self.helper is None or self.late <= 0:
            return losses
        target, lines, matte = pairs[:, 3:6], pairs[:, 6:9], pairs[:, 9:]
        # only the face is judged: around it is what really is there
        convinces, learns = adversarial(self.helper, target + matte * (drawn - target), target, lines)
        total = losses["total"] + self.weights.critic * min(1.0, self.late) * convinces + learns
        return losses | {"convinces": convinces, "critic": learns, "total": total}

    def _ready(self, device: torch.device) -> tuple[list[Sampler], Callable[..., Any]]:
        """The caches' pairs and `pair_losses`, ready on `device`; kept, also for a `part`."""
        if device.type not in self._at:  # a process trains on one device of a kind
            caches = self.caches.values() if device.type != "meta" else ()
            samplers = [Sampler(cache, device, self.balanced) for cache in caches]
            self._at[device.type] = samplers, self.speed.compiled(pair_losses, device)
        return self._at[device.type]

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Held-out pairs of the wanted person: `ssim` of the result and `ssim_mesh` of what it was given.

        `features`: absolute error in eyes and lips. `ssim_NAME`: of everybody else.
        """
        mesh, target, lines, picture = self._held_out(module, HELD_OUT)
        weight = importance(lines) - 1
        others = {}
        for place, name in list(enumerate(self.caches))[1:]:
            _, truth, _, drawn = self._held_out(module, SOME, place)
            others[f"ssim_{name}"] = float(ssim(drawn, truth).mean())
        return others | {
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
        mesh, target, lines, picture = self._held_out(module, HELD_OUT)
        error = l1_each(picture, target, importance(lines) - 1)
        after, before = ssim(picture, target), ssim(mesh, target)
        figures = [f"SSIM {a:.3f} (mesh {b:.3f})" for a, b in zip(after.tolist(), before.tolist(), strict=True)]
        return worst_sheet([("mesh", mesh), ("result", picture), ("truth", target)], after - error, figures)

    def preview(self, module: nn.Module) -> np.ndarray:
        """Held-out pairs: what `mesh` drew, the result, the truth."""
        mesh, target, _, picture = self._held_out(module, SHOWN)
        return contact_sheet([list(mesh), list(picture), list(target)], min(256, mesh.shape[-1]))

    def _held_out(self, module: nn.Module, count: int, place: int = 0) -> tuple[torch.Tensor, ...]:
        """Some held-out pairs of an identity: mesh, target, lines, and what the network makes of them."""
        device = next(module.parameters()).device
        cache = list(self.caches.values())[place]
        rows = np.flatnonzero(cache.held_out)
        rows = rows if len(rows) else np.arange(len(cache.held_out))
        some = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
        mesh, target, lines, _ = cache.stack(some, device).split((3, 3, 3, 1), 1)
        with self.speed.autocast(device):
            drawn = [
                module(m, line, self.numbers[place])[0].float()
                for m, line in zip(mesh.split(AT_ONCE), lines.split(AT_ONCE), strict=True)
            ]
        return mesh, target, lines, torch.cat(drawn).clamp(0, 1)
