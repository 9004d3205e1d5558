"""What a prior saves: `lite` from scratch and from the prior, same pairs, same seed, against images and seconds.

    python benchmarks/warm_start.py [PLATE WANTED] [--init FOLDER] [--images N] [--seeds 0 1] [--work FOLDER]

Without clips the demo's pair is used: the stock clip and the AI-generated person P006. Judged on held-out pairs of the
wanted person (contiguous stretches of footage, every seventh still); of a person with few held-out faces each is drawn
`DRAWS` times. SSIM is of the corrected picture, `features` the error in eyes and lips, score their difference. Images
are the measure that other work on the machine does not disturb.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Generator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photodouble import weights
from photodouble.faces import FaceSet
from photodouble.retarget import know_faces
from photodouble.retarget.examples import free_of
from photodouble.retarget.pairs import make_pairs
from photodouble.stages import demo
from photodouble.stages.extract import extract_faces
from photodouble.stages.train import PAIRS
from photodouble.training.pair_cache import PairCache
from photodouble.training.pairs import draw_pairs, split_faces
from photodouble.training.prior import load_prior
from photodouble.training.recipes import refine
from photodouble.training.refine import HELD_OUT, SIZE, Refine
from photodouble.training.run import Run

DRAWS = 12
IDENTITIES = ["wanted", "plate"]
COLUMNS = ("mesh", "lines", "target", "matte")
Curve = list[dict[str, float]]


def judged(cache: PairCache, pairs: PairCache) -> PairCache:
    """The training pairs of a cache and other held-out ones."""
    train = torch.from_numpy(np.flatnonzero(~cache.held_out))
    mesh, lines, target, matte = (torch.cat([getattr(cache, name)[train], getattr(pairs, name)]) for name in COLUMNS)
    return PairCache(mesh, lines, target, matte, np.arange(len(mesh)) >= len(train))


def faces_of(work: Path, name: str, sources: list[Path]) -> FaceSet:
    for _ in extract_faces(work / name, sources):
        pass
    return FaceSet.open(work / name)


def drawn(steps: Generator[tuple[int, int], None, PairCache]) -> PairCache:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def kept(path: Path, make: Any) -> PairCache:
    """A cache, made once."""
    if not path.is_file():
        cache = make()
        np.savez(path, held_out=cache.held_out, **{name: getattr(cache, name).numpy() for name in COLUMNS})
    with np.load(path) as columns:
        mesh, lines, target, matte = (torch.from_numpy(columns[name]) for name in COLUMNS)
        return PairCache(mesh, lines, target, matte, columns["held_out"])


def judged_pairs(faces: FaceSet) -> PairCache:
    """Pairs of the held-out faces, drawn from the others."""
    person, rows = know_faces(faces)
    split = split_faces(faces, rows)
    if not len(split.held_out):
        raise SystemExit("There are too few faces of the wanted person to hold any out.")
    some = split.held_out[np.linspace(0, len(split.held_out) - 1, min(HELD_OUT, len(split.held_out))).astype(int)]
    wanted = np.tile(some, DRAWS if len(some) < DRAWS else 1)
    allowed = np.isin(np.arange(len(rows)), split.train)
    made = make_pairs(person, wanted, free_of(faces, rows), SIZE, 1, allowed)
    mesh, lines, target, matte = (torch.from_numpy(np.stack(column)) for column in zip(*made, strict=True))
    return PairCache(mesh, lines, target, matte, np.ones(len(wanted), bool))


def curve(task: Refine, init: str | None, images: int, every: int, seed: int) -> Curve:
    """Held-out figures every so many images, until `images`."""
    prior = load_prior(init, "lite")
    run = Run(task, seed, torch.device("cpu"), partial(prior.fill, identities=IDENTITIES) if prior else None)
    rows: Curve = []
    busy = 0.0
    while True:
        if run.counters.images >= every * len(rows):
            metrics = evaluate(run)
            rows.append({"images": run.counters.images, "seconds": busy, "score": task.score(metrics), **metrics})
            told = "  ".join(f"{key} {value:.4f}" for key, value in rows[-1].items())
            print(f"{'scratch' if prior is None else 'prior':8} {told}", flush=True)
        if run.counters.images >= images:
            return rows
        begin = time.process_time()
        run.step(task.schedule.factor(run.counters.images / images, task.schedule.tail, 1.0))
        busy += time.process_time() - begin


@torch.no_grad()
def evaluate(run: Run) -> dict[str, float]:
    return run.task.evaluate(run.average.eval())


def reached(rows: Curve, score: float) -> float | None:
    """Images at which a curve first has this score, interpolated."""
    for before, after in pairwise(rows):
        if after["score"] >= score:
            part = (score - before["score"]) / max(after["score"] - before["score"], 1e-9)
            return before["images"] + max(0.0, part) * (after["images"] - before["images"])
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="*", help="plate and wanted; default: the demo's")
    parser.add_argument("--init", default="bundled")
    parser.add_argument("--images", type=int, default=4800)
    parser.add_argument("--every", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--work", type=Path, help="keep faces and pairs here; what is kept is used again")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        names = [demo.PLATE, *(f"person_{demo.PERSON}_{name}" for name in demo.PICTURES)]
        plate, *wanted = options.clips or [weights.path(name) for name in names]
        sets = {"wanted": faces_of(work, "wanted", wanted), "plate": faces_of(work, "plate", [plate])}
        counts = dict(zip(IDENTITIES, PAIRS, strict=True))
        caches = {
            name: kept(work / f"{name}.npz", lambda name=name: drawn(draw_pairs(sets[name], counts[name], 0)))
            for name in IDENTITIES
        }
        held_out = kept(work / "held_out.npz", lambda: judged_pairs(sets["wanted"]))
        task = refine("lite", caches | {"wanted": judged(caches["wanted"], held_out)})
        print({name: len(faces) for name, faces in sets.items()}, "faces;", len(held_out.target), "judged pairs")
        for seed in options.seeds:
            scratch = curve(task, "none", options.images, options.every, seed)
            warm = curve(task, options.init, options.images, options.every, seed)
            best = max(row["score"] for row in scratch)
            images = reached(warm, best)
            told = f"{images:.0f}, {options.images / max(images, 1):.1f} times fewer" if images is not None else "never"
            print(f"seed {seed}: best score from scratch {best:.4f}; from the prior at images: {told}", flush=True)
            results.append({"seed": seed, "scratch": scratch, "prior": warm})
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
