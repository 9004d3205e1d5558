"""How soon a swap is good: `mesh`, the original network and `lite` on one pair of clips, one after the other.

    python benchmarks/time_to_quality.py PLATE WANTED [--minutes M] [--work FOLDER] [--json FILE]

Prints for each, against seconds, the held-out reconstruction SSIM at 64x64 (mean of both people) and the swap's figures
on held-out frames of the plate: drawn, put back, and measured as a render is. Then: after how many seconds `lite` had
what the original network has at the end, and how `lite` at the end compares with `mesh`, figure by figure. Both
networks are trained on the same frames and judged on the same others. Seconds begin with the finished faces, so that
what a network needs to prepare (crops, pairs, `mesh` pictures) counts; judging counts as well.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pair import Figures, Pair
from photodouble.stages.swap_judge import SwapJudge
from train import CONTENDERS, race

RUNS = 8
"""Stretches of four held-out plate frames that are drawn."""


@dataclass(frozen=True)
class Figure:
    """One figure of a swap.

    Attributes:
        name: as in `quality`.
        better: which of two values is better.
        goal: told of a value; None: there is none.
    """

    name: str
    better: Callable[[float, float], bool]
    goal: float | None = None


def nearer_to_one(a: float, b: float) -> bool:
    return abs(a - 1) < abs(b - 1)


def not_above_one(a: float, b: float) -> bool:
    """Of trembling: as much as the plate has, or less, is good; of two such the values mean nothing."""
    return max(a, 1.0) <= max(b, 1.0)


FIGURES = (
    Figure("similarity_wanted", lambda a, b: a > b, 0.65),
    Figure("similarity_replaced", lambda a, b: a < b),
    Figure("blendshape_correlation", lambda a, b: a > b, 0.8),
    Figure("expression_error", lambda a, b: a < b),
    Figure("gaze_error", lambda a, b: a < b),
    Figure("pose_error", lambda a, b: a < b),
    Figure("landmark_error", lambda a, b: a < b),
    Figure("sharpness_ratio", nearer_to_one, 0.8),
    Figure("jitter_ratio", not_above_one, 1.05),
    Figure("warped_error_ratio", lambda a, b: a < b),
)


def run(options: argparse.Namespace, work: Path) -> dict:
    """Train and measure; prints while it goes."""
    pair = Pair(options.plate, options.wanted, work)
    began = time.perf_counter()
    judges = {"original": judge(pair, 1), "lite": judge(pair, 0)}
    print(f"planning the judged frames took {time.perf_counter() - began:.0f} s, which no network is charged for")
    curves = {}
    for name in ("original", "lite"):
        print(f"\n{name}", flush=True)
        contender = CONTENDERS[name](pair)
        curves[name] = race(contender, work / f"model-{name}", options.minutes, options.device, judges[name])
        del contender
    return curves


def judge(pair: Pair, identity: int) -> Callable[[nn.Module], Figures]:
    """What measures the swap to the wanted person, whose decoder has this number."""
    return SwapJudge(pair.faces["wanted"], pair.faces["plate"], identity, RUNS)


def report(curves: dict[str, list[Figures]]) -> dict:
    """Print the verdicts and return them."""
    original, lite = curves["original"][-1], curves["lite"][-1]
    reached = next((row["seconds"] for row in curves["lite"] if row["ssim"] >= original["ssim"]), None)
    when = "never" if reached is None else f"after {reached:.0f} s"
    print(f"\nSSIM of original after {original['seconds']:.0f} s: {original['ssim']:.3f}; lite has it {when}.")
    print(f"\n{'held-out plate frames':26}{'mesh':>9}{'original':>10}{'lite':>9}  lite better than mesh")
    rows: dict[str, dict[str, Any]] = {}
    for figure in FIGURES:
        ours, theirs = lite.get(f"swap_{figure.name}"), lite.get(f"swap_{figure.name}_mesh")
        if ours is None or theirs is None:
            continue
        first = original.get(f"swap_{figure.name}")
        better = figure.better(ours, theirs)
        rows[figure.name] = {"mesh": theirs, "original": first, "lite": ours, "better": better}
        told = "yes" if better else "no"
        told += "" if figure.goal is None else f" (goal {figure.goal})"
        middle = "-" if first is None else format(first, ".3f")
        print(f"{figure.name:26}{theirs:9.3f}{middle:>10}{ours:9.3f}  {told}")
    off = rows.get("gaze_error")
    if off:
        print(f"gaze error of lite is {off['lite'] / off['mesh']:.2f} times mesh's (goal 0.5)")
    return {"seconds_to_original": reached, "figures": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plate", type=Path)
    parser.add_argument("wanted", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="for each network, its preparations included")
    parser.add_argument("--work", type=Path, help="keep faces and models here; kept faces are used again")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        curves = run(options, work)
    result = {"curves": curves} | report(curves)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
