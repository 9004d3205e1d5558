"""What a compositor may change about how a drawn face goes into its plate. The defaults are the usual look."""

import math
from dataclasses import dataclass, fields

from photodouble.errors import BadInput

LIMITS = {
    "matte_grow": (-0.3, 0.1),
    "matte_softness": (0.0, 0.5),
    "blend_width": (0.005, 0.3),
    "colour": (0.0, 1.0),
    "edge": (0.0, 1.0),
    "sharpness": (0.0, 3.0),
    "grain": (0.0, 1.0),
    "opacity": (0.0, 1.0),
}
"""Lowest and highest value of each setting. A matte cannot grow further than a face is drawn."""


@dataclass(frozen=True)
class Settings:
    """Settings of compositing; lengths are parts of the face's width.

    Attributes:
        matte_grow: how far the matte's outline is moved outwards (inwards below 0): the fade begins outside of the
            face, so that more of what it is known by is left.
        matte_softness: width of the matte's fade, which lies inside its outline.
        blend_width: blur that separates the widest band: over about so much colours fade into the plate's.
        colour: how much of the match with the plate's colours is done; 0 leaves the face as it was drawn.
        edge: how much of the difference in colour that is left at the matte's edge is spread inwards: 1 hides the edge.
        sharpness: detail of the face against the plate's; 1 is the same, 0 none.
        grain: how much of the plate's grain the face is given; 1 is all of it.
        opacity: of the whole face.

    Raises:
        BadInput: a value is outside of `LIMITS`.
    """

    matte_grow: float = 0.05
    matte_softness: float = 0.14
    blend_width: float = 0.12
    colour: float = 1.0
    edge: float = 1.0
    sharpness: float = 1.0
    grain: float = 1.0
    opacity: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), LIMITS[field.name]
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise BadInput(f"The compositing setting {field.name} is {value!r}: give a number.")
            if not low <= value <= high:
                raise BadInput(f"The compositing setting {field.name} is {value:g}: give one from {low:g} to {high:g}.")


USUAL = Settings()
"""As a face is composited where nobody asks for anything else."""
