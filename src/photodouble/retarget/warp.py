"""Piecewise affine warps over the face mesh, without a loop over triangles or pixels."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial import Delaunay

from photodouble.faces.topology import LIPS_INNER, LOWER_LIP, OVAL, UPPER_LIP

RIM = (468, 469, 471, 473, 474, 476)
"""Of the irises the mesh uses the centre and the two sides: lids cover the others."""

RING = 1.3
"""The mesh goes on beyond the outline by this factor, so that the matte's edge always has a picture."""


NOTHING = np.empty(0)

ROLLED = (*UPPER_LIP[-2], *LOWER_LIP[-2])
"""Points of the lips that roll inwards when they close, over the inner edge: the mesh would fold there."""

VERTICES = (*range(468), *RIM)


@dataclass(frozen=True)
class Raster:
    """Which triangle covers each cell of a grid over the target, and where in it the cell lies.

    Attributes:
        triangle: (h, w) int32, -1 where none.
        forms: (m, 3, 3), each triangle's barycentric weights as factors of a cell's x, y and 1.
        vertices: (m, 3) of the mesh.
        shape: H, W of the picture that the grid stands for; step: pixels for one cell.
        at: x, y of the first cell, as `forms` count them.
    """

    triangle: np.ndarray
    forms: np.ndarray
    vertices: np.ndarray
    shape: tuple[int, int]
    step: int
    at: tuple[int, int] = (0, 0)

    def part(self, x0: int, y0: int, x1: int, y1: int) -> "Raster":
        """That of a part of the picture; x0 and y0 must be multiples of `step`."""
        left, top = x0 // self.step, y0 // self.step
        cells = self.triangle[top : -(-y1 // self.step), left : -(-x1 // self.step)]
        x, y = self.at
        return replace(self, triangle=cells, shape=(y1 - y0, x1 - x0), at=(x + left, y + top))


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
    below = points[:, 1] > neutral[list(LIPS_INNER), 1].mean()
    below[np.ravel(LOWER_LIP)] = True
    below[np.ravel(UPPER_LIP)] = False
    points[below, 1] += 0.15
    used = np.setdiff1d(np.arange(len(points)), ROLLED)
    return used[Delaunay(points[used]).simplices].astype(np.int32)


def rasterise(target: np.ndarray, triangles: np.ndarray, shape: tuple[int, int], step: int = 2) -> Raster:
    """Find the mesh triangle of each cell of a target picture.

    Args:
        target: (k, 3) vertices in pixels of the target picture; where triangles fold over, the nearer one wins.
        triangles: (m, 3).
        shape: H, W of the picture.
        step: pixels for one grid cell: the map is linear inside a triangle, so a coarse grid serves.
    """
    height, width = (-(-n // step) for n in shape)
    points = (target[:, :2] + 0.5) / step - 0.5
    corners = points[triangles]
    seen = (corners.max(1) >= 0).all(1) & (corners.min(1) <= (width, height)).all(1)
    triangles = triangles[seen] if seen.any() else triangles
    # The inside of the mouth is behind the lips, wherever its landmarks, which are the lips', are said to be.
    behind = np.isin(triangles, LIPS_INNER).all(1)
    depth = target[triangles, 2].mean(1) + behind * (2 * float(np.ptp(target[:, 2])) + 1)
    far_first = triangles[np.argsort(-depth, kind="stable")]
    forms = _barycentric(points[far_first])
    top = np.clip(np.ceil(points[far_first, 1].min(1)), 0, height).astype(np.int64)
    rows = np.clip(np.floor(points[far_first, 1].max(1)) + 1, 0, height).astype(np.int64) - top
    which, y = _spread(rows, top)
    # In a row each weight bounds x on one side; cells on an edge belong to both triangles.
    slope = forms[which, :, 0]
    slope = np.where(abs(slope) < 1e-12, 1e-12, slope)
    bound = -(1e-4 + forms[which, :, 1] * y[:, None] + forms[which, :, 2]) / slope
    left = np.clip(np.ceil(np.where(slope > 0, bound, -np.inf).max(1)), 0, width).astype(np.int64)
    right = np.clip(np.floor(np.where(slope < 0, bound, np.inf).min(1)) + 1, 0, width).astype(np.int64)
    span, x = _spread(right - left, left)
    triangle = np.full((height, width), -1, np.int32)
    triangle.ravel()[y[span] * width + x] = which[span]  # in order: the last, nearest one stays
    return Raster(triangle, forms, far_first, shape, step)


def _barycentric(corners: np.ndarray) -> np.ndarray:
    """The three weights of triangles (m, 3, 2) as affine forms of x and y: (m, 3 weights, 3 factors of x, y, 1).

    Triangles without an area get the weight -1 everywhere.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    forms = np.zeros((len(corners), 3, 3))
    for k, (p, q) in enumerate(((b, c), (c, a), (a, b))):
        forms[:, k] = np.stack([p[:, 1] - q[:, 1], q[:, 0] - p[:, 0], p[:, 0] * q[:, 1] - q[:, 0] * p[:, 1]], 1)
    flat = abs(area) <= 1e-6
    forms /= np.where(flat, 1, area)[:, None, None]
    forms[flat] = (0, 0, -1)
    return forms


def _spread(count: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For runs of `count` numbers from `first` on: the run that each number belongs to, and the number."""
    count = np.maximum(count, 0)
    run = np.repeat(np.arange(len(count)), count)
    return run, np.arange(len(run)) + (first - (np.cumsum(count) - count))[run]


def source_map(raster: Raster, source: np.ndarray) -> np.ndarray:
    """For each target pixel the source picture's x, y: (H, W, 2) float32, for `cv2.remap`; -1 where no mesh is.

    Args:
        raster: of the target.
        source: (k, 2 or 3) the same vertices in the source picture's pixels.
    """
    # As complex numbers x and y are gathered together. Inside a triangle the map is affine: three factors for each.
    points = np.ascontiguousarray(np.asarray(source, np.float64)[:, :2]).view(np.complex128)[:, 0]
    factors = np.einsum("mv,mvf->fm", points[raster.vertices], raster.forms).astype(np.complex64)
    (x0, y0), (high, wide) = raster.at, raster.triangle.shape
    x, y = np.arange(x0, x0 + wide, dtype=np.float32), np.arange(y0, y0 + high, dtype=np.float32)[:, None]
    total = factors[0][raster.triangle] * x
    total += factors[1][raster.triangle] * y
    total += factors[2][raster.triangle]
    total[raster.triangle < 0] = -1 - 1j
    cells = total.view(np.float32).reshape(*raster.triangle.shape, 2)
    step, (height, width) = raster.step, raster.shape
    if step > 1:
        cells = cv2.resize(cells, (cells.shape[1] * step, cells.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    return cells[:height, :width]


def warp(picture: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Take the picture's colours at `positions` (H, W, 2); same dtype, bicubic, the edge repeated outside."""
    return cv2.remap(picture, positions, NOTHING, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
