"""Training speed and quality against seconds, on the same pair of clips, one network after the other.

    python benchmarks/train.py PLATE WANTED [--minutes M] [--models original lite] [--work FOLDER] [--speed-only]

Prints for each network: faces a second and their share of the machine's matrix-product peak (both the best of several
rounds taken in turn), then held-out reconstruction SSIM at 64x64 (mean of both people) and the similarity of the swap
on held-out plate frames to the wanted person (SFace, cosine, of the network's own crop), each against seconds; at the
end both side by side in one table. Both networks are judged on the same held-out frames and trained on the same others.
Seconds begin with the finished faces: what a network needs to prepare them (crops, pairs, `mesh` pictures) counts. The
first row of each is the network before training, as soon as it could draw something; what `lite` has then is `mesh`.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pair import Figures, Pair
from photodouble import networks
from photodouble.compositing import face_box
from photodouble.evaluation import plate_rows
from photodouble.faces import INNER, alignment, transform
from photodouble.generators import MeshGenerator, PlateFace
from photodouble.generators.refined import network_inputs
from photodouble.media import open_clip
from photodouble.retarget import know_faces, plan_shot
from photodouble.retarget.examples import free_of
from photodouble.retarget.pairs import make_pairs
from photodouble.stages.train import PAIRS
from photodouble.training.autoencode import Autoencode
from photodouble.training.engine import fit
from photodouble.training.losses import ssim
from photodouble.training.pairs import draw_pairs
from photodouble.training.peak import forward_flops, matrix_peak
from photodouble.training.prior import load_prior
from photodouble.training.refine import SIZE, PairCache, Refine
from photodouble.training.run import Run
from photodouble.training.task import Budget, Evaluated, Pace, Task, Ticked


@dataclass(frozen=True)
class Contender:
    """A network in the race.

    Attributes:
        task: its `evaluate` gives `ssim` (at 64x64) and `similarity`.
        step_flops: of one training step.
        first: figures of the untrained network, and the second `ready` at which it could draw them.
        prepared: seconds before its training starts.
        start: fills in what the network starts from, in place; None: it starts from chance.
    """

    task: Task
    step_flops: Callable[[nn.Module], float]
    first: Figures
    ready: float
    prepared: float
    start: Callable[[nn.Module], None] | None = None


def original(pair: Pair) -> Contender:
    """The original network as it was trained, in batches of 16 and 16."""
    began = time.perf_counter()

    class Judged(Autoencode):
        def evaluate(self, module: nn.Module) -> Figures:
            swapped = module(self.caches["plate"].pictures(rows, next(module.parameters()).device), 1)
            return {**super().evaluate(module), "similarity": pair.similarity(swapped, points)}

    task, rows = Judged(pair.caches(64)), pair.judged["plate"]
    points = pair.points("plate", rows, 64)
    ready = time.perf_counter() - began
    first = untrained(task, task.build())

    def step_flops(module: nn.Module) -> float:
        return 3 * forward_flops(module, torch.rand(1, 3, 64, 64), 0) * task.images_per_batch

    return Contender(task, step_flops, first, ready, time.perf_counter() - began)


def lite(pair: Pair) -> Contender:
    """`lite`, on as many pairs as the stage draws and from the prior that the stage starts from."""
    began = time.perf_counter()
    prior = load_prior(None, "lite")
    start = partial(prior.fill, identities=["wanted", "plate"]) if prior else None
    drawn = {name: reconstructions(pair, name) for name in ("wanted", "plate")}
    mesh, lines, points = swaps(pair)

    class Judged(Refine):
        def evaluate(self, module: nn.Module) -> Figures:
            device = next(module.parameters()).device
            figures = {}
            for identity, (name, pairs) in enumerate(drawn.items()):
                given, target, guide, _ = pairs.stack(np.arange(len(pairs.held_out)), device).split((3, 3, 3, 1), 1)
                picture = module(given, guide, identity)[0].clamp(0, 1)
                figures[f"ssim_{name}"] = float(ssim(F.avg_pool2d(picture, 2), F.avg_pool2d(target, 2)).mean())
            swapped = module(mesh.to(device), lines.to(device), 0)[0]
            mean = sum(figures.values()) / len(figures)
            return {"ssim": mean, **figures, "similarity": pair.similarity(swapped, points)}

        def score(self, metrics: Figures) -> float:
            return metrics["ssim"]

    ready = time.perf_counter() - began
    fresh = networks.create("lite", identities=2)
    if start:
        start(fresh)
    first = untrained(Judged(drawn), fresh)
    task = Judged({name: all_pairs(pair, name, count) for name, count in zip(drawn, PAIRS, strict=True)})

    def step_flops(module: nn.Module) -> float:
        return 3 * forward_flops(module, *torch.rand(2, 1, 3, SIZE, SIZE), 0) * task.images_per_batch

    return Contender(task, step_flops, first, ready, time.perf_counter() - began, start)


def reconstructions(pair: Pair, name: str) -> PairCache:
    """The judged faces of a person, as `mesh` draws them out of the training part."""
    faces = pair.faces[name]
    person, rows = know_faces(faces)
    nearest = abs(rows[:, None] - pair.judged[name]).argmin(0)
    allowed = np.isin(rows, pair.split[name].train)
    made = make_pairs(person, nearest, free_of(faces, rows), SIZE, 0, allowed)
    mesh, lines, target, matte = (torch.from_numpy(np.stack(column)) for column in zip(*made, strict=True))
    return PairCache(mesh, lines, target, matte, np.ones(len(nearest), bool))


def all_pairs(pair: Pair, name: str, count: int) -> PairCache:
    """A person's training pairs."""
    steps = draw_pairs(pair.faces[name], count, 0, pair.split[name])
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def swaps(pair: Pair) -> tuple[torch.Tensor, torch.Tensor, list[np.ndarray]]:
    """For the judged plate faces what the network is given (both n x 3 x 128 x 128), and the landmarks in its crop."""
    faces, clip = pair.faces["plate"], open_clip(pair.clip)
    chosen = plate_rows(faces, None, str(clip.path))
    rows = np.array([chosen[frame] for frame in sorted(chosen)], np.int64)
    wanted, _ = know_faces(pair.faces["wanted"])
    shot = plan_shot(wanted, faces, rows)
    asked = set(faces.frame[pair.judged["plate"]].tolist())
    images = {frame.index: frame.image for frame in clip.frames(dtype=np.uint8) if frame.index in asked}
    found = []
    for start, landmarks, targets in shot.blocks():
        for at in np.flatnonzero(np.isin(rows[start : start + len(landmarks)], pair.judged["plate"])):
            image = images[int(shot.frame[start + at])]
            choice, fade = shot.chosen(start + int(at)), shot.faded(start + int(at))
            box = face_box(targets[at], image.shape[:2])
            found.append(PlateFace(image, landmarks[at], targets[at], choice, box, fade))
    mesh, lines, _ = network_inputs(found, MeshGenerator(wanted).draw(found), SIZE)
    points = [transform(face.target, alignment(face.target, SIZE, INNER))[:, :2] for face in found]
    given, guide = (torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255 for x in (mesh, lines))
    return given, guide, points


@torch.no_grad()
def untrained(task: Task, module: nn.Module) -> Figures:
    """Figures of a new network."""
    return task.evaluate(module.eval())


CONTENDERS: dict[str, Callable[[Pair], Contender]] = {"original": original, "lite": lite}


def speed(contender: Contender, device: str, rounds: int) -> Figures:
    """Best step and best matrix product of several rounds in turn, so that both see the same machine."""
    run = Run(contender.task, 0, torch.device(device))
    run.step(1.0)
    best, peak = float("inf"), matrix_peak(device)
    for _ in range(rounds):
        begin = time.perf_counter()
        float(run.step(1.0)["total"])
        best = min(best, time.perf_counter() - begin)
        peak = max(peak, matrix_peak(device, seconds=0.5))
    flops = contender.step_flops(run.module)
    return {
        "faces_per_second": contender.task.images_per_batch / best,
        "gflops": flops / best / 1e9,
        "peak_gflops": peak / 1e9,
        "share_of_peak": flops / best / peak,
    }


def race(
    contender: Contender,
    folder: Path,
    minutes: float,
    device: str,
    further: Callable[[nn.Module], Figures] | None = None,
) -> list[Figures]:
    """Train anew and return the held-out figures, and what `further` measures, against seconds; in all `minutes`."""
    shutil.rmtree(folder, ignore_errors=True)
    rows = [{"seconds": contender.ready, "images": 0, **contender.first}]
    show(rows[-1])
    pace = Pace(tick=1.0, evaluate=10.0, evaluate_share=0.2)
    budget = Budget(minutes=max(0.01, minutes - contender.prepared / 60))
    for event in fit(
        contender.task, folder, budget, device=device, pace=pace, patience=None, further=further, start=contender.start
    ):
        seconds = contender.prepared + event.seconds if isinstance(event, Ticked | Evaluated) else 0.0
        if isinstance(event, Ticked):
            print(f"\r{seconds:6.0f} s {event.images_per_second:7.1f} faces/s", end="", flush=True)
        if isinstance(event, Evaluated):
            rows.append({"seconds": seconds, "images": event.images, **event.metrics})
            show(rows[-1])
    return rows


def show(figures: Figures) -> None:
    print("\r" + "  ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)


def at(curve: list[Figures], seconds: float) -> Figures | None:
    """The newest figures that there were at this second."""
    return next((row for row in reversed(curve) if row["seconds"] <= seconds), None)


def compare(results: dict[str, dict], names: tuple[str, str] = ("original", "lite")) -> bool:
    """Print both curves and speeds side by side; whether the second is ahead wherever the first has begun to train."""
    first, second = (results[name]["curve"] for name in names)
    ahead = []
    heads = "  {:>9} {:>8} ".format(*names) * 2
    print(f"\n{'seconds':>8}  {'ssim':^19}  {'similarity':^19}\n{'':8}{heads}  ahead")
    for seconds in sorted({row["seconds"] for row in first + second}):
        a, b = at(first, seconds), at(second, seconds)
        told = "-"
        if a is not None and a["images"]:
            ahead.append(b is not None and b["ssim"] > a["ssim"] and b["similarity"] > a["similarity"])
            told = "yes" if ahead[-1] else "no"
        cells = [f"{row[key]:.3f}" if row else "-" for key in ("ssim", "similarity") for row in (a, b)]
        print(f"{seconds:8.1f}" + "  {:>9} {:>8}   {:>9} {:>8} ".format(*cells) + f"  {told}")
    for name in names:
        figures = results[name]["speed"]
        print(f"{name}: {figures['faces_per_second']:.1f} faces/s, {figures['share_of_peak']:.0%} of the peak")
    always = bool(ahead) and all(ahead)
    verdict = "ahead at every point" if always else f"not ahead at {len(ahead) - sum(ahead)} of {len(ahead)} points"
    told = f"{names[1]} is {verdict} from the first step of {names[0]} on."
    print(told if ahead else f"{names[0]} did not begin to train: give more --minutes.")
    return always


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plate", type=Path)
    parser.add_argument("wanted", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0, help="for each network, its preparations included")
    parser.add_argument("--models", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--work", type=Path, help="keep faces and models here; kept faces are used again")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5, help="of the speed measurement")
    parser.add_argument("--speed-only", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        pair = Pair(options.plate, options.wanted, work)
        for name in options.models:
            contender = CONTENDERS[name](pair)
            figures = speed(contender, options.device, options.rounds)
            print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)
            curve = (
                [] if options.speed_only else race(contender, work / f"model-{name}", options.minutes, options.device)
            )
            results[name] = {"speed": figures, "prepared": contender.prepared, "curve": curve}
            del contender
    if not options.speed_only and {"original", "lite"} <= results.keys():
        results["ahead"] = {"lite": compare(results)}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
