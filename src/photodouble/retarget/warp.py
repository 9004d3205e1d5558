"""Piecewise affine warps over the face mesh, without a loop over triangles or pixels."""

from dataclasses import dataclass, replace
from typing import Any

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

VERTICES = np.array((*range(468), *RIM))

OUTLINE = np.array(OVAL)

INSIDE = np.isin(np.arange(len(VERTICES) + len(OVAL)), LIPS_INNER)
"""Which vertices of the mesh are on the lips' inner edge."""


@dataclass(frozen=True)
class Raster:
    """Which triangle covers each cell of a grid over the target, and where in it the cell lies.

    Attributes:
        triangle: (h, w) int32, -1 where none.
        forms: (3, 3, m): factors of a cell's x, y and 1, for each of the three barycentric weights of a triangle.
        vertices: (3, m) of the mesh.
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
    outline = points[OUTLINE]
    centre = outline.mean(0)
    return np.concatenate([points[VERTICES], centre + RING * (outline - centre)])


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
    # Arrays have one row for each corner, since NumPy is slow along short last axes.
    height, width = (-(-n // step) for n in shape)
    corners = np.ascontiguousarray(triangles.T)
    across, down = ((target[:, axis] + 0.5) / step - 0.5 for axis in (0, 1))
    (left, right), (top, bottom) = (_extent(along[corners]) for along in (across, down))
    seen = np.flatnonzero((right >= 0) & (bottom >= 0) & (left <= width) & (top <= height))
    seen = seen if len(seen) else np.arange(corners.shape[1])
    # The inside of the mouth is behind the lips, wherever its landmarks, which are the lips', are said to be.
    a, b, c = corners[:, seen]
    depth = (target[a, 2] + target[b, 2] + target[c, 2]) / 3
    depth += (INSIDE[a] & INSIDE[b] & INSIDE[c]) * (2 * float(np.ptp(target[:, 2])) + 1)
    far_first = seen[np.argsort(-depth, kind="stable")]
    corners = corners[:, far_first]
    forms = _barycentric(across[corners], down[corners])
    first = np.clip(np.ceil(top[far_first]), 0, height).astype(np.int64)
    rows = np.clip(np.floor(bottom[far_first]) + 1, 0, height).astype(np.int64) - first
    which, y = _spread(rows, first)
    # In a row each weight bounds x on one side; cells on an edge belong to both triangles.
    slope = np.where(abs(forms[0]) < 1e-12, 1e-12, forms[0])
    lean, start = -forms[1] / slope, -(1e-4 + forms[2]) / slope
    low, high = np.full(len(which), 0.0), np.full(len(which), float(width))
    for edge in range(3):
        bound = lean[edge][which] * y + start[edge][which]
        rising = (slope[edge] > 0)[which]
        np.maximum(low, bound, out=low, where=rising)
        np.minimum(high, np.floor(bound) + 1, out=high, where=~rising)
    begin = np.ceil(low).astype(np.int64)
    count = np.maximum(high.astype(np.int64) - begin, 0)
    cells = _runs(count, y * width + begin)
    triangle = np.full((height, width), -1, np.int32)
    triangle.ravel()[cells] = np.repeat(which.astype(np.int32), count)  # in order: the last, nearest one stays
    return Raster(triangle, forms, corners, shape, step)


def _extent(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest of the three rows of an array (3, m)."""
    a, b, c = corners
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _barycentric(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The three weights of triangles with corners x, y (3, m each) as affine forms: (3 factors of x, y, 1, 3, m).

    Triangles without an area get the weight -1 everywhere.
    """
    area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    (px, qx), (py, qy) = ((v[[1, 2, 0]], v[[2, 0, 1]]) for v in (x, y))
    forms = np.stack([py - qy, qx - px, px * qy - qx * py])
    flat = abs(area) <= 1e-6
    forms /= np.where(flat, 1, area)
    forms[:, :, flat] = np.array([0, 0, -1.0])[:, None, None]
    return forms


def _spread(count: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For runs of `count` numbers (0 or more) from `first` on: the run that each number belongs to, and the number."""
    count = np.maximum(count, 0)
    return np.repeat(np.arange(len(count)), count), _runs(count, first)


def _runs(count: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Runs of `count` numbers from `first` on, one after the other."""
    ends = np.cumsum(count)
    numbers = np.repeat(first - (ends - count), count)
    numbers += np.arange(len(numbers))
    return numbers


def source_map(raster: Raster, source: np.ndarray) -> np.ndarray:
    """For each target pixel the source picture's x, y: (H, W, 2) float32, for `cv2.remap`; -1 where no mesh is.

    Args:
        raster: of the target.
        source: (k, 2 or 3) the same vertices in the source picture's pixels.
    """
    # As complex numbers x and y are gathered together. Inside a triangle the map is affine: three factors for each.
    points = np.ascontiguousarray(np.asarray(source, np.float64)[:, :2]).view(np.complex128)[:, 0]
    a, b, c = points[raster.vertices]
    factors = np.full((3, raster.vertices.shape[1] + 1), 0, np.complex64)
    factors[2, -1] = -1 - 1j  # the last one is that of cells without a triangle
    factors[:, :-1] = a * raster.forms[:, 0] + b * raster.forms[:, 1] + c * raster.forms[:, 2]
    (x0, y0), (high, wide) = raster.at, raster.triangle.shape
    x, y = np.arange(x0, x0 + wide, dtype=np.float32), np.arange(y0, y0 + high, dtype=np.float32)[:, None]
    total = factors[0][raster.triangle] * x
    total += factors[1][raster.triangle] * y
    total += factors[2][raster.triangle]
    cells = total.view(np.float32).reshape(*raster.triangle.shape, 2)
    step, (height, width) = raster.step, raster.shape
    if step > 1:
        cells = cv2.resize(cells, (cells.shape[1] * step, cells.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    return cells[:height, :width]


def warp(picture: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The picture's colours (H x W x 3 uint8) at `positions` (h, w, 2): h x w x 3 float32, 0..255.

    Bicubic; outside the picture its edge is repeated.
    """
    # OpenCV's kernel is faster in floats than in whole numbers.
    at = (0, 0)
    if 3 * positions.size < picture.size:  # of a large picture little is looked at
        picture, at = _seen(picture, positions)
    if any(at):
        shift: Any = (*map(float, at), 0, 0)
        positions = cv2.subtract(positions, shift)
    taken = cv2.remap(picture.astype(np.float32), positions, NOTHING, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(taken, 0, 255, out=taken)


def _seen(picture: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of the picture that `positions` can take anything from, and its x and y."""
    spans = []
    for along, size in zip(cv2.split(positions), picture.shape[1::-1], strict=True):
        low, high = cv2.minMaxLoc(along)[:2]
        spans.append((min(max(int(low) - 2, 0), size - 1), min(max(int(high) + 4, 1), size)))
    (x0, x1), (y0, y1) = spans
    return picture[y0:y1, x0:x1], (x0, y0)
