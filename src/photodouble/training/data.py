"""Crops in memory at training size, and the held-out split by time."""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from photodouble.errors import BadInput

if TYPE_CHECKING:
    from photodouble.faces import FaceSet

BLOCKS = 4


@dataclass(frozen=True)
class Split:
    """Sorted indices into the faces; what is in neither lies in a gap between the two."""

    train: np.ndarray
    held_out: np.ndarray


def split_by_time(frame: np.ndarray, source: np.ndarray, share: float = 0.12, gap: int = 12) -> Split:
    """Hold out contiguous stretches of each clip, so that no held-out frame has a near neighbour in training.

    Each source's faces, in the order of their frames, give `BLOCKS` stretches spread evenly over it (fewer where it is
    short), together about `share` of its faces. Training leaves out faces less than `gap` frames from a held-out one.
    A source too short for that (it would lose more than half of its other faces to gaps) is trained on whole.

    Args:
        frame: n frame numbers.
        source: n, what tells clips apart (names or numbers).
        share: wanted part of held-out faces, below 0.5.
        gap: in frames; held-out and training frames of a source differ by at least this.

    Returns:
        A split with at least one face to train on; nothing held out where no source is long enough.
    """
    frame, source = np.asarray(frame), np.asarray(source)
    train, held = [], []
    for name in np.unique(source):
        rows = np.flatnonzero(source == name)
        rows = rows[np.argsort(frame[rows], kind="stable")]
        for blocks in range(BLOCKS, 0, -1):
            out = _stretches(len(rows), share, blocks)
            numbers = frame[rows[out]]
            distance = np.full(len(rows), np.iinfo(np.int64).max)
            if len(numbers):
                at = np.searchsorted(numbers, frame[rows])
                before = numbers[np.clip(at - 1, 0, len(numbers) - 1)]
                after = numbers[np.clip(at, 0, len(numbers) - 1)]
                distance = np.minimum(np.abs(frame[rows] - before), np.abs(after - frame[rows]))
            near = distance < max(1, gap)
            near[out] = False
            kept = ~near
            kept[out] = False
            # a frame that occurs twice (two faces) must not be on both sides
            twin = np.isin(frame[rows], numbers)
            if len(out) and 2 * (kept & ~twin).sum() >= len(rows) - len(out):
                train.append(rows[kept & ~twin])
                held.append(rows[out])
                break
        else:
            train.append(rows)
    empty = np.empty(0, np.int64)
    return Split(np.sort(np.concatenate(train or [empty])), np.sort(np.concatenate(held or [empty])))


def _stretches(count: int, share: float, blocks: int) -> np.ndarray:
    """Positions 0..count-1 of `blocks` equal stretches, each in the middle of its part of the whole."""
    length = round(count * share / blocks)
    if length < 1:
        return np.empty(0, np.int64)
    centres = (np.arange(blocks) + 0.5) * count / blocks
    starts = np.round(centres - length / 2).astype(np.int64)
    return np.unique((starts[:, None] + np.arange(length)).ravel().clip(0, count - 1))


@dataclass(frozen=True)
class CropCache:
    """All crops of one identity, decoded once, at training size.

    Attributes:
        crops: N x S x S x 3 uint8.
        split: which are trained on and which are held out.
    """

    crops: torch.Tensor
    split: Split

    @property
    def size(self) -> int:
        """Height and width of the crops."""
        return int(self.crops.shape[1])

    def fingerprint(self) -> str:
        """SHA-256 of all crops: changes when the data do."""
        return hashlib.sha256(self.crops.cpu().numpy().data).hexdigest()

    def sample(self, count: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
        """`count` random crops of the training part, count x 3 x S x S float 0..1 on `device`."""
        train = torch.from_numpy(self.split.train).to(self.crops.device)
        pick = torch.randint(len(train), (count,), generator=generator, device=device)
        return self.pictures(train[pick.to(train.device)], device)

    def to(self, device: torch.device) -> "CropCache":
        """The same crops on `device`: then `sample` waits for nothing."""
        return replace(self, crops=self.crops.to(device))

    def held_out_rows(self, count: int) -> np.ndarray:
        """At most `count` indices of held-out crops (of training ones if none are), spread evenly."""
        rows = self.split.held_out if len(self.split.held_out) else self.split.train
        return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]

    def held_out(self, count: int, device: torch.device) -> torch.Tensor:
        """The crops of `held_out_rows`: n x 3 x S x S float 0..1."""
        return self.pictures(self.held_out_rows(count), device)

    def pictures(self, rows: np.ndarray | torch.Tensor, device: torch.device) -> torch.Tensor:
        """The crops of these rows, n x 3 x S x S float 0..1 (channels last in memory)."""
        chosen = self.crops[torch.as_tensor(rows, device=self.crops.device)].to(device)
        return chosen.permute(0, 3, 1, 2).float().div_(255)


def crop_cache(crops: np.ndarray, frame: np.ndarray, source: np.ndarray, name: str = "the identity") -> CropCache:
    """Make a cache of n x S x S x 3 uint8 crops.

    Raises:
        BadInput: there are none.
    """
    if not len(crops):
        raise BadInput(f"There are no faces of {name} to train on: extract some first.")
    return CropCache(torch.from_numpy(np.ascontiguousarray(crops)), split_by_time(frame, source))


def load_crops(faces: "FaceSet", size: int, name: str = "the identity") -> CropCache:
    """Decode a FaceSet once: every face, aligned for the networks (`faces.INNER`), at `size` pixels.

    Raises:
        BadInput: the set is empty.
    """
    from photodouble.faces import INNER, alignment, crop, invert

    crops = np.empty((len(faces), size, size, 3), np.uint8)
    for start in range(0, len(faces), 1024):
        stop = min(start + 1024, len(faces))
        landmarks, stored = faces.landmarks(start, stop), faces.matrices(start, stop)
        for row in range(start, stop):
            # plate -> network crop, undone by plate -> stored crop, gives stored crop -> network crop
            wanted = np.vstack([alignment(landmarks[row - start], size, INNER), [0, 0, 1]])
            back = np.vstack([invert(stored[row - start]), [0, 0, 1]])
            crops[row] = crop(faces.crop(row), (wanted @ back)[:2].astype(np.float32), size)
    return crop_cache(crops, faces.frame, faces.source, name)


def contact_sheet(rows: list[list[torch.Tensor]], size: int = 128) -> np.ndarray:
    """Lay out pictures (3 x H x W in 0..1) in rows, each `size` pixels: H x W x 3 uint8."""
    sheet = []
    for row in rows:
        tiles = [F.interpolate(tile.detach()[None].float().cpu(), size=(size, size))[0] for tile in row]
        sheet.append(torch.cat(tiles, 2))
    return (torch.cat(sheet, 1).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
