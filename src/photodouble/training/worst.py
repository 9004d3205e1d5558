"""The held-out faces that a network makes the least of, as one picture."""

from collections.abc import Sequence

import numpy as np
import torch

SHOWN = 6
SIZE = 160
"""Side of a tile, pixels."""

LINE, GAP = 20, 3
"""Height of a line of text, and width of what lies between two faces, pixels."""

APART = 3
"""Held-out faces are neighbours in time: of so many only the worst is shown, where there are enough others."""


def worst_sheet(rows: Sequence[tuple[str, torch.Tensor]], scores: torch.Tensor, figures: Sequence[str]) -> np.ndarray:
    """The `SHOWN` faces of the lowest score side by side, the worst first: H x W x 3 uint8 RGB.

    Args:
        rows: of the sheet from the top: what it is called, and n x 3 x S x S pictures in 0..1.
        scores: n, larger is better, in the order of time.
        figures: n lines of text, to stand below the faces.
    """
    import cv2

    columns = []
    for place, number in enumerate(lowest(scores)):
        tiles = []
        for name, pictures in rows:
            tile = (pictures[number].detach().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            tiles += [cv2.resize(tile, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), text(name if place == 0 else "")]
        column = np.vstack([*tiles, text(figures[number])])
        columns += [column, np.full((len(column), GAP, 3), 255, np.uint8)]
    return np.hstack(columns[:-1])


def lowest(scores: torch.Tensor) -> list[int]:
    """Positions of the `SHOWN` lowest scores, the lowest first, `APART` from one another as far as that can be had."""
    order = torch.argsort(scores.cpu(), stable=True).tolist()
    chosen: list[int] = []
    for position in order:
        if all(abs(position - other) >= APART for other in chosen):
            chosen.append(position)
    rest = [position for position in order if position not in chosen]
    return sorted((chosen + rest)[:SHOWN], key=order.index)


def text(words: str) -> np.ndarray:
    """A line of text as a picture, `LINE` x `SIZE` x 3, ASCII only."""
    import cv2

    blank = np.full((LINE, SIZE, 3), 255, np.uint8)
    return cv2.putText(blank, words, (4, LINE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
