"""What `mesh`'s pictures, corrected by a network, are judged by: one function of tensors, which can be compiled."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from photodouble.training.losses import dssim, focal_frequency, gradient_l1, l1, ms_ssim, pyramid_l1
from photodouble.training.speed import Speed

FEATURES = 3.0
"""How much more eyes and lips count than the rest."""


@dataclass(frozen=True)
class Weights:
    """What counts how much; what is 0 is not computed.

    Attributes:
        error: absolute error, eyes and lips weighted, over `scales` sizes.
        structure: structural dissimilarity, over five sizes where `scales` is above 1.
        slopes: absolute error of the slopes, weighted alike. frequency: focal frequency loss.
        matte: cross entropy of the matte.
        critic: of the critic's opinion, once it has grown from 0 during the tail of the learning rate.
    """

    error: float = 1.0
    structure: float = 0.5
    slopes: float = 0.0
    frequency: float = 0.0
    matte: float = 0.05
    critic: float = 0.0
    scales: int = 1


def pair_losses(
    module: nn.Module, pairs: torch.Tensor, counts: list[int], numbers: tuple[int, ...], weights: Weights, speed: Speed
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Losses of a batch, each the mean of the identities', and the pictures that were judged.

    Args:
        module: a `Refiner`.
        pairs: N x 10 x S x S: mesh, target, lines, matte, one identity after the other.
        counts: pairs of each identity. numbers: of their decoders.
        weights: of the parts in "total". speed: in which precision the network runs.

    Returns:
        Scalars by name, with their sum "total", and N x 3 x S x S.
    """
    mesh, target, lines, matte = pairs.split((3, 3, 3, 1), 1)
    with speed.autocast(pairs.device):
        levels = module.encode(mesh, lines)  # type: ignore[operator]
        codes = list(zip(*(level.split(counts) for level in levels), strict=True))
        drawn = [
            module.decode(code, m, number)  # type: ignore[operator]
            for number, code, m in zip(numbers, codes, mesh.split(counts), strict=True)
        ]
    terms: dict[str, list[torch.Tensor]] = {}
    for (picture, logits), t, line, a in zip(
        drawn, target.split(counts), lines.split(counts), matte.split(counts), strict=True
    ):
        for key, value in _terms(picture.float(), logits.float(), t, line, a, weights).items():
            terms.setdefault(key, []).append(value)
    losses = {key: torch.stack(values).mean() for key, values in terms.items()}
    share = {"l1": weights.error, "dssim": weights.structure, "slopes": weights.slopes}
    share |= {"frequency": weights.frequency, "matte": weights.matte}
    total = torch.stack([share[key] * value for key, value in losses.items()]).sum()
    return losses | {"total": total}, torch.cat([picture for picture, _ in drawn]).float()


def _terms(
    picture: torch.Tensor,
    logits: torch.Tensor,
    target: torch.Tensor,
    lines: torch.Tensor,
    matte: torch.Tensor,
    weights: Weights,
) -> dict[str, torch.Tensor]:
    """The parts of one identity's loss."""
    weight = importance(lines)
    terms = {"matte": F.binary_cross_entropy_with_logits(logits, matte)}
    if weights.scales > 1:
        terms["l1"] = pyramid_l1(picture, target, weight, weights.scales)
        terms["dssim"] = 0.5 * (1 - ms_ssim(picture, target).mean())
    else:
        terms["l1"], terms["dssim"] = l1(picture, target, weight), dssim(picture, target)
    if weights.slopes:
        terms["slopes"] = gradient_l1(picture, target, weight)
    if weights.frequency:
        terms["frequency"] = focal_frequency(picture, target)
    return terms


def importance(lines: torch.Tensor) -> torch.Tensor:
    """Weight of each pixel, N x 1 x S x S: 1, and 1 + `FEATURES` in and around eyes and lips."""
    marked = (lines[:, :2].amax(1, keepdim=True) > 0.2).float()
    around = 1 + 2 * (lines.shape[-1] // 64)  # 5 pixels of 128
    rows = F.max_pool2d(marked, (1, around), 1, (0, around // 2))  # the largest of the rows' largest
    return 1 + FEATURES * F.max_pool2d(rows, (around, 1), 1, (around // 2, 0))
