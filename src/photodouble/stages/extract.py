"""Extract: from footage to an identity's FaceSet.

The clips are read once, chunk by chunk. Each chunk's faces and crops lie in one file of a work folder beside the
set; when all are there, tracks are joined over the chunks' borders and into people, and the asked person's faces
become the set.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from photodouble.consent import require
from photodouble.consent.binding import LIMIT, Bound, bound, told
from photodouble.consent.policy import THRESHOLD, NudityGate
from photodouble.errors import BadInput, Refused
from photodouble.faces import FaceSet, FaceSetWriter, Tracker, create_detector, find_faces
from photodouble.faces.chunk import chunk_faces, small_columns
from photodouble.faces.detect import Detector
from photodouble.faces.gather import Gathered
from photodouble.files import explain, remove, write_json
from photodouble.media import RATE, Clip, Frame, Space, open_clip, read_view
from photodouble.media.pictures import SUFFIXES, natural, open_pictures
from photodouble.project import open_project
from photodouble.stages.chunks import Job, chunk_size, chunks
from photodouble.stages.events import Event, Progress, Result, Started, Warned
from photodouble.stages.recognise import glance, nobody, settle

STAGE = "extract"
VERSION = 3
"""Of the way faces are found and stored: another one makes work folders and finished sets out of date."""

CHUNK = 256
"""Frames in a chunk; see `chunks.Job`."""

WORKERS = min(os.cpu_count() or 1, 4)
"""Chunks that are made at a time; one thread follows the faces of each."""

LEAST_SIDE = 32
"""Pixels below which a picture holds no face that could be used."""


MARGIN = 0.05
"""By so much nearer than `LIMIT` must a face be to the rest of a person's faces where a record is yet to be bound."""

NUDITY_LIMIT = THRESHOLD
"""Score from which footage is refused."""


@dataclass(frozen=True)
class ExtractConfig:
    """What to extract.

    Attributes:
        project: the project's folder.
        identity: whose faces these are; needs a consent record.
        sources: videos, folders of pictures and pictures, in any mix.
        reference: a picture of the person, where the sources show several; else the one seen most and largest.
        detector: name of the detector.
        store_crops: keep each face's picture too.
        every_frame: the landmark network looks at every frame, none is left to optical flow: slower, and what a plate
            is worth, since its landmarks are the performance.
        space: the sources' colour space, where their files do not say it.
    """

    project: Path
    identity: str
    sources: list[Path]
    reference: Path | None = None
    detector: str = "yunet"
    store_crops: bool = True
    every_frame: bool = False
    space: Space = field(default_factory=Space)


def run(config: ExtractConfig) -> Iterator[Event]:
    """Extract the faces of one person into `identities/NAME/faces`.

    The result holds `identity`, `folder`, `faces`, `frames`, `frames_with_face` (any face), `people`,
    `others` (faces of other people, left out), `tracks`, `crop_size`, `sources`, `seconds` and `extracted` (False
    if all was there already).

    Raises:
        Refused: no valid consent record, a source that policy refuses, or nobody in the sources is the person of the
            record.
        BadInput: a source that cannot be read, or without a face; a reference nobody matches.
    """
    project = open_project(config.project)
    require(project, config.identity, date.today())
    folder = project.faces(config.identity)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    person = bound(project, config.identity)
    settings: dict[str, Any] = {"detector": config.detector, "store_crops": config.store_crops, "strict": True}
    settings |= {"every_frame": config.every_frame, "space": config.space}
    for event in extract_faces(folder, config.sources, config.reference, person=person, **settings):
        if isinstance(event, Result):
            yield from settle(project, config.identity, FaceSet.open(folder), STAGE)
            event = Result(STAGE, {"identity": config.identity, **event.values})  # noqa: PLW2901
        yield event


def extract_faces(
    folder: Path,
    sources: list[Path],
    reference: Path | None = None,
    detector: str = "yunet",
    store_crops: bool = True,
    chunk: int = CHUNK,
    workers: int = WORKERS,
    everybody: bool = False,
    every_frame: bool = False,
    person: Bound | None = None,
    strict: bool = False,
    space: Space = Space(),  # noqa: B008 (frozen)
) -> Iterator[Event]:
    """Extract one person's faces into the FaceSet `folder`, for stages that have asked for consent themselves.

    With `everybody` all people's faces are kept; the set's `person` tells them apart. With `person` it is the one to
    whom a consent record is bound whose faces are taken, and footage that does not show them is refused, after a few
    looks where they suffice. With `strict`, or `person`, faces that do not match the rest of theirs are left out.

    Killed and called again with the same sources it continues; the set's bytes are those of an uninterrupted run.
    The bytes do not depend on `workers` either, the number of chunks made at a time. Every frame passes the nudity
    gate on its way. See `run` for the result and the errors.
    """
    began = time.monotonic()
    if not sources:
        raise BadInput("There is nothing to extract from: give at least one video, folder or picture.")
    clips = [open_source(Path(path), space) for path in sources]
    settings = {"reference": _stamp(reference), "detector": detector, "crops": store_crops, "chunk": chunk}
    settings |= {"everybody": True} if everybody else {}
    settings |= {"every_frame": True} if every_frame else {}
    settings |= {"person": hashlib.sha256(person.reference.tobytes()).hexdigest()} if person and person.given else {}
    settings |= {"space": space_stamp(space)} if space != Space() else {}
    stamps = [_stamp(file) for clip in clips for file in (clip.files or (clip.path,))]
    mark = hashlib.sha256(json.dumps([VERSION, settings, stamps], sort_keys=True).encode()).hexdigest()
    work = folder.with_name(f".{folder.name}.work")
    if (found := _finished(folder, mark)) is not None:
        finished, missing = found
        remove(work)
        yield Warned(STAGE, f"The faces in {folder} are already those of the same sources: nothing was extracted anew.")
        if missing:
            yield Warned(STAGE, f"{missing} of them were deleted by hand: remove {folder} to extract them again.")
        yield Result(STAGE, {**finished, "folder": str(folder), "seconds": 0.0, "extracted": False})
        return
    wanted = _reference_embedding(reference)
    if wanted is not None and person is not None and float(person.alike(wanted)[0]) < LIMIT:
        raise Refused(
            f"The reference {reference} does not show the person in the consent record of {person.name!r} "
            f"({told(person.alike(wanted))}): give a picture of that person, or none."
        )
    finder = create_detector(detector)
    gate = NudityGate()
    if person is not None:
        glance(clips, person, Tracker(finder), gate, _frames)
    work, crop_size, resumed = _work(folder, mark, clips, finder)
    total = sum(clip.estimated_frames for clip in clips)
    yield Started(
        STAGE, {"frames": total, "disk_bytes": total * crop_size**2 // 3 + total * 8000, "crop_size": crop_size}
    )
    if resumed:
        yield Warned(STAGE, f"Continuing the extraction that was interrupted: {resumed} chunks are done.")
    workers = min(workers, max(-(-clip.estimated_frames // chunk_size(clip, chunk)) for clip in clips))
    finders = [finder, *(create_detector(detector) for _ in range(workers - 1))]
    trackers = [Tracker(one, stride=1) if every_frame else Tracker(one) for one in finders]
    job = Job(trackers, gate, NUDITY_LIMIT, crop_size, store_crops, chunk)
    gathered = Gathered()
    frames = with_face = 0
    for number, clip in enumerate(clips):
        before = with_face
        try:
            for event in chunks(clip, number, work, job, _frames):
                if isinstance(event, int):
                    yield Progress(STAGE, frames + event, max(total, frames + event), "frames")
                    continue
                path, info = event
                frames, with_face = frames + info.frames, with_face + info.with_face
                gathered.add(path, number, small_columns(path), still=clip.kind == "pictures")
        except Refused:
            remove(work)
            raise
        if with_face == before and len(clips) > 1:
            yield Warned(STAGE, f"No face was found in {clip.path}.")
    if not with_face:
        remove(work)
        names = ", ".join(str(clip.path) for clip in clips[:3]) + (" and others" if len(clips) > 3 else "")
        raise BadInput(f"No face was found in {names} ({frames} frames): give footage that shows one.")
    chosen = gathered.choose(wanted) if person is None else gathered.choose(person.reference, LIMIT)
    if chosen is not None and (person is not None or strict):
        near = (None, LIMIT + MARGIN) if person is None else (person.reference, LIMIT)
        chosen = chosen if gathered.narrow(chosen, *near) else None
    if chosen is None and person is not None:
        refusal = nobody(gathered.paths, [str(clip.path) for clip in clips], person)
        remove(work)
        raise refusal
    if chosen is None:
        raise BadInput(f"Nobody in the sources looks like the person in {reference}: give another reference picture.")
    others = gathered.others(chosen)
    values: dict[str, Any] = {
        "faces": gathered.faces(chosen) + (others if everybody else 0),
        "frames": frames,
        "frames_with_face": with_face,
        "people": gathered.people,
        "others": 0 if everybody else others,
        "tracks": gathered.tracks(chosen),
        "crop_size": crop_size,
        "sources": [str(clip.path) for clip in clips],
    }
    note = {"mark": mark, "result": values, "time_bases": [str(clip.time_base) for clip in clips]}
    note |= {"clips": [clip_stamp(clip) for clip in clips], "space": space_stamp(space)}
    with FaceSetWriter(folder, crop_size, values["sources"], note) as out:
        for path in gathered.paths:
            for row, (face, matrix, jpeg) in enumerate(chunk_faces(path, values["sources"])):
                if gathered.settle(path, row, face) == chosen or everybody:
                    out.add_encoded(face, matrix, jpeg)
    remove(work)
    yield Progress(STAGE, frames, frames, "frames", f"{values['faces']} faces")
    yield Result(STAGE, {**values, "folder": str(folder), "seconds": time.monotonic() - began, "extracted": True})


def open_source(path: Path, space: Space = Space()) -> Clip:  # noqa: B008 (frozen)
    """The clip at `path`; unlike a plate's, a folder's pictures may differ in size."""
    files = sorted((file for file in path.iterdir() if _is_picture(file)), key=natural) if path.is_dir() else []
    if files:
        clip = open_pictures(path, files[:1], RATE, space)
        clip = replace(clip, files=tuple(files), estimated_frames=len(files))
    else:
        clip = open_clip(path, space=space)
    _check_size(clip.path, clip.width, clip.height)
    return clip


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _frames(clip: Clip, start: int) -> Iterator[Frame]:
    """The clip's frames from `start` on, 8-bit."""
    if clip.kind == "video":
        yield from clip.frames(start, dtype=np.uint8)
        return
    for index, file in list(enumerate(clip.files))[start:]:
        image = read_view(file, clip.space)
        _check_size(file, image.shape[1], image.shape[0])
        yield Frame(image, index, index, clip.time_base, 1, clip.colour)


def _check_size(path: Path, width: int, height: int) -> None:
    if min(width, height) < LEAST_SIDE:
        raise BadInput(
            f"{path} is {width}x{height} pixels, too small to hold a face: "
            f"give a picture of at least {LEAST_SIDE}x{LEAST_SIDE}."
        )


def _stamp(path: Path | None) -> list[Any] | None:
    """What tells a file from another state of itself, without reading it."""
    if path is None:
        return None
    try:
        state = path.stat()
    except OSError as error:
        raise BadInput(f"There is no file or folder {path}: check the name.") from error
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def clip_stamp(clip: Clip) -> str:
    """Tells a clip from any other, and from another state of itself, without reading it and wherever it lies."""
    known = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in clip.files or (clip.path,)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def space_stamp(space: Space) -> list[Any]:
    """Tells apart colour spaces that footage is looked at in.

    A config inside OpenColorIO, or one that is not there and was not needed, counts by its name.
    """
    if space.config is None:
        return [space.name, None]
    file = Path(space.config)
    return [space.name, _stamp(file) if file.is_file() else [str(space.config)]]


def source_of(faces: FaceSet, clip: Clip) -> str | None:
    """What a set calls the clip, by the clip's stamp; None if its faces are not in the set."""
    stamps = faces.info.get("clips", [])
    wanted = clip_stamp(clip)
    return faces.sources[stamps.index(wanted)] if wanted in stamps else None


def _finished(folder: Path, mark: str) -> tuple[dict[str, Any], int] | None:
    """The result that the set in `folder` was written with, and how many of its faces were deleted since.

    None if it is of other sources or settings, or no face is left.
    """
    try:
        known = FaceSet.open(folder)
    except BadInput:
        return None
    same = known.info.get("mark") == mark and len(known)
    return (known.info["result"], known.missing) if same else None


def _reference_embedding(reference: Path | None) -> np.ndarray | None:
    if reference is None:
        return None
    frame = next(_frames(open_source(reference), 0), None)
    faces = find_faces(frame.image) if frame is not None else []
    if not faces:
        raise BadInput(f"No face was found in the reference {reference}: give a picture that shows the person's face.")
    return max(faces, key=lambda face: float(np.prod(face.box[2:] - face.box[:2]))).embedding


def _work(folder: Path, mark: str, clips: list[Clip], detector: Detector) -> tuple[Path, int, int]:
    """The work folder, ready to go on in; the crops' size; and how many chunks are there already."""
    work = folder.with_name(f".{folder.name}.work")
    plan = work / "plan.json"
    try:
        known = json.loads(plan.read_bytes())
    except (OSError, ValueError):
        known = {}
    if known.get("mark") != mark:
        remove(work)
        size = _crop_size(clips, detector)
        try:
            work.mkdir(parents=True)
        except OSError as error:
            raise explain(error, work) from error
        known = {"mark": mark, "crop_size": size}
        write_json(plan, known)
    for stale in work.glob(".*.part*"):
        remove(stale)
    return work, int(known["crop_size"]), len(list(work.glob("*.parquet")))


def _crop_size(clips: list[Clip], detector: Detector) -> int:
    """Side of the crops, so that they hold the faces' own resolution: from the first faces of the clips.

    The layout `FACE` puts the eyes 0.27 of the side apart.
    """
    apart: list[float] = []
    for clip in clips:
        for frame in islice(_frames(clip, 0), 48):
            if frame.index % 4 == 0 or clip.kind == "pictures":
                found = detector.detect(np.ascontiguousarray(frame.image))
                apart += [float(np.linalg.norm(one.points[1] - one.points[0])) for one in found[:16]]
            if len(apart) >= 16:
                break
        if len(apart) >= 16:
            break
    if not apart:
        return 256
    return int(np.clip(np.ceil(float(np.median(apart)) / 0.27 / 64) * 64, 128, 512))
