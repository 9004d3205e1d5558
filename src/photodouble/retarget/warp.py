"""Piecewise affine warps over the face mesh, without a loop over triangles or pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import Delaunay

from photodouble.faces.topology import LEFT_IRIS, LIPS_INNER, OVAL, RIGHT_IRIS

RIM = (468, 469, 471, 473, 474, 476)
"""Of the irises the mesh uses the centre and the two sides: lids cover the others."""

RING = 1.3
"""The mesh goes on beyond the outline by this factor, so that the matte's edge always has a picture."""

VERTICES = (*range(468), *RIM)


@dataclass(frozen=True)
class Raster:
    """Which triangle covers each cell of a grid over the target, and where in it the cell lies.

    Attributes:
        triangle: (h, w) int32, -1 where none.
        weights: (h, w, 3) float32, barycentric.
        vertices: (m, 3) of the mesh.
        shape: H, W of the picture that the grid stands for.
    """

    triangle: np.ndarray
    weights: np.ndarray
    vertices: np.ndarray
    shape: tuple[int, int]


def mesh_points(landmarks: np.ndarray) -> np.ndarray:
    """Mesh vertices of landmarks (478, 2 or 3): the face, the irises and a ring around the outline, (510, 3)."""
    points = np.asarray(landmarks, np.float64)
    outline = points[list(OVAL)]
    ring = outline.mean(0) + RING * (outline - outline.mean(0))
    return np.concatenate([points[list(VERTICES)], ring])


def triangulate(neutral: np.ndarray) -> np.ndarray:
    """The mesh's triangles, (m, 3) int32: Delaunay's over a neutral shape (478, 3) whose mouth is held open.

    Held open, because lips that touch would be joined crosswise.
    """
    points = mesh_points(neutral)[:, :2].copy()
    lower = np.array(LIPS_INNER[1:10])
    middle = neutral[list(LIPS_INNER), 1].mean()
    below = points[:, 1] > middle
    below[lower] = True
    below[list(LIPS_INNER[11:])] = False
    points[below, 1] += 0.15
    return Delaunay(points).simplices.astype(np.int32)


def rasterise(target: np.ndarray, triangles: np.ndarray, shape: tuple[int, int], step: float = 2.0) -> Raster:
    """Find the mesh triangle of each cell of a target picture.

    Args:
        target: (k, 3) vertices in pixels of the target picture; where triangles fold over, the nearer one wins.
        triangles: (m, 3).
        shape: H, W of the picture.
        step: pixels for one grid cell: the map is linear inside a triangle, so a coarse grid serves.
    """
    height, width = (max(2, round(n / step)) for n in shape)
    scale = np.array([width / shape[1], height / shape[0]])
    points = (target[:, :2] + 0.5) * scale - 0.5
    far_first = triangles[np.argsort(-target[triangles, 2].mean(1), kind="stable")]
    corner = points[far_first]
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    low = np.clip(np.ceil(corner.min(1)), 0, (width, height)).astype(np.int64)
    high = np.clip(np.floor(corner.max(1)) + 1, 0, (width, height)).astype(np.int64)
    size = np.maximum(high - low, 0)
    count = np.where(abs(area) > 1e-6, size[:, 0] * size[:, 1], 0)
    which = np.repeat(np.arange(len(count)), count)
    inside = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    x = low[which, 0] + inside % np.maximum(size[which, 0], 1)
    y = low[which, 1] + inside // np.maximum(size[which, 0], 1)
    # Barycentric weights are linear in x and y: one affine form for each triangle and weight.
    with np.errstate(divide="ignore", invalid="ignore"):
        vx, vy = (c[:, 1] - a[:, 1]) / area, (a[:, 0] - c[:, 0]) / area
        wx, wy = (a[:, 1] - b[:, 1]) / area, (b[:, 0] - a[:, 0]) / area
    dx, dy = x - a[which, 0], y - a[which, 1]
    v = vx[which] * dx + vy[which] * dy
    w = wx[which] * dx + wy[which] * dy
    hit = (v >= -1e-4) & (w >= -1e-4) & (v + w <= 1 + 1e-4)
    x, y, v, w, which = x[hit], y[hit], v[hit], w[hit], which[hit]
    triangle = np.full((height, width), -1, np.int32)
    triangle[y, x] = which  # in order: the last, nearest one stays
    top = triangle[y, x] == which
    weights = np.zeros((height, width, 3), np.float32)
    weights[y[top], x[top]] = np.stack([1 - v[top] - w[top], v[top], w[top]], 1)
    return Raster(triangle, weights, far_first, shape)


def source_map(raster: Raster, source: np.ndarray) -> np.ndarray:
    """For each target pixel the source picture's x, y: (H, W, 2) float32, for `cv2.remap`; -1 where no mesh is.

    Args:
        raster: of the target.
        source: (k, 2 or 3) the same vertices in the source picture's pixels.
    """
    corner = np.asarray(source, np.float32)[raster.vertices, :2]
    cells = np.einsum("hwk,hwkc->hwc", raster.weights, corner[raster.triangle])
    cells[raster.triangle < 0] = -1
    height, width = raster.shape
    if cells.shape[:2] == raster.shape:
        return cells
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)


def warp(picture: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Take the picture's colours at `positions` (H, W, 2); same dtype, bicubic, the edge repeated outside."""
    return cv2.remap(picture, positions, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
