"""What the figures about pixels mean: one frame's picture, plate and matte in, numbers out.

Pictures are RGB uint8, H x W x 3; mattes float32, H x W, 1 where the face was replaced.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

INSIDE = 0.9  # matte from which a pixel is the new face and nothing else
FLOW_SIZE = 128  # longer side of the region in which the flow is computed, pixels

Box = tuple[int, int, int, int]


class Change(NamedTuple):
    """Absolute change outside the matte, in 8-bit levels."""

    largest: float
    mean: float


def region(covered: np.ndarray, margin: float = 0.08) -> Box | None:
    """Box x0, y0, x1, y1 around where the bool picture `covered` is true, widened by `margin`; None if nowhere."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(covered).view(np.uint8))
    if not width:
        return None
    wide, limit = 4 + int(margin * max(width, height)), covered.shape
    return max(x - wide, 0), max(y - wide, 0), min(x + width + wide, limit[1]), min(y + height + wide, limit[0])


def cut(picture: np.ndarray, box: Box) -> np.ndarray:
    """The part of a picture inside `box`, without copying."""
    return picture[box[1] : box[3], box[0] : box[2]]


def luma(rgb: np.ndarray) -> np.ndarray:
    """BT.601 luma of RGB uint8, H x W uint8."""
    return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)


def core(matte: np.ndarray) -> np.ndarray:
    """Pixels that are the new face with all their neighbours (matte > 0.9, one pixel eroded), bool."""
    return cv2.erode((matte > INSIDE).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0


def sharpness(grey: np.ndarray, inside: np.ndarray) -> float:
    """Fine detail: variance of the Laplacian of the luma over the pixels `inside`; NaN for fewer than 64 pixels.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", 2000. An energy: half the contrast of the
    detail gives a quarter.
    """
    values = cv2.Laplacian(grey, cv2.CV_16S)[inside]
    return float(values.astype(np.float32).var()) if values.size >= 64 else float("nan")


@dataclass(frozen=True)
class Contour:
    """Where a matte's edge is crossed: (k, 2) float32 points x, y just `inside` and just `outside` of it."""

    inside: np.ndarray
    outside: np.ndarray


def contour(matte: np.ndarray) -> Contour | None:
    """Points on both sides of the line where the matte is 0.5; None if there is no such line.

    They lie 2 % of the face's size (the root of the matte's area, at least 2 pixels) from the line, along the matte's
    slope. Where the line runs along the picture's border there is no other side, and no points.
    """
    hard = (matte >= 0.5).astype(np.uint8)
    lines, _ = cv2.findContours(hard, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not lines:
        return None
    points = np.concatenate(lines)[:, 0].astype(np.float32)
    far = max(2.0, 0.02 * float(np.sqrt(hard.sum())))
    smooth = cv2.GaussianBlur(matte.astype(np.float32), (0, 0), max(far / 2, 1.0))
    x, y = points[:, 0].astype(int), points[:, 1].astype(int)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0)[y, x], cv2.Sobel(smooth, cv2.CV_32F, 0, 1)[y, x]], -1)
    steep = np.linalg.norm(slope, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        step = far * slope / steep[:, None]
    inside, outside = points + step, points - step
    limit = np.array(matte.shape[::-1], np.float32) - 1
    fits = (steep > 1e-4) & ((inside >= 0) & (inside <= limit) & (outside >= 0) & (outside <= limit)).all(1)
    return Contour(inside[fits], outside[fits]) if fits.sum() >= 8 else None


def edge_contrast(rgb: np.ndarray, edge: Contour) -> float:
    """Mean colour difference (CIE 1976 delta E) between the points just inside and just outside of a matte's edge.

    Each point is the mean of 3 x 3 pixels, so that grain does not count. About 2.3 is what an eye just sees (Mahy et
    al., "Evaluation of uniform color spaces", 1994). The plate has some too: the step that a composite adds is the
    output's less the plate's at the same points.
    """
    smooth = cv2.blur(np.ascontiguousarray(rgb), (3, 3))
    colours = []
    for points in (edge.inside, edge.outside):
        values = cv2.remap(smooth, points[:, None, 0], points[:, None, 1], cv2.INTER_LINEAR)
        colours.append(cv2.cvtColor(values.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))
    return float(np.linalg.norm(colours[0] - colours[1], axis=-1).mean())


def change(output: np.ndarray, plate: np.ndarray, where: np.ndarray) -> Change:
    """Largest and mean absolute difference over the pixels `where` (bool) and the three channels; 8-bit levels."""
    if not where.any():
        return Change(float("nan"), float("nan"))
    mask, difference = where.view(np.uint8), cv2.absdiff(output, plate)
    largest = cv2.bitwise_and(difference, difference, mask=mask).max()
    return Change(float(largest), float(np.mean(cv2.mean(difference, mask)[:3])))


def erase(where: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """The bool picture `where` without the inside of the boxes."""
    kept = where.copy()
    for x0, y0, x1, y1 in boxes:
        kept[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = False
    return kept


def flow_warped_errors(
    output: tuple[np.ndarray, np.ndarray], plate: tuple[np.ndarray, np.ndarray], matte: np.ndarray
) -> tuple[float, float]:
    """Flicker: how far a frame is from the frame before it, moved along the PLATE's optical flow.

    Lai et al., "Learning Blind Video Temporal Consistency", 2018, with DIS flow (Kroeger et al., 2016) in place of
    FlowNet2: mean absolute difference of the luma inside the matte (> 0.5), the region scaled to 128 pixels.

    Args:
        output: luma of the frame before and of this frame, H x W uint8, cut to the face's region.
        plate: the same of the plate.
        matte: of this frame, cut likewise.

    Returns:
        The error of the output and that of the plate, 8-bit levels; NaN if the matte is empty.
    """
    height, width = matte.shape
    scale = min(1.0, FLOW_SIZE / max(height, width))
    size = max(round(width * scale), 16), max(round(height * scale), 16)
    old_plate, new_plate, old_output, new_output = (
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (*plate, *output)
    )
    inside = cv2.resize(matte, size, interpolation=cv2.INTER_AREA) > 0.5
    if not inside.any():
        return float("nan"), float("nan")
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = estimator.calc(new_plate, old_plate, np.zeros((size[1], size[0], 2), np.float32))
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    errors = []
    for old, new in ((old_output, new_output), (old_plate, new_plate)):
        moved = cv2.remap(old, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        errors.append(float(cv2.absdiff(moved, new)[inside].mean()))
    return errors[0], errors[1]
