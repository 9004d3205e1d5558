"""A plate's performance, as the wanted person shall give it: planned once, then read block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from photodouble.errors import BadInput
from photodouble.faces import FaceSet
from photodouble.files import NOT_ARRAYS, atomic
from photodouble.retarget.fade import FRAMES, Fade, fades
from photodouble.retarget.hands import hand_prices
from photodouble.retarget.mesh import REGIONS, Wanted, compare, paths, target_features, targets
from photodouble.retarget.shape import Proportions
from photodouble.retarget.smooth import REACH, smooth

BLOCK = 256
COMPARED = 1000
"""Frames that the plate's person is known by."""


@dataclass(frozen=True)
class Shot:
    """A planned plate.

    Attributes:
        faces: the plate's FaceSet; rows: (t,) its rows to be replaced, in the order of frames; frame: (t,) theirs.
        starts: (t,) True where a track begins.
        difference: between the two people.
        choice: for each region (t,) the wanted person's pictures.
    """

    faces: FaceSet
    rows: np.ndarray
    frame: np.ndarray
    starts: np.ndarray
    difference: Proportions
    choice: dict[str, np.ndarray]

    def blocks(self, first: int = 0) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Position of the first face, smoothed landmarks and targets, both (b, 478, 3) plate pixels, by blocks.

        Args:
            first: position of the face to begin with; the numbers do not depend on it.
        """
        for start, landmarks in read_smooth(self.faces, self.rows, self.starts, first // BLOCK * BLOCK):
            target, cut = targets(self.difference, landmarks)[1], max(first - start, 0)
            yield start + cut, landmarks[cut:], target[cut:]

    def chosen(self, position: int) -> dict[str, int]:
        """The picture for each region of the face at `position`."""
        return {region: int(self.choice[region][position]) for region in REGIONS}

    def faded(self, position: int) -> dict[str, Fade]:
        """Where that face shows a second picture, too."""
        return {region: found[position] for region, found in self._fades.items() if position in found}

    @cached_property
    def _fades(self) -> dict[str, dict[int, Fade]]:
        return {region: fades(self.choice[region], self.starts, FRAMES[region]) for region in REGIONS}

    def save(self, path: Path) -> None:
        """Write a compressed npz file, atomically, without the faces."""
        apart = self.difference
        values = {"rows": self.rows, "frame": self.frame, "starts": self.starts, "offset": apart.offset}
        values |= {"lids": np.array(apart.lids), "lips": np.array(apart.lips), "weight": apart.weight}
        values |= {f"choice_{region}": choice for region, choice in self.choice.items()}
        with atomic(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **values)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path, faces: FaceSet) -> "Shot":
        """Read what `save` wrote of a shot with these faces.

        Raises:
            BadInput: the file is missing, cut off, or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                right, left = data["lids"].tolist()
                apart = Proportions(data["offset"], (right, left), float(data["lips"]), data["weight"])
                choice = {region: data[f"choice_{region}"] for region in REGIONS}
                return cls(faces, data["rows"], data["frame"], data["starts"], apart, choice)
        except NOT_ARRAYS as error:
            raise BadInput(f"Cannot read the plan in {path}: delete the file and run the command again.") from error


def plan_shot(wanted: Wanted, faces: FaceSet, rows: np.ndarray) -> Shot:
    """Choose the wanted person's pictures for a plate.

    Memory: about 2 kB a frame.

    Args:
        rows: (t,) of `faces`, at most one for each frame, in the order of frames.
    """
    frame, track = faces.frame[rows], faces.track[rows]
    starts = np.ones(len(rows), bool)
    starts[1:] = (track[1:] != track[:-1]) | (np.diff(frame) != 1)
    some = rows[np.unique(np.linspace(0, len(rows) - 1, COMPARED).round().astype(int))]
    difference = compare(wanted, read(faces, some), faces.blendshapes[some])
    wants: dict[str, list[np.ndarray]] = {region: [] for region in REGIONS}
    for start, landmarks in read_smooth(faces, rows, starts):
        blendshapes = faces.blendshapes[rows[start : start + len(landmarks)]]
        for region, values in target_features(difference, landmarks, blendshapes).items():
            wants[region].append(values)
    want = {region: np.concatenate(parts) for region, parts in wants.items()}
    return Shot(faces, rows, frame, starts, difference, paths(wanted, want, starts, hand_prices(wanted)))


def read(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    """Landmarks of some rows (n, 478, 3), read in blocks."""
    parts = []
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        parts.append(faces.landmarks(int(some[0]), int(some[-1]) + 1)[some - some[0]])
    return np.concatenate(parts)


def read_smooth(
    faces: FaceSet, rows: np.ndarray, starts: np.ndarray, first: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """Filtered landmarks from position `first` (a multiple of `BLOCK`) on by blocks, the same whatever the blocks are.

    Each block is read with the frames around it.
    """
    for start in range(first, len(rows), BLOCK):
        stop = min(start + BLOCK, len(rows))
        low, high = max(0, start - 2 * REACH), min(len(rows), stop + 2 * REACH)
        part = smooth(read(faces, rows[low:high]), starts[low:high])
        yield start, part[start - low : start - low + stop - start]
