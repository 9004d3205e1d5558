"""Random warp, affine and colour of a whole batch, on its device: one resampling for the input, one for the target.

Coordinates are those of `torch.nn.functional.grid_sample`: x and y in -1..1 from edge to edge (align_corners=False).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Augmentation:
    """Strengths; all random numbers are uniform in plus or minus the strength, except `warp` (standard deviation).

    Attributes:
        rotation: degrees. zoom: part of the size. shift: parts of the size. flip: probability.
        warp: displacement of each point of a 5 x 5 grid, parts of the size; only the input is warped.
        colour: gain and offset of each channel, in parts of the range; the same for input and target.
    """

    rotation: float = 10.0
    zoom: float = 0.05
    shift: float = 0.05
    flip: float = 0.5
    warp: float = 0.03
    colour: float = 0.0


ORIGINAL = Augmentation(rotation=10.0, zoom=0.05, shift=0.05, flip=0.4, warp=5 / 160)
WARP_POINTS = 5


def affine(count: int, strength: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Random similarity transforms (and mirrors), count x 2 x 3, for `torch.nn.functional.affine_grid`."""
    angle, zoom, x, y, mirror = torch.rand(5, count, generator=generator, device=generator.device)
    angle = (2 * angle - 1) * math.radians(strength.rotation)
    scale = 1 / (1 + (2 * zoom - 1) * strength.zoom)
    mirror = torch.where(mirror < strength.flip, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    x, y = (2 * x - 1) * 2 * strength.shift, (2 * y - 1) * 2 * strength.shift
    return torch.stack((mirror * cos, -mirror * sin, x, sin, cos, y), dim=1).view(count, 2, 3)


def warp_field(count: int, size: int, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Smooth random displacements, count x size x size x 2: a jittered 5 x 5 grid, interpolated bilinearly.

    The first deepfakes network's `random_warp` does this with a normal deviate of 5 pixels in 160.
    """
    points = torch.randn(count, 2, WARP_POINTS, WARP_POINTS, generator=generator, device=generator.device)
    smooth = F.interpolate(points * (2 * strength), size=(size, size), mode="bilinear", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def recolour(count: int, strength: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random gain and offset of each channel, both count x 3 x 1 x 1."""
    gain, offset = (2 * torch.rand(2, count, 3, 1, 1, generator=generator, device=generator.device) - 1) * strength
    return 1 + gain, 0.5 * offset


def resample(pictures: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Look up N x C x H x W pictures at N x h x w x 2 places; edges are repeated outward."""
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def augment(
    pictures: torch.Tensor, strength: Augmentation, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make (input, target) of N x C x H x W pictures in 0..1: both moved and recoloured alike, the input warped too.

    The generator lives on the pictures' device. Channels beyond the third (a matte) are moved but not recoloured.
    """
    count, channels, height, width = pictures.shape
    grid = F.affine_grid(affine(count, strength, generator), [count, channels, height, width], align_corners=False)
    field = warp_field(count, height, strength.warp, generator)
    moved = resample(pictures.repeat(2, 1, 1, 1), torch.cat((grid + field, grid)))
    if strength.colour > 0:
        gain, offset = recolour(count, strength.colour, generator)
        colours = moved[:, :3].unflatten(0, (2, count)) * gain + offset
        moved = torch.cat((colours.clamp(0, 1).flatten(0, 1), moved[:, 3:]), dim=1)
    return moved[:count], moved[count:]
