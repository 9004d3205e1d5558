"""A frame and what its numbers mean."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Colour:
    """Code points of ITU-T H.273 as FFmpeg numbers them; 2 (0 for `range`) means unspecified.

    Attributes:
        space: a colour space that only an OpenColorIO config can explain ("ARRI LogC4"); "": the code points say all.
        config: that config: a file, or empty for the one that comes with OpenColorIO.
    """

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    range: int = 0
    space: str = ""
    config: str = ""


@dataclass(frozen=True)
class Frame:
    """One upright picture.

    Attributes:
        image: H x W x 3, RGB, uint8 (0..255), uint16 (0..65535) or float32 (1.0 is white, more is allowed).
        index: position in the clip, from 0.
        pts: presentation time in units of `time_base` (seconds); `duration` likewise, 0 if unknown.
        colour: what the plate's file says of its colours.
        alpha: H x W of the image's type, where the plate has an alpha channel and the full depth was asked for.
    """

    image: np.ndarray
    index: int
    pts: int
    time_base: Fraction
    duration: int = 0
    colour: Colour = field(default_factory=Colour)
    alpha: np.ndarray | None = None
