"""Following faces through a clip: landmarks lead from frame to frame, the detector only finds what is new."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from photodouble.faces.alignment import alignment, eye_centres, grey_crop
from photodouble.faces.detect import Detector, create_detector
from photodouble.faces.embedding import Embedder
from photodouble.faces.face import Face
from photodouble.faces.landmarks import Landmarker, Landmarks, Roi
from photodouble.faces.pose import pose
from photodouble.faces.quality import SIDE, quality, sharpness
from photodouble.media.colour import to_depth
from photodouble.media.frame import Frame

STRIDE = 8
"""Most frames from one that the network always sees to the next (see `photodouble.faces.walk`)."""

PRESENT = 0.5
"""Least presence for a face to be there, as in MediaPipe."""

THOROUGH = 4
"""Every so many looks for new faces are thorough ones, the others glances at a small copy."""

DOUBTFUL = 0.15
"""Least presence for a followed face to be there if the detector sees one there too: full profiles come down to it."""

OVERLAP = 0.4
"""Intersection over union from which two boxes are one face."""

PATIENCE = 8
"""A track that is lost is taken up again under its number within so many frames, if its face is found near by."""

STRANGER = 0.1
"""Cosine below which two near-frontal looks at one track are two people: the track passed from face to face."""

FRONTAL = 30.0
"""Degrees of yaw and pitch up to which that may be judged."""


@dataclass
class _Track:
    """One followed face."""

    number: int
    last: Landmarks
    seen: int = 0
    missed: int = 0
    doubtful: bool = False
    embedding: np.ndarray | None = field(default=None)

    @property
    def box(self) -> np.ndarray:
        return box_of(self.last.points)


@dataclass(frozen=True)
class TrackerState:
    """See `Tracker.save`."""

    tracks: list[_Track]
    thumbnail: np.ndarray | None
    since: int
    glances: int
    next: int


class Tracker:
    """Finds and follows all faces of one clip.

    Frames must come in order. The same frames give the same faces. One instance serves one clip at a time and one
    thread; `reset` makes it ready for another clip.
    """

    def __init__(
        self,
        detector: Detector | None = None,
        every: int = 24,
        embed_every: int = 64,
        landmarker: Landmarker | None = None,
        embedder: Embedder | None = None,
        stride: int = STRIDE,
    ) -> None:
        """Make a tracker.

        Args:
            detector: what finds new faces; YuNet by default.
            every: frames between two looks for new faces while others are followed. All but each `THOROUGH`-th are
                glances if the detector can glance (like `YuNet.glance`).
            embed_every: frames of a track between two of its embeddings; 0 for none at all. Faces in between have
                embeddings of zeros: their track's are theirs.
            landmarker, embedder: given so that several trackers share them.
            stride: most frames that `photodouble.faces.walk` takes at a time; 1 for the network on every frame.
        """
        self._detector = detector or create_detector("yunet")
        glance = getattr(self._detector, "glance", None)
        self._glance: Detector = glance() if glance else self._detector
        self._landmarker = landmarker or Landmarker()
        self._embedder = (embedder or Embedder()) if embed_every else None
        self._every, self._embed_every = every, embed_every
        self.stride = stride
        self._next = 0
        self.looks = 0
        """How often the network looked at a followed face."""
        self.reset()

    def reset(self) -> None:
        """Forget all faces. Numbers of tracks go on, none is used twice."""
        self._tracks: list[_Track] = []
        self._thumbnail: np.ndarray | None = None
        self._since = self._glances = 0

    def step(self, frame: Frame) -> list[Face]:
        """Faces of the next frame, the longest followed first."""
        return finish(self.follow(frame))

    def follow(self, frame: Frame, steps: int = 1) -> list[Face]:
        """Like `step`, but `pose` and `quality` are left for `finish`, which is far cheaper for many faces at once.

        Args:
            frame: `steps` frames after the last one.
            steps: more than one if the frames between are left to somebody else (see `photodouble.faces.walk`).
        """
        image = eight_bit(frame.image)
        thumbnail = thumbnail_of(image)
        if self._thumbnail is not None and is_cut(self._thumbnail, thumbnail):
            self._tracks = []
        self._thumbnail = thumbnail
        for track in self._tracks:
            found = self.landmarks(image, track.last.points) if track.missed == 0 else None
            if found is not None:
                track.last, track.doubtful = found, found.presence < PRESENT
            else:
                track.missed += steps
        self._tracks = _distinct([track for track in self._tracks if track.missed <= PATIENCE])
        self._since += steps
        unsure = any(track.missed or track.doubtful for track in self._tracks)
        if not self._tracks or unsure or (self._since >= self._every and self._glances >= THOROUGH - 1):
            self._since = self._glances = 0
            self._find(image, self._detector, steps)
        elif self._since >= self._every:
            self._since = 0
            self._glances += 1
            self._find(image, self._glance, steps)
        return [self._face(track, image, frame, steps) for track in self._tracks if track.missed == 0]

    def save(self) -> TrackerState:
        """What `restore` takes to go on as if nothing had been seen since."""
        tracks = [replace(track) for track in self._tracks]
        return TrackerState(tracks, self._thumbnail, self._since, self._glances, self._next)

    def restore(self, state: TrackerState) -> None:
        """Go back to a saved state; one state can be restored once."""
        self._tracks, self._thumbnail = state.tracks, state.thumbnail
        self._since, self._glances, self._next = state.since, state.glances, state.next

    def held(self) -> dict[int, Landmarks]:
        """The faces in the last frame by their tracks' numbers."""
        return {track.number: track.last for track in self._tracks if track.missed == 0}

    def landmarks(self, image: np.ndarray, points: np.ndarray) -> Landmarks | None:
        """What the network says where a followed face's points are thought to be; None if no face is there."""
        self.looks += 1
        found = self._landmarker(image, Roi.of_landmarks(points))
        return found if _plausible(found, image, DOUBTFUL) else None

    def expression(self, points: np.ndarray) -> np.ndarray:
        """Blendshapes (52,) of landmarks."""
        return self._landmarker.expression(points)

    def look(self, frame: Frame) -> list[Face]:
        """Faces of a picture that stands for itself: nothing is followed, each face begins a track."""
        self.reset()
        faces = self.step(frame)
        self.reset()
        return faces

    def _find(self, image: np.ndarray, detector: Detector, steps: int) -> None:
        """Add the faces that the detector sees and no track holds; take up lost tracks."""
        detections = detector.detect(image)
        for track in self._tracks:
            if track.doubtful and not any(_same(detection.box, track.box) for detection in detections):
                track.missed += steps
            track.doubtful = False
        for detection in detections:
            held = [track for track in self._tracks if track.missed == 0]
            if any(_same(detection.box, track.box) for track in held):
                continue
            found = self._landmarker(image, Roi.of_box(detection.box, detection.points), blendshapes=False)
            # A second look, from where the face really is: its result no longer depends on the detector's box.
            found = self._landmarker(image, Roi.of_landmarks(found.points))
            if not _plausible(found, image) or any(_same(box_of(found.points), track.box) for track in held):
                continue
            lost = [track for track in self._tracks if track.missed and _near(track.box, box_of(found.points))]
            if lost:
                lost[0].last, lost[0].missed = found, 0
            else:
                self._tracks.append(_Track(self._number(), found))

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _face(self, track: _Track, image: np.ndarray, frame: Frame, steps: int) -> Face:
        points = track.last.points
        embedding = np.zeros(128, np.float32)
        if self._embedder is not None and -track.seen % self._embed_every < steps:
            embedding = self._embedder(image, points)
            if abs(pose(points)[:2]).max() < FRONTAL:
                if track.embedding is not None and float(track.embedding @ embedding) < STRANGER:
                    track.number, track.seen = self._number(), 0
                track.embedding = embedding
        track.seen += steps
        return make_face(track.number, track.last, image, frame, embedding)


def make_face(number: int, found: Landmarks, image: np.ndarray, frame: Frame, embedding: np.ndarray) -> Face:
    """The face of track `number` in `frame`, whose 8-bit picture is `image`; `finish` completes it."""
    return Face(
        frame=frame.index,
        box=box_of(found.points),
        score=found.presence,
        landmarks=found.points,
        blendshapes=found.blendshapes,
        pose=np.zeros(3, np.float32),
        embedding=embedding,
        sharpness=sharpness(grey_crop(image, alignment(found.points, SIDE), SIDE)),
        track=number,
        pts=frame.pts,
    )


def finish(faces: list[Face]) -> list[Face]:
    """Fill in `pose` and `quality` of faces from `Tracker.follow`; the same list."""
    if faces:
        points = np.stack([face.landmarks for face in faces])
        right, left = eye_centres(points)
        apart = np.linalg.norm(left - right, axis=-1)
        for face, turned, distance in zip(faces, pose(points), apart, strict=True):
            face.pose = turned
            face.quality = quality(face.sharpness, float(distance), turned)
    return faces


def find_faces(image: np.ndarray, make: Callable[[], Tracker] = Tracker) -> list[Face]:
    """All faces of one picture (H x W x 3 RGB), the best found first; embeddings included."""
    from fractions import Fraction

    return make().look(Frame(image, 0, 0, Fraction(1)))


def box_of(landmarks: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 float32 round the landmarks (478, 2 or 3)."""
    points = landmarks[:, :2]
    return np.concatenate([points.min(0), points.max(0)]).astype(np.float32)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    shared = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    area = float(np.prod(np.maximum(shared, 0)))
    return area / max(float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - area, 1e-9)


def eight_bit(image: np.ndarray) -> np.ndarray:
    """`image` as contiguous RGB uint8."""
    return np.ascontiguousarray(to_depth(image, np.uint8))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """One face: boxes overlap, or one's centre is near the other's (a detector's box may be half as large)."""
    return overlap(a, b) > OVERLAP or _near(a, b, 0.3)


def _near(a: np.ndarray, b: np.ndarray, reach: float = 0.6) -> bool:
    """Whether the centres are nearer than `reach` times the smaller box, and the sizes differ by less than two."""
    size_a, size_b = float((a[2:] - a[:2]).max()), float((b[2:] - b[:2]).max())
    apart = float(np.linalg.norm((a[:2] + a[2:]) / 2 - (b[:2] + b[2:]) / 2))
    return apart < reach * min(size_a, size_b) and max(size_a, size_b) < 2 * min(size_a, size_b)


def _plausible(found: Landmarks, image: np.ndarray, presence: float = PRESENT) -> bool:
    """Whether there is a face, at least half inside the picture, and of a size that means something."""
    if found.presence < presence or not np.isfinite(found.points).all():
        return False
    height, width = image.shape[:2]
    box = box_of(found.points)
    inside = np.minimum(box[2:], (width, height)) - np.maximum(box[:2], 0)
    size = box[2:] - box[:2]
    return bool(size.min() >= 8 and (inside > 0).all() and np.prod(inside) >= 0.5 * np.prod(size))


def _distinct(tracks: list[_Track]) -> list[_Track]:
    """Without tracks that came to hold the same face: the longest followed one keeps it."""
    kept: list[_Track] = []
    for track in tracks:
        if track.missed or not any(_same(track.box, other.box) for other in kept if not other.missed):
            kept.append(track)
    return kept


def thumbnail_of(image: np.ndarray) -> np.ndarray:
    """A 32 x 32 grey copy, float32."""
    if min(image.shape[:2]) > 128:
        image = cv2.resize(image, (128, 128), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def is_cut(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether two thumbnails show different shots: most of the picture changed, and not by one flash of light."""
    if float(abs(before - now).mean()) < 14:
        return False
    a, b = before - before.mean(), now - now.mean()
    alike = float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-6))
    return alike < 0.75
