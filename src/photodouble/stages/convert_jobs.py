"""Chunks in several processes: each loads the model and the plan for itself and makes a share of the chunks."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np

from photodouble.compositing import Settings
from photodouble.errors import PhotodoubleError
from photodouble.faces import FaceSet
from photodouble.generators import load_generator
from photodouble.media import Space, open_clip
from photodouble.project import Project
from photodouble.provenance import Label
from photodouble.retarget import know_faces
from photodouble.stages.convert_chunks import Folder, make
from photodouble.stages.convert_draw import Drawing, one_thread_each, threads_for
from photodouble.stages.convert_plan import PlanFiles, load_plan
from photodouble.stages.heap import keep_memory

Run = tuple[int, int]
"""First frame and end of some chunks that follow one another."""


@dataclass(frozen=True)
class Work:
    """What another process needs to draw as this one does.

    Attributes:
        project: its folder. plate: the footage. target, model: as in `ConvertConfig`.
        plan: where the plan is kept.
        settings, codec, watermark, label, ranges: as in `Drawing`.
        folder, suffix, size, names: as in `Folder`.
        space: the plate's colour space, where its files do not say it.
    """

    project: Path
    plate: Path
    target: str
    model: str
    plan: PlanFiles
    settings: Settings
    codec: str
    watermark: int
    label: Label | None
    ranges: tuple[range, ...] | None
    folder: Path
    suffix: str
    size: int
    names: Path | None
    space: Space


def shared(folder: Folder, work: Work, jobs: int) -> Iterator[int]:
    """Make the chunks that are missing among those that the clip should have, in `jobs` processes.

    Yields:
        Numbers of frames, as they are done.

    Raises:
        what a process raised; the others are stopped.
    """
    starts = range(0, max(folder.clip.estimated_frames, 1), folder.step)
    missing = [start for start in starts if folder.known(start) is None]
    shares = [share.tolist() for share in np.array_split(missing, min(jobs, len(missing)))] if missing else []
    if not shares:
        return
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    processes = [context.Process(target=_serve, args=(work, _runs(share, folder.step), jobs, told)) for share in shares]
    try:
        for process in processes:
            process.start()
        running = len(processes)
        while running:
            try:
                value = told.get(timeout=1)
            except Empty:
                _check(processes)
                continue
            if isinstance(value, int):
                yield value
            elif isinstance(value, BaseException):
                raise value
            else:
                running -= 1
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()


def _check(processes: list[Any]) -> None:
    for process in processes:
        if process.exitcode:
            raise PhotodoubleError(
                f"A process that renders chunks ended with status {process.exitcode} (out of memory?): run the same "
                "command again with fewer --jobs, it continues."
            )


def _runs(starts: list[int], step: int) -> list[Run]:
    """Chunks that follow one another, joined: their frames are decoded in one go."""
    runs: list[Run] = []
    for start in starts:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], start + step)
        else:
            runs.append((start, start + step))
    return runs


def _serve(work: Work, runs: list[Run], jobs: int, told: Any) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears of it and stops this one
    threading.Thread(target=_leave_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    try:
        keep_memory()
        with one_thread_each():
            drawing = open_drawing(work, jobs)
            folder = Folder(work.folder, drawing.clip, work.codec, work.suffix, work.size, work.names)
            for start, stop in runs:
                for count in make(folder, drawing, start, stop):
                    told.put(count)
        told.put("done")
    except PhotodoubleError as error:
        told.put(error)
    except BaseException:
        told.put(RuntimeError(traceback.format_exc()))


def _leave_with(parent: Any) -> None:
    """End when the first process does, however it ends."""
    wait([parent.sentinel])
    os._exit(1)


def open_drawing(work: Work, jobs: int) -> Drawing:
    """What a process draws with."""
    project, clip = Project(work.project), open_clip(work.plate, space=work.space)
    wanted, _ = know_faces(FaceSet.open(project.faces(work.target)))
    generator = load_generator(project, work.model, work.target, wanted)
    plan = load_plan(work.plan)
    return Drawing(
        clip, plan, generator, work.settings, work.codec, work.watermark, work.label, work.ranges, threads_for(jobs)
    )
