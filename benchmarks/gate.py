"""The nudity gate on clips that should pass: how high it scores them, what it would refuse, and what it costs.

    python benchmarks/gate.py CLIP... [--starts N]

Each clip is shown to the gate from its first frame, and with `--starts` from each of the N first ones: where the looks
fall decides what is seen, so one clean clip is several trials. Every frame is scored then; without it only those that
are looked at, as in extract. "highest" is of the scored frames. "CPU ms" is processor time of one look (one thread),
and "a clip second" that of the looks in one second of the clip; decoding, which extract does anyway, is left out.
"""

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from photodouble.consent.policy import ClipGate, NudityGate
from photodouble.errors import Refused
from photodouble.media import Frame, open_clip


class Timed(NudityGate):
    """The gate, with the processor time that its looks took."""

    def __init__(self) -> None:
        super().__init__()
        self.spent, self.asked, self.highest = 0.0, 0, 0.0

    def score(self, rgb: np.ndarray) -> float:
        """As the gate's."""
        began = time.thread_time()
        score = super().score(rgb)
        self.spent, self.asked = self.spent + time.thread_time() - began, self.asked + 1
        self.highest = max(self.highest, score)
        return score


@dataclass
class Known(NudityGate):
    """A gate that knows each frame's score: it is read off the picture, which is made of the frame's number."""

    scores: list[float] = field(default_factory=list)

    def score(self, rgb: np.ndarray) -> float:
        """The score of the frame with this number."""
        return self.scores[int(rgb[0, 0, 0]) << 16 | int(rgb[0, 0, 1]) << 8 | int(rgb[0, 0, 2])]


def numbered(frame: Frame) -> Frame:
    """The frame with a picture of one pixel, which holds its number."""
    number = frame.index
    return replace(frame, image=np.array([[[number >> 16, number >> 8 & 255, number & 255]]], np.uint8))


def refusal(watch: ClipGate, frames: list[Frame]) -> str:
    """Show all frames to the gate: the sentence with which it refuses, or nothing."""
    try:
        for frame in frames:
            watch.see(frame)
        watch.close()
    except Refused as refused:
        return str(refused)
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--starts", type=int, default=1, metavar="N")
    wanted = parser.parse_args()
    print(f"{'clip':24} {'frames':>6} {'looks':>6} {'highest':>8} {'refused':>8} {'CPU ms':>7} {'a clip second':>13}")
    showings = refusals = total = 0
    for path in wanted.clips:
        gate = Timed()
        watch = ClipGate(gate, path.name)
        known = Known()
        frames: list[Frame] = []
        told: list[str] = []
        for frame in open_clip(path).frames(dtype=np.uint8):
            frames.append(numbered(frame))
            if wanted.starts > 1:
                known.scores.append(gate.score(frame.image))
            elif not told:
                told += [sentence] if (sentence := refusal_of(watch, frame)) else []
        if wanted.starts > 1:
            watches = [ClipGate(known, path.name) for _ in range(min(wanted.starts, len(frames)))]
            told = [refusal(one, frames[start:]) for start, one in enumerate(watches)]
            watch, count = watches[0], len(watches)
            told = [sentence for sentence in told if sentence]
        else:
            count = 1
            told += [] if told else [sentence for sentence in [refusal(watch, [])] if sentence]
        cost = 1000 * gate.spent / gate.asked
        seconds = float((frames[-1].pts - frames[0].pts) * frames[0].time_base) or 1.0
        print(
            f"{path.name:24} {len(frames):6} {watch.scored:6} {gate.highest:8.3f} {len(told):2} of {count:2} "
            f"{cost:7.1f} {cost * watch.scored / seconds:10.0f} ms",
            flush=True,
        )
        for sentence in dict.fromkeys(told):
            print(f"    {sentence}")
        showings, refusals, total = showings + count, refusals + len(told), total + len(frames)
    print(f"{total} frames; of {showings} showings {refusals} are refused ({100 * refusals / max(showings, 1):.1f} %)")


def refusal_of(watch: ClipGate, frame: Frame) -> str:
    """Show one frame to the gate: the sentence with which it refuses, or nothing."""
    try:
        watch.see(frame)
    except Refused as refused:
        return str(refused)
    return ""


if __name__ == "__main__":
    main()
