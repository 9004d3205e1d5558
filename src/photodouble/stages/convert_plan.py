"""What a render needs to know of the whole plate before its first frame: faces, the planned shot, covers, its light.

It is found once and kept in the project for the plate, for other renders and previews, and for other processes.
"""

import hashlib
from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photodouble.compositing import Moments, plan_moments
from photodouble.compositing.look import NUMBERS
from photodouble.compositing.look import VERSION as LOOK
from photodouble.consent.binding import bound
from photodouble.errors import BadInput
from photodouble.evaluation import plate_rows
from photodouble.faces import FaceSet
from photodouble.faces.occlusion import Hands
from photodouble.faces.occlusion_cover import NO_COVERS, Covers, Front
from photodouble.files import make_folder
from photodouble.media import Clip, Space
from photodouble.project import Project
from photodouble.retarget import Shot, Wanted, plan_shot
from photodouble.retarget.covered import VERSION as COVERS
from photodouble.stages.convert_survey import STAGE, load_looks, seek_covers, survey
from photodouble.stages.events import Event, Result
from photodouble.stages.extract import extract_faces, source_of, space_stamp
from photodouble.stages.recognise import settle

SHOT = 3
"""Version of how shots are planned: another one makes kept plans out of date."""


@dataclass(frozen=True)
class PlanFiles:
    """Where the parts of a plan lie: the plate's FaceSet, the planned shot, the hands, how the plate's face looks, and
    what else covers it (None: only hands may)."""

    faces: Path
    shot: Path
    hands: Path
    looks: Path
    covers: Path | None


@dataclass(frozen=True)
class Plan:
    """A planned plate: `front` is what covers its face, `moments` are what compositing is told of each frame, `files`
    is where it is kept."""

    shot: Shot
    front: Front
    moments: Moments
    files: PlanFiles


def make_plan(
    project: Project, plate: Path, source: str, target: str, wanted: Wanted, clip: Clip, covers: bool = True
) -> Steps[Event, None, Plan]:
    """Plan a plate (returned), or take up again what is kept of it; without `covers` only hands cover the face.

    Raises:
        BadInput: no face of the plate is known.
    """
    folder = plate_folder(project, clip)
    faces = yield from plate_faces(project, plate, source, folder, clip)
    rows = plate_faces_rows(faces, clip)
    if not len(rows):
        raise BadInput(f"{faces.folder} holds no face of the plate {plate}: run 'photodouble extract' on it again.")
    index = faces.folder / "faces.parquet"
    known = state([*sources(clip), index], space_stamp(clip.space) if clip.space != Space() else 0)
    hands_file, looks_file = folder / f"hands-{known}.npz", folder / f"looks{LOOK}-{known}.npz"
    hands, looks = yield from survey(clip, faces, rows, hands_file, looks_file)
    covers_file = folder / f"covers{COVERS}-{known}.npz" if covers else None
    front = Front(hands, (yield from seek_covers(faces, rows, hands, covers_file)) if covers_file else NO_COVERS)
    shot_file = folder / f"shot-{state([index, project.faces(target) / 'faces.parquet'], SHOT)}.npz"
    shot = Shot.load(shot_file, faces) if shot_file.is_file() else None
    if shot is None or not np.array_equal(shot.rows, rows):
        shot = plan_shot(wanted, faces, rows)
        shot.save(shot_file)
    files = PlanFiles(faces.folder, shot_file, hands_file, looks_file, covers_file)
    return Plan(shot, front, moments(shot, front, looks), files)


def load_plan(files: PlanFiles) -> Plan:
    """Read what `make_plan` kept."""
    shot, front = Shot.load(files.shot, FaceSet.open(files.faces)), load_front(files)
    return Plan(shot, front, moments(shot, front, load_looks(files.looks)), files)


def load_front(files: PlanFiles) -> Front:
    """Read what is kept of what covers the face."""
    return Front(Hands.load(files.hands), Covers.load(files.covers) if files.covers else NO_COVERS)


def moments(shot: Shot, front: Front, looks: np.ndarray) -> Moments:
    """What compositing is told of each frame, from what `survey` measured."""
    hidden = np.isin(shot.frame, front.frame)
    return plan_moments(shot.frame, looks[:, :NUMBERS], looks[:, NUMBERS:], shot.starts, hidden)


def plate_faces_rows(faces: FaceSet, clip: Clip) -> np.ndarray:
    """(t,) rows of a FaceSet: the plate's faces that are replaced, in the order of frames."""
    chosen = plate_rows(faces, None, source_of(faces, clip) or str(clip.path))
    return np.array([chosen[frame] for frame in sorted(chosen)], np.int64)


def plate_folder(project: Project, clip: Clip) -> Path:
    """Where the project keeps what it knows of a plate."""
    folder = project.plate(clip.path)
    make_folder(folder)
    return folder


def plate_faces(project: Project, plate: Path, source: str, folder: Path, clip: Clip) -> Steps[Event, None, FaceSet]:
    """The plate's faces (returned): the identity's own set if this plate is in it as it is now, or a new one.

    Raises:
        Refused: they are not the face of the person in the consent record of `source`.
    """
    faces = yield from _plate_faces(project, plate, source, folder, clip)
    yield from settle(project, source, faces, STAGE)
    return faces


def _plate_faces(project: Project, plate: Path, source: str, folder: Path, clip: Clip) -> Steps[Event, None, FaceSet]:
    own = project.faces(source)
    reference: Path | None = None
    if (own / "faces.parquet").is_file():
        known = FaceSet.open(own)
        if source_of(known, clip) is not None and known.info.get("space") == space_stamp(clip.space):
            return known
        if len(known):
            reference = known.folder / "crops" / known.names[int(np.argmax(known.quality))]
    person = bound(project, source)
    steps = extract_faces(
        folder / "faces",
        [plate],
        None if person else reference,
        person=person,
        strict=True,
        every_frame=True,
        space=clip.space,
    )
    yield from (event for event in steps if not isinstance(event, Result))
    return FaceSet.open(folder / "faces")


def sources(clip: Clip) -> Sequence[Path]:
    """The files of a clip."""
    return clip.files or (clip.path,)


def state(files: Sequence[Path], version: Any = 0) -> str:
    """Changes when one of the files does, or what else it is a state of."""
    known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((version, known) if version else known).encode()).hexdigest()[:12]
