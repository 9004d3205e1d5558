"""What of a person's pictures is trained on and what is held out, for stills and for footage."""

import numpy as np

from photodouble.faces import FaceSet

NEAR = 8
"""Frames: of two this near one never draws the other."""

STILLS = 14
"""So many stills and more can spare every seventh for measuring."""


def free_of(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    """(n, n) bool: True at [i, j] where picture j may be used to draw picture i without being nearly the same one."""
    frame, source, track = faces.frame[rows], faces.source[rows], faces.track[rows]
    apart = abs(frame[:, None] - frame[None])
    # Faces of one frame are different pictures only where a sheet shows a person several times, and a folder's
    # pictures that no track joins are stills, not frames.
    same = (source[:, None] == source[None]) & (track[:, None] == track[None])
    near = same & (apart <= NEAR) & (apart > 0)
    return ~near & ~np.eye(len(rows), dtype=bool)


def hold_out_stills(count: int) -> np.ndarray:
    """(count,) bool: which stills are kept for measuring; none of a few."""
    held = np.zeros(count, bool)
    if count >= STILLS:
        held[3::7] = True
    return held
