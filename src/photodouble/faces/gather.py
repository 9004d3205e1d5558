"""From chunks of faces to tracks over the whole footage and to people."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from photodouble.faces import people
from photodouble.faces.embedding import SAME_PERSON
from photodouble.faces.face import Face
from photodouble.faces.track import OVERLAP, STRANGER, overlap


@dataclass
class _Sum:
    """What is summed up of a track over its frames."""

    first: int
    last: int
    still: bool
    frames: int = 0
    area: float = 0.0
    embedding: np.ndarray = field(default_factory=lambda: np.zeros(128))

    @property
    def unit(self) -> np.ndarray:
        return self.embedding / max(float(np.linalg.norm(self.embedding)), 1e-9)


class Gathered:
    """Tracks of all chunks so far; then who is who.

    Chunks come in their order. Of each face only a few numbers stay in memory.
    """

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.people = 0
        self._tracks: list[_Sum] = []
        self._numbers: dict[Path, np.ndarray] = {}
        self._person: np.ndarray | None = None
        self._border: tuple[int, int, list[tuple[int, np.ndarray]]] | None = None
        self._offset = 0
        self._end = 0
        self._source = -1

    def add(self, path: Path, source: int, columns: dict[str, Any], still: bool) -> None:
        """Take in a chunk: its faces' frame, track, quality, box and embedding (see `chunk.small_columns`)."""
        if source != self._source:
            self._source, self._offset, self._border = source, self._end, None
        frame, local, box = columns["frame"], columns["track"], columns["box"]
        numbers = np.zeros(int(local.max()) + 1 if len(local) else 0, np.int64)
        for track in range(len(numbers)):
            rows = np.flatnonzero(local == track)
            at = frame[rows] + self._offset
            weight = columns["quality"][rows] + 1e-3
            embedding = (columns["embedding"][rows] * weight[:, None]).sum(0)
            number = None if still else self._continued(int(frame[rows[0]]), box[rows[0]], embedding)
            if number is None:
                number = len(self._tracks)
                self._tracks.append(_Sum(int(at[0]), int(at[-1]), still))
            one = self._tracks[number]
            one.last, one.frames = int(at[-1]), one.frames + len(rows)
            one.area += float(np.prod(box[rows, 2:] - box[rows, :2], axis=1).sum())
            one.embedding += embedding
            numbers[track] = number
        if len(frame):
            last = int(frame[-1])
            rows = np.flatnonzero(frame == last)
            self._border = (source, last, [(int(numbers[local[row]]), box[row]) for row in rows])
            self._end = max(self._end, self._offset + last + 1)
        self.paths.append(path)
        self._numbers[path] = numbers[local] if len(local) else np.zeros(0, np.int64)

    def numbers(self, path: Path) -> np.ndarray:
        """Number of the track of each face of a chunk, counted through all chunks."""
        return self._numbers[path]

    def _continued(self, frame: int, box: np.ndarray, embedding: np.ndarray) -> int | None:
        """The track of the frame before, in the last chunk, that this face goes on with."""
        if self._border is None or self._border[1] != frame - 1:
            return None
        unit = embedding / max(float(np.linalg.norm(embedding)), 1e-9)
        best = max(self._border[2], key=lambda held: overlap(held[1], box))
        alike = float(self._tracks[best[0]].unit @ unit)
        return best[0] if overlap(best[1], box) > OVERLAP and alike > STRANGER else None

    def choose(self, wanted: np.ndarray | None, threshold: float = SAME_PERSON) -> int | None:
        """Join tracks into people; the number of the one asked for: nearest to the embedding `wanted`, else 0.

        None if nobody is as near to `wanted` as `threshold`.
        """
        tracks = people.Tracks(
            embedding=np.array([track.unit for track in self._tracks], np.float32).reshape(-1, 128),
            frames=np.array([track.frames for track in self._tracks]),
            area=np.array([track.area / track.frames for track in self._tracks]),
            first=np.array([track.first for track in self._tracks]),
            last=np.array([track.last for track in self._tracks]),
            shot=np.array([not track.still for track in self._tracks]),
        )
        self._person = people.join(tracks)
        self.people = int(self._person.max()) + 1
        return 0 if wanted is None else people.match(tracks, self._person, wanted, threshold)

    def narrow(self, person: int, wanted: np.ndarray | None, limit: float) -> int:
        """Take those tracks from the person that are not as near as `limit` to `wanted`; how many faces are left.

        With `wanted` None the person's own mean embedding, by frames, counts.
        """
        assert self._person is not None
        own = [number for number, one in enumerate(self._person.tolist()) if one == person]
        if wanted is None:
            total = np.sum([self._tracks[number].unit * self._tracks[number].frames for number in own], axis=0)
            wanted = total / max(float(np.linalg.norm(total)), 1e-9)
        for number in own:
            if float(self._tracks[number].unit @ wanted) < limit:
                self._person[number] = -1
        return self.faces(person)

    def settle(self, path: Path, row: int, face: Face) -> int:
        """Give a chunk's face its final track and person, and its track's mean embedding; the person's number."""
        assert self._person is not None
        face.track = int(self._numbers[path][row])
        face.person = int(self._person[face.track])
        face.embedding = self._tracks[face.track].unit.astype(np.float32)
        return face.person

    def faces(self, person: int) -> int:
        """How many faces the person has."""
        return sum(track.frames for track, one in self._each() if one == person)

    def others(self, person: int) -> int:
        """How many faces everybody else has."""
        return sum(track.frames for track, one in self._each() if one != person)

    def tracks(self, person: int) -> int:
        """How many tracks the person has."""
        return sum(one == person for _, one in self._each())

    def _each(self) -> list[tuple[_Sum, int]]:
        assert self._person is not None
        return list(zip(self._tracks, self._person.tolist(), strict=True))
