"""Training speed and quality against seconds, on the same pair of clips, one network after the other.

    python benchmarks/train.py PLATE WANTED [--minutes M] [--models original ...] [--work FOLDER] [--speed-only]

Prints for each network: faces a second and their share of the machine's matrix-product peak (both the best of several
rounds taken in turn), then held-out reconstruction SSIM at 64x64 and the similarity of the swap on held-out plate
frames to the wanted person (SFace, cosine; upscaled from the network's size), each against seconds of training.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from photodouble.faces import INNER, Embedder, FaceSet, alignment, transform
from photodouble.stages.extract import extract_faces
from photodouble.training.autoencode import Autoencode
from photodouble.training.data import CropCache, load_crops
from photodouble.training.engine import fit
from photodouble.training.peak import forward_flops, matrix_peak
from photodouble.training.run import Run
from photodouble.training.task import Budget, Evaluated, Pace, Task, Ticked

JUDGED = 24


class Pair:
    """The two identities: `plate` is to become `wanted`."""

    def __init__(self, plate: Path, wanted: Path, work: Path) -> None:
        self.faces = {}
        for name, clip in (("plate", plate), ("wanted", wanted)):
            for _ in extract_faces(work / name, [clip]):
                pass
            self.faces[name] = FaceSet.open(work / name)
            print(f"{name}: {clip.name}, {len(self.faces[name])} faces", flush=True)
        mean = self.faces["wanted"].embedding.mean(0)
        self.identity = mean / np.linalg.norm(mean)
        self.embedder = Embedder()

    def caches(self, size: int) -> dict[str, CropCache]:
        """Both identities' crops."""
        return {name: load_crops(faces, size, name) for name, faces in self.faces.items()}

    def similarity(self, pictures: torch.Tensor, rows: np.ndarray) -> float:
        """Mean cosine between n x 3 x S x S pictures, the swaps of these plate rows, and the wanted person."""
        size = pictures.shape[-1]
        images = (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        found = []
        for image, row in zip(images, rows, strict=True):
            landmarks = self.faces["plate"].landmarks(int(row), int(row) + 1)[0]
            points = transform(landmarks[:, :2], alignment(landmarks, size, INNER))
            found.append(self.embedder(image, points) @ self.identity)
        return float(np.mean(found))


@dataclass(frozen=True)
class Contender:
    """A network in the race: its task, whose `evaluate` gives `ssim` (at 64x64) and `similarity`."""

    task: Task
    step_flops: Callable[[nn.Module], float]


def original(pair: Pair) -> Contender:
    """The original network as it was trained, in batches of 16 and 16."""

    class Judged(Autoencode):
        def evaluate(self, module: nn.Module) -> dict[str, float]:
            rows = self.caches["plate"].held_out_rows(JUDGED)
            swapped = module(self.caches["plate"].pictures(rows, next(module.parameters()).device), 1)
            return {**super().evaluate(module), "similarity": pair.similarity(swapped, rows)}

    task = Judged(pair.caches(64))

    def step_flops(module: nn.Module) -> float:
        return 3 * forward_flops(module, torch.rand(1, 3, 64, 64), 0) * task.images_per_batch

    return Contender(task, step_flops)


CONTENDERS: dict[str, Callable[[Pair], Contender]] = {"original": original}


def speed(contender: Contender, device: str, rounds: int) -> dict[str, float]:
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


def race(contender: Contender, folder: Path, minutes: float, device: str) -> list[dict[str, float]]:
    """Train and return the held-out figures against seconds."""
    rows = []
    pace = Pace(tick=1.0, evaluate=10.0, evaluate_share=0.2)
    for event in fit(contender.task, folder, Budget(minutes=minutes), device=device, pace=pace, patience=None):
        if isinstance(event, Ticked):
            print(f"\r{event.seconds:6.0f} s {event.images_per_second:7.1f} faces/s", end="", flush=True)
        if isinstance(event, Evaluated):
            rows.append({"seconds": event.seconds, "images": event.images, **event.metrics})
            print("\r" + "  ".join(f"{key} {value:.4g}" for key, value in rows[-1].items()), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plate", type=Path)
    parser.add_argument("wanted", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
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
            results[name] = {"speed": figures, "curve": curve}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
