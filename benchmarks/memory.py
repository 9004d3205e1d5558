"""Peak memory of `photodouble swap --model mesh` on a clip looped to some lengths.

    python benchmarks/memory.py PLATE WANTED [--frames 1000 10000]

Each length runs in a process of its own; the figure is the largest resident size that the system saw of it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

from photodouble.media import ClipWriter, open_clip


def loop(source: Path, target: Path, frames: int) -> None:
    """Write `source` over and over until there are `frames` frames at its usual rate."""
    clip = open_clip(source)
    step = round(1 / (clip.rate * clip.time_base))
    with ClipWriter(target, clip, "h264", copy_streams=False) as writer:
        for index, frame in enumerate(chain.from_iterable(clip.frames() for _ in repeat(0))):
            if index == frames:
                return
            writer.write(replace(frame, index=index, pts=index * step, duration=step))


def peak(command: list[str]) -> tuple[float, float]:
    """Run a command: its peak resident size in MB and its seconds."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"the swap ended with status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024, time.monotonic() - began


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plate", type=Path)
    parser.add_argument("wanted", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 10000])
    options = parser.parse_args()
    print(f"{'frames':>8} {'peak MB':>8} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for frames in options.frames:
            plate, output = Path(folder) / f"{frames}.mp4", Path(folder) / f"out{frames}.mp4"
            loop(options.plate, plate, frames)
            command = [sys.executable, "-m", "photodouble", "swap", str(plate), "--to", str(options.wanted)]
            command += ["--output", str(output), "--model", "mesh", "--basis", "research", "--reference", "benchmark"]
            size, seconds = peak(command)
            print(f"{frames:8d} {size:8.0f} {seconds:8.0f}", flush=True)


if __name__ == "__main__":
    main()
