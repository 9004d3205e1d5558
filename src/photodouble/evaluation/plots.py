"""Line plots as inline SVG. The drawing is stretched to its box, so all text stands beside it in HTML."""

import math
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT, POINTS = 1000, 200, 500


@dataclass(frozen=True)
class Line:
    """One series: `values` (n,) over `at` (n,) with NaN for gaps; `style` is the CSS class that gives its colour."""

    name: str
    values: np.ndarray
    style: str


@dataclass(frozen=True)
class Plot:
    """A plot ready for the page: `svg`, the labels of its ends, and the legend (name, style, its median in words)."""

    title: str
    says: str
    svg: str
    top: str
    bottom: str
    left: str
    right: str
    legend: list[tuple[str, str, str]]


def draw(
    title: str,
    says: str,
    at: np.ndarray,
    lines: list[Line],
    *,
    limits: tuple[float | None, float | None] = (None, None),
    target: float | None = None,
    stop: float | None = None,
    ends: tuple[str, str] = ("", ""),
    digits: int = 2,
) -> Plot | None:
    """Plot lines over `at`; None if there is nothing finite to draw.

    Args:
        title, says: heading and a plain sentence.
        at: (n,) increasing positions.
        lines: what to draw; drawn in this order.
        limits: lower and upper end of the vertical axis; None: the data's (the 0.5 and 99.5 percentiles, widened).
        target: a dashed level line. stop: a dashed upright line at this position.
        ends: labels of the horizontal axis' two ends.
        digits: of the vertical labels.
    """
    finite = [line.values[np.isfinite(line.values)] for line in lines]
    every = np.concatenate(finite) if finite else np.zeros(0)
    if not every.size or len(at) < 2:
        return None
    low, high = _limits(every, limits, target)
    x0, x1 = float(at[0]), float(at[-1])
    across = WIDTH / (x1 - x0) if x1 > x0 else 1.0
    parts = []
    if target is not None and low <= target <= high:
        y = HEIGHT * (1 - (target - low) / (high - low))
        parts.append(f'<line class="target" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
    if stop is not None:
        x = (stop - x0) * across
        parts.append(f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>')
    legend = []
    for line, known in zip(lines, finite, strict=True):
        if not known.size:
            continue
        where, values = thin(np.asarray(at, np.float64), np.asarray(line.values, np.float64))
        level = HEIGHT * (1 - (np.clip(values, low, high) - low) / (high - low))
        parts.append(f'<path class="line {line.style}" d="{path((where - x0) * across, level)}"/>')
        legend.append((line.name, line.style, f"{np.median(known):.{digits}f}"))
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg>"
    )
    return Plot(title, says, svg, f"{high:.{digits}f}", f"{low:.{digits}f}", ends[0], ends[1], legend)


def thin(at: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 500 points that keep the peaks: of each stretch of frames its smallest and its largest value."""
    if len(values) <= POINTS:
        return at, values
    keep: list[int] = []
    for part in np.array_split(np.arange(len(values)), POINTS // 2):
        known = part[np.isfinite(values[part])]
        if known.size:
            ends = {int(known[np.argmin(values[known])]), int(known[np.argmax(values[known])])}
            keep.extend(sorted(ends))
        else:
            keep.append(int(part[0]))
    return at[keep], values[keep]


def path(x: np.ndarray, y: np.ndarray) -> str:
    """SVG path through the finite points; a gap starts a new stroke. A lone point becomes a short stroke."""
    words, pen = [], False
    for k, (a, b) in enumerate(zip(x, y, strict=True)):
        if not (math.isfinite(a) and math.isfinite(b)):
            pen = False
            continue
        words.append(f"{'L' if pen else 'M'}{a:.1f} {b:.1f}")
        alone = not pen and (k + 1 == len(y) or not math.isfinite(y[k + 1]))
        if alone:
            words.append("h1")
        pen = True
    return "".join(words)


def _limits(values: np.ndarray, limits: tuple[float | None, float | None], target: float | None) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(values, [0.5, 99.5]))
    if target is not None:
        low, high = min(low, target), max(high, target)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    low = low - room if limits[0] is None else limits[0]
    high = high + room if limits[1] is None else limits[1]
    return (low, high) if high > low else (low, low + 1)
