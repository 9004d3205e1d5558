"""What inspecting a clip costs, in times of decoding it: processor time of all threads, on 300 frames of 640x480.

The clip is made here: smooth moving noise with a little grain, H.264 as photodouble writes it, marked and not marked.
Usage:

    python benchmarks/inspecting.py [--frames N] [--repeat N]

Decoding means every frame as 8-bit RGB, as any reader of pixels needs it. The budget is three times that.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from photodouble.media import ClipWriter, Frame, open_clip
from photodouble.provenance import Marking, finish
from photodouble.stages.events import Result
from photodouble.stages.inspect import InspectConfig, run

WIDTH, HEIGHT = 640, 480
BUDGET = 3.0


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=3, help="the least of so many runs counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PHOTODOUBLE_HOME"] = str(folder / "home")
        plain = make_clip(folder, options.frames)
        marked = folder / "marked.mp4"
        (folder / "work.mp4").write_bytes(plain.read_bytes())
        finish(folder / "work.mp4", marked, Marking("marked", "synthetic", ["ab" * 32]))
        list(run(InspectConfig(marked, folder / "page.html")))  # imports and certificates are not counted
        decoding = least(lambda: decode(plain), options.repeat)
        print(f"{options.frames} frames of {WIDTH}x{HEIGHT}, {plain.stat().st_size / 1e6:.1f} MB")
        print(f"{'':<28}{'CPU s':>8}{'x decoding':>12}")
        print(f"{'decoding':<28}{decoding:>8.2f}{1:>12.2f}")
        for words, config in (
            ("inspect, marked", InspectConfig(marked)),
            ("inspect, not marked", InspectConfig(plain)),
            ("inspect --report, marked", InspectConfig(marked, folder / "page.html")),
        ):
            cost = least(lambda config=config: verdict(config), options.repeat)  # type: ignore[misc]
            over = "" if cost <= BUDGET * decoding else "  over budget"
            print(f"{words:<28}{cost:>8.2f}{cost / decoding:>12.2f}{over}")


def least(work: Callable[[], object], repeat: int) -> float:
    """Processor seconds of the quickest of some runs."""
    times = []
    for _ in range(repeat):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def decode(path: Path) -> int:
    """Read every frame."""
    return sum(1 for _ in open_clip(path).frames(dtype=np.uint8))


def verdict(config: InspectConfig) -> str:
    """What inspect says."""
    *_, last = run(config)
    assert isinstance(last, Result)
    return str(last.values["verdict"])


def make_clip(folder: Path, frames: int) -> Path:
    """An unmarked clip."""
    pictures = folder / "pictures"
    pictures.mkdir()
    generator = np.random.default_rng(1)
    scene = cv2.resize(generator.integers(0, 255, (40, 60, 3), np.uint8), (WIDTH + 300, HEIGHT + 300))
    cv2.imwrite(str(pictures / "0.png"), scene[:HEIGHT, :WIDTH])
    like = open_clip(pictures)
    path = folder / "plain.mp4"
    with ClipWriter(path, like) as writer:
        for index in range(frames):
            x, y = round(150 + 140 * np.sin(index / 40)), round(150 + 140 * np.cos(index / 55))
            grain = generator.normal(0, 3, (HEIGHT, WIDTH, 1)).astype(np.int16)
            image = np.clip(scene[y : y + HEIGHT, x : x + WIDTH] + grain, 0, 255).astype(np.uint8)
            writer.write(Frame(image, index, index, like.time_base, 1, like.colour))
    return path


if __name__ == "__main__":
    main()
