"""How good the swap is while its network still learns: held-out faces of the plate, drawn, put back and measured."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from photodouble.compositing import composite, face_box
from photodouble.evaluation import mean_embedding, plate_rows
from photodouble.evaluation.few import Finished, few_figures
from photodouble.faces import Embedder, FaceSet, Landmarker, Landmarks, Roi, invert, transform
from photodouble.generators import Drawn, MeshGenerator, PlateFace, as_generator
from photodouble.retarget import know_faces, plan_shot
from photodouble.training.pairs import split_faces

RUNS, LENGTH = 4, 4
"""Stretches of the plate that are drawn by default, and frames of each: neighbours, so that flicker can be seen."""

LOOKED = 2
"""Likeness is measured on every second one: neighbours are alike, and the encoder costs most."""

BESIDE = 3
"""Frames before and after a stretch that are planned with it: landmarks are filtered over time."""

PLANNED = 300
"""Other frames of the plate, by which its person is known."""

CONSIDERED = 800
"""Faces of a longer plate that training chooses from, evenly."""

SMALLEST = 8


@dataclass(frozen=True)
class Shown:
    """A held-out face of the plate: its crop stands for the frame.

    Attributes:
        face: what a generator is given.
        found: the face in the crop as it is, its pixels.
        back: (2, 3) from the crop's pixels to the plate's.
        follows: whether it is the frame after the one before it in the list.
    """

    face: PlateFace
    found: Landmarks
    back: np.ndarray
    follows: bool


class SwapJudge:
    """Draws the same few held-out faces with every network it is given.

    Of a plate that is too short to hold anything out it takes faces from which its own person is learned; how the
    wanted person looks there, no training sees.
    """

    def __init__(self, wanted: FaceSet, plate: FaceSet, identity: int = 0, runs: int = RUNS) -> None:
        """Choose and plan the faces.

        Args:
            wanted, plate: the two people's faces.
            identity: number of the wanted person's decoder.
            runs: stretches of the plate that are drawn.

        Raises:
            BadInput: a set is empty, or has no pictures.
        """
        self._identity = identity
        self._wanted, _ = know_faces(wanted)
        self._people = tuple(mean_embedding(faces.embedding, faces.quality) for faces in (wanted, plate))
        self._landmarker, self._embedder = Landmarker(), Embedder()
        self._shown = self._plan(plate, runs)
        self._mesh: dict[str, float] = {}

    def __call__(self, module: nn.Module) -> dict[str, float]:
        """The figures of `few_figures` for the network as it stands, in evaluation mode, named `swap_...`.

        Those of `mesh` on the same faces, measured once, stand beside them, named `swap_..._mesh`. Of a network that
        draws no faces there are none.
        """
        generator = as_generator(module, self._identity, "", self._wanted)
        if generator is None or not self._shown:
            return {}
        faces = [shown.face for shown in self._shown]
        if not self._mesh:
            self._mesh = self._figures(MeshGenerator(self._wanted).draw(faces))
        drawn = [
            d for k in range(0, len(faces), generator.batch) for d in generator.draw(faces[k : k + generator.batch])
        ]
        own = {f"swap_{name}": value for name, value in self._figures(drawn).items()}
        return own | {f"swap_{name}_mesh": value for name, value in self._mesh.items()}

    def _figures(self, drawn: list[Drawn]) -> dict[str, float]:
        finished = []
        for number, (shown, picture) in enumerate(zip(self._shown, drawn, strict=True)):
            face = shown.face
            done = composite(face.image, picture.picture, picture.landmarks, face.box, None, picture.opacity)
            after = self._landmarker(done.image, Roi.of_landmarks(face.landmarks))
            look = self._embedder(done.image, after.points) if number % LOOKED == 0 else None
            finished.append(
                Finished(face.image, done.image, done.matte, shown.found, after, shown.back, look, shown.follows)
            )
        return few_figures(finished, *self._people)

    def _plan(self, plate: FaceSet, runs: int) -> list[Shown]:
        rows = one_a_frame(plate)
        chosen = held_out_rows(plate, rows, runs)
        at = np.searchsorted(rows, chosen)
        near = np.unique(np.clip(at[:, None] + np.arange(-BESIDE, BESIDE + 1), 0, len(rows) - 1))
        some = np.linspace(0, len(rows) - 1, min(PLANNED, len(rows))).astype(int)
        shot = plan_shot(self._wanted, plate, rows[np.union1d(some, near)])
        shown: list[Shown] = []
        last = -2
        for start, landmarks, targets in shot.blocks():
            for k, row in enumerate(shot.rows[start : start + len(landmarks)].tolist()):
                if row not in chosen:
                    continue
                matrix = plate.matrices(row, row + 1)[0]
                image, points, target = plate.crop(row), transform(landmarks[k], matrix), transform(targets[k], matrix)
                box = face_box(target, image.shape[:2])
                if min(box[2] - box[0], box[3] - box[1]) < SMALLEST:
                    continue
                choice, fade = shot.chosen(start + k), shot.faded(start + k)
                found = self._landmarker(image, Roi.of_landmarks(points))
                follows = start + k == last + 1 and not shot.starts[start + k]
                shown.append(Shown(PlateFace(image, points, target, choice, box, fade), found, invert(matrix), follows))
                last = start + k
        return shown


def one_a_frame(faces: FaceSet) -> np.ndarray:
    """The best face of each frame of each source, (n,) rows in their order."""
    return np.sort(np.concatenate([list(plate_rows(faces, None, name).values()) for name in faces.sources]).astype(int))


def held_out_rows(faces: FaceSet, rows: np.ndarray, runs: int = RUNS) -> np.ndarray:
    """Some of `rows`, sorted: `LENGTH` neighbours of each of `runs` stretches that training holds out.

    Of faces too few to hold any out: of stretches spread evenly.
    """
    considered = np.unique(np.linspace(0, len(faces) - 1, CONSIDERED).round().astype(int))
    held = considered[split_faces(faces, considered).held_out]
    step = int(np.diff(considered).max(initial=1))
    parts = np.split(held, np.flatnonzero(np.diff(held) > step) + 1) if len(held) else []
    if len(parts) < 2:
        parts = np.array_split(rows, runs)
    some = np.unique(np.linspace(0, len(parts) - 1, min(runs, len(parts))).round().astype(int))
    chosen = []
    for part in (parts[k] for k in some):
        if len(part):
            inside = rows[(rows >= part[0]) & (rows <= part[-1])]
            first = max(0, (len(inside) - LENGTH) // 2)
            chosen.append(inside[first : first + LENGTH])
    return np.unique(np.concatenate(chosen))
