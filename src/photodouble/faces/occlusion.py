"""What covers the face: a matte of the hands in front of it, so that they stay in front of the new face.

`HandMatte` works frame by frame, as the frames come. `HandSeeker` and `Hands` are the same in two passes, which is
better where a shot can be gone over first: a hand that was noticed late is followed back to where it came in, its
landmarks are smoothed without lag, and finds of a moment are dropped.
"""

import numpy as np

from photodouble.faces.occlusion_hands import Hand
from photodouble.faces.occlusion_paint import paint, union
from photodouble.faces.occlusion_shot import Hands, HandSeeker
from photodouble.faces.occlusion_track import HandTracker

__all__ = ["Hand", "HandMatte", "HandSeeker", "HandTracker", "Hands", "paint"]


class HandMatte:
    """Mattes of the hands near one face, frame by frame. One instance goes over one clip, in order."""

    def __init__(self, every: int = 2, tracker: HandTracker | None = None) -> None:
        """Palms are looked for in every `every`-th frame while no hand is followed."""
        self._tracker = tracker or HandTracker(every)
        self._before: dict[int, np.ndarray] = {}

    def reset(self) -> None:
        """Forget the frames before: another clip, or a cut."""
        self._tracker.reset()
        self._before = {}

    def __call__(self, image: np.ndarray, landmarks: np.ndarray | None) -> np.ndarray:
        """Matte of the next frame.

        Args:
            image: H x W x 3 RGB uint8.
            landmarks: (478, 2 or 3) of the face, plate pixels; None where there is no face: the matte is empty.

        Returns:
            H x W float32: 1 where a hand covers what is behind it, 0 elsewhere.
        """
        shape = (image.shape[0], image.shape[1])
        if landmarks is None:
            self.reset()
            return np.zeros(shape, np.float32)
        before, self._before = self._before, {}
        mattes = []
        for item in self._tracker.step(image, landmarks):
            points = item.hand.points
            self._before[item.track] = points
            mattes.append(paint(item.hand, image, points - before.get(item.track, points)))
        return union(mattes, shape)
