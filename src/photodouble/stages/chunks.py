"""The chunks of one clip, made side by side: each worker takes a stretch of the clip, and what it writes is the same
whatever the number of workers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Flag

from photodouble.consent.policy import EVERY_SECONDS, ClipGate, NudityGate
from photodouble.faces import Tracker
from photodouble.faces.chunk import ChunkInfo, ahead, chunk_info, make_chunk
from photodouble.media import Clip, Frame

Step = int | tuple[Path, ChunkInfo]
"""Frames done beyond the chunks that were yielded, or the clip's next finished chunk."""


@dataclass(frozen=True)
class Job:
    """What the chunks of all clips share.

    Attributes:
        trackers: one for each worker.
        gate, limit: the judge of nudity, and the score from which it refuses.
        crop_size, store_crops: see `make_chunk`.
        size: frames in a chunk of a video; of stills an eighth, they are larger.
    """

    trackers: list[Tracker]
    gate: NudityGate
    limit: float
    crop_size: int
    store_crops: bool
    size: int


def chunks(
    clip: Clip, number: int, work: Path, job: Job, frames: Callable[[Clip, int], Iterator[Frame]]
) -> Iterator[Step]:
    """Make the chunks of a clip that are not there yet; yields all of them in order, and the progress between.

    An error is raised where its chunk would have come, so it does not depend on the number of workers either.

    Args:
        number: of the clip; `work`: folder of the chunks.
        frames: the clip's frames from an index on; called once or more for each worker.
    """
    size = chunk_size(clip, job.size)
    stretches = _stretches(clip.estimated_frames, size, len(job.trackers))
    told: SimpleQueue[tuple[int, int | tuple[Path, ChunkInfo] | BaseException | None]] = SimpleQueue()
    stop = Flag()

    def walk(tracker: Tracker, start: int, end: int | None) -> None:
        at = start
        try:
            for at, value in _stretch(clip, number, work, job, tracker, size, start, end, frames):
                told.put((at, value))
                if stop.is_set():
                    return
                at += size if isinstance(value, tuple) else 0  # noqa: PLW2901
        except BaseException as error:  # handed to the reader
            told.put((at, error))
        finally:
            told.put((at, None))

    pool = ThreadPoolExecutor(len(stretches))
    try:
        for tracker, (first, last) in zip(job.trackers, stretches, strict=False):
            pool.submit(walk, tracker, first, last)
        running, start = len(stretches), 0
        done: dict[int, int] = {}
        ready: dict[int, tuple[Path, ChunkInfo] | BaseException] = {}
        while running:
            at, value = told.get()
            if value is None:
                running -= 1
            elif isinstance(value, int):
                done[at] = value
                yield sum(done.values())
            else:
                ready[at] = value
            while start in ready:
                finished = ready.pop(start)
                if isinstance(finished, BaseException):
                    raise finished
                done.pop(start, None)
                yield finished
                if not finished[1].more:
                    return
                start += finished[1].frames
    finally:
        stop.set()
        pool.shutdown()


def chunk_size(clip: Clip, size: int) -> int:
    """Frames in a chunk of this clip, where a video's has `size`."""
    return max(size // 8, 1) if clip.kind == "pictures" else size


def _stretches(frames: int, size: int, workers: int) -> list[tuple[int, int | None]]:
    """First frame and end of each worker's share: whole chunks; the last share goes on to wherever the clip ends."""
    count = max(-(-frames // size), 1)
    workers = min(workers, count)
    bounds = [count * worker // workers * size for worker in range(workers)]
    return [*pairwise(bounds), (bounds[-1], None)]


def _stretch(
    clip: Clip,
    number: int,
    work: Path,
    job: Job,
    tracker: Tracker,
    size: int,
    start: int,
    end: int | None,
    frames: Callable[[Clip, int], Iterator[Frame]],
) -> Iterator[tuple[int, Step]]:
    """The chunks from `start` on: the first frame of each with the frames done in it, then with the chunk."""
    still = clip.kind == "pictures"
    walk: Iterator[Frame] | None = None
    while end is None or start < end:
        path = work / f"{number:04d}-{start:08d}.parquet"
        info = chunk_info(path)
        if info is None:
            walk = walk or ahead(frames(clip, start), 3)
            watch = ClipGate(job.gate, str(clip.path), 0.0 if still else EVERY_SECONDS, job.limit)
            for done in make_chunk(path, walk, number, tracker, job.crop_size, job.store_crops, still, size, watch):
                yield start, done
            info = chunk_info(path)
            assert info is not None
        else:
            walk = None  # it would give this chunk's frames to the next one
        yield start, (path, info)
        if not info.more:
            return
        start += info.frames
