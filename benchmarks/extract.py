"""Faces found and frames a second: photodouble's tracker against the original method, on the same frames in one run.

The original method is dlib's HOG detector with its 68-point predictor on every frame, without and with one doubling
of the picture. Decoding is left out of all times. Usage:

    python benchmarks/extract.py CLIP... [--frames N] [--hog-step N]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photodouble.faces import Tracker
from photodouble.faces.hog import Hog
from photodouble.media import Frame, open_clip


@dataclass
class Tally:
    """What one method did so far."""

    seconds: float = 0.0
    frames: int = 0
    found: int = 0

    def add(self, other: "Tally") -> None:
        """Count another one in."""
        self.seconds += other.seconds
        self.frames += other.frames
        self.found += other.found

    def __str__(self) -> str:
        rate = self.frames / max(self.seconds, 1e-9)
        return f"{rate:9.1f} {self.found / max(self.frames, 1):8.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=None, help="at most this many frames of each clip")
    parser.add_argument(
        "--hog-step", type=int, default=1, help="HOG on every n-th frame only: it keeps no memory, so this is fair"
    )
    options = parser.parse_args()
    plain, doubled, tracker = Hog(0), Hog(1), Tracker()
    methods: dict[str, tuple[Callable[[Frame], bool], int]] = {
        "photodouble": (lambda frame: bool(tracker.step(frame)), 1),
        "HOG": (lambda frame: bool(plain.detect(frame.image)), options.hog_step),
        "HOG, doubled": (lambda frame: bool(doubled.detect(frame.image)), options.hog_step),
    }
    totals = {name: Tally() for name in methods}
    print(f"{'':26}{'':>6}  " + "  ".join(f"{name:>18}" for name in methods))
    print(f"{'clip':26}{'frames':>6}  " + "  ".join(f"{'frames/s':>9} {'recall':>8}" for _ in methods))
    for path in options.clips:
        tracker.reset()
        tallies = {name: Tally() for name in methods}
        for frame in frames(path, options.frames):
            for name, (look, step) in methods.items():
                if frame.index % step == 0:
                    tallies[name].add(timed(look, frame))
        for name in methods:
            totals[name].add(tallies[name])
        count = tallies["photodouble"].frames
        print(f"{path.name[:25]:26}{count:6}  " + "  ".join(str(tally) for tally in tallies.values()), flush=True)
    print(f"{'all':26}{totals['photodouble'].frames:6}  " + "  ".join(str(tally) for tally in totals.values()))
    rate = {name: tally.frames / max(tally.seconds, 1e-9) for name, tally in totals.items()}
    print(
        f"photodouble's frames/s over HOG's: {rate['photodouble'] / rate['HOG']:.1f}, "
        f"over HOG's on doubled pictures: {rate['photodouble'] / rate['HOG, doubled']:.1f}"
    )


def frames(path: Path, most: int | None) -> Iterator[Frame]:
    """The clip's frames as 8-bit RGB."""
    return open_clip(path).frames(0, most, np.uint8)


def timed(look: Callable[[Frame], bool], frame: Frame) -> Tally:
    began = time.perf_counter()
    found = look(frame)
    return Tally(time.perf_counter() - began, 1, int(found))


if __name__ == "__main__":
    main()
