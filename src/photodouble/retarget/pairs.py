"""Free training pairs: a person's own frame, and what `mesh` makes of it out of that person's other frames."""

from collections.abc import Iterator

import cv2
import numpy as np

from photodouble.faces import INNER, alignment, crop, outline_matte, transform
from photodouble.retarget.drawing import drawing
from photodouble.retarget.mesh import REGIONS, Wanted, own_features, render

CANDIDATES = 24
"""Fitting pictures that one is drawn from, for each region."""

WHOLE = 0.2
"""Share of pairs whose eyes and mouth come from the same picture as the face."""


def make_pairs(
    person: Wanted, rows: np.ndarray, apart: np.ndarray, size: int, seed: int, allowed: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Make one pair for each of `rows`.

    Args:
        person: whose pictures.
        rows: (n,) pictures to be the targets, repeats allowed.
        apart: (m, m) bool, True where picture j may be used to draw picture i.
        size: of the pairs, pixels.
        seed: of the choice among the fitting pictures.
        allowed: (m,) bool, pictures that may be used at all.

    Yields:
        mesh, lines, target (S x S x 3 uint8) and matte (S x S uint8) of each.
    """
    rng = np.random.default_rng(seed)
    feature = own_features(person)
    usable = np.ones(len(person.landmarks), bool) if allowed is None else allowed
    for row in rows:
        free = np.flatnonzero(apart[row] & usable)
        if not len(free):
            free = np.flatnonzero(usable)
        choice = {}
        for region in REGIONS:
            distance = ((feature[region][free] - feature[region][row]) ** 2).sum(1) + person.price[free]
            near = free[np.argsort(distance, kind="stable")[:CANDIDATES]]
            # The nearest ones mostly: that is what convert will use.
            choice[region] = int(near[int(len(near) * rng.random() ** 2)])
        if rng.random() < WHOLE:
            choice["eyes"] = choice["mouth"] = choice["face"]
        matrix = alignment(person.landmarks[row], size, INNER)
        target = transform(person.landmarks[row], matrix)
        # Drawn twice as large and averaged, as convert does: a warp that shrinks would alias.
        double = render(person, 2 * target + 0.5, choice, (2 * size, 2 * size))
        picture = cv2.resize(double, (size, size), interpolation=cv2.INTER_AREA)
        yield (
            np.clip(np.rint(picture), 0, 255).astype(np.uint8),
            drawing(target, size),
            crop(person.picture(int(row)), matrix, size),
            np.rint(outline_matte(target, (size, size), 0.05) * 255).astype(np.uint8),
        )
