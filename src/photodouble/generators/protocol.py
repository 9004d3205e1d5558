"""What makes a swap: plate faces in, drawn faces out."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from photodouble.retarget.fade import Fade

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class PlateFace:
    """One face to be drawn.

    Attributes:
        image: the plate's frame, H x W x 3 uint8 RGB.
        landmarks: (478, 3) of the plate's face, filtered over time, plate pixels.
        target: (478, 3) the same performance in the wanted person's proportions, plate pixels.
        choice: for each region of `photodouble.retarget.REGIONS` the wanted person's picture that fits.
        box: x0, y0, x1, y1 of the part of the frame to draw.
        fade: for some regions a second picture and its share, where the path through the pictures jumps.
    """

    image: np.ndarray
    landmarks: np.ndarray
    target: np.ndarray
    choice: dict[str, int]
    box: Box
    fade: dict[str, Fade] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """A drawn face.

    Attributes:
        picture: h x w x 3 float32 RGB 0..255, for the face's `box`.
        landmarks: (478, 3) whose outline bounds it, plate pixels.
        opacity: h x w float32 0..1, where the generator knows better than the outline; None: everywhere 1.
    """

    picture: np.ndarray
    landmarks: np.ndarray
    opacity: np.ndarray | None = None


class Generator(Protocol):
    """A source of drawn faces.

    Attributes:
        name: `mesh` or the model's architecture.
        model_digest: SHA-256 of the weights, None where nothing was trained.
        batch: how many faces it likes to draw at once.
    """

    name: str
    batch: int

    @property
    def model_digest(self) -> str | None:
        """Of the weights."""

    def draw(self, faces: list[PlateFace]) -> list[Drawn]:
        """Draw some faces."""
