"""The hands of a whole shot, found in a first pass over it; mattes of any of its frames in a second one."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from photodouble.errors import BadInput
from photodouble.faces.occlusion_hands import Hand
from photodouble.faces.occlusion_paint import paint, union
from photodouble.faces.occlusion_track import HandTracker, same
from photodouble.files import NOT_ARRAYS, atomic

LARGEST = 1280
"""Frames kept for looking back are reduced until no side is longer."""

SHORTEST = 4
"""Tracks of fewer frames are taken for false alarms."""

SURE = 0.93
"""Median presence of a track below which it is a false alarm: 0.98 and more for the 15 hands in twelve clips, 0.73 to
0.87 for the four finds on a forehead and a collar."""

WINDOW = 5
"""Frames over which a landmark's path is fitted by a parabola (Savitzky and Golay, 1964). Written out below: SciPy's
takes 2 s to import."""


@dataclass(frozen=True)
class Hands:
    """Hands, one row for each hand in each frame, in the order of frames.

    Attributes:
        frame, track: (n,) int32; a track is one hand over consecutive frames.
        points: (n, 21, 3) float32, plate pixels.
        presence: (n,) float32, 0..1.
    """

    frame: np.ndarray
    track: np.ndarray
    points: np.ndarray
    presence: np.ndarray

    def rows(self, index: int) -> np.ndarray:
        """Rows of the frame `index`."""
        first, last = np.searchsorted(self.frame, [index, index + 1])
        return np.arange(first, last)

    def matte(self, index: int, image: np.ndarray) -> np.ndarray:
        """H x W float32: 1 where a hand covers what is behind it, 0 elsewhere.

        It depends on nothing but this object and the arguments: any frame may be asked for, in any order.

        Args:
            index: of the frame in its clip.
            image: the frame, H x W x 3 RGB; uint8, uint16 or float32.
        """
        hands = [(Hand(self.points[i], float(self.presence[i])), self._motion(i)) for i in self.rows(index)]
        return union([paint(hand, image, motion) for hand, motion in hands], (image.shape[0], image.shape[1]))

    def _motion(self, row: int) -> np.ndarray:
        """(21, 3) movement per frame: half of that from the frame before to the frame after."""
        here = self.points[row]
        before, after = self._beside(row, -1), self._beside(row, 1)
        if before is not None and after is not None:
            return (after - before) / 2
        if before is not None:
            return here - before
        return here - here if after is None else after - here

    def _beside(self, row: int, step: int) -> np.ndarray | None:
        for i in self.rows(int(self.frame[row]) + step):
            if self.track[i] == self.track[row]:
                return self.points[i]
        return None

    def save(self, path: Path) -> None:
        """Write a compressed npz file, atomically."""
        with atomic(Path(path)) as part, part.open("wb") as file:
            np.savez_compressed(file, frame=self.frame, track=self.track, points=self.points, presence=self.presence)

    @classmethod
    def load(cls, path: Path) -> "Hands":
        """Read what `save` wrote.

        Raises:
            BadInput: the file is missing, cut off, or something else.
        """
        remedy = "delete the file and run the same command again"
        try:
            with np.load(Path(path), allow_pickle=False) as data:
                hands = cls(*(data[name] for name in ("frame", "track", "points", "presence")))
        except NOT_ARRAYS as error:
            raise BadInput(f"Cannot read the hands in {path}: {remedy}.") from error
        n = hands.frame.size
        shapes = [array.shape for array in (hands.frame, hands.track, hands.points, hands.presence)]
        if shapes != [(n,), (n,), (n, 21, 3), (n,)] or (np.diff(hands.frame) < 0).any():
            raise BadInput(f"There are no hands of a shot in {path}: {remedy}.")
        return hands


class HandSeeker:
    """The first pass: `observe` every frame in order, then `finish`. Keeps the last few frames in memory, reduced."""

    def __init__(self, every: int = 6, tracker: HandTracker | None = None) -> None:
        """Palms are looked for in every `every`-th frame while no hand is followed."""
        self._tracker = tracker or HandTracker(every)
        self._recent: deque[tuple[int, Callable[[], np.ndarray], np.ndarray]] = deque(maxlen=2 * every + 1)
        self._rows: dict[tuple[int, int], Hand] = {}
        self._known: set[int] = set()

    def reset(self) -> None:
        """The next frame does not follow on from the last one: a cut."""
        self._tracker.reset()
        self._recent.clear()

    def observe(self, index: int, image: np.ndarray | Callable[[], np.ndarray], landmarks: np.ndarray | None) -> None:
        """Look at the next frame.

        Args:
            index: of the frame.
            image: H x W x 3 RGB uint8, or what gives it: asked only for the frames that are looked at.
            landmarks: (478, 2 or 3) of its face; None without a face.
        """
        if landmarks is None or (self._recent and self._recent[-1][0] + 1 != index):
            self.reset()
        if landmarks is None:
            return
        given = image if callable(image) else lambda: image
        for item in self._tracker.step(given, landmarks):
            self._rows[index, item.track] = item.hand
            if item.track not in self._known:
                self._known.add(item.track)
                self._look_back(item.track, item.hand, _reduction(given()))
        held = given if callable(image) else _kept(_reduce(image))
        self._recent.append((index, held, np.asarray(landmarks, np.float32)[:, :2]))

    def _look_back(self, track: int, hand: Hand, factor: int) -> None:
        """Follow a new hand back through the frames in which nobody looked for one."""
        small = Hand(_down(hand.points, factor), hand.presence)
        for index, given, landmarks in reversed(self._recent):
            image = given()
            if _reduction(image) > 1:
                image = _reduce(image)
            before = self._before(image, _down(landmarks, factor), small)
            if before is None:
                return
            small = before
            self._rows[index, track] = Hand(_up(small.points, factor), small.presence)

    def _before(self, image: np.ndarray, landmarks: np.ndarray, hand: Hand) -> Hand | None:
        """`hand` in the frame before; a hand that comes in fast has to be looked for."""
        followed = self._tracker.follow(image, landmarks, hand)
        if followed is not None:
            return followed
        near = [found for found in self._tracker.find(image, landmarks) if same(found, hand, 1.5)]
        return near[0] if near else None

    def finish(self) -> Hands:
        """The shot's hands: doubtful tracks dropped, the others smoothed along time, without lag."""
        return gather(self._rows)


def gather(found: dict[tuple[int, int], Hand]) -> Hands:
    """Make `Hands` of what was found under each (frame, track); a track's frames follow one another."""
    tracks: dict[int, list[int]] = {}
    for index, track in sorted(found):
        tracks.setdefault(track, []).append(index)
    rows: list[tuple[int, int, np.ndarray, float]] = []
    for track, frames in tracks.items():
        hands = [found[index, track] for index in frames]
        if len(frames) < SHORTEST or np.median([hand.presence for hand in hands]) < SURE:
            continue
        points = np.stack([hand.points for hand in hands])
        if len(frames) >= WINDOW:
            points = _parabolas(points)
        rows += [(i, track, p, h.presence) for i, p, h in zip(frames, points, hands, strict=True)]
    rows.sort(key=lambda row: row[:2])
    return Hands(
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int32),
        np.array([row[2] for row in rows], np.float32).reshape(-1, 21, 3),
        np.array([row[3] for row in rows], np.float32),
    )


def _parabolas(points: np.ndarray) -> np.ndarray:
    """Each of the points (n, 21, 3) on the parabola through the `WINDOW` frames around it or at its end."""
    powers = np.vander(np.arange(WINDOW), 3)
    fit = powers @ np.linalg.pinv(powers)  # row i: weights of the frames for the parabola's value at frame i
    half, n = WINDOW // 2, len(points)
    first = np.clip(np.arange(n) - half, 0, n - WINDOW)
    around = points[first[:, None] + np.arange(WINDOW)]
    return np.einsum("nw,nw...->n...", fit[np.arange(n) - first], around)


def _kept(image: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: image


def _reduction(image: np.ndarray) -> int:
    return -(-max(image.shape[:2]) // LARGEST)


def _reduce(image: np.ndarray) -> np.ndarray:
    """A copy, averaged over blocks of pixels where it is large."""
    factor = _reduction(image)
    height, width = (n // factor for n in image.shape[:2])
    cut = image[: height * factor, : width * factor]
    return cut.copy() if factor == 1 else cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)


def _down(points: np.ndarray, factor: int) -> np.ndarray:
    """Plate pixels to those of the reduced picture."""
    shift = np.zeros(points.shape[-1], np.float32)
    shift[:2] = (factor - 1) / 2
    return ((points - shift) / factor).astype(np.float32)


def _up(points: np.ndarray, factor: int) -> np.ndarray:
    shift = np.zeros(points.shape[-1], np.float32)
    shift[:2] = (factor - 1) / 2
    return (points * factor + shift).astype(np.float32)
