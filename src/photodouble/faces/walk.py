"""Faces of a clip's frames, with the network on some of them and optical flow between.

The tracker steps up to `stride` frames at a time, fewer while much happens. A face that was there before and after
gets its landmarks between from flow, and from the network wherever flow is not sure; one that came is followed back by
the network. Where the shot changed, or a face went or jumped, the tracker goes back and takes the frames one by one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np

from photodouble.faces.between import Flow
from photodouble.faces.face import Face
from photodouble.faces.landmarks import Landmarks
from photodouble.faces.track import DOUBTFUL, PRESENT, Tracker, eight_bit, is_cut, make_face, thumbnail_of
from photodouble.media.frame import Frame

JUMP = 0.25
"""Part of a face's size by which its middle may move in one stride; farther, the network's window is too far off."""


def walk(tracker: Tracker, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[Face]]]:
    """Follow all faces through consecutive frames.

    Up to `tracker.stride` + 1 frames are held. The same frames give the same faces.

    Args:
        tracker: as it was left by the frame before, or reset.
        frames: in order.

    Yields:
        Each frame, its picture as 8 bits, and its faces, which `photodouble.faces.track.finish` completes.
    """
    rest = (replace(frame, image=eight_bit(frame.image)) for frame in frames)
    before: np.ndarray | None = None
    stride = 1
    while group := list(islice(rest, stride)):
        found, smooth = None, len(group) == 1
        if before is not None and not smooth:
            found, smooth = _stride(tracker, before, group)
        yield from zip(group, found or map(tracker.follow, group), strict=True)
        stride = min(2 * stride if smooth else max(stride // 2, 2), tracker.stride)
        before = group[-1].image


def _stride(tracker: Tracker, before: np.ndarray, group: list[Frame]) -> tuple[list[list[Face]] | None, bool]:
    """Faces of a group of frames after the picture `before`, and whether flow alone gave those between.

    None in their place, and the tracker as it was, if the group must be taken frame by frame.
    """
    start = tracker.held()
    images = [before, *(frame.image for frame in group)]
    small = [thumbnail_of(image) for image in images]
    if any(is_cut(a, b) for a, b in pairwise(small)):
        return None, False
    state = tracker.save()
    last = tracker.follow(group[-1], len(group))
    looks = tracker.looks
    filled = _fill_all(tracker, images, start, tracker.held())
    if filled is None:
        tracker.restore(state)
        return None, False
    none = np.zeros(128, np.float32)
    between = [
        [make_face(number, at, frame.image, frame, none) for number, all in filled.items() if (at := all[offset])]
        for offset, frame in enumerate(group[:-1])
    ]
    return [*between, last], tracker.looks == looks


def _fill_all(
    tracker: Tracker, images: list[np.ndarray], start: dict[int, Landmarks], end: dict[int, Landmarks]
) -> dict[int, list[Landmarks | None]] | None:
    """Landmarks between the first and the last picture by track, None where a face is away; None if flow is no help."""
    if start.keys() - end.keys():
        return None  # frame by frame the detector may still find it
    filled: dict[int, list[Landmarks | None]] = {}
    for number, last in end.items():
        first = start.get(number)
        if first is None:
            filled[number] = _until_lost(tracker, images[-2:0:-1], last)[::-1]
        elif _jumps(first.points, last.points):
            return None
        else:
            flow = Flow(images, first.points, last.points)
            filled[number] = _fill(tracker, flow, images, 0, len(images) - 1, first, last)
    return filled


def _until_lost(
    tracker: Tracker, images: list[np.ndarray], known: Landmarks, least: float = PRESENT
) -> list[Landmarks | None]:
    """A face followed from picture to picture by the network alone, None once its presence is below `least`."""
    found: list[Landmarks | None] = []
    for image in images:
        seen = tracker.landmarks(image, known.points)
        if seen is None or seen.presence < least:
            break
        known = seen
        found.append(seen)
    return [*found, *[None] * (len(images) - len(found))]


def _fill(
    tracker: Tracker, flow: Flow, images: list[np.ndarray], start: int, stop: int, first: Landmarks, last: Landmarks
) -> list[Landmarks | None]:
    """One face's landmarks between two pictures; where flow is not sure the network looks at the middle one."""
    if stop - start < 2:
        return []
    guesses = flow.between(start, stop, first.points, last.points)
    if all(guess.sure for guess in guesses):
        made: list[Landmarks | None] = []
        for number, guess in enumerate(guesses, 1):
            along = number / (stop - start)
            straight = (1 - along) * first.blendshapes + along * last.blendshapes
            blendshapes = straight if guess.straight else tracker.expression(guess.points)
            made.append(Landmarks(guess.points, blendshapes, (1 - along) * first.presence + along * last.presence))
        return made
    middle = (start + stop) // 2
    seen = tracker.landmarks(images[middle], guesses[middle - start - 1].points)
    if seen is None:
        before = _until_lost(tracker, images[start + 1 : middle], first, DOUBTFUL)
        return [*before, None, *_until_lost(tracker, images[stop - 1 : middle : -1], last, DOUBTFUL)[::-1]]
    return [
        *_fill(tracker, flow, images, start, middle, first, seen),
        seen,
        *_fill(tracker, flow, images, middle, stop, seen, last),
    ]


def _jumps(a: np.ndarray, b: np.ndarray) -> bool:
    a, b = a[:, :2], b[:, :2]
    size = float(np.ptp(a, axis=0).max())
    return float(np.linalg.norm(a.mean(0) - b.mean(0))) > JUMP * size
