"""Convert: the plate with the wanted person's face.

What the whole shot must be known for is found first (`convert_plan`), then chunks of frames are drawn and encoded
(`convert_draw`, `convert_chunks`), by several processes if asked to (`convert_jobs`); joined, they are signed. The
output, its matte and its record appear under their names only when they are whole and marked. Killed and started
again, a render goes on with the chunks that it finds.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Generator as Steps
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from photodouble import __version__
from photodouble.compositing import USUAL, Settings
from photodouble.consent import ConsentRecord, digest, require
from photodouble.errors import BadInput
from photodouble.faces import FaceSet
from photodouble.files import atomic, config_home, explain, make_folder, remove, sweep
from photodouble.generators import MESH, Generator, load_generator
from photodouble.media import CODECS, Clip, Space, open_clip
from photodouble.media.codecs import choose as choose_codec
from photodouble.media.joined import join_clip, join_mattes
from photodouble.media.matte import check_name, copy_mattes
from photodouble.media.picture_output import check_folder, left_out
from photodouble.media.sequence import frame_numbers, output_names
from photodouble.media.shots import merged, parse_frames, read_shots
from photodouble.project import Project, open_project
from photodouble.provenance import (
    Label,
    Marking,
    Signer,
    finish,
    label_region,
    ledgers,
    manifest_digest,
    payload_for,
    publish,
    signer_for,
)
from photodouble.retarget import Wanted, know_faces
from photodouble.stages.convert_chunks import SIZE, Folder, make
from photodouble.stages.convert_disk import check_space
from photodouble.stages.convert_draw import Drawing, one_thread_each, threads_for
from photodouble.stages.convert_jobs import Work, shared
from photodouble.stages.convert_plan import STAGE, Plan, make_plan, sources
from photodouble.stages.events import Event, Progress, Result, Started, Warned
from photodouble.stages.heap import keep_memory
from photodouble.stages.labels import check_label, field_left_out, plan_label, with_field
from photodouble.stages.recognise import check_model, settle
from photodouble.stages.render_record import RenderRecord

VERSION = 3
"""Of what frames look like and how chunks are written: another one makes old chunks useless."""


@dataclass(frozen=True)
class ConvertConfig:
    """What to convert.

    Attributes:
        project: the project's folder.
        plate: the footage whose face is replaced.
        source: name of the identity in the plate (`--from`); target: of the wanted one (`--to`).
        output: a video, a picture, a folder of pictures, or the pattern of their names in it (`DIR/name.####.exr`).
        model: `mesh`, or the name of a trained model of this project.
        codec: a name in `media.CODECS`; None for the usual one of the output's suffix.
        matte: where to put the matte, see `MatteWriter`; None: it stays in the project.
        jobs: processes that render chunks side by side; what they write does not depend on their number.
        settings: of compositing.
        frames: the only ones that get a face, like "100,250-260", as the plate counts; None: all of them.
        shots: an OpenTimelineIO or EDL file whose shots of this plate get a face (too, if there are `frames`); None:
            the whole plate.
        space: the plate's colour space, where its files do not say it.
        label, label_text: a visible label (`provenance.PRESETS`) and its own words; None: the one that is required.
        chunk: frames in a chunk.
    """

    project: Path
    plate: Path
    source: str
    target: str
    output: Path
    model: str = "mesh"
    codec: str | None = None
    matte: Path | None = None
    jobs: int = 1
    settings: Settings = USUAL
    frames: str | None = None
    label: str | None = None
    label_text: str | None = None
    chunk: int = SIZE
    shots: Path | None = None
    space: Space = field(default_factory=Space)


@dataclass(frozen=True)
class Ready:
    """What is known before the first frame is drawn: by `prepare`, once all that can be refused has been.

    `signer` signs, `watermark` is the identifier that frames bear, and `ledgers` keep what it leads to.
    """

    project: Project
    records: dict[str, ConsentRecord]
    clip: Clip
    wanted: Wanted
    generator: Generator
    ranges: tuple[range, ...] | None
    signer: Signer
    watermark: int
    ledgers: tuple[Path, ...]

    def label(self, config: "ConvertConfig", plan: Plan) -> Label | None:
        """The visible label, away from the plate's faces; None: there is none."""
        research = any(record.basis == "research" for record in self.records.values())
        return plan_label(config.label, config.label_text, research, self.clip, FaceSet.open(plan.files.faces))


def run(config: ConvertConfig) -> Iterator[Event]:
    """Render the plate.

    The result holds output, matte, model, codec, frames, frames_with_face, faces_drawn, film_sha256, watermark
    (the identifier in it, six hexadecimal digits) and seconds.
    `film_sha256` is of the film before its manifest, whose salts and identifiers are new in each signature, is put in
    (of a folder of pictures: of their names and digests): the same for the same command, however often it was killed.

    Raises:
        Refused: consent is missing, or policy refuses the plate.
        BadInput: the plate, the faces or the model cannot be read, the output cannot be written, or does not fit on
            the disk.
    """
    began = time.monotonic()
    keep_memory()
    check_output(config.output, config.plate, config.matte)
    codec = choose_codec(config.output, config.codec)
    config, names, matte_names = _parted(config)
    ready = yield from prepare(config)
    project, records, clip = ready.project, ready.records, ready.clip
    single = names is None and _single(config.output)
    if not CODECS[codec].encoder and not single:
        check_folder(config.output, clip, codec, names)
    if single and clip.kind == "video":
        raise BadInput(f"{config.output} is one picture and cannot hold a clip: give a folder or a .mp4 file.")
    plan = yield from make_plan(project, config.plate, config.source, config.target, ready.wanted, clip)
    if ready.ranges is not None and not any(
        frame in part for frame in plan.shot.frame.tolist() for part in ready.ranges
    ):
        raise BadInput(f"None of the frames listed for {config.plate} shows the face: list others.")
    label = ready.label(config, plan)
    if sentence := field_left_out(config.label, config.output, codec):
        yield Warned(STAGE, sentence)
    home = project.render(config.output)
    make_folder(home)
    work = Work(
        project.root, config.plate, config.target, config.model, plan.files, config.settings, codec,
        ready.watermark, label, ready.ranges, home / f"chunks-{_mark(config, codec, ready, plan, label, names)}",
        config.output.suffix, config.chunk, names, config.space,
    )  # fmt: skip
    for other in home.glob("chunks-*"):
        if other != work.folder:
            remove(other)
    make_folder(work.folder)
    folder = Folder(work.folder, clip, codec, work.suffix, work.size, work.names)
    folder.clean()
    matte, unsigned = home / "matte.mkv", home / f"unsigned{config.output.suffix}"
    remove(unsigned)
    for path in (matte, unsigned, config.output, *([config.matte] if config.matte else [])):
        sweep(path)
    starts, complete = folder.chain()
    there = sum(file.stat().st_size for file in work.folder.rglob("*") if file.is_file())
    total = clip.estimated_frames
    needed = check_space(clip, codec, home, config.output, config.matte, there)
    yield Started(STAGE, {"frames": total, "disk_bytes": needed, "model": config.model})
    if starts:
        yield Warned(STAGE, f"Continuing the render that was interrupted: {len(starts)} chunks are done.")
    drawing = Drawing(
        clip,
        plan,
        ready.generator,
        config.settings,
        codec,
        ready.watermark,
        label,
        ready.ranges,
        threads_for(config.jobs),
    )
    done = 0
    for count in _rendered(folder, drawing, work, config.jobs):
        done += count
        if done % 4 == 0:
            yield Progress(STAGE, done, max(total, done), "frames")
    starts, complete = folder.chain()
    assert complete
    chunks = [chunk for chunk in map(folder.known, starts) if chunk is not None]
    frames = sum(chunk.frames for chunk in chunks)
    yield Progress(STAGE, frames, frames, "frames")
    marking = mark(ready, config, config.output)
    join_mattes([folder.matte(start) for start in starts], matte, clip)
    try:
        for sentence in joined(folder, starts, unsigned):
            yield Warned(STAGE, sentence)
        film = film_digest(unsigned)
        finish(unsigned, config.output, marking, ready.signer)
        publish(ready.watermark, config.output, manifest_digest(config.output), ready.ledgers)
    finally:
        remove(unsigned)
    if config.matte:
        copy = home / f"matte-copy{config.matte.suffix}"
        try:
            if copy.suffix == matte.suffix:
                shutil.copyfile(matte, copy)
            else:
                copy_mattes(matte, copy / matte_names.name if matte_names else copy, clip)
        except OSError as error:
            raise explain(error, copy) from error
        finish(copy, config.matte, replace(marking, title=config.matte.name, watermark=None), ready.signer)
    seconds = time.monotonic() - began
    record = RenderRecord(
        plate=config.plate,
        output=config.output,
        faces=plan.files.faces,
        wanted=config.target,
        replaced=config.source,
        model=config.model,
        codec=codec,
        matte=matte,
        hands=plan.files.hands,
        source=str(clip.path),
        label_box=label_region(label, clip.width, clip.height) if label else None,
        watermark=ready.watermark,
        settings=told(config),
        consent={name: _told(record) for name, record in records.items()},
        frames=frames,
        film_sha256=film,
        seconds={STAGE: seconds},
    )
    record.save(project)
    remove(work.folder)
    yield Result(
        STAGE,
        {
            "output": str(config.output),
            "matte": str(config.matte or matte),
            "model": config.model,
            "codec": codec,
            "frames": frames,
            "frames_with_face": len(plan.shot.rows),
            "faces_drawn": sum(chunk.drawn for chunk in chunks),
            "film_sha256": film,
            "watermark": f"{ready.watermark:06x}",
            "seconds": seconds,
        },
    )


def _parted(config: ConvertConfig) -> tuple[ConvertConfig, Path | None, Path | None]:
    """The config with folders in the place of patterns of pictures, and the patterns of output and matte."""
    place, names = output_names(config.output)
    if config.matte is None:
        return replace(config, output=place), names, None
    folder, matte_names = output_names(config.matte)
    return replace(config, output=place, matte=folder), names, matte_names


def prepare(config: ConvertConfig) -> Steps[Event, None, Ready]:
    """Load what draws (returned), if consent is on record.

    Raises:
        Refused: consent is missing, or faces or model are not of the record's person.
        BadInput: the plate, the faces or the model cannot be read, or the label cannot be made.
    """
    project = open_project(config.project)
    # The wanted person's record comes first: it gives the basis.
    records = {name: require(project, name, date.today()) for name in (config.target, config.source)}
    check_label(config.label, config.label_text, project.root)
    signer = signer_for(project.root)
    clip = open_clip(config.plate, space=config.space)
    check_plate(clip)
    ranges = chosen_frames(config, clip)
    faces = FaceSet.open(project.faces(config.target))
    yield from settle(project, config.target, faces, STAGE)
    if config.model != MESH:
        from photodouble.training.checkpoint import load_meta

        check_model(project, project.model(config.model), load_meta(project.model(config.model)), config.target)
    wanted, _ = know_faces(faces)
    generator = load_generator(project, config.model, config.target, wanted)
    books = tuple(ledgers(project.root, config_home()))
    film = " ".join([clip.path.name, *(str(file.stat().st_size) for file in sources(clip))])
    consents = sorted(digest(record) for record in records.values())
    watermark = payload_for([film, config.output.name, generator.model_digest or "", *consents], books)
    return Ready(project, records, clip, wanted, generator, ranges, signer, watermark, books)


def _rendered(folder: Folder, drawing: Drawing, work: Work, jobs: int) -> Iterator[int]:
    """Make all chunks that are missing; yields numbers of frames, those that are there already first."""
    starts, complete = folder.chain()
    yield len(starts) * folder.step
    if jobs > 1:
        yield from shared(folder, work, jobs)
        starts, complete = folder.chain()
    with one_thread_each() if not complete else nullcontext():
        while not complete:
            start = len(starts) * folder.step
            stop = next((later for later in _later(folder, start) if folder.known(later) is not None), None)
            yield from make(folder, drawing, start, stop)
            starts, complete = folder.chain()


def _later(folder: Folder, start: int) -> list[int]:
    """Starts of the chunks after `start` that have a note."""
    return sorted(at for at in (int(note.stem) for note in folder.path.glob("*.json")) if at > start)


def joined(folder: Folder, starts: list[int], unsigned: Path) -> list[str]:
    """Put the chunks together as `unsigned`; returns a sentence for each stream of the plate that had to stay out."""
    parts = [folder.picture(start) for start in starts]
    if folder.video:
        return join_clip(parts, unsigned, folder.clip, folder.codec)
    left = left_out(folder.clip, folder.codec)
    pictures = [file for part in parts for file in sorted(part.iterdir())]
    if not pictures:
        raise BadInput(f"Nothing was written to {unsigned}: the plate {folder.clip.path} has no frames.")
    remove(unsigned)
    if folder.names is None and _single(unsigned):
        if len(pictures) > 1:
            raise BadInput(f"{unsigned} is one picture and cannot hold a clip: give a folder or a .mp4 file.")
        _link(pictures[0], unsigned)
        return left
    with atomic(unsigned) as part:
        part.mkdir()
        for picture in pictures:
            _link(picture, part / picture.name)
    return left


def _link(file: Path, name: Path) -> None:
    """Another name for a file, or a copy where the disk knows no such thing."""
    try:
        os.link(file, name)
    except OSError:
        try:
            shutil.copyfile(file, name)
        except OSError as error:
            raise explain(error, name) from error


def _single(output: Path) -> bool:
    """Whether an output is one picture."""
    return any(not entry.encoder and output.suffix.lower() in entry.suffixes for entry in CODECS.values())


def film_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and digests of a folder's files."""
    if path.is_dir():
        lines = [f"{file.name} {film_digest(file)}\n" for file in sorted(path.iterdir())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mark(config: ConvertConfig, codec: str, ready: Ready, plan: Plan, label: Label | None, names: Path | None) -> str:
    """Tells apart renders whose chunks differ."""
    files = [
        *sources(ready.clip),
        plan.files.shot,
        plan.files.hands,
        plan.files.looks,
        ready.project.faces(config.target) / "faces.parquet",
    ]
    stamps = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    entry = CODECS[codec]
    values = [
        VERSION, __version__, av.__version__, cv2.__version__, np.__version__, stamps, config.model,
        ready.generator.model_digest, asdict(config.settings), codec, entry.encoder, entry.options,
        config.output.suffix, repr(label), ready.watermark, [[part.start, part.stop] for part in ready.ranges or ()],
        ready.ranges is None, config.chunk, names and names.name, config.space.name, str(config.space.config),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def told(config: ConvertConfig) -> dict[str, Any]:
    """The settings that are not the usual ones, for the record."""
    usual = asdict(USUAL)
    changed: dict[str, Any] = {key: value for key, value in asdict(config.settings).items() if value != usual[key]}
    changed |= {"frames": config.frames} if config.frames else {}
    return changed | ({"shots": str(config.shots)} if config.shots else {})


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
        if not path.name:
            raise BadInput(
                "The pictures need a folder of their own: give its name before theirs, like out/shot.####.exr."
            )
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


def check_plate(clip: Clip) -> None:
    """Find out whether a face can be drawn into a plate.

    Raises:
        BadInput: it is interlaced.
    """
    if clip.interlaced:
        raise BadInput(
            f"{clip.path} is interlaced, and a face cannot be drawn into two half pictures: de-interlace it first "
            "(ffmpeg -vf bwdif, or the editing program's own way)."
        )


def chosen_frames(config: ConvertConfig, clip: Clip) -> tuple[range, ...] | None:
    """The frames (by index) that shall get a face; None: all.

    Raises:
        BadInput: a list cannot be read, or it names no frame of the plate.
    """
    found = []
    if config.frames is not None:
        found += parse_frames(config.frames, clip.count(), frame_numbers(clip.files))
    if config.shots is not None:
        found += read_shots(config.shots, clip)
    return None if config.frames is None and config.shots is None else tuple(merged(found))


def mark(ready: Ready, config: ConvertConfig, output: Path) -> Marking:
    """What an output says of itself: the first record, the wanted person's, gives the basis."""
    unique = dict.fromkeys(digest(record) for record in ready.records.values())
    basis = next(iter(ready.records.values())).basis
    marking = Marking(output.name, basis, list(unique), ready.generator.model_digest, plate=config.plate)
    marking = with_field(marking, config.label, output, ready.project.root)
    return replace(marking, watermark=ready.watermark)


def _told(record: ConsentRecord) -> dict[str, Any]:
    return {"basis": record.basis, "reference": record.reference, "digest": digest(record)}
