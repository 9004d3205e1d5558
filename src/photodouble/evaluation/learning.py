"""The training, as the report tells it: curves of the held-out figures, the best one, and why it stopped."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from photodouble.evaluation.plots import Line, Plot, draw
from photodouble.evaluation.wording import FIGURES, spell

SWAP = (
    *("similarity_wanted", "blendshape_correlation", "gaze_error"),
    *("sharpness_ratio", "jitter_ratio", "warped_error_ratio"),
)
"""Figures of the swap that are drawn, of those that `swap_NAME` in a row may be."""

ROOM = 0.1
"""Half the height of a plot is at least this part of the figure."""

OTHERS = ("second", "third")

Rows = Sequence[Mapping[str, Any]]


def summary(rows: Rows, stopped: str, kept: Mapping[str, Any] | None = None) -> str:
    """How long, the best held-out figure and when, and `stopped`: "" where nothing was trained.

    `kept`: seconds and metrics of the weights that are used; without it the row of the highest SSIM is told.
    """
    known = _known(rows, "ssim")
    if not known:
        return ""
    best: Mapping[str, Any] = max(known, key=lambda row: float(row["ssim"]))
    if kept and "ssim" in kept.get("metrics", {}):
        best = {"seconds": kept["seconds"], **kept["metrics"]}
    mesh = best.get("ssim_mesh")
    beside = f" ({float(mesh):.3f} without training)" if mesh is not None else ""
    return (
        f"Trained for {duration(float(rows[-1]['seconds']))}; best held-out SSIM {float(best['ssim']):.3f}{beside}, "
        f"after {duration(float(best['seconds']))}. {stopped}"
    ).strip()


def reconstruction(rows: Rows) -> Plot | None:
    """Held-out SSIM over the seconds of training, of each identity where that is known, with where it stopped."""
    known = _known(rows, "ssim")
    if len(known) < 2:
        return None
    at = np.array([float(row["seconds"]) for row in known])
    lines = [Line("without training", _column(known, "ssim_mesh"), "plate")]
    names = [key for key in known[-1] if key.startswith("ssim_") and key != "ssim_mesh"]
    styles = dict(zip(names, OTHERS, strict=False))
    lines += [Line(name.removeprefix("ssim_"), _column(known, name), style) for name, style in styles.items()]
    lines.append(Line("Held-out SSIM", _column(known, "ssim"), "main"))
    lines = [line for line in lines if np.isfinite(line.values).any()]
    says = "Structural similarity (SSIM) on frames that training never saw; higher is better."
    return draw("Held-out SSIM", says, at, lines, stop=float(at[-1]), ends=_ends(at), digits=3)


def swaps(rows: Rows) -> list[Plot]:
    """The swap's own figures over the seconds of training, beside those of the picture that nothing was trained for."""
    plots = []
    words = {figure.name: figure for figure in FIGURES}
    for name in SWAP:
        known = _known(rows, f"swap_{name}")
        if len(known) < 2:
            continue
        at = np.array([float(row["seconds"]) for row in known])
        lines = []
        for key, style, label in ((f"swap_{name}_mesh", "plate", "mesh"), (f"swap_{name}", "main", "trained")):
            values = _column(known, key)
            if np.isfinite(values).any():
                lines.append(Line(f"{label} {spell(float(values[-1]), words[name].unit)}", values, style))
        better = "higher is better" if words[name].above else "lower is better"
        plot = draw(words[name].label, better, at, lines, limits=_limits(lines), ends=_ends(at), digits=3)
        plots += [plot] if plot else []
    return plots


def duration(seconds: float) -> str:
    """A span in words: 8.4 s, 2 min 05 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def _known(rows: Rows, name: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row.get("seconds") is not None and row.get(name) is not None]


def _column(rows: Rows, name: str) -> np.ndarray:
    return np.array([float(row[name]) if row.get(name) is not None else np.nan for row in rows])


def _limits(lines: list[Line]) -> tuple[float, float]:
    """Ends of the vertical axis: a change of a hundredth shall not look like a leap."""
    every = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    middle = (every.max() + every.min()) / 2
    half = max(0.55 * (every.max() - every.min()), ROOM * abs(middle), 1e-3)
    return float(middle - half), float(middle + half)


def _ends(at: np.ndarray) -> tuple[str, str]:
    return duration(at[0]), duration(at[-1])
