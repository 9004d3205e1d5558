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
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from photodouble import __version__
from photodouble.consent import ConsentRecord, digest
from photodouble.errors import BadInput
from photodouble.files import atomic, explain, lock, make_folder, remove, sweep
from photodouble.media import CODECS
from photodouble.media.codecs import choose as choose_codec
from photodouble.media.joined import join_clip, join_mattes
from photodouble.media.matte import check_place, copy_mattes
from photodouble.media.picture_output import check_folder, left_out
from photodouble.media.sequence import output_names
from photodouble.provenance import (
    Label,
    finish,
    label_region,
    manifest_digest,
    publish,
)
from photodouble.stages.convert_chunks import Folder, make
from photodouble.stages.convert_disk import check_space
from photodouble.stages.convert_draw import Drawing, one_thread_each, threads_for
from photodouble.stages.convert_jobs import Work, shared
from photodouble.stages.convert_lock import alone
from photodouble.stages.convert_plan import Plan, make_plan, plate_folder, sources
from photodouble.stages.convert_ready import ConvertConfig, Ready, check_output, mark, prepare, told
from photodouble.stages.convert_survey import STAGE
from photodouble.stages.events import Event, Progress, Result, Started, Warned
from photodouble.stages.extract import source_of, space_stamp
from photodouble.stages.labels import field_left_out
from photodouble.stages.render_record import RenderRecord

VERSION = 9
"""Of what frames look like and how chunks are written: another one makes old chunks useless."""


def run(config: ConvertConfig) -> Iterator[Event]:
    """Render the plate.

    The result holds output, matte, model, codec, frames, frames_with_face, faces_drawn, film_sha256, watermark
    (the identifier in it, six hexadecimal digits) and seconds.
    `film_sha256` is of the film before its manifest, whose salts and identifiers are new in each signature, is put in
    (of a folder of pictures: of their names and digests): the same for the same command, however often it was killed.

    Raises:
        Refused: consent is missing, or policy refuses the plate.
        BadInput: the plate, the faces or the model cannot be read, the output cannot be written, or does not fit on
            the disk, or another process renders it at this moment.
    """
    began = time.monotonic()
    check_output(config.output, config.plate, config.matte)
    codec = choose_codec(config.output, config.codec)
    config, names, matte_names = _parted(config)
    ready = yield from prepare(config)
    clip = ready.clip
    single = names is None and _single(config.output)
    if not CODECS[codec].encoder and not single:
        check_folder(config.output, clip, CODECS[codec].suffixes, names)
    if single and clip.kind == "video":
        raise BadInput(f"{config.output} is one picture and cannot hold a clip: give a folder or a .mp4 file.")
    if config.matte is not None:
        check_place(config.matte / matte_names.name if matte_names else config.matte, clip)
    with alone(ready.project.render(config.output), config.output):
        yield from _render(config, ready, codec, names, matte_names, began)


def _render(
    config: ConvertConfig, ready: Ready, codec: str, names: Path | None, matte_names: Path | None, began: float
) -> Iterator[Event]:
    """The part of `run` after everything that can be refused at once; `names`, `matte_names`: see `_parted`."""
    project, records, clip = ready.project, ready.records, ready.clip
    source, target = config.source, config.target
    with lock(plate_folder(project, clip)) as taken:
        if not taken(False):
            yield Warned(STAGE, f"Another process is looking at {config.plate} at this moment: waiting for it.")
            while not taken(False):
                time.sleep(0.2)
        plan = yield from make_plan(project, config.plate, source, target, ready.wanted, clip, config.covers)
    if ready.ranges is not None and not any(
        frame in part for frame in plan.shot.frame.tolist() for part in ready.ranges
    ):
        raise BadInput(f"None of the frames listed for {config.plate} shows the face: list others.")
    label = ready.label(config, plan)
    if sentence := field_left_out(config.label, config.output, codec):
        yield Warned(STAGE, sentence)
    home = project.render(config.output)
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
        covers=plan.files.covers,
        source=source_of(plan.shot.faces, clip) or str(clip.path),
        colour_space=config.space.name,
        ocio=config.space.config,
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
        *([plan.files.covers] if plan.files.covers else []),
        plan.files.looks,
        ready.project.faces(config.target) / "faces.parquet",
    ]
    stamps = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    entry = CODECS[codec]
    values = [
        VERSION, __version__, av.__version__, cv2.__version__, np.__version__, stamps, config.model,
        ready.generator.model_digest, asdict(config.settings), codec, entry.encoder, entry.options,
        config.output.suffix, repr(label), ready.watermark, [[part.start, part.stop] for part in ready.ranges or ()],
        ready.ranges is None, config.chunk, names and names.name, space_stamp(config.space),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _told(record: ConsentRecord) -> dict[str, Any]:
    return {"basis": record.basis, "reference": record.reference, "digest": digest(record)}
