"""Following hands from frame to frame, only where they can cover a face."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from photodouble.faces.occlusion_hands import Hand, HandLandmarker, PalmDetector
from photodouble.faces.roi import Roi
from photodouble.faces.topology import OVAL

NOTICED, FOUND, KEPT = 0.6, 0.85, 0.5
"""Least presence of a new hand in its first look and in its second one, and of a hand that is followed."""

STEADINESS = 0.25
"""A hand's two first looks may differ by this part of its size (mean over the landmarks): what the model makes up
on a face moves with the region that it is shown, a hand stays."""

SEARCH, NEAR = 2.4, 1.5
"""Side of the square in which palms are looked for, and of the one that a hand must touch to be followed, over the
longer side of the face's box."""

SIZES = (0.15, 1.6)
"""A hand's size (wrist to knuckles) over the face's width: smaller or larger ones are not believed."""

SHIFTED, TURNED = 0.3, 0.8
"""A palm in the place of a refused one: at most so far from it in parts of the face's box, and so many radians."""

RECHECK = 4
"""For so many frames after a hand was lost, palms are looked for in every frame."""


@dataclass(frozen=True)
class Followed:
    """A hand with the number of its track: the same hand over consecutive frames."""

    track: int
    hand: Hand


class HandTracker:
    """Finds hands near one face and follows them. One instance goes over one clip, in order.

    Palms are looked for in every `every`-th frame while fewer than `most` hands are followed. That takes about as long
    as the face's landmarks twice over, following a hand likewise.
    """

    def __init__(
        self,
        every: int = 3,
        most: int = 2,
        detector: PalmDetector | None = None,
        landmarker: HandLandmarker | None = None,
    ) -> None:
        """Both models are fetched once through `photodouble.weights` unless they are given."""
        self._detector = detector or PalmDetector()
        self._landmarker = landmarker or HandLandmarker()
        self._every, self._most = every, most
        self._tracks = 0  # goes on counting over a reset: a number stands for one hand
        self.reset()

    def reset(self) -> None:
        """Forget everything: another clip, a cut, or a face that was away."""
        self._followed: list[Followed] = []
        self._wait = 0
        self._recheck = 0
        self._refused: list[Roi] = []

    def step(self, image: np.ndarray | Callable[[], np.ndarray], landmarks: np.ndarray) -> list[Followed]:
        """The hands near the face in the next frame.

        Args:
            image: H x W x 3 RGB uint8, or what gives it: asked only if there is something to look at.
            landmarks: (478, 2 or 3) of the face, plate pixels.
        """
        given = lru_cache(1)(image) if callable(image) else lambda: image
        kept: list[Followed] = []
        for old in self._followed:
            hand = self.follow(given(), landmarks, old.hand)
            if hand is not None and not any(same(hand, other.hand) for other in kept):
                kept.append(Followed(old.track, hand))
        if len(kept) < len(self._followed):
            self._recheck = RECHECK
        self._wait -= 1
        due = self._wait <= 0 or self._recheck > 0
        self._recheck = max(self._recheck - 1, 0)
        if due and len(kept) < self._most:
            # A second hand is rarer than a first one.
            self._wait = self._every * (4 if kept else 1)
            for found in self._new(given(), landmarks):
                if len(kept) < self._most and not any(same(found, other.hand) for other in kept):
                    kept.append(Followed(self._tracks, found))
                    self._tracks += 1
        self._followed = kept
        return list(kept)

    def _new(self, image: np.ndarray, landmarks: np.ndarray) -> list[Hand]:
        """`find`, without asking again what was refused in the same place of the face at the last look.

        The detector takes some faces for palms, look after look, and to refuse one costs as much as to look for it.
        At the look after that it is asked again: a hand that really came is followed back to where it came in.
        """
        box = _box(landmarks)
        refused: list[Roi] = []
        hands: list[Hand] = []
        for _, roi in self._detector(image, search_square(landmarks, image.shape)):
            place = _placed(roi, box)
            if any(_near(place, other) for other in self._refused):
                continue
            hand = self._confirm(image, landmarks, roi)
            if hand is None:
                refused.append(place)
            else:
                hands.append(hand)
        self._refused = refused
        return hands

    def find(self, image: np.ndarray, landmarks: np.ndarray) -> list[Hand]:
        """The hands near the face, looked for without knowing any; one may be found twice."""
        palms = self._detector(image, search_square(landmarks, image.shape))
        found = (self._confirm(image, landmarks, roi) for _, roi in palms)
        return [hand for hand in found if hand is not None]

    def follow(self, image: np.ndarray, landmarks: np.ndarray, hand: Hand) -> Hand | None:
        """`hand`, seen in a neighbouring frame, in this one; None if it is no longer there or not near the face."""
        now = self._landmarker(image, hand.roi())
        return now if now.presence >= KEPT and believable(now, landmarks) else None

    def _confirm(self, image: np.ndarray, landmarks: np.ndarray, roi: Roi) -> Hand | None:
        first = self._landmarker(image, roi)
        if first.presence < NOTICED or not believable(first, landmarks):
            return None
        second = self._landmarker(image, first.roi())
        step = np.linalg.norm((second.points - first.points)[:, :2], axis=1).mean()
        if second.presence < FOUND or step > STEADINESS * second.size or not believable(second, landmarks):
            return None
        return second


def search_square(landmarks: np.ndarray, shape: tuple[int, ...]) -> Roi:
    """Square around the face in which palms are looked for, moved into the picture as far as it fits."""
    box = _box(landmarks)
    side = min(SEARCH * _side(box), float(max(shape[:2])))
    x, y = (box[:2] + box[2:]) / 2
    return Roi(_inside(x, side, shape[1]), _inside(y, side, shape[0]), side)


def believable(hand: Hand, landmarks: np.ndarray) -> bool:
    """Whether `hand` can be a hand that covers the face: its size fits, it is near, it leaves the face somewhere."""
    box = _box(landmarks)
    outline = np.asarray(landmarks)[list(OVAL), :2]
    if not SIZES[0] <= hand.size / max(float(np.ptp(outline[:, 0])), 1e-6) <= SIZES[1]:
        return False
    reach = (NEAR - 1) / 2 * _side(box) + 0.2 * hand.size
    points = hand.points[:, :2]
    near = ((points >= box[:2] - reach) & (points <= box[2:] + reach)).all(1)
    return bool(near.any()) and not _within(points, outline)


def _within(points: np.ndarray, outline: np.ndarray) -> bool:
    """Whether all points lie in the face's outline: an arm must leave it, so this is the face itself."""
    contour = outline.astype(np.float32).reshape(-1, 1, 2)
    return all(cv2.pointPolygonTest(contour, (float(x), float(y)), False) >= 0 for x, y in points)


def _box(landmarks: np.ndarray) -> np.ndarray:
    points = np.asarray(landmarks, np.float64)[:, :2]
    return np.concatenate([points.min(0), points.max(0)])


def _side(box: np.ndarray) -> float:
    return float(max(box[2] - box[0], box[3] - box[1], 1))


def _inside(centre: float, side: float, length: int) -> float:
    half = side / 2
    return float(length - 1) / 2 if side >= length else float(np.clip(centre, half - 0.5, length - 0.5 - half))


def same(a: Hand, b: Hand, reach: float = 0.5) -> bool:
    """Whether two finds are one hand: their middles are nearer than `reach` of its size."""
    apart = np.linalg.norm(a.points[:, :2].mean(0) - b.points[:, :2].mean(0))
    return bool(apart < reach * max(a.size, b.size))


def _placed(roi: Roi, box: np.ndarray) -> Roi:
    """A region as the face sees it: from the middle of its box, in parts of the box's side."""
    side = _side(box)
    x, y = (box[:2] + box[2:]) / 2
    return Roi((roi.x - x) / side, (roi.y - y) / side, roi.size / side, roi.angle)


def _near(a: Roi, b: Roi) -> bool:
    turn = abs((a.angle - b.angle + math.pi) % (2 * math.pi) - math.pi)
    return max(abs(a.x - b.x), abs(a.y - b.y), abs(a.size - b.size)) < SHIFTED and turn < TURNED
