"""Convert: the plate, frame by frame, with the wanted person's face.

The output, its matte and its record appear under their names only when they are whole and marked.
"""

import hashlib
import shutil
import time
from collections import deque
from collections.abc import Generator as Steps
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from photodouble.compositing import composite, face_box
from photodouble.consent import ConsentRecord, digest, require
from photodouble.errors import BadInput
from photodouble.evaluation import plate_rows
from photodouble.faces import FaceSet
from photodouble.faces.chunk import ahead
from photodouble.faces.occlusion import Hands, HandSeeker
from photodouble.files import explain, remove
from photodouble.generators import Drawn, Generator, PlateFace, load_generator
from photodouble.media import Clip, ClipWriter, Frame, MatteWriter, Space, open_clip, parse_frames, read_shots
from photodouble.media.codecs import choose as choose_codec
from photodouble.media.matte import check_name, copy_mattes
from photodouble.media.sequence import frame_numbers, moved, output_names
from photodouble.media.viewing import eight_bit, whole_face
from photodouble.project import Project, open_project
from photodouble.provenance import Marking, draw_label, finish, label_region
from photodouble.retarget import REGIONS, Shot, know_faces, plan_shot
from photodouble.stages.events import Event, Progress, Result, Started, Warned
from photodouble.stages.extract import extract_faces
from photodouble.stages.render_record import RenderRecord

STAGE = "convert"
SMALLEST = 8
"""Pixels: a face narrower than this is left alone."""

DRAWERS = 2
"""Threads that draw faces into frames, while another one decodes and the caller's encodes."""

HELD = 100_000_000
"""Bytes of 8-bit frames that a batch may hold."""


@dataclass(frozen=True)
class ConvertConfig:
    """What to convert.

    Attributes:
        project: the project's folder.
        plate: the footage whose face is replaced.
        source: name of the identity in the plate (`--from`); target: of the wanted one (`--to`).
        output: a video, a picture or a folder of pictures.
        model: `mesh`, or the name of a trained model of this project.
        codec: a name in `media.CODECS`; None for the usual one of the output's suffix.
        matte: where to put the matte, see `MatteWriter`; None: it stays in the project.
        frames: the frames that get a face, like "100,250-260"; None: all. The others pass through untouched.
        shots: an OpenTimelineIO or EDL file whose shots of this plate get a face; None: the whole plate.
        space: the plate's colour space, where its files do not say it.
    """

    project: Path
    plate: Path
    source: str
    target: str
    output: Path
    model: str = "mesh"
    codec: str | None = None
    matte: Path | None = None
    frames: str | None = None
    shots: Path | None = None
    space: Space = field(default_factory=Space)


def run(config: ConvertConfig) -> Iterator[Event]:
    """Render the plate.

    The result holds output, matte, model, codec, frames, frames_with_face, faces_drawn and seconds.

    Raises:
        Refused: consent is missing, or policy refuses the plate.
        BadInput: the plate, the faces or the model cannot be read, or the output cannot be written.
    """
    began = time.monotonic()
    project = open_project(config.project)
    records = {name: require(project, name, date.today()) for name in (config.target, config.source)}
    codec = choose_codec(config.output, config.codec)
    check_output(config.output, config.plate, config.matte)
    # `folder/name.####.exr` is a folder and the names in it
    output, matte_file = output_names(config.output)[0], config.matte and output_names(config.matte)[0]
    clip = open_clip(config.plate, space=config.space)
    if clip.interlaced:
        raise BadInput(
            f"{config.plate} is interlaced, and a face cannot be drawn into two half pictures: de-interlace it first "
            "(ffmpeg -vf bwdif, or the editing program's own way)."
        )
    listed = chosen_frames(config, clip)
    wanted, _ = know_faces(FaceSet.open(project.faces(config.target)))
    generator = load_generator(project, config.model, config.target, wanted)
    folder = project.render(output)
    make_folder(folder)
    faces = yield from plate_faces(project, config, folder)
    chosen = plate_rows(faces, None, str(clip.path))
    if not chosen:
        raise BadInput(
            f"{faces.folder} holds no face of the plate {config.plate}: run 'photodouble extract' on it again."
        )
    kept = [frame for frame in sorted(chosen) if listed is None or any(frame in part for part in listed)]
    rows = np.array([chosen[frame] for frame in kept], np.int64)
    if not len(rows):
        raise BadInput(f"None of the frames listed for {config.plate} shows the face: list others.")
    total = clip.estimated_frames
    yield Started(STAGE, {"frames": total, "disk_bytes": total * clip.width * clip.height // 3, "model": config.model})
    hands = yield from seek_hands(clip, faces, rows, folder)
    shot = plan_shot(wanted, faces, rows)
    label = any(record.basis == "research" for record in records.values())
    unsigned = folder / f"unsigned{output.suffix}"
    matte = folder / "matte.mkv"
    frames = drawn = 0
    try:
        with ClipWriter(moved(config.output, unsigned), clip, codec) as writer, MatteWriter(matte, clip) as mattes:
            for done in _composited(clip, shot, generator, hands, codec == "exr"):
                frame, changed = done.frame, done.matte
                if label:
                    frame, changed = replace(frame, image=draw_label(frame.image)), _with_label(changed)
                writer.write(frame, changed, done.face, done.plate)
                mattes.write(done.matte, frame)
                frames, drawn = frames + 1, drawn + done.drawn
                if frames % 4 == 0:
                    yield Progress(STAGE, frames, max(total, frames), "frames")
            yield Progress(STAGE, frames, frames, "frames")
        for sentence in writer.left_out:
            yield Warned(STAGE, sentence)
        marking = mark(records, output, config.plate, generator.model_digest)
        finish(unsigned, output, marking)
    finally:
        remove(unsigned)
    if config.matte and matte_file:
        copy = folder / f"matte-copy{matte_file.suffix}"
        if copy.suffix in (".mkv", ".mov"):
            shutil.copyfile(matte, copy)
        else:
            copy_mattes(matte, moved(config.matte, copy), clip)
        finish(copy, matte_file, replace(marking, title=matte_file.name))
    seconds = time.monotonic() - began
    record = RenderRecord(
        plate=config.plate,
        output=output,
        faces=faces.folder,
        wanted=config.target,
        replaced=config.source,
        model=config.model,
        codec=writer.codec,
        matte=matte,
        source=str(clip.path),
        label_box=label_region(clip.width, clip.height) if label else None,
        consent={name: _told(record) for name, record in records.items()},
        frames=frames,
        seconds={STAGE: seconds},
    )
    record.save(project)
    yield Result(
        STAGE,
        {
            "output": str(output),
            "matte": str(matte_file or matte),
            "model": config.model,
            "codec": writer.codec,
            "frames": frames,
            "frames_with_face": len(rows),
            "faces_drawn": drawn,
            "seconds": seconds,
        },
    )


def check_output(output: Path, plate: Path, matte: Path | None = None) -> None:
    """Find out before the long work whether the output can be written.

    Raises:
        BadInput: its folder is missing or read-only, or it is the plate; or the matte's name says no format.
    """
    if matte is not None:
        check_name(matte)
        matte = output_names(matte)[0]
    output = output_names(output)[0]
    for path in (output, matte):
        if path is None:
            continue
        probe = path.parent / f".{path.name}.probe"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise explain(error, path) from error
        if plate.exists() and path.exists() and path.resolve() == plate.resolve():
            raise BadInput(f"The output {path} is the plate itself: choose another name for the output.")
    if matte is not None and matte.resolve() == output.resolve():
        raise BadInput(f"The matte {matte} is the output itself: choose another name for the matte.")


def chosen_frames(config: ConvertConfig, clip: Clip) -> list[range] | None:
    """The frames (by index) that shall get a face; None: all.

    Raises:
        BadInput: the list cannot be read, or it names no frame of the plate.
    """
    if config.frames is None and config.shots is None:
        return None
    total = clip.count()
    found = parse_frames(config.frames, total, frame_numbers(clip.files)) if config.frames is not None else []
    return found + (read_shots(config.shots, clip) if config.shots is not None else [])


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; one sentence if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


def plate_faces(project: Project, config: ConvertConfig, folder: Path) -> Steps[Event, None, FaceSet]:
    """The plate's faces (returned): the identity's own set if it was extracted from just this plate, or a new one."""
    own = project.faces(config.source)
    clip = open_clip(config.plate, space=config.space)
    index = own / "faces.parquet"
    reference: Path | None = None
    if index.is_file():
        known = FaceSet.open(own)
        changed = max(file.stat().st_mtime for file in clip.files or [clip.path]) > index.stat().st_mtime
        if str(clip.path) in known.sources and not changed:
            return known
        if len(known):
            reference = known.folder / "crops" / known.names[int(np.argmax(known.quality))]
    yield from (
        event
        for event in extract_faces(folder / "faces", [config.plate], reference, space=config.space)
        if _shown(event)
    )
    return FaceSet.open(folder / "faces")


def seek_hands(clip: Clip, faces: FaceSet, rows: np.ndarray, folder: Path) -> Steps[Event, None, Hands]:
    """The hands in front of the plate's face (returned): found in a pass of their own, or earlier and kept."""
    kept = folder / f"hands-{_state([*(clip.files or [clip.path]), faces.folder / 'faces.parquet'])}.npz"
    if kept.is_file():
        return Hands.load(kept)
    seeker, at = HandSeeker(), 0
    for frame in ahead(clip.frames(dtype=np.uint8), 3):
        here = at < len(rows) and int(faces.frame[rows[at]]) == frame.index
        points = faces.landmarks(int(rows[at]), int(rows[at]) + 1)[0] if here else None
        at += here
        seeker.observe(frame.index, frame.image, points)
        if frame.index % 16 == 0:
            yield Progress(STAGE, frame.index, clip.estimated_frames, "frames", "looking for hands")
    hands = seeker.finish()
    hands.save(kept)
    return hands


def _state(files: Sequence[Path]) -> str:
    """Changes when one of the files does."""
    known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(known).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Done:
    """A finished frame, its matte, whether a face was drawn; for EXR the drawn face and the plate, both full size."""

    frame: Frame
    matte: np.ndarray
    drawn: bool
    face: np.ndarray | None = None
    plate: np.ndarray | None = None


def _composited(clip: Clip, shot: Shot, generator: Generator, hands: Hands, layers: bool) -> Iterator[Done]:
    """Each frame of the plate, finished; others draw ahead of its use."""
    most = max(1, min(generator.batch, HELD // (3 * clip.width * clip.height)))
    pending: deque[Future[list[Done]]] = deque()
    with ThreadPoolExecutor(DRAWERS) as pool:
        for some in _batches(_walk(clip, shot), most):
            pending.append(pool.submit(_finished, some, generator, hands, layers))
            if len(pending) > DRAWERS:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _batches(
    walk: Iterator[tuple[Frame, PlateFace | None]], most: int
) -> Iterator[list[tuple[Frame, PlateFace | None]]]:
    """Runs of frames with up to `most` faces."""
    waiting: list[tuple[Frame, PlateFace | None]] = []
    count = 0
    for frame, face in walk:
        waiting.append((frame, face))
        count += face is not None
        if count >= most or len(waiting) >= 2 * most:
            yield waiting
            waiting, count = [], 0
    if waiting:
        yield waiting


def _finished(
    waiting: list[tuple[Frame, PlateFace | None]], generator: Generator, hands: Hands, layers: bool
) -> list[Done]:
    drawn = iter(generator.draw([face for _, face in waiting if face is not None]))
    return [
        _into(frame, face, next(drawn), hands, layers) if face else _untouched(frame, layers) for frame, face in waiting
    ]


def _untouched(frame: Frame, layers: bool) -> Done:
    matte = np.zeros(frame.image.shape[:2], np.float32)
    if not layers:
        return Done(frame, matte, False)
    return Done(frame, matte, False, np.zeros(frame.image.shape, np.float32), frame.image)


def _into(frame: Frame, face: PlateFace, drawn: Drawn, hands: Hands, layers: bool) -> Done:
    x0, y0, x1, y1 = face.box
    cover = hands.matte(frame.index, face.image)[y0:y1, x0:x1] if len(hands.rows(frame.index)) else None
    done = composite(frame.image, drawn.picture, drawn.landmarks, face.box, cover, drawn.opacity, colour=frame.colour)
    finished = Done(replace(frame, image=done.image), done.matte, True)
    if not layers or done.face is None:
        return finished
    return replace(finished, face=whole_face(done.face, done.box, frame), plate=frame.image)


def _with_label(matte: np.ndarray) -> np.ndarray:
    """Where a labelled frame differs from its plate."""
    x0, y0, x1, y1 = label_region(matte.shape[1], matte.shape[0])
    matte = matte.copy()
    matte[y0:y1, x0:x1] = 1
    return matte


def _walk(clip: Clip, shot: Shot) -> Iterator[tuple[Frame, PlateFace | None]]:
    """The plate's frames, each with the face to be drawn in it."""
    faces = _faces(shot)
    upcoming = next(faces, None)
    for frame in ahead(clip.frames(), 3):
        face = None
        if upcoming is not None and upcoming[0] == frame.index:
            _, landmarks, target, choice = upcoming
            image = eight_bit(frame.image, frame.colour)
            box = face_box(target, image.shape[:2])
            if min(box[2] - box[0], box[3] - box[1]) >= SMALLEST:
                face = PlateFace(image, landmarks, target, choice, box)
            upcoming = next(faces, None)
        yield frame, face


def _faces(shot: Shot) -> Iterator[tuple[int, np.ndarray, np.ndarray, dict[str, int]]]:
    for start, landmarks, target in shot.blocks():
        for i in range(len(landmarks)):
            choice = {region: int(shot.choice[region][start + i]) for region in REGIONS}
            yield int(shot.frame[start + i]), landmarks[i], target[i], choice


def mark(records: dict[str, ConsentRecord], output: Path, plate: Path, model_digest: str | None) -> Marking:
    """What an output says of itself: the first record, the wanted person's, gives the basis."""
    unique = dict.fromkeys(digest(record) for record in records.values())
    basis = next(iter(records.values())).basis
    return Marking(output.name, basis, list(unique), model_digest, plate=plate)


def _told(record: ConsentRecord) -> dict[str, Any]:
    return {"basis": record.basis, "reference": record.reference, "digest": digest(record)}


def _shown(event: Event) -> bool:
    return not isinstance(event, Result)
