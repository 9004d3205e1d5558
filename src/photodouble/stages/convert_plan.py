"""What a render needs to know of the whole plate before its first frame: faces, the planned shot, covers, its light.

It is found once and kept in the project for the plate, for other renders and previews, and for other processes.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Generator as Steps
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photodouble.compositing import Moments, face_box, measure_look, plan_moments
from photodouble.compositing.plan import NUMBERS
from photodouble.consent.binding import bound
from photodouble.errors import BadInput
from photodouble.evaluation import plate_rows
from photodouble.faces import FaceSet
from photodouble.faces.chunk import ahead
from photodouble.faces.occlusion import Hands, HandSeeker
from photodouble.faces.occlusion_cover import NO_COVERS, Covers, Front
from photodouble.files import NOT_ARRAYS, atomic, make_folder
from photodouble.media import Clip
from photodouble.media.video import stored_frames
from photodouble.project import Project
from photodouble.retarget import Shot, Wanted, plan_shot
from photodouble.retarget.covered import VERSION as COVERS
from photodouble.retarget.covered import find_covers
from photodouble.stages.events import Event, Progress, Result
from photodouble.stages.extract import extract_faces

STAGE = "convert"
SHOT = 2
"""Version of how shots are planned: another one makes kept plans out of date."""


LOOKED = 3
"""How the plate's face looks is measured in every third frame: light changes slowly."""

WAITING = 4
"""Frames that may wait for that."""


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
    known = state([*sources(clip), index])
    hands_file, looks_file = folder / f"hands-{known}.npz", folder / f"looks{NUMBERS}-{known}.npz"
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
    shot, front = (
        Shot.load(files.shot, FaceSet.open(files.faces)),
        load_front(files),
    )
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


def survey(
    clip: Clip, faces: FaceSet, rows: np.ndarray, hands_file: Path, looks_file: Path
) -> Steps[Event, None, tuple[Hands, np.ndarray]]:
    """The hands in front of the plate's face, and how the face looks (returned): found in one pass, or kept.

    The looks are (t, `NUMBERS` + 2): `Look.numbers` of some frames, NaN in others, and the face's centre.
    """
    if hands_file.is_file() and looks_file.is_file():
        return Hands.load(hands_file), load_looks(looks_file)
    seeker, at = HandSeeker(), 0
    looks = np.full((len(rows), NUMBERS + 2), np.nan)
    if clip.kind == "video":
        # RGB is made of the few frames that are looked at.
        frames = ((stored.index, lambda stored=stored: stored.image(True)) for stored in stored_frames(clip))
    else:
        frames = ((frame.index, lambda frame=frame: frame.image) for frame in clip.frames(dtype=np.uint8))
    with ThreadPoolExecutor(1) as pool:
        measured: deque[tuple[int, Future[np.ndarray]]] = deque()
        for number, image in ahead(frames, 3):
            here = at < len(rows) and int(faces.frame[rows[at]]) == number
            points = faces.landmarks(int(rows[at]), int(rows[at]) + 1)[0] if here else None
            if points is not None:
                looks[at, NUMBERS:] = points[:, :2].mean(0)
                if at % LOOKED == 0:
                    measured.append((at, pool.submit(_look_of, image, points)))
            at += here
            seeker.observe(number, image, points)
            while len(measured) > WAITING:  # each holds its frame
                row, numbers = measured.popleft()
                looks[row, :NUMBERS] = numbers.result()
            if number % 16 == 0:
                yield Progress(STAGE, number, clip.estimated_frames, "frames", "looking for hands")
        for row, numbers in measured:
            looks[row, :NUMBERS] = numbers.result()
    hands = seeker.finish()
    hands.save(hands_file)
    with atomic(looks_file) as part, part.open("wb") as file:
        np.savez_compressed(file, looks=looks)
    return hands, looks


def seek_covers(faces: FaceSet, rows: np.ndarray, hands: Hands, file: Path) -> Steps[Event, None, Covers]:
    """What covers the plate's face besides hands (returned): found, or kept."""
    if file.is_file():
        return Covers.load(file)
    steps = find_covers(faces, rows, hands.frame)
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            covers: Covers = end.value
            break
        if done % 16 == 0:
            yield Progress(STAGE, done, total, "faces", "looking for what covers the face")
    covers.save(file)
    return covers


def _look_of(image: Callable[[], np.ndarray], points: np.ndarray) -> np.ndarray:
    return look_numbers(image(), points)


def look_numbers(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """`Look.numbers` (`NUMBERS`,) of a face with these landmarks in a picture, H x W x 3 uint8; NaN if none is seen."""
    x0, y0, x1, y1 = face_box(points, image.shape[:2])
    look = None
    if min(x1 - x0, y1 - y0) > 1:
        look = measure_look(image[y0:y1, x0:x1].astype(np.float32), points - np.array([x0, y0, 0], np.float32))
    return np.full(NUMBERS, np.nan) if look is None else look.numbers()


def load_looks(path: Path) -> np.ndarray:
    """Read what `survey` kept.

    Raises:
        BadInput: the file is missing, cut off, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            looks = data["looks"]
        if looks.ndim != 2 or looks.shape[1] != NUMBERS + 2:
            raise ValueError("other numbers")
    except NOT_ARRAYS as error:
        raise BadInput(f"Cannot read the light in {path}: delete the file and run the command again.") from error
    return looks


def sources(clip: Clip) -> Sequence[Path]:
    """The files of a clip."""
    return clip.files or (clip.path,)


def state(files: Sequence[Path], version: int = 0) -> str:
    """Changes when one of the files does."""
    known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((version, known) if version else known).encode()).hexdigest()[:12]
