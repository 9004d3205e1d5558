"""Make the network that finds what covers a face, from AI-generated people only: docs/COVER.md is its data card.

    python benchmarks/make_cover.py [--examples N] [--work FOLDER] [--output FILE]

Targets and predictions are pictures of the same person, warped onto one another as convert does it; what covers the
target is drawn (`cover_occluders.py`). P006 (the demo's person) is left out and used to measure; P003 is not used by
photodouble at all.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from cover_occluders import cloth, draw, ramp, smooth_noise
from make_prior import REFERENCE, told
from photodouble import weights
from photodouble.consent import add_record
from photodouble.faces import FaceSet
from photodouble.faces.topology import LEFT_EYE, RIGHT_EYE
from photodouble.networks.cover import Cover
from photodouble.project import init_project
from photodouble.retarget.covered import NETWORK
from photodouble.retarget.uncovered import CHANNELS, PICTURES, SIZE, alike, evidence, inside, keep, predict, small_faces
from photodouble.stages import extract

PEOPLE = ("p001", "p002", "p004", "p005", "p007", "p008", "p009", "p010")
HELD_OUT = "p006"
KINDS = ("emotions", "portrait", "selfie", "posture", "snapshot", "character")
SEED, BATCH, RATE = 0, 32, 2e-3


@dataclass(frozen=True)
class Person:
    """Targets (n, S, S, 3), outlines (n, S, S), eyes' centres (n, 2, 2), each target drawn from each picture
    (n, n, S, S, 3) uint8, and how unlike they are (n, n)."""

    targets: np.ndarray
    outlines: np.ndarray
    eyes: np.ndarray
    drawn: np.ndarray
    unlike: np.ndarray


def know(faces: FaceSet) -> Person:
    """Draw each picture of a person from each other one."""
    rows = np.arange(len(faces))
    known = keep(faces, rows)
    found = list(small_faces(faces, rows, SIZE))
    points = np.stack([landmarks for _, landmarks in found])
    drawn = np.stack([np.clip(predict(known, p, rows.tolist()), 0, 255).astype(np.uint8) for p in points])
    eyes = np.stack([points[:, RIGHT_EYE, :2].mean(1), points[:, LEFT_EYE, :2].mean(1)], 1)
    feature = alike(points, faces.pose, faces.blendshapes)
    unlike = ((feature[:, None] - feature[None]) ** 2).sum(-1)
    outlines = np.stack([inside(p) for p in points])
    return Person(np.stack([image for image, _ in found]), outlines, eyes, drawn, unlike)


def example(rng: np.random.Generator, people: list[Person]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One example: `evidence` (11, S, S), the cover (S, S) float32, the outline (S, S) float32."""
    person = people[rng.integers(len(people))]
    textures = (person if rng.random() < 0.3 else people[rng.integers(len(people))]).targets
    at = int(rng.integers(len(person.targets)))
    target, outline, eyes = person.targets[at].astype(np.float32), person.outlines[at], person.eyes[at].copy()
    others = np.argsort(person.unlike[at])[1:]
    pictures = []
    good = rng.random()  # share of predictions that are nearly this picture, as a clip's are
    for _ in range(PICTURES):
        if rng.random() < good:
            pictures.append(target)
        else:
            pictures.append(person.drawn[at, others[int(len(others) * rng.random() ** 1.5)]].astype(np.float32))
    flip = rng.random() < 0.5
    if flip:
        target, outline, pictures = target[:, ::-1], outline[:, ::-1], [p[:, ::-1] for p in pictures]
        eyes[:, 0] = SIZE - 1 - eyes[::-1, 0]
        eyes[:, 1] = eyes[::-1, 1]
    tint, gamma = np.exp(rng.normal(0, 0.18, 3)) * np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.25))
    target, *pictures = (_graded(p, tint, gamma) for p in (target, *pictures))
    sharp = rng.random()
    pictures = [_worn(rng, _moved(rng, p, rng.exponential(0.35)), 0.6 * sharp) for p in pictures]
    target = _lit(rng, target)
    mask = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(int(rng.choice(3, p=(0.4, 0.5, 0.1)))):
        target, mask = _covered(rng, target, mask, eyes, textures)
    if mask.max() > 0.3 and rng.random() < 0.5:  # a covered face's landmarks go astray, all predictions with them
        shift = _field(rng, rng.exponential(0.8))
        pictures = [_taken(p, shift) for p in pictures]
        outline = (_taken(outline, shift) > 0.5).astype(np.uint8)
    if rng.random() < 0.15:  # what covers another frame is no cover of this one
        few = rng.choice(PICTURES, rng.integers(1, PICTURES), replace=False)
        for i in few:
            pictures[i] = _covered(rng, pictures[i], mask, eyes, textures)[0]
    target = np.rint(_worn(rng, target, sharp)).astype(np.uint8)
    seen = evidence(target, np.stack(pictures).astype(np.float32), np.ascontiguousarray(outline))
    return seen, mask, outline.astype(np.float32)


def _graded(picture: np.ndarray, tint: np.ndarray, gamma: float) -> np.ndarray:
    levels = np.arange(256, dtype=np.float32)[None, :, None] / 255
    table = np.clip(255 * levels**gamma * tint, 0, 255).astype(np.float32)
    return cv2.LUT(np.rint(np.clip(picture, 0, 255)).astype(np.uint8), table)


def _field(rng: np.random.Generator, strength: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE, dtype=np.float32), np.arange(SIZE, dtype=np.float32))
    moved = [g + strength * (rng.normal() + 0.7 * smooth_noise(rng, SIZE, int(rng.integers(3, 6)))) for g in (x, y)]
    return np.stack(moved, -1).astype(np.float32)


def _moved(rng: np.random.Generator, picture: np.ndarray, strength: float) -> np.ndarray:
    return _taken(picture, _field(rng, strength))


def _taken(picture: np.ndarray, positions: np.ndarray) -> np.ndarray:
    picture = np.ascontiguousarray(picture, np.float32)
    # OpenCV 5.0 returns no numbers now and then where pictures of floats are looked up linearly.
    taken = cv2.remap(picture, positions, np.empty(0), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(taken, 0, 255)


def _lit(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Another light than the predictions': none of it is a cover."""
    light = np.ones((SIZE, SIZE), np.float32)
    if rng.random() < 0.5:
        light *= 1 + ramp(rng, SIZE, 0.6)
    if rng.random() < 0.3:
        light *= np.exp(0.15 * smooth_noise(rng, SIZE, int(rng.integers(2, 6))))
    if rng.random() < 0.2:  # a shadow
        light *= 1 - rng.uniform(0.1, 0.45) * _soft(draw(rng, SIZE, np.zeros((2, 2)), "blob"), rng.uniform(1, 5))
    picture = picture * np.maximum(light, 0.1)[..., None]
    if rng.random() < 0.3:
        picture = _graded(picture, np.exp(rng.normal(0, 0.08, 3)), np.exp(rng.normal(0, 0.15)))
    if rng.random() < 0.15:  # a highlight
        spot = _soft(draw(rng, SIZE, np.zeros((2, 2)), "blob"), rng.uniform(2, 5)) * rng.uniform(10, 60)
        picture = picture + spot[..., None]
    return np.clip(picture, 0, 255).astype(np.float32)


def _covered(
    rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray, eyes: np.ndarray, textures: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The picture with one thing before it, and the mask with it."""
    shape = draw(rng, SIZE, eyes)
    if rng.random() < 0.25:  # it moved during the exposure
        kernel = np.zeros((9, 9), np.float32)
        way = rng.uniform(1, 4) * np.array([np.cos(a := rng.uniform(0, np.pi)), np.sin(a)])
        start, end = (np.round(4 + s * way).astype(int).tolist() for s in (-1, 1))
        cv2.line(kernel, start, end, 1.0)
        shape = cv2.filter2D(shape, -1, kernel / kernel.sum())
    elif rng.random() < 0.5:
        shape = _soft(shape, rng.uniform(0.3, 1.5))
    if rng.random() < 0.5:
        dx, dy = rng.normal(0, 0.05 * SIZE, 2)
        shadow = cv2.warpAffine(shape, np.array([[1, 0, dx], [0, 1, dy]], np.float32), (SIZE, SIZE))
        picture = picture * (1 - rng.uniform(0.05, 0.5) * _soft(shadow, rng.uniform(0.8, 3)))[..., None]
    surface = cloth(rng, SIZE, textures)
    return picture + shape[..., None] * (surface - picture), np.maximum(mask, shape)


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), sigma)


def _worn(rng: np.random.Generator, picture: np.ndarray, much: float) -> np.ndarray:
    """Blur, fewer pixels, noise and compression."""
    if rng.random() < 0.5 * much:
        side = int(rng.integers(24, SIZE))
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.4:
        picture = _soft(picture, rng.uniform(0.3, 0.3 + 1.2 * much))
    if rng.random() < 0.5:
        picture = picture + rng.normal(0, rng.exponential(4 * much), picture.shape).astype(np.float32)
    if rng.random() < 0.4 * much:
        _, coded = cv2.imencode(
            ".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
        )
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None
        picture = decoded.astype(np.float32)
    return np.clip(picture, 0, 255)


def batch(rng: np.random.Generator, people: list[Person], count: int) -> list[torch.Tensor]:
    """`count` examples: N x 11 x S x S, and covers and outlines N x 1 x S x S."""
    seen, masks, outlines = zip(*(example(rng, people) for _ in range(count)), strict=True)
    return [
        torch.from_numpy(np.stack(seen)),
        *(torch.from_numpy(np.stack(part))[:, None] for part in (masks, outlines)),
    ]


def loss(logits: torch.Tensor, mask: torch.Tensor, outline: torch.Tensor) -> torch.Tensor:
    """Cross entropy inside the outline, and what the overlap lacks (Milletari et al. 2016, arXiv:1606.04797)."""
    entropy = F.binary_cross_entropy_with_logits(logits, mask, weight=outline)
    found, there = logits.sigmoid() * outline, mask * outline
    both, either = (found * there).sum((1, 2, 3)), (found + there).sum((1, 2, 3))
    return 4 * entropy + 0.5 * (1 - (2 * both + 20) / (either + 20)).mean()


@torch.no_grad()
def measure(network: Cover, examples: list[torch.Tensor]) -> dict[str, float]:
    """On held-out examples: overlap and recall where something covers, and the share of bare faces called covered."""
    network.eval()
    seen, mask, outline = examples
    found = (network(seen) > 0.5) & (outline > 0)
    there = (mask > 0.5) & (outline > 0)
    area, covered = outline.sum((1, 2, 3)), there.sum((1, 2, 3)) > 0.01 * outline.sum((1, 2, 3))
    both, either = (found & there).sum((1, 2, 3)).float(), (found | there).sum((1, 2, 3)).float()
    network.train()
    return {
        "overlap": float((both / either.clamp(min=1))[covered].mean()),
        "recall": float((both / there.sum((1, 2, 3)).clamp(min=1))[covered].mean()),
        "false": float((found.sum((1, 2, 3)) / area)[(mask.amax((1, 2, 3)) < 0.1)].mean()),
    }


def train(people: list[Person], held_out: Person, examples: int) -> Cover:
    """Train on so many examples, the same ones each time."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    network = Cover(CHANNELS).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    checked = batch(np.random.default_rng(SEED + 1), [held_out], 384)
    began, last = time.process_time(), max(1, examples // BATCH)
    for step in range(last):
        rate = RATE * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / last)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        seen, mask, outline = batch(rng, people, BATCH)
        value = loss(network.logits(seen.to(memory_format=torch.channels_last)), mask, outline)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % max(1, last // 10) == 0:
            seen_so_far = f"{(step + 1) * BATCH} examples in {time.process_time() - began:.0f} s"
            print(f"{seen_so_far}, loss {float(value.detach()):.3f}, {measure(network, checked)}", flush=True)
    return network.eval()


def ship(network: Cover, output: Path) -> None:
    """Write ONNX with weights in half precision; they become single precision when it is loaded."""
    import io
    import warnings

    import onnx
    from onnx import numpy_helper

    stream, example_ = io.BytesIO(), torch.zeros(2, CHANNELS, SIZE, SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is the older exporter
        torch.onnx.export(
            network,
            (example_,),
            stream,  # type: ignore[arg-type]
            input_names=["evidence"],
            output_names=["cover"],
            dynamic_axes={"evidence": {0: "faces"}, "cover": {0: "faces"}},
            dynamo=False,
            opset_version=17,
        )
    model = onnx.load_model_from_string(stream.getvalue())
    halves, casts = [], []
    for item in model.graph.initializer:
        values = numpy_helper.to_array(item)
        if values.dtype == np.float32 and values.size > 64:
            halves.append(numpy_helper.from_array(values.astype(np.float16), f"{item.name}_half"))
            casts.append(onnx.helper.make_node("Cast", [f"{item.name}_half"], [item.name], to=onnx.TensorProto.FLOAT))
        else:
            halves.append(item)
    kept = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(halves)
    model.graph.node.extend(casts + kept)
    onnx.helper.set_model_props(model, {"made by": "benchmarks/make_cover.py", "people": " ".join(PEOPLE)})
    onnx.checker.check_model(model)
    output.write_bytes(model.SerializeToString())


def gather(work: Path, names: tuple[str, ...]) -> list[FaceSet]:
    """Extract these people's pictures."""
    project = init_project(work / "project")
    sets = []
    for name in names:
        folder = project.identity(name)
        if not (project.faces(name) / "faces.parquet").is_file():
            add_record(project, name, "synthetic", REFERENCE.format(name.upper()))
            sources = [weights.path(f"person_{name}_{kind}") for kind in KINDS]
            told(extract.run(extract.ExtractConfig(project.root, name, sources)))
        assert folder.is_dir()
        sets.append(FaceSet.open(project.faces(name)))
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=38_592)
    parser.add_argument("--work", type=Path, help="keep faces here; what is kept is used again")
    parser.add_argument("--output", type=Path, default=NETWORK)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        sets = gather(options.work or Path(temporary), (*PEOPLE, HELD_OUT))
        *people, held_out = (know(faces) for faces in sets)
    print(f"{sum(len(p.targets) for p in people)} pictures of {len(people)} people", flush=True)
    ship(train(people, held_out, options.examples), options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
