"""The pairs that `lite` is trained on, drawn from a FaceSet."""

from collections.abc import Generator

import numpy as np
import torch

from photodouble.faces import FaceSet
from photodouble.retarget import know_faces
from photodouble.retarget.examples import free_of, hold_out_stills
from photodouble.retarget.pairs import make_pairs
from photodouble.training.data import Split, split_by_time
from photodouble.training.refine import SIZE, PairCache

FEWEST = 40
"""Fewer faces than this are stills."""

SHARE, GAP = 0.08, 8
"""Held-out part, and the frames left out between it and the rest, of footage."""


def split_faces(faces: FaceSet, rows: np.ndarray) -> Split:
    """What of these rows of a FaceSet is trained on and what is held out; the split holds positions in `rows`."""
    if len(rows) < FEWEST:
        held = hold_out_stills(len(rows))
        return Split(np.flatnonzero(~held), np.flatnonzero(held))
    return split_by_time(faces.frame[rows], faces.source[rows], SHARE, GAP)


def draw_pairs(
    faces: FaceSet, count: int, seed: int, split: Split | None = None
) -> Generator[tuple[int, int], None, PairCache]:
    """Draw about `count` training pairs of a person, and one of each held-out face, from its other pictures.

    Args:
        faces: of the person.
        seed: of the choice among pictures that fit.
        split: rows of `faces` that are trained on and held out, instead of `split_faces`' choice.

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
    made = []
    for pair in make_pairs(person, wanted, free_of(faces, rows), SIZE, seed, allowed):
        made.append(pair)
        yield len(made), len(wanted)
    mesh, lines, target, matte = (torch.from_numpy(np.stack(column)) for column in zip(*made, strict=True))
    return PairCache(mesh, lines, target, matte, np.isin(wanted, held))
