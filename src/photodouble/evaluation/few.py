"""The figures of a few finished pictures, for judging a swap while it is still being learned."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from photodouble.evaluation.measure import Found, Table, pixel_row
from photodouble.evaluation.metrics import expression_error
from photodouble.evaluation.quality import summarise
from photodouble.faces import Landmarks, pose, transform

NAMES = (
    *("similarity_wanted", "similarity_replaced", "share_nearer_wanted", "blendshape_correlation", "gaze_error"),
    *("pose_error", "landmark_error", "sharpness_ratio", "jitter_ratio", "warped_error_ratio"),
)
"""Those of `quality.summarise` that a few pictures give."""


@dataclass(frozen=True)
class Finished:
    """A plate's picture and what became of it.

    Attributes:
        plate, output: H x W x 3 uint8 RGB; matte: H x W float32, where they differ.
        before, after: the face in the two, in their pixels.
        back: (2, 3) from their pixels to the plate's.
        embedding: (128,) of the output's face; None: likeness is not measured on this one.
        follows: whether this is the frame after the one before it in the list.
    """

    plate: np.ndarray
    output: np.ndarray
    matte: np.ndarray
    before: Landmarks
    after: Landmarks
    back: np.ndarray
    embedding: np.ndarray | None
    follows: bool


def few_figures(pictures: Iterable[Finished], wanted: np.ndarray, replaced: np.ndarray) -> dict[str, float]:
    """`NAMES`, measured as in a render, and expression_error (mean distance of the moving blendshapes, 0..1).

    Args:
        wanted, replaced: mean embeddings of the two people, (128,).

    Returns:
        Figures by name; those that these pictures cannot give are left out.
    """
    table = Table((wanted, replaced))
    last: Finished | None = None
    for picture in pictures:
        if last is not None and not picture.follows:
            table.add({}, None, None)  # neighbours in the list are none in the shot
            last = None
        points = transform(picture.before.points, picture.back)
        found = replace(picture.after, points=transform(picture.after.points, picture.back))
        earlier = (last.plate, last.output) if last is not None else None
        row: dict = {"blendshapes_plate": picture.before.blendshapes, "pose_plate": pose(points)}
        row |= pixel_row(picture.plate, picture.output, picture.matte, None, (), earlier)
        table.add(row, points, Found(found, picture.embedding))
        last = picture
    frames = table.frames()
    figures = {name: value for name, value in summarise(frames).items() if name in NAMES and value is not None}
    off = expression_error(frames["blendshapes_output"], frames["blendshapes_plate"])
    if np.isfinite(off).any():
        figures["expression_error"] = round(float(np.nanmean(off)), 6)
    return {name: float(value) for name, value in figures.items()}
