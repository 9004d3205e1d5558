"""Two people's faces as two clouds of points, as inline SVG."""

from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 400, 260
MARGIN = 8
POINTS = 700
"""Points drawn of each person, at most, evenly."""


@dataclass(frozen=True)
class Cloud:
    """A drawing ready for the page: `svg`, and what its four sides mean."""

    title: str
    svg: str
    left: str
    right: str
    top: str
    bottom: str


def cloud(
    title: str, points: list[tuple[str, np.ndarray]], sides: tuple[str, str, str, str], least: tuple[float, float]
) -> Cloud | None:
    """Draw (n, 2) points x, y, y upwards, each with its CSS class, one set over the other; None if there are none.

    Args:
        sides: what left, right, top and bottom mean.
        least: span of the two axes, at least, so that a still head is not shown as a wild one.
    """
    known = [(style, at[np.isfinite(at).all(1)]) for style, at in points]
    every = np.concatenate([at for _, at in known]) if known else np.zeros((0, 2))
    if not len(every):
        return None
    low, high = every.min(0), every.max(0)
    grow = np.maximum(0, np.asarray(least) - (high - low)) / 2
    low, high = low - grow, high + grow
    size = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    parts = []
    for style, at in known:
        some = at[np.unique(np.linspace(0, max(0, len(at) - 1), min(POINTS, len(at))).astype(int))] if len(at) else at
        place = MARGIN + (some - low) / (high - low) * size
        parts.append(f'<path class="spots {style}" d="{"".join(f"M{x:.0f} {HEIGHT - y:.0f}h0" for x, y in place)}"/>')
    axes = ""
    for axis, zero in enumerate(MARGIN + (0 - low) / (high - low) * size):
        if low[axis] < 0 < high[axis]:
            a, b = (f"{zero:.0f} 0", f"V{HEIGHT}") if axis == 0 else (f"0 {HEIGHT - zero:.0f}", f"H{WIDTH}")
            axes += f'<path class="axis" d="M{a}{b}"/>'
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{axes}{"".join(parts)}</svg>'
    return Cloud(title, svg, *sides)
