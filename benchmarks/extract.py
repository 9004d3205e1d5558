"""Faces found and frames a second: photodouble's tracker against the original method, on the same frames in one run.

The original method is dlib's HOG detector with its 68-point predictor on every frame, without and with one doubling
of the picture. It finds a box and 68 points; photodouble gives 478 points, blendshapes, pose, quality and now and then
an embedding. Decoding is left out of all times. Usage:

    python benchmarks/extract.py CLIP... [--workers N] [--alone] [--frames N] [--hog-step N]

Each clip is cut into equal pieces of at most 256 frames, as extract cuts it into chunks; `--workers` pieces at a time
are decoded, then given to each method in turn, one thread and one set of models for each piece. So all methods have
the same number of cores. With `--alone` each method also runs on one thread only: the original one never used more.
"CPU ms" is processor time a frame, of all threads together: it says more than frames/s where other work is going on.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np

from photodouble.faces import Tracker
from photodouble.faces.hog import Hog
from photodouble.faces.track import finish
from photodouble.faces.walk import walk
from photodouble.media import Frame, open_clip

PIECE = 256
"""Most frames in a piece, as in a chunk of extract."""

Method = Callable[[list[Frame]], int]
"""How many of a piece's frames, in order, show a face."""


@dataclass
class Tally:
    """What one method did so far.

    Attributes:
        wall: seconds gone by, pieces side by side; `cpu`: seconds of all threads together.
        frames: looked at; `found` of them have a face.
    """

    wall: float = 0.0
    cpu: float = 0.0
    frames: int = 0
    found: int = 0

    def add(self, other: "Tally") -> None:
        """Count another one in."""
        self.wall += other.wall
        self.cpu += other.cpu
        self.frames += other.frames
        self.found += other.found

    @property
    def rate(self) -> float:
        """Frames a second of wall time."""
        return self.frames / max(self.wall, 1e-9)

    @property
    def cost(self) -> float:
        """Seconds of processor time a frame."""
        return max(self.cpu, 1e-9) / max(self.frames, 1)

    def __str__(self) -> str:
        return f"{self.rate:8.1f} {1000 * self.cost:6.1f} {self.found / max(self.frames, 1):7.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="threads that each method gets (default: 2)")
    parser.add_argument("--alone", action="store_true", help="also run every method on one thread")
    parser.add_argument("--frames", type=int, default=None, help="at most this many frames of each clip")
    parser.add_argument(
        "--hog-step", type=int, default=1, help="HOG on every n-th frame only: it keeps no memory, so this is fair"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)  # one core for each worker, whoever it works for
    counts = sorted({options.workers} | ({1} if options.alone else set()))
    methods = {
        "photodouble": [ours() for _ in range(options.workers)],
        "HOG": [original(0) for _ in range(options.workers)],
        "HOG, doubled": [original(1) for _ in range(options.workers)],
    }
    columns = [(name, workers) for workers in counts for name in methods]
    print(f"{'':34}" + "  ".join(f"{f'{name}, {workers}t':>23}" for name, workers in columns))
    print(f"{'clip':26}{'frames':>6}  " + "  ".join(f"{'frames/s':>8} {'CPU ms':>6} {'recall':>7}" for _ in columns))
    totals = {column: Tally() for column in columns}
    for path in options.clips:
        tallies = {column: Tally() for column in columns}
        for pieces in groups(path, options.frames, options.workers):
            for name, workers in columns:
                step = 1 if name == "photodouble" else options.hog_step
                tallies[name, workers].add(timed(methods[name][:workers], [piece[::step] for piece in pieces]))
        for column in columns:
            totals[column].add(tallies[column])
        show(path.name, tallies)
    show("all", totals)
    for workers in counts:
        own, plain, doubled = (totals[name, workers] for name in methods)
        print(
            f"{workers} thread(s) each: photodouble has {own.rate / plain.rate:.2f} times HOG's frames/s "
            f"({plain.cost / own.cost:.2f} by processor time), {own.rate / doubled.rate:.2f} times HOG, doubled "
            f"({doubled.cost / own.cost:.2f})."
        )
    if len(counts) > 1:
        ratio = totals["photodouble", counts[-1]].rate / totals["HOG", 1].rate
        print(f"photodouble on {counts[-1]} threads against HOG as it was, on one: {ratio:.2f} times the frames/s.")


def show(name: str, tallies: dict[tuple[str, int], Tally]) -> None:
    frames = next(iter(tallies.values())).frames
    print(f"{name[:25]:26}{frames:6}  " + "  ".join(str(tally) for tally in tallies.values()), flush=True)


def ours() -> Method:
    """A tracker of its own."""
    tracker = Tracker()

    def look(piece: list[Frame]) -> int:
        tracker.reset()
        found = [faces for _, faces in walk(tracker, piece)]
        finish([face for faces in found for face in faces])
        return sum(map(bool, found))

    return look


def original(doublings: int) -> Method:
    """The original method, with a detector of its own."""
    hog = Hog(doublings)
    return lambda piece: sum(bool(hog.detect(frame.image)) for frame in piece)


def groups(path: Path, most: int | None, workers: int) -> Iterator[list[list[Frame]]]:
    """The clip's frames as 8-bit RGB, `workers` pieces of about equal length at a time."""
    clip = open_clip(path)
    count = min(clip.count(), most or clip.count())
    pieces = -(-count // (PIECE * workers)) * workers
    bounds = [count * number // pieces for number in range(pieces + 1)]
    walk = clip.frames(0, count, np.uint8)
    for first in range(0, pieces, workers):
        ends = bounds[first : first + workers + 1]
        yield [list(islice(walk, stop - start)) for start, stop in pairwise(ends)]


def timed(methods: list[Method], pieces: list[list[Frame]]) -> Tally:
    """Share the pieces out among the methods, each in a thread of its own."""
    shares = [pieces[number :: len(methods)] for number in range(len(methods))]

    def work(method: Method, share: list[list[Frame]]) -> int:
        return sum(method(piece) for piece in share)

    with ThreadPoolExecutor(len(methods)) as pool:
        wall, cpu = time.perf_counter(), time.process_time()
        found = sum(pool.map(work, methods, shares))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Tally(wall, cpu, sum(map(len, pieces)), found)


if __name__ == "__main__":
    main()
