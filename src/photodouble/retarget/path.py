"""Which of the wanted person's pictures fits each plate frame, chosen along the whole shot."""

import numpy as np


def choose(
    wanted: np.ndarray, target: np.ndarray, starts: np.ndarray, stay: float, price: np.ndarray | None = None
) -> np.ndarray:
    """The cheapest path of pictures through a shot, by dynamic programming (Viterbi 1967).

    Args:
        wanted: (n, d) features of the pictures.
        target: (t, d) features of the frames. A picture costs its squared distance from the frame's.
        starts: (t,) bool, True where a new track starts: the choice is free to jump there.
        price: (n,) what a picture costs wherever it is used.
        stay: price of a change from one picture to another, for each unit of squared distance between them.

    Returns:
        (t,) int64 picture indices.
    """
    step = stay * _squared(wanted, wanted).astype(np.float32)
    cost = np.zeros(len(wanted), np.float32)
    price = np.zeros(len(wanted), np.float32) if price is None else price.astype(np.float32)
    back = np.zeros((len(target), len(wanted)), np.int16)
    here = np.arange(len(wanted))
    for t in range(len(target)):
        own = _squared(target[t : t + 1], wanted)[0].astype(np.float32) + price
        if t == 0 or starts[t]:
            back[t] = int(cost.argmin())
            cost = cost.min() + own
        else:
            total = cost[:, None] + step
            back[t] = total.argmin(0)
            cost = total[back[t], here] + own
        cost -= cost.min()
    path = np.empty(len(target), np.int64)
    if len(target):
        path[-1] = int(cost.argmin())
    for t in range(len(target) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances between the rows of a and of b."""
    return np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T, 0)
