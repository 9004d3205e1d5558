"""What is known about a finished render: a few figures, and the row of numbers of every frame behind them."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from photodouble.errors import BadInput
from photodouble.evaluation import metrics
from photodouble.files import atomic, write_bytes

SUMMARY, FRAMES = "quality.json", "quality.npz"
PRESENT = 0.5  # the landmarker's own threshold for "there is a face"
Figure = float | int | None


@dataclass
class Quality:
    """The figures of one render.

    Attributes:
        summary: name -> figure; None where no frame could give it. Their names: `summarise`.
        frames: name -> array whose first axis is the frames; NaN where there was nothing to measure:
            time (seconds), box (n, 4: the plate's face), presence (0..1, of the face in the output),
            similarity_wanted, similarity_replaced, landmark_error, expression_error, gaze_error, pose_error,
            and pairs *_output, *_plate of blendshapes (n, 52), gaze (n, 2, 2), pose (n, 3), sharpness, jitter, flow,
            edge, grain (n, 3: see `grain`); eyes_shut (1 where one of the plate's eyes is); outside_largest,
            outside_mean, label_largest (8-bit levels). The two similarities of a longer clip are known of every second,
            third ... frame only.
    """

    summary: dict[str, Figure] = field(default_factory=dict)
    frames: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write `quality.json` and `quality.npz` into `folder`, each atomically."""
        with atomic(folder / FRAMES) as part:
            np.savez_compressed(part, **self.frames)  # type: ignore[arg-type]
        write_bytes(folder / SUMMARY, (json.dumps(self.summary, indent=2) + "\n").encode())

    @staticmethod
    def load(folder: Path) -> "Quality":
        """Read what `save` wrote.

        Raises:
            BadInput: the files are absent or damaged.
        """
        try:
            summary = json.loads((folder / SUMMARY).read_text())
            with np.load(folder / FRAMES, allow_pickle=False) as file:
                return Quality(summary, {name: file[name] for name in file.files})
        except (OSError, ValueError, KeyError) as error:
            raise BadInput(
                f"The figures in {folder / SUMMARY} cannot be read: delete that file and make the report again."
            ) from error

    @staticmethod
    def saved(folder: Path) -> bool:
        """Whether `folder` holds both files."""
        return (folder / SUMMARY).is_file() and (folder / FRAMES).is_file()


def summarise(frames: dict[str, np.ndarray]) -> dict[str, Figure]:
    """The figures of a render from its frames' rows (see `Quality.frames`); missing ones are None.

    frames, frames_with_face, frames_with_plate_face, frames_lost (the plate has a face, the output none): counts.
    similarity_wanted, similarity_replaced: mean cosine; share_nearer_wanted: see `metrics.share_nearer`.
    landmark_error (%), gaze_error (eye widths), pose_error (degrees): means; gaze without the frames in which the
    plate's eyes are shut. blendshape_correlation, blendshape_correlation_pooled, gaze_correlation: see `metrics`.
    sharpness_ratio: median over frames of output / plate. jitter_ratio: median acceleration, output / plate.
    warped_error_ratio: median flow-warped error, output / plate; flow_warped_levels: the output's in 8-bit levels.
    grain_ratio: power of the grain, output / plate; grain_spectrum: the ratio in the band in which it is furthest from
    1. Both of the medians over the frames, see `grain.grain_power`.
    edge_step: mean of what the composite adds to the colour step at the matte's edge, delta E, at least 0.
    outside_change, outside_change_mean: largest and mean change where the matte is 0, 8-bit levels.
    """
    f = frames
    face, plate = f["presence"] >= PRESENT, np.isfinite(f["box"]).all(1)
    nearer = metrics.share_nearer(f["similarity_wanted"], f["similarity_replaced"])
    with np.errstate(invalid="ignore", divide="ignore"):
        sharp = f["sharpness_output"] / np.where(f["sharpness_plate"] > 0, f["sharpness_plate"], np.nan)
    open_eyes = np.where(f["eyes_shut"][:, None, None] > 0, np.nan, 1.0)
    warped = metrics.ratio_of_medians(f["flow_output"], f["flow_plate"])
    unknown = np.full((len(face), 1), np.nan)  # figures that were kept before grain was one
    grain = metrics.grain_ratios(f.get("grain_output", unknown), f.get("grain_plate", unknown))
    figures: dict[str, float] = {
        "similarity_wanted": _mean(f["similarity_wanted"]),
        "similarity_replaced": _mean(f["similarity_replaced"]),
        "share_nearer_wanted": nearer,
        "blendshape_correlation": metrics.blendshape_correlation(f["blendshapes_output"], f["blendshapes_plate"]),
        "blendshape_correlation_pooled": metrics.blendshape_correlation_pooled(
            f["blendshapes_output"], f["blendshapes_plate"]
        ),
        "landmark_error": _mean(f["landmark_error"]),
        "gaze_error": _mean(f["gaze_error"] * open_eyes[:, 0, 0]),
        "gaze_correlation": metrics.gaze_correlation(f["gaze_output"] * open_eyes, f["gaze_plate"]),
        "pose_error": _mean(f["pose_error"]),
        "sharpness_ratio": _median(sharp),
        "jitter_ratio": metrics.ratio_of_medians(f["jitter_output"], f["jitter_plate"]),
        "warped_error_ratio": warped,
        "flow_warped_levels": _median(f["flow_output"]),
        "grain_ratio": grain[0],
        "grain_spectrum": grain[1],
        "edge_step": float(np.maximum(0.0, _mean(f["edge_output"] - f["edge_plate"]))),
        "outside_change": _largest(f["outside_largest"]),
        "outside_change_mean": _mean(f["outside_mean"]),
    }
    counts: dict[str, Figure] = {
        "frames": len(face),
        "frames_with_face": int(face.sum()),
        "frames_with_plate_face": int(plate.sum()),
        "frames_lost": int((plate & ~face).sum()),
    }
    return counts | {name: round(value, 6) if math.isfinite(value) else None for name, value in figures.items()}


def _known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _mean(values: np.ndarray) -> float:
    known = _known(values)
    return float(known.mean()) if known.size else math.nan


def _median(values: np.ndarray) -> float:
    known = _known(values)
    return float(np.median(known)) if known.size else math.nan


def _largest(values: np.ndarray) -> float:
    known = _known(values)
    return float(known.max()) if known.size else math.nan
