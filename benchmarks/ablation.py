"""What the original network's Dense layers and PixelShuffle are good for: it is trained with and without them.

    python benchmarks/ablation.py PLATE WANTED [--images N | --minutes M] [--width W] [--rate R] [--output FOLDER]

Trains six networks in turn, from one seed on the same pictures in the same order: with the Dense layers or without
(the code stays a 4x4 picture), each with PixelShuffle, with transposed convolutions of stride 2, and with repeated
pixels and a convolution. Prints one table of held-out frames: SSIM of each person's reconstruction at 64x64, and of the
swap (the plate's crops through the wanted person's decoder): its SSIM to the crop it was made of (high in a network
that hands its input through), the similarity to either person (SFace, cosine), the share of frames nearer to the wanted
one, how far its expression follows the plate's, and the share of frames in which a face is found. Two rows say what the
crops themselves have. With --output the networks, ablation.json and ablation.png are kept there; started again, it goes
on where it was.

The original has --width 128 and --rate 5e-5, and takes some 100,000 faces: days on a processor.
"""

import argparse
import json
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from pair import Figures, Pair, as_images
from photodouble import networks
from photodouble.evaluation import metrics
from photodouble.evaluation.quality import PRESENT
from photodouble.faces import Landmarker, Roi
from photodouble.files import write_bytes
from photodouble.networks.original import BOTTLENECKS, UPSCALES
from photodouble.training.autoencode import SIZE, Autoencode
from photodouble.training.checkpoint import load_model
from photodouble.training.data import CropCache, contact_sheet
from photodouble.training.engine import fit
from photodouble.training.losses import ssim
from photodouble.training.model_json import load_meta
from photodouble.training.task import Budget, Pace, Schedule, Stopped, Ticked

ENLARGED = 4 * SIZE
"""Side of the pictures in which the landmarker looks for a face."""

COLUMNS = 8
TAIL = Schedule(tail=0.75)
"""The last quarter's falling learning rate takes the noise of a single step out of the comparison."""

PACE = Pace(evaluate=120.0)

HEADS = {
    "parameters": "parameters, M",
    "ssim_plate": "SSIM, plate",
    "ssim_wanted": "SSIM, wanted",
    "ssim_swap_plate": "SSIM, swap to plate",
    "similarity_wanted": "like wanted",
    "similarity_plate": "like plate",
    "share_nearer_wanted": "nearer wanted",
    "blendshape_correlation": "expression",
    "share_with_face": "face found",
}


class Judge:
    """Who is in a crop, with what expression."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.landmarker = pair, Landmarker()
        self.people = {name: metrics.mean_embedding(faces.embedding) for name, faces in pair.faces.items()}

    def __call__(self, pictures: torch.Tensor, name: str, rows: np.ndarray) -> Figures:
        """Figures of n x 3 x 64 x 64 pictures that should show the poses and expressions of these faces."""
        images, points = list(as_images(pictures)), self.pair.points(name, rows, SIZE)
        embeddings = self.pair.embedder.batch(images, points)
        wanted, plate = (metrics.cosine(embeddings, self.people[person]) for person in ("wanted", "plate"))
        shapes = np.full((len(rows), 52), np.nan)
        for k, (image, at) in enumerate(zip(images, points, strict=True)):
            large = cv2.resize(image, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
            found = self.landmarker(large, Roi.of_landmarks(at * (ENLARGED / SIZE)))
            if found.presence >= PRESENT:
                shapes[k] = found.blendshapes
        return {
            "similarity_wanted": float(wanted.mean()),
            "similarity_plate": float(plate.mean()),
            "share_nearer_wanted": metrics.share_nearer(wanted, plate),
            "blendshape_correlation": metrics.blendshape_correlation(shapes, self.pair.faces[name].blendshapes[rows]),
            "share_with_face": float(np.isfinite(shapes).all(1).mean()),
        }


@dataclass(kw_only=True)
class Variant(Autoencode):
    """The original's training of a network that lacks something."""

    judge: Judge
    bottleneck: str
    upscale: str
    rate: float

    def build(self) -> nn.Module:
        """The network."""
        kind = {"bottleneck": self.bottleneck, "upscale": self.upscale}
        return networks.create("original", identities=len(self.caches), width=self.width, **kind)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """The original's at another rate."""
        made = super().optimizer(module)
        for group in made.param_groups:
            group["lr"] = self.rate
        return made

    def evaluate(self, module: nn.Module) -> Figures:
        """Reconstruction, and the swap of all held-out plate faces."""
        rows, device = all_held_out(self.caches["plate"]), next(module.parameters()).device
        pictures = self.caches["plate"].pictures(rows, device)
        swapped = module(pictures, 1)
        copied = {"ssim_swap_plate": float(ssim(swapped, pictures).mean())}
        return super().evaluate(module) | copied | self.judge(swapped, "plate", rows)


def all_held_out(cache: CropCache) -> np.ndarray:
    """Rows of all held-out faces."""
    return cache.held_out_rows(len(cache.crops))


def train(task: Variant, budget: Budget, folder: Path, device: str) -> tuple[nn.Module, Figures]:
    """Train one network, or go on with it; its figures are those of its last state."""
    label = f"{task.bottleneck} + {task.upscale}"
    figures: Figures = {}
    for event in fit(task, folder, budget, device=device, pace=PACE, patience=None):
        if isinstance(event, Ticked):
            told = f"\r{label}: {event.images} images, {event.images_per_second:.0f} a second  "
            print(told, end="", file=sys.stderr, flush=True)
        if isinstance(event, Stopped):
            figures = {"images": event.images, "seconds": event.seconds}
    module = load_model(folder, device).module.requires_grad_(False)
    trained = [*module.encoder.parameters(), *module.decoders[1].parameters()]  # type: ignore[union-attr, index]
    figures |= {"parameters": sum(value.numel() for value in trained) / 1e6, **task.evaluate(module)}
    print("\r" + row_of(label, figures), flush=True)
    return module, figures


def row_of(label: str, figures: Figures) -> str:
    """A row of the table; what is not known is a dash."""
    values = [figures.get(key, math.nan) for key in HEADS]
    return " | ".join(["| " + label, *("-" if math.isnan(value) else f"{value:.2f}" for value in values)]) + " |"


def sheet(rows: dict[str, torch.Tensor]) -> np.ndarray:
    """Pictures with their names on the left, H x W x 3 uint8."""
    picture = contact_sheet([list(row) for row in rows.values()])
    side = len(picture) // len(rows)
    names = np.full((len(picture), 176, 3), 255, np.uint8)
    for k, name in enumerate(rows):
        for line, text in enumerate(name.split("\n")):
            at = (8, k * side + side // 2 + 20 * line)
            cv2.putText(names, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.hstack([names, picture])


def compare(pair: Pair, options: argparse.Namespace, output: Path) -> None:
    """Train all and tell."""
    caches, judge, device = pair.caches(SIZE), Judge(pair), torch.device(options.device)
    results: dict[str, dict] = {}
    shown: dict[str, torch.Tensor] = {}
    again: dict[str, torch.Tensor] = {}  # the wanted person, by the first network
    print("| network | " + " | ".join(HEADS.values()) + " |\n|" + "---|" * (len(HEADS) + 1))
    for name, cache in caches.items():
        rows = all_held_out(cache)
        results[f"the {name}'s own crops"] = figures = judge(cache.pictures(rows, device), name, rows)
        print(row_of(f"(the {name}'s own crops)", figures), flush=True)
    plate, wanted = (cache.held_out(COLUMNS, device) for cache in caches.values())
    shown["plate"] = plate
    budget = Budget(minutes=options.minutes, images=options.images)
    for bottleneck in BOTTLENECKS:
        for upscale in UPSCALES:
            task = Variant(
                caches,
                width=options.width,
                rate=options.rate,
                schedule=TAIL,
                judge=judge,
                bottleneck=bottleneck,
                upscale=upscale,
            )
            folder = output / f"{bottleneck}-{upscale}"
            module, figures = train(task, budget, folder, options.device)
            results[f"{bottleneck} + {upscale}"] = figures | {"history": load_meta(folder).history}
            shown[f"{bottleneck} + {upscale}"] = module(plate, 1)
            if not again:
                again = {"wanted": wanted, "wanted,\nreconstructed": module(wanted, 1)}
    told = {key: str(value) for key, value in vars(options).items()}
    write_bytes(output / "ablation.json", json.dumps({"options": told, "results": results}, indent=1).encode())
    picture = np.ascontiguousarray(sheet(shown | again)[..., ::-1])
    write_bytes(output / "ablation.png", cv2.imencode(".png", picture)[1].tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plate", type=Path)
    parser.add_argument("wanted", type=Path)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--images", type=int, help="faces that each network sees (default 100,000)")
    budget.add_argument("--minutes", type=float, help="for each network, instead")
    parser.add_argument("--width", type=int, default=128, help="filters of the first convolution")
    parser.add_argument("--rate", type=float, default=5e-5, help="learning rate; a narrow network bears more")
    parser.add_argument("--output", type=Path, help="keep everything here")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.minutes is None and options.images is None:
        options.images = 100_000
    with tempfile.TemporaryDirectory() as temporary:
        output = options.output or Path(temporary)
        output.mkdir(parents=True, exist_ok=True)
        compare(Pair(options.plate, options.wanted, output), options, output)


if __name__ == "__main__":
    main()
