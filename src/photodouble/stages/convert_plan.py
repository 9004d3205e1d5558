"""What a render needs to know of the whole plate before its first frame: faces, the planned shot, hands.

It is found once and kept in the project for the plate, for other renders and previews, and for other processes.
"""

import hashlib
from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photodouble.consent.binding import bound
from photodouble.errors import BadInput
from photodouble.evaluation import plate_rows
from photodouble.faces import FaceSet
from photodouble.faces.chunk import ahead
from photodouble.faces.occlusion import Hands, HandSeeker
from photodouble.files import make_folder
from photodouble.media import Clip
from photodouble.media.video import stored_frames
from photodouble.project import Project
from photodouble.retarget import Shot, Wanted, plan_shot
from photodouble.stages.events import Event, Progress, Result
from photodouble.stages.extract import extract_faces

STAGE = "convert"
SHOT = 1
"""Version of how shots are planned: another one makes kept plans out of date."""


@dataclass(frozen=True)
class PlanFiles:
    """Where the parts of a plan lie: the plate's FaceSet, the planned shot, the hands."""

    faces: Path
    shot: Path
    hands: Path


@dataclass(frozen=True)
class Plan:
    """A planned plate: `files` is where it is kept."""

    shot: Shot
    hands: Hands
    files: PlanFiles


def make_plan(
    project: Project, plate: Path, source: str, target: str, wanted: Wanted, clip: Clip
) -> Steps[Event, None, Plan]:
    """Plan a plate (returned), or take up again what is kept of it.

    Raises:
        BadInput: no face of the plate is known.
    """
    folder = plate_folder(project, clip)
    faces = yield from plate_faces(project, plate, source, folder, clip)
    rows = plate_faces_rows(faces, clip)
    if not len(rows):
        raise BadInput(f"{faces.folder} holds no face of the plate {plate}: run 'photodouble extract' on it again.")
    index = faces.folder / "faces.parquet"
    hands_file = folder / f"hands-{state([*sources(clip), index])}.npz"
    hands = yield from seek_hands(clip, faces, rows, hands_file)
    shot_file = folder / f"shot-{state([index, project.faces(target) / 'faces.parquet'], SHOT)}.npz"
    shot = Shot.load(shot_file, faces) if shot_file.is_file() else None
    if shot is None or not np.array_equal(shot.rows, rows):
        shot = plan_shot(wanted, faces, rows)
        shot.save(shot_file)
    return Plan(shot, hands, PlanFiles(faces.folder, shot_file, hands_file))


def load_plan(files: PlanFiles) -> Plan:
    """Read what `make_plan` kept."""
    return Plan(Shot.load(files.shot, FaceSet.open(files.faces)), Hands.load(files.hands), files)


def plate_faces_rows(faces: FaceSet, clip: Clip) -> np.ndarray:
    """(t,) rows of a FaceSet: the plate's faces that are replaced, in the order of frames."""
    chosen = plate_rows(faces, None, str(clip.path))
    return np.array([chosen[frame] for frame in sorted(chosen)], np.int64)


def plate_folder(project: Project, clip: Clip) -> Path:
    """Where the project keeps what it knows of a plate."""
    folder = project.plate(clip.path)
    make_folder(folder)
    return folder


def plate_faces(project: Project, plate: Path, source: str, folder: Path, clip: Clip) -> Steps[Event, None, FaceSet]:
    """The plate's faces (returned): the identity's own set if it was extracted from just this plate, or a new one."""
    own = project.faces(source)
    index = own / "faces.parquet"
    reference: Path | None = None
    if index.is_file():
        known = FaceSet.open(own)
        changed = max(file.stat().st_mtime for file in sources(clip)) > index.stat().st_mtime
        if str(clip.path) in known.sources and not changed:
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


def seek_hands(clip: Clip, faces: FaceSet, rows: np.ndarray, kept: Path) -> Steps[Event, None, Hands]:
    """The hands in front of the plate's face (returned): found in a pass of their own, or earlier and kept."""
    if kept.is_file():
        return Hands.load(kept)
    seeker, at = HandSeeker(), 0
    if clip.kind == "video":
        # RGB is made of the few frames that are looked at.
        frames = ((stored.index, lambda stored=stored: stored.image(True)) for stored in stored_frames(clip))
    else:
        frames = ((frame.index, lambda frame=frame: frame.image) for frame in clip.frames(dtype=np.uint8))
    for number, image in ahead(frames, 3):
        here = at < len(rows) and int(faces.frame[rows[at]]) == number
        points = faces.landmarks(int(rows[at]), int(rows[at]) + 1)[0] if here else None
        at += here
        seeker.observe(number, image, points)
        if number % 16 == 0:
            yield Progress(STAGE, number, clip.estimated_frames, "frames", "looking for hands")
    hands = seeker.finish()
    hands.save(kept)
    return hands


def sources(clip: Clip) -> Sequence[Path]:
    """The files of a clip."""
    return clip.files or (clip.path,)


def state(files: Sequence[Path], version: int = 0) -> str:
    """Changes when one of the files does."""
    known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((version, known) if version else known).encode()).hexdigest()[:12]
