"""What is trained on and drawn first: pairs, and faces of a person of whom there are few pictures."""

from collections.abc import Generator

import cv2
import numpy as np
import torch

from photodouble.faces import INNER, FaceSet, alignment, transform
from photodouble.retarget import know_faces, plan_shot, render
from photodouble.retarget.examples import free_of, hold_out_stills
from photodouble.retarget.pairs import make_pairs
from photodouble.training.balance import balance
from photodouble.training.data import CropCache, Split, crop_cache, load_crops, split_by_time
from photodouble.training.pair_cache import PairCache

FEWEST = 40
"""Fewer faces than this are stills."""

DRAWN = 400
"""Faces drawn on the plate's performance for a person of whom there are only stills."""

SHARE, GAP = 0.08, 8
"""Held-out part, and the frames left out between it and the rest, of footage."""


def split_faces(faces: FaceSet, rows: np.ndarray) -> Split:
    """What of these rows of a FaceSet is trained on and what is held out; the split holds positions in `rows`."""
    if len(rows) < FEWEST:
        held = hold_out_stills(len(rows))
        return Split(np.flatnonzero(~held), np.flatnonzero(held))
    return split_by_time(faces.frame[rows], faces.source[rows], SHARE, GAP)


def draw_pairs(
    faces: FaceSet, count: int, seed: int, split: Split | None = None, size: int = 128
) -> Generator[tuple[int, int], None, PairCache]:
    """Draw about `count` training pairs of a person, and one of each held-out face, from its other pictures.

    Args:
        faces: of the person.
        seed: of the choice among pictures that fit.
        split: rows of `faces` that are trained on and held out, instead of `split_faces`' choice.
        size: of the pairs, pixels.

    Yields:
        Pairs drawn so far, and how many there will be.

    Returns:
        The pairs.

    Raises:
        BadInput: the set is empty.
    """
    person, rows = know_faces(faces)
    if split is None:
        split = split_faces(faces, rows)
    else:
        split = Split(*(np.flatnonzero(np.isin(rows, part)) for part in (split.train, split.held_out)))
    train, held = split.train, split.held_out
    allowed = np.isin(np.arange(len(rows)), train)
    times = max(1, round(count / len(train)))
    evenly = np.linspace(0, len(train) - 1, min(count, len(train))).round().astype(int)
    wanted = np.concatenate([np.tile(train[evenly], times), held])
    mesh, lines, target = torch.empty(3, len(wanted), size, size, 3, dtype=torch.uint8)
    matte = torch.empty(len(wanted), size, size, dtype=torch.uint8)
    for made, pair in enumerate(make_pairs(person, wanted, free_of(faces, rows), size, seed, allowed)):
        for kept, picture in zip((mesh, lines, target, matte), pair, strict=True):
            kept[made] = torch.from_numpy(picture)
        yield made + 1, len(wanted)
    weight = balance(faces.blendshapes[rows], faces.pose[rows])
    return PairCache(mesh, lines, target, matte, np.isin(wanted, held), weight[wanted])


def few_or_many(faces: FaceSet, plate: FaceSet, size: int, name: str) -> CropCache:
    """A person's crops; of a person with few pictures also `DRAWN` that `mesh` draws on the plate's performance.

    Raises:
        BadInput: a set is empty.
    """
    own = load_crops(faces, size, name)
    if len(faces) >= FEWEST:
        return own
    drawn, frame = draw_crops(faces, plate, size)
    crops = np.concatenate([own.crops.numpy(), drawn])
    # The pictures stand before the clip, as sources of one frame each, so that none of them is held out.
    numbers = np.concatenate([np.zeros(len(faces), np.int64), frame])
    source = np.concatenate([np.arange(len(faces)), np.full(len(drawn), len(faces))])
    return crop_cache(crops, numbers, source, name)


def draw_crops(faces: FaceSet, plate: FaceSet, size: int) -> tuple[np.ndarray, np.ndarray]:
    """What `mesh` makes of a person's few pictures with the plate's poses and expressions.

    Returns:
        n x S x S x 3 uint8 crops in the networks' layout, and the plate frames (n,) that they follow.
    """
    person, _ = know_faces(faces)
    rows = np.unique(np.linspace(0, len(plate) - 1, DRAWN).round().astype(int))
    shot = plan_shot(person, plate, rows)
    crops = []
    for start, _, targets in shot.blocks():
        for offset, target in enumerate(targets):
            points = transform(target, alignment(target, 2 * size, INNER))
            double = render(person, points, shot.chosen(start + offset), (2 * size, 2 * size))
            crops.append(cv2.resize(double, (size, size), interpolation=cv2.INTER_AREA))
    return np.clip(np.rint(crops), 0, 255).astype(np.uint8), shot.frame
