"""Made-up footage: n calm frontal faces of one person, any column of which can be replaced."""

import numpy as np

from photodouble.evaluation.footage import Footage
from photodouble.faces.topology import BLENDSHAPES


def made(n: int = 100, name: str = "ada", **columns: np.ndarray) -> Footage:
    """Faces at 25 frames a second, with a slowly changing light and a little noise."""
    noise = np.random.default_rng(3).normal(0, 1, (n, 128))
    person = np.eye(128)[0]
    embedding = person + 0.03 * noise
    values = {
        "frame": np.arange(n),
        "time": np.arange(n) / 25,
        "box": np.tile([100.0, 50, 200, 170], (n, 1)),
        "pose": noise[:, :3],
        "blendshapes": np.full((n, 52), 0.05) + 0.01 * abs(noise[:, :52]),
        "embedding": embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
        "sharpness": 300 + noise[:, 0],
        "brightness": np.full(n, 60.0),
        "side": np.linspace(-0.1, 0.1, n),
    }
    return Footage(name, **{**values, **columns})


def acting(footage: Footage, rows: slice, *names: str, level: float = 0.9) -> Footage:
    """The same with some blendshapes raised in some rows."""
    for name in names:
        footage.blendshapes[rows, BLENDSHAPES.index(name)] = level
    return footage
