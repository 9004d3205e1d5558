"""Two clips whose people are to be exchanged: what several benchmarks begin with."""

from pathlib import Path

import numpy as np
import torch

from photodouble.evaluation import mean_embedding
from photodouble.faces import INNER, Embedder, FaceSet, alignment, transform
from photodouble.stages.extract import extract_faces
from photodouble.training.autoencode import HELD_OUT
from photodouble.training.data import CropCache, Split, load_crops, split_by_time

JUDGED = HELD_OUT
Figures = dict[str, float]


class Pair:
    """The two identities: `plate` is to become `wanted`."""

    def __init__(self, plate: Path, wanted: Path, work: Path) -> None:
        self.clip = plate
        self.faces: dict[str, FaceSet] = {}
        for name, clip in (("plate", plate), ("wanted", wanted)):
            for _ in extract_faces(work / name, [clip]):
                pass
            self.faces[name] = FaceSet.open(work / name)
            print(f"{name}: {clip.name}, {len(self.faces[name])} faces", flush=True)
        self.split = {name: split_by_time(faces.frame, faces.source) for name, faces in self.faces.items()}
        self.judged = {name: judged_rows(split) for name, split in self.split.items()}
        self.identity = mean_embedding(self.faces["wanted"].embedding)
        self.embedder = Embedder()

    def caches(self, size: int) -> dict[str, CropCache]:
        """Both identities' crops; their held-out faces are those of `split`."""
        caches = {name: load_crops(faces, size, name) for name, faces in self.faces.items()}
        for name, cache in caches.items():
            assert np.array_equal(cache.held_out_rows(JUDGED), self.judged[name])
        return caches

    def points(self, name: str, rows: np.ndarray, size: int) -> list[np.ndarray]:
        """Where the landmarks (478, 2) of these faces lie in their crops of `size` pixels."""
        landmarks = [self.faces[name].landmarks(int(row), int(row) + 1)[0] for row in rows]
        return [transform(points[:, :2], alignment(points, size, INNER)) for points in landmarks]

    def similarity(self, pictures: torch.Tensor, points: list[np.ndarray]) -> float:
        """Mean cosine between n x 3 x S x S swaps, whose landmarks are at these pixels, and the wanted person."""
        return float(np.mean(self.embedder.batch(list(as_images(pictures)), points) @ self.identity))


def judged_rows(split: Split) -> np.ndarray:
    """Some held-out rows, spread evenly."""
    rows = split.held_out if len(split.held_out) else split.train
    return rows[np.linspace(0, len(rows) - 1, min(JUDGED, len(rows))).round().astype(int)]


def as_images(pictures: torch.Tensor) -> np.ndarray:
    """n x 3 x S x S floats in 0..1 as n x S x S x 3 uint8."""
    return (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
