"""Where the path through a person's pictures jumps, two pictures are mixed: a hard change flickers."""

import numpy as np

Fade = tuple[int, float]
"""A second picture, and its share, below 0.5."""

ON = 2
"""Pictures further apart than this do not play the footage on: that is a jump."""

FRAMES = {"face": 2, "eyes": 1, "mouth": 1}
"""Frames on each side of a jump that are mixed: of irises and lips few, or they are seen twice."""


def fades(choice: np.ndarray, starts: np.ndarray, reach: int) -> dict[int, Fade]:
    """Which frames of a shot show a second picture.

    Around a jump at frame k the new picture's share rises in a line over the frames k - reach to k + reach - 1. Where
    jumps crowd, a frame belongs to the nearest one, and of two equally near ones to the earlier.

    Args:
        choice: (t,) pictures.
        starts: (t,) bool, True where a track starts: nothing is mixed across.

    Returns:
        By frame; frames that show one picture are left out.
    """
    jumps = 1 + np.flatnonzero((abs(np.diff(choice)) > ON) & ~starts[1:])
    track = np.cumsum(starts)
    found: dict[int, tuple[int, Fade]] = {}
    for k in jumps.tolist():
        for away in range(reach):
            share = 0.5 - (away + 0.5) / (2 * reach)
            for frame, other in ((k - 1 - away, choice[k]), (k + away, choice[k - 1])):
                inside = 0 <= frame < len(choice) and track[frame] == track[k]
                if inside and (frame not in found or away < found[frame][0]):
                    found[frame] = away, (int(other), share)
    return {frame: fade for frame, (_, fade) in found.items()}
