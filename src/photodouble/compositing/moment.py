"""What a shot, gone over before, says about one of its frames."""

from dataclasses import dataclass

import numpy as np

from photodouble.compositing.look import Look


@dataclass(frozen=True)
class Moment:
    """One frame in its shot.

    Attributes:
        index: of the frame: its grain is its own, and the same whenever it is rendered.
        look: of the plate's face, filtered over time; None: as it is in this frame.
        motion: (2,) of the face as a whole, pixels from frame to frame; None: unknown, no motion blur is drawn.
    """

    index: int = 0
    look: Look | None = None
    motion: np.ndarray | None = None


ALONE = Moment()
"""A picture without a shot."""
