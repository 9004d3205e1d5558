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
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from photodouble.compositing import composite, face_box
from photodouble.consent import ConsentRecord, digest, require
from photodouble.consent.binding import bound
from photodouble.errors import BadInput
from photodouble.evaluation import plate_rows
from photodouble.faces import FaceSet
from photodouble.faces.chunk import ahead
from photodouble.faces.occlusion import Hands, HandSeeker
from photodouble.files import config_home, explain, remove
from photodouble.generators import MESH, Drawn, Generator, PlateFace, load_generator
from photodouble.media import Clip, ClipWriter, Frame, MatteWriter, open_clip
from photodouble.media.codecs import choose as choose_codec
from photodouble.project import Project, open_project
from photodouble.provenance import (
    Marking,
    embed,
    finish,
    label_region,
    labelled,
    ledgers,
    manifest_digest,
    payload_for,
    publish,
    signer_for,
)
from photodouble.retarget import REGIONS, Shot, know_faces, plan_shot
from photodouble.stages.events import Event, Progress, Result, Started, Warned
from photodouble.stages.extract import extract_faces
from photodouble.stages.labels import check_label, field_left_out, plan_label, with_field
from photodouble.stages.recognise import check_model, settle
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
        matte: where to put the matte (.mkv or .mov); None: it stays in the project.
        label, label_text: a visible label, see `provenance.make_label`; the basis `research` has its own in any case.
    """

    project: Path
    plate: Path
    source: str
    target: str
    output: Path
    model: str = "mesh"
    codec: str | None = None
    matte: Path | None = None
    label: str | None = None
    label_text: str | None = None


class Finished(NamedTuple):
    """A frame with the wanted face, the plate's picture, the matte, and whether a face was drawn."""

    frame: Frame
    plate: np.ndarray
    matte: np.ndarray
    drawn: bool


def run(config: ConvertConfig) -> Iterator[Event]:
    """Render the plate.

    The result holds output, matte, model, codec, frames, frames_with_face, faces_drawn and seconds.

    Raises:
        Refused: consent is missing or does not hold, faces or the model are not those of the people who consented, or
            policy refuses the plate.
        BadInput: the plate, the faces or the model cannot be read, or the output cannot be written.
    """
    began = time.monotonic()
    project = open_project(config.project)
    records = {name: require(project, name, date.today()) for name in (config.target, config.source)}
    check_output(config.output, config.plate, config.matte)
    codec = choose_codec(config.output, config.codec)
    check_label(config.label, config.label_text, project.root)
    signer = signer_for(project.root)
    clip = open_clip(config.plate)
    faces_of_target = FaceSet.open(project.faces(config.target))
    yield from settle(project, config.target, faces_of_target, STAGE)
    if config.model != MESH:
        from photodouble.training.checkpoint import load_meta

        check_model(project, project.model(config.model), load_meta(project.model(config.model)), config.target)
    wanted, _ = know_faces(faces_of_target)
    generator = load_generator(project, config.model, config.target, wanted)
    folder = project.render(config.output)
    make_folder(folder)
    faces = yield from plate_faces(project, config, folder)
    yield from settle(project, config.source, faces, STAGE)
    chosen = plate_rows(faces, None, str(clip.path))
    rows = np.array([chosen[frame] for frame in sorted(chosen)], np.int64)
    if not len(rows):
        raise BadInput(
            f"{faces.folder} holds no face of the plate {config.plate}: run 'photodouble extract' on it again."
        )
    total = clip.estimated_frames
    yield Started(STAGE, {"frames": total, "disk_bytes": total * clip.width * clip.height // 3, "model": config.model})
    hands = yield from seek_hands(clip, faces, rows, folder)
    shot = plan_shot(wanted, faces, rows)
    research = any(record.basis == "research" for record in records.values())
    label = plan_label(config.label, config.label_text, research, clip, faces)
    if sentence := field_left_out(config.label, config.output, codec):
        yield Warned(STAGE, sentence)
    unsigned = folder / f"unsigned{config.output.suffix}"
    matte = folder / "matte.mkv"
    books = ledgers(project.root, config_home())
    consents = sorted(digest(record) for record in records.values())
    work = [_film(clip), config.output.name, generator.model_digest or "", *consents]
    identifier = payload_for(work, books)
    frames = drawn = 0
    try:
        with ClipWriter(unsigned, clip, config.codec) as writer, MatteWriter(matte, clip) as mattes:
            for frame, plate, cover, done in _composited(clip, shot, generator, hands):
                image = labelled(frame.image, float(frame.pts * frame.time_base), label)
                writer.write(replace(frame, image=embed(image, frame.index, identifier, plate)))
                mattes.write(cover, frame)
                frames, drawn = frames + 1, drawn + done
                if frames % 4 == 0:
                    yield Progress(STAGE, frames, max(total, frames), "frames")
            yield Progress(STAGE, frames, frames, "frames")
        for sentence in writer.left_out:
            yield Warned(STAGE, sentence)
        marking = mark(records, config.output, config.plate, generator.model_digest)
        marking = replace(with_field(marking, config.label, config.output, project.root), watermark=identifier)
        finish(unsigned, config.output, marking, signer)
        publish(identifier, config.output, manifest_digest(config.output), books)
    finally:
        remove(unsigned)
    if config.matte:
        copy = folder / f"matte-copy{config.matte.suffix}"
        shutil.copyfile(matte, copy)
        finish(copy, config.matte, replace(marking, title=config.matte.name, field=None), signer)
    seconds = time.monotonic() - began
    record = RenderRecord(
        plate=config.plate,
        output=config.output,
        faces=faces.folder,
        wanted=config.target,
        replaced=config.source,
        model=config.model,
        codec=writer.codec,
        matte=matte,
        source=str(clip.path),
        label_box=label_region(label, clip.width, clip.height) if label else None,
        watermark=identifier,
        consent={name: _told(record) for name, record in records.items()},
        frames=frames,
        seconds={STAGE: seconds},
    )
    record.save(project)
    yield Result(
        STAGE,
        {
            "output": str(config.output),
            "matte": str(config.matte or matte),
            "model": config.model,
            "codec": writer.codec,
            "watermark": f"{identifier:06x}",
            "frames": frames,
            "frames_with_face": len(rows),
            "faces_drawn": drawn,
            "seconds": seconds,
        },
    )


def check_output(output: Path, plate: Path, matte: Path | None = None) -> None:
    """Find out before the long work whether the output can be written.

    Raises:
        BadInput: its folder is missing or read-only, or it is the plate.
    """
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
    if matte is not None and matte.suffix.lower() not in (".mkv", ".mov"):
        raise BadInput(f"Cannot write the matte {matte}: give it a name that ends in .mkv or .mov.")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; one sentence if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


def plate_faces(project: Project, config: ConvertConfig, folder: Path) -> Steps[Event, None, FaceSet]:
    """The plate's faces (returned): the identity's own set if it was extracted from just this plate, or a new one."""
    own = project.faces(config.source)
    clip = open_clip(config.plate)
    index = own / "faces.parquet"
    reference: Path | None = None
    if index.is_file():
        known = FaceSet.open(own)
        changed = max(file.stat().st_mtime for file in clip.files or [clip.path]) > index.stat().st_mtime
        if str(clip.path) in known.sources and not changed:
            return known
        if len(known):
            reference = known.folder / "crops" / known.names[int(np.argmax(known.quality))]
    person = bound(project, config.source)
    steps = extract_faces(
        folder / "faces",
        [config.plate],
        None if person else reference,
        person=person,
        strict=True,
        every_frame=True,
    )
    yield from (event for event in steps if _shown(event))
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


def _film(clip: Clip) -> str:
    """The plate's name and its files' sizes: enough to tell it from others, whatever machine it lies on."""
    return " ".join([clip.path.name, *(str(file.stat().st_size) for file in clip.files or [clip.path])])


def _state(files: Sequence[Path]) -> str:
    """Changes when one of the files does."""
    known = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(known).encode()).hexdigest()[:12]


def _composited(clip: Clip, shot: Shot, generator: Generator, hands: Hands) -> Iterator[Finished]:
    """Each frame of the plate, finished; others draw ahead of its use."""
    most = max(1, min(generator.batch, HELD // (3 * clip.width * clip.height)))
    pending: deque[Future[list[Finished]]] = deque()
    with ThreadPoolExecutor(DRAWERS) as pool:
        for some in _batches(_walk(clip, shot), most):
            pending.append(pool.submit(_finished, some, generator, hands))
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


def _finished(waiting: list[tuple[Frame, PlateFace | None]], generator: Generator, hands: Hands) -> list[Finished]:
    drawn = iter(generator.draw([face for _, face in waiting if face is not None]))
    return [
        Finished(frame, frame.image, np.zeros(frame.image.shape[:2], np.float32), False)
        if face is None
        else _into(frame, face, next(drawn), hands)
        for frame, face in waiting
    ]


def _into(frame: Frame, face: PlateFace, drawn: Drawn, hands: Hands) -> Finished:
    x0, y0, x1, y1 = face.box
    cover = hands.matte(frame.index, face.image)[y0:y1, x0:x1] if len(hands.rows(frame.index)) else None
    done = composite(frame.image, drawn.picture, drawn.landmarks, face.box, cover, drawn.opacity)
    return Finished(replace(frame, image=done.image), frame.image, done.matte, True)


def _walk(clip: Clip, shot: Shot) -> Iterator[tuple[Frame, PlateFace | None]]:
    """The plate's frames, each with the face to be drawn in it."""
    faces = _faces(shot)
    upcoming = next(faces, None)
    for frame in ahead(clip.frames(), 3):
        face = None
        if upcoming is not None and upcoming[0] == frame.index:
            _, landmarks, target, choice = upcoming
            image = eight_bit(frame.image)
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


def eight_bit(image: np.ndarray) -> np.ndarray:
    """A picture of any depth as uint8."""
    if image.dtype == np.uint8:
        return image
    scale = 255 / 65535 if image.dtype == np.uint16 else 255
    return np.rint(np.clip(image * np.float32(scale), 0, 255)).astype(np.uint8)


def mark(records: dict[str, ConsentRecord], output: Path, plate: Path, model_digest: str | None) -> Marking:
    """What an output says of itself: the first record, the wanted person's, gives the basis."""
    unique = dict.fromkeys(digest(record) for record in records.values())
    basis = next(iter(records.values())).basis
    return Marking(output.name, basis, list(unique), model_digest, plate=plate)


def _told(record: ConsentRecord) -> dict[str, Any]:
    return {"basis": record.basis, "reference": record.reference, "digest": digest(record)}


def _shown(event: Event) -> bool:
    return not isinstance(event, Result)
