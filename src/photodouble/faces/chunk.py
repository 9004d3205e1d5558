"""A chunk of extraction: the faces of a run of frames, with their crops, in one file that is whole or not there."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Event as Flag
from threading import Thread
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow.parquet as pq

from photodouble.faces import store
from photodouble.faces.alignment import FACE, alignment, crop
from photodouble.faces.face import Face
from photodouble.faces.faceset import encode
from photodouble.faces.track import Tracker, eight_bit, finish
from photodouble.faces.walk import walk
from photodouble.files import atomic
from photodouble.media.frame import Frame

T = TypeVar("T")

PENDING = 6
"""Crops that may wait for their encoding: each holds its frame."""


class Watch(Protocol):
    """What looks at every frame of a chunk and stops the work with an exception, like a policy's gate."""

    def see(self, frame: Frame) -> None:
        """Look at the next frame."""
        ...

    def close(self) -> object:
        """Decide at the end of a chunk of at least one frame, before it is written."""
        ...


@dataclass(frozen=True)
class ChunkInfo:
    """What is known of a finished chunk besides its faces.

    Attributes:
        frames: how many frames it covers; `with_face` of them have one.
        more: whether the clip may go on after it.
    """

    frames: int
    with_face: int
    more: bool


def make_chunk(
    path: Path,
    frames: Iterable[Frame],
    source: int,
    tracker: Tracker,
    crop_size: int,
    store_crops: bool,
    still: bool,
    most: int,
    watch: Watch | None = None,
) -> Iterator[int]:
    """Find the faces of up to `most` frames and write them to `path`; yields the number of frames done, now and then.

    The tracker starts afresh, so that a chunk depends on its own frames only. Tracks are numbered from 0 in it.

    Args:
        frames: an iterator that is advanced by `most` frames at most.
        source: number of the clip.
        crop_size: side of the crops, pixels; `store_crops`: keep them.
        still: the frames are pictures that stand for themselves.
        watch: sees every frame; nothing is written once it has raised.
    """
    tracker.reset()
    numbers: dict[int, int] = {}
    faces: list[Face] = []
    jpegs: list[Future[bytes]] = []
    done = with_face = 0
    # One other thread encodes: the models of the next frame run meanwhile.
    with ThreadPoolExecutor(1) as pool:
        for frame, found in _found(tracker, _watched(islice(frames, most), watch), still):
            for face in found:
                face.track = numbers.setdefault(face.track, len(numbers))
                faces.append(face)
                if store_crops:
                    jpegs.append(pool.submit(_encoded, frame.image, face.landmarks, crop_size))
            if len(jpegs) > PENDING:
                jpegs[-PENDING].result()
            done += 1
            with_face += bool(found)
            if done % 8 == 0:
                yield done
        encoded = [job.result() for job in jpegs] if store_crops else [b""] * len(faces)
    if watch is not None and done:
        watch.close()
    finish(faces)
    matrices = list(alignment(np.stack([face.landmarks for face in faces]), crop_size, FACE)) if faces else []
    rows = store.table(faces, [source] * len(faces), matrices, [""] * len(faces), encoded)
    with atomic(path) as part, store.writer(part, {}) as out:
        out.add_key_value_metadata({"chunk": json.dumps(asdict(ChunkInfo(done, with_face, done == most)))})
        out.write_table(rows, row_group_size=store.ROW_GROUP)
    yield done


def _watched(frames: Iterable[Frame], watch: Watch | None) -> Iterator[Frame]:
    for frame in frames:
        if watch is not None:
            watch.see(frame)
        yield frame


def _found(tracker: Tracker, frames: Iterable[Frame], still: bool) -> Iterator[tuple[Frame, list[Face]]]:
    """The frames as 8 bits, with their faces."""
    if still:
        eight = (replace(frame, image=eight_bit(frame.image)) for frame in frames)
        return ((frame, tracker.look(frame)) for frame in eight)
    return walk(tracker, frames)


def _encoded(image: np.ndarray, landmarks: np.ndarray, crop_size: int) -> bytes:
    return encode(crop(image, alignment(landmarks, crop_size, FACE), crop_size))


def chunk_info(path: Path) -> ChunkInfo | None:
    """What is known of the chunk at `path`; None if it is not there or not whole."""
    try:
        return ChunkInfo(**json.loads(pq.read_metadata(path).metadata[b"chunk"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def small_columns(path: Path) -> dict[str, Any]:
    """Of a chunk's faces: frame, track, box, score, quality and embedding as arrays."""
    rows = pq.read_table(path, columns=["frame", "track", "quality", "box", "embedding"])
    scalars = {name: rows.column(name).to_numpy() for name in ("frame", "track", "quality")}
    return {**scalars, "box": store.vectors(rows, "box"), "embedding": store.vectors(rows, "embedding")}


def chunk_faces(path: Path, names: list[str]) -> Iterator[tuple[Face, np.ndarray, bytes]]:
    """Faces of a chunk with their matrices and crops, row group by row group."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            matrices = store.vectors(rows, "matrix").reshape(-1, 2, 3)
            yield from zip(store.faces_of(rows, names), matrices, rows.column("jpeg").to_pylist(), strict=True)


def ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """The same items, taken by another thread up to `count` ahead of use: decoding overlaps with the models."""
    queue: Queue[tuple[bool, Any]] = Queue(count)
    stop = Flag()

    def take() -> None:
        try:
            for item in items:
                queue.put((True, item))
                if stop.is_set():
                    return
            queue.put((False, None))
        except BaseException as error:  # handed to the reader
            queue.put((False, error))

    thread = Thread(target=take, daemon=True)
    thread.start()
    try:
        while True:
            good, value = queue.get()
            if good:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        stop.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get_nowait()
            thread.join(0.05)
