"""What covers the face in a shot: microphones, paper, glasses put on later, hair that falls over it, hands.

A small network is shown each frame beside predictions of it, drawn from frames at other times, and says where the
frame differs as a thing in front of a face does. What is there all the time is part of this person: it is in the
predictions, too, and not found. The frames at hand are the crops in the plate's FaceSet.

`benchmarks/make_cover.py` made the network; docs/COVER.md is its data card.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from scipy import ndimage

from photodouble.faces import FaceSet, alignment, transform
from photodouble.faces.occlusion_cover import NO_COVERS, Covers
from photodouble.retarget.shot import read
from photodouble.retarget.uncovered import (
    LAYOUT,
    PICTURES,
    SIZE,
    Pictures,
    alike,
    evidence,
    inside,
    keep,
    predict,
    small_faces,
)

NETWORK = Path(__file__).with_name("cover.onnx")

VERSION = 1
"""Of the network and of what is done with it: another one makes kept finds out of date."""

STRIDE = 4
"""Every fourth frame is looked at, and the others only around a find."""

LIBRARY = 240
"""Frames that predictions are drawn from, taken evenly."""

APART = 15
"""Frames: nearer ones do not predict each other, since a cover stays."""

FAR = 0.25
"""The first predictions come from frames this part of the shot away: what covers the face for less is not in them."""

TURNED = 12.0
"""Degrees of yaw or pitch beyond which a picture predicts nothing: two within them are needed. With less, a head that
turns to its profile once looked covered; 10 was the most at a true find in 13 clips."""

FEWEST = 40
"""Faces below which nothing is looked for: there is too little to predict from."""

LIKELY, SURE = 0.5, 0.9
"""What belongs to a find, and what it must reach somewhere."""

SMALLEST = 0.006
"""Parts of the face's area below which a find is none."""

SHORTEST = 6
"""Frames below which a find is one of a moment."""

BLOCK = 256


class CoverNetwork:
    """The network, without PyTorch. One instance serves any number of threads."""

    def __init__(self, path: Path = NETWORK) -> None:
        self._session = _session(path)

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        """`evidence` (n, 11, S, S) float32 to the covered share of each pixel, (n, S, S) float32."""
        return self._session.run(None, {"evidence": seen})[0][:, 0]


@lru_cache(2)
def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def find_covers(
    faces: FaceSet, rows: np.ndarray, hands: np.ndarray | None = None, network: CoverNetwork | None = None
) -> Generator[tuple[int, int], None, Covers]:
    """Look for what covers a shot's face.

    Memory: about 2 kB a frame.

    Args:
        faces: the plate's, with their crops; rows: (t,) of it in rising order, at most one for each frame.
        hands: numbers of frames in which a hand is known to be before the face: they predict no others.

    Yields:
        Faces looked at so far, and how many there will be at least.
    """
    if len(rows) < FEWEST or not all(faces.names[row] for row in rows[:1].tolist()):
        return NO_COVERS
    network = network or CoverNetwork()
    looked = np.arange(0, len(rows), STRIDE)
    library = looked[np.unique(np.linspace(0, len(looked) - 1, LIBRARY).round().astype(int))]
    known, features = keep(faces, rows[library]), _features(faces, rows)
    shot = _Shot(faces, rows, faces.frame[rows], library, known, features, network)
    # First from far away in time, since a cover stays; then from wherever nothing was found.
    length = int(shot.frame[-1] - shot.frame[0])
    usable, found = np.ones(len(library), bool), np.zeros((len(looked), SIZE, SIZE), np.uint8)
    if hands is not None:
        usable = _bare(usable, library, np.flatnonzero(np.isin(shot.frame, hands)))
    for at, matte in enumerate(_look(shot, looked, usable, max(APART, int(FAR * length)))):
        found[at] = matte
        yield at + 1, len(looked)
    there = _where(found)
    if not there.any():
        return NO_COVERS
    usable = _bare(usable, library, looked[there])
    for at, matte in enumerate(_look(shot, looked, usable, APART)):
        found[at] = matte
        yield len(looked) + at + 1, 2 * len(looked)
    there = _where(found)
    near = np.zeros(len(rows), bool)
    for position in looked[there]:
        near[max(0, position - 2 * STRIDE) : position + 2 * STRIDE + 1] = True
    again, done = np.flatnonzero(near), 2 * len(looked)
    usable = _bare(usable, library, looked[there])
    mattes = np.zeros((len(again), SIZE, SIZE), np.uint8)
    for at, matte in enumerate(_look(shot, again, usable, APART)):
        mattes[at] = matte
        yield done + at + 1, done + len(again)
    mattes = settle(mattes, shot.frame[again], faces.track[rows[again]])
    kept = np.flatnonzero(mattes.any((1, 2)))
    if not len(kept):
        return NO_COVERS
    landmarks = read(faces, rows[again[kept]])
    matrices = alignment(landmarks, SIZE, LAYOUT)
    spread = [_beyond(m, inside(p)) for m, p in zip(mattes[kept], transform(landmarks, matrices), strict=True)]
    return Covers(shot.frame[again[kept]].astype(np.int32), matrices, np.stack(spread))


def _beyond(matte: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """A matte that goes on a little beyond the outline, so that its edge is not softened there."""
    return np.where(outline > 0, matte, cv2.dilate(matte, np.ones((7, 7), np.uint8)))


@dataclass(frozen=True)
class _Shot:
    """A shot that is looked at: its FaceSet, rows (t,) and frames (t,); the positions (m,) of the frames that predict,
    as `Pictures`; what faces are compared by (t, d); the network."""

    faces: FaceSet
    rows: np.ndarray
    frame: np.ndarray
    library: np.ndarray
    known: Pictures
    features: np.ndarray
    network: CoverNetwork


def _where(mattes: np.ndarray) -> np.ndarray:
    """Which of the mattes (n, S, S) hold a believable find, (n,) bool."""
    return np.array([bool(cleaned(matte).any()) for matte in mattes])


def _bare(usable: np.ndarray, library: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """What of the library may still predict where the positions `covered` are; all that could if too little is left."""
    left = usable & ~np.isin(library, covered)
    return left if left.sum() > 2 * PICTURES else usable


def _look(shot: _Shot, looked: np.ndarray, usable: np.ndarray, apart: int) -> Iterator[np.ndarray]:
    """What the network says of each position in `looked`: SIZE x SIZE uint8, 0 outside the outline.

    It is predicted from the `usable` (m,) of the library that are at least `apart` frames away.
    """
    have, frame = shot.features[shot.library], shot.frame[shot.library]
    pose = shot.faces.pose[shot.rows][:, :2]
    faces = small_faces(shot.faces, shot.rows[looked], SIZE)
    for position, (image, points) in zip(looked.tolist(), faces, strict=True):
        chosen = choose(have, shot.features[position], frame, int(shot.frame[position]), usable, apart)
        turned = abs(pose[shot.library[chosen]] - pose[position]).max(1)
        if (turned <= TURNED).sum() < 2:
            yield np.zeros((SIZE, SIZE), np.uint8)
            continue
        outline = inside(points)
        found = shot.network(evidence(image, predict(shot.known, points, chosen), outline)[None])[0] * outline
        yield np.rint(255 * found).astype(np.uint8)


def choose(
    have: np.ndarray, want: np.ndarray, frame: np.ndarray, here: int, usable: np.ndarray, apart: int
) -> list[int]:
    """The pictures that predict a frame: the most alike of those that are apart from it, and from one another.

    Args:
        have: (n, d) features of the pictures; want: (d,) the frame's. frame: (n,) of the pictures; here: the frame's.
        usable: (n,) bool; apart: frames. Where too few pictures are both, others are taken.
    """
    unlike = ((have - want) ** 2).sum(1)
    unlike[~usable] += 1e3
    unlike[abs(frame - here) < apart] += 1e6
    among = max(APART, int(np.ptp(frame)) // (4 * PICTURES))
    chosen: list[int] = []
    for _ in range(PICTURES):
        best = int(unlike.argmin())
        chosen.append(best)
        unlike[abs(frame - frame[best]) < among] += 1e4
    return chosen


def cleaned(matte: np.ndarray) -> np.ndarray:
    """Which pixels of a matte (S x S uint8) belong to a believable find: S x S bool."""
    likely = (matte > 255 * LIKELY).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(likely, connectivity=8)
    kept = np.zeros(count, bool)
    kept[np.unique(labels[matte > 255 * SURE])] = True
    kept &= stats[:, cv2.CC_STAT_AREA] >= SMALLEST * TYPICAL
    kept[0] = False
    return kept[labels]


TYPICAL = 0.37 * SIZE * SIZE
"""Pixels inside an outline, about."""


def settle(mattes: np.ndarray, frame: np.ndarray, track: np.ndarray) -> np.ndarray:
    """Smooth the mattes (n, S, S) uint8 of frames (n,) along time and drop what lasts a moment: the same shape."""
    result = np.zeros_like(mattes)
    breaks = np.flatnonzero((np.diff(frame) != 1) | (np.diff(track) != 0)) + 1
    for run in np.split(np.arange(len(frame)), breaks):
        if len(run) < SHORTEST:
            continue
        part = mattes[run]
        ends = np.concatenate([part[:1], part, part[-1:]])
        steady = np.maximum(np.minimum(ends[:-2], part), np.minimum(np.maximum(ends[:-2], part), ends[2:]))
        whole = np.stack([cleaned(matte) for matte in steady])
        whole = _lasting(whole)
        there = np.stack([cv2.dilate(bits.astype(np.uint8), np.ones((3, 3), np.uint8)) for bits in whole])
        part = steady * there
        ends = np.concatenate([part[:1], part, part[-1:]]).astype(np.uint16)
        result[run] = ((ends[:-2] + 2 * ends[1:-1] + ends[2:] + 2) // 4).astype(np.uint8)
    return result


def _lasting(bits: np.ndarray) -> np.ndarray:
    """Of (n, S, S) bool what hangs together over at least `SHORTEST` frames: pieces that touch from frame to frame."""
    labels, _ = ndimage.label(bits, np.ones((3, 3, 3)))
    slices = ndimage.find_objects(labels)
    kept = np.array([False, *(s is not None and s[0].stop - s[0].start >= SHORTEST for s in slices)])
    return kept[labels]


def _features(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    parts = []
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        parts.append(alike(read(faces, some), faces.pose[some], faces.blendshapes[some]))
    return np.concatenate(parts)
