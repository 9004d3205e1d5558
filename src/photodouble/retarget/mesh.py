"""`mesh`: the wanted person's own pictures, chosen along the shot and warped onto the plate's performance.

Needs no training. Three paths run through a shot: one for the face, one for the eyes and one for the mouth, since
the picture whose gaze fits is seldom the one whose mouth does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from photodouble.faces.pose import pose
from photodouble.faces.topology import BLENDSHAPES, BROWS, LEFT_EYE, LIPS_INNER, LIPS_OUTER, RIGHT_EYE
from photodouble.retarget.fade import Fade
from photodouble.retarget.mouth import borrow_inside, mouth_gap
from photodouble.retarget.path import choose
from photodouble.retarget.shape import (
    EYES,
    Posed,
    Proportions,
    eyes_apart,
    gaze,
    look,
    neutral_shape,
    opening,
    proportions,
    transfer,
    unpose,
)
from photodouble.retarget.warp import Raster, mesh_points, rasterise, source_map, triangulate, warp

LIPS = (*LIPS_OUTER, *LIPS_INNER)
CHEEKS = (50, 280, 205, 425, 187, 411, 117, 346, 129, 358, 152, 172, 397)

REGIONS = ("face", "eyes", "mouth")
"""Parts of the face that have a path of pictures each."""

SHOWN = {
    "face": [i for i, name in enumerate(BLENDSHAPES) if name.startswith(("brow", "nose", "mouthSmile", "mouthFrown"))],
    "eyes": [i for i, name in enumerate(BLENDSHAPES) if name.startswith(("eye", "brow"))],
    "mouth": [i for i, name in enumerate(BLENDSHAPES) if name.startswith(("mouth", "jaw"))],
}
"""Blendshapes that a part of the face shows: they tell a frown from a low brow, which its shape alone does not."""

STAY = {"face": 3.0, "eyes": 0.6, "mouth": 1.5}
"""Price of changing from one picture to another, beside that of not fitting. What the face shows beyond its shape is
skin, and a change of it flickers; eyes must follow the gaze."""

KEEP = 1.15
"""How much of the wanted person's proportions is taken; a little above 1 reads more like the person."""
OPEN_MOUTH, STRETCH = 0.05, 0.4
"""A mouth open by this part of the eye distance shows its inside; a picture with less than this part of the gap has
none that could be shown."""

LIPS_MARGIN = 4
"""Pixels around the lips over which their finer look-up fades out."""

Box = tuple[int, int, int, int]

RING_GAIN = (0.5, 2.0)
"""Limits of what another picture's light may be scaled by."""


@dataclass(frozen=True)
class Wanted:
    """The wanted person's pictures.

    Attributes:
        landmarks: (n, 478, 3) float32 in pixels of the pictures.
        posed: the same, taken apart; angles: (n, 3) yaw, pitch, roll; blendshapes: (n, 52).
        triangles: of the mesh. price: (n,), higher for pictures that are better not used.
        picture: gives picture i, S x S x 3 uint8 RGB.
    """

    landmarks: np.ndarray
    posed: Posed
    angles: np.ndarray
    blendshapes: np.ndarray
    triangles: np.ndarray
    price: np.ndarray
    picture: Callable[[int], np.ndarray]


def know(
    landmarks: np.ndarray, blendshapes: np.ndarray, price: np.ndarray, picture: Callable[[int], np.ndarray]
) -> Wanted:
    """Get to know the wanted person from n pictures: landmarks (n, 478, 3) in their pixels, blendshapes (n, 52)."""
    posed = unpose(landmarks)
    angles = pose(landmarks)
    mesh = triangulate(neutral_shape(posed.shape, blendshapes))
    return Wanted(np.asarray(landmarks), posed, angles, np.asarray(blendshapes), mesh, price, picture)


def features(shapes: np.ndarray, angles: np.ndarray, blendshapes: np.ndarray, region: str) -> np.ndarray:
    """What pictures are compared by: (n, d) from shapes (n, 478, 3), degrees (n, 3) and blendshapes (n, 52).

    In shape units (one is the width across both eyes), so that the weights can be read as lengths. Openings count by
    their logarithm: to stretch a closed eye or mouth open shows far more than to press an open one shut.
    """
    turn = angles[:, :2] / 100
    acts = 0.1 * blendshapes[:, SHOWN[region]]
    lips = _around_centre(shapes, LIPS)
    gap = _logarithm(shapes[:, 14, 1] - shapes[:, 13, 1], 0.02)
    if region == "mouth":
        return np.concatenate([1.5 * lips, 0.2 * gap, 0.8 * turn, acts], 1)
    if region == "eyes":
        open_ = [_logarithm(opening(shapes, lids), 0.01) for lids, _ in EYES]
        look_at = [gaze(shapes, lids, iris) for lids, iris in EYES]
        brows = _around_centre(shapes, (*BROWS[0], *BROWS[1], *RIGHT_EYE, *LEFT_EYE))
        opened, looks = (0.2 * v for v in open_), (0.3 * v for v in look_at)
        return np.concatenate([*opened, *looks, 0.7 * brows, 0.8 * turn, acts], 1)
    cheeks = _around_centre(shapes, CHEEKS)
    brows = _around_centre(shapes, (*BROWS[0], *BROWS[1]))
    return np.concatenate([cheeks, brows, 0.5 * lips, 0.05 * gap, 1.6 * turn, acts], 1)


def _around_centre(shapes: np.ndarray, points: tuple[int, ...]) -> np.ndarray:
    """Some points about their mean, (n, 3 k), scaled so that a squared distance is the mean one of a point."""
    some = shapes[:, list(points)]
    return (some - some.mean(1, keepdims=True)).reshape(len(shapes), -1) / np.sqrt(len(points))


def _logarithm(gap: np.ndarray, floor: float) -> np.ndarray:
    return np.log(np.maximum(gap, 0) + floor)[:, None]


def targets(difference: Proportions, plate_landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plate's landmarks (t, 478, 3) with the wanted person's proportions: in shape units, and in plate pixels."""
    posed = unpose(plate_landmarks)
    shapes = transfer(posed.shape, difference, KEEP)
    return shapes, posed.apply(shapes)


def compare(wanted: Wanted, landmarks: np.ndarray, blendshapes: np.ndarray) -> Proportions:
    """How the plate's person, landmarks (t, 478, 3) and blendshapes (t, 52), differs from the wanted one."""
    return proportions(
        unpose(landmarks), look(blendshapes, pose(landmarks)), wanted.posed, look(wanted.blendshapes, wanted.angles)
    )


def target_features(difference: Proportions, landmarks: np.ndarray, blendshapes: np.ndarray) -> dict[str, np.ndarray]:
    """What pictures are wanted for plate frames, (t, d) for each region."""
    shapes, _ = targets(difference, landmarks)
    angles = pose(landmarks)
    return {region: features(shapes, angles, blendshapes, region).astype(np.float32) for region in REGIONS}


def paths(
    wanted: Wanted, want: dict[str, np.ndarray], starts: np.ndarray, prices: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Choose the pictures for a shot of t frames; `starts` (t,) is True where a new track begins.

    `prices`: for each region (n,), what a picture costs there beside `wanted.price`; None: nothing.
    """
    have = own_features(wanted)
    cost = {region: wanted.price + (prices[region] if prices else 0) for region in REGIONS}
    return {region: choose(have[region], want[region], starts, STAY[region], cost[region]) for region in REGIONS}


def own_features(wanted: Wanted) -> dict[str, np.ndarray]:
    """What a person's own pictures show, (n, d) for each region."""
    return {
        region: features(wanted.posed.shape, wanted.angles, wanted.blendshapes, region).astype(np.float32)
        for region in REGIONS
    }


def render(
    wanted: Wanted,
    target: np.ndarray,
    choice: Mapping[str, int],
    shape: tuple[int, int],
    plate: tuple[np.ndarray, np.ndarray] | None = None,
    fade: Mapping[str, Fade] | None = None,
) -> np.ndarray:
    """Draw one frame's face.

    Args:
        target: (478, 3) landmarks in pixels of the picture to draw.
        choice: a picture for each region.
        shape: H, W of the picture to draw.
        plate: the plate's frame and its landmarks, for the inside of a mouth that no picture of the wanted person has.
        fade: for some regions a second picture and its share.

    Returns:
        H x W x 3 float32 RGB, 0..255.
    """
    fade = fade or {}
    raster = rasterise(mesh_points(target), wanted.triangles, shape, 2)
    result = _mixed("face", choice, fade, partial(_warped, wanted, raster))
    size = eyes_apart(target)
    for region, polygons in (("eyes", (RIGHT_EYE, LEFT_EYE)), ("mouth", (LIPS_OUTER,))):
        x0, y0, x1, y1 = _around(target, polygons, shape, 0.10 * size + 4 * 0.05 * size + 2)
        same = choice[region] == choice["face"] and fade.get(region) == fade.get("face")
        if x0 >= x1 or y0 >= y1 or (region == "eyes" and same):
            continue
        inside, part = target - np.array([x0, y0, 0]), raster.part(x0, y0, x1, y1)
        draw = partial(_mouth, wanted, part, inside, plate) if region == "mouth" else partial(_warped, wanted, part)
        layer = _mixed(region, choice, fade, draw)
        mask = region_mask(inside, polygons, part.shape, grow=0.10 * size, soft=0.05 * size)
        under = result[y0:y1, x0:x1]
        under += cv2.merge([mask] * 3) * (match_ring(layer, under, mask) - under)
    return result


def _mixed(
    region: str, choice: Mapping[str, int], fade: Mapping[str, Fade], draw: Callable[[int], np.ndarray]
) -> np.ndarray:
    """A region as `draw` gives it of its picture, with the second one mixed in if there is one."""
    first = draw(choice[region])
    if region not in fade:
        return first
    other, share = fade[region]
    return cv2.addWeighted(first, 1 - share, draw(other), share, 0)


def _mouth(
    wanted: Wanted, raster: Raster, target: np.ndarray, plate: tuple[np.ndarray, np.ndarray] | None, picture: int
) -> np.ndarray:
    """The mouth of one picture, with an inside borrowed from the plate if it has none."""
    layer = _warped(wanted, raster, picture)
    _draw_lips(wanted, target, picture, layer)
    if plate is not None and lacks_inside(wanted, picture, target):
        return borrow_inside(layer, target, *plate)
    return layer


def _draw_lips(wanted: Wanted, target: np.ndarray, picture: int, layer: np.ndarray) -> None:
    """Draw the lips of `picture` into `layer` once more, in place: they meet along a line, so the mesh is looked up for
    quarters of pixels."""
    x0, y0, x1, y1 = _around(target, (LIPS_OUTER,), layer.shape[:2], LIPS_MARGIN)
    if x0 >= x1 or y0 >= y1:
        return
    high, wide = y1 - y0, x1 - x0
    vertices = mesh_points(2 * (target - np.array([x0, y0, 0])) + (0.5, 0.5, 0))
    double = _warped(wanted, rasterise(vertices, wanted.triangles, (2 * high, 2 * wide), 1), picture)
    fine = cv2.resize(double, (wide, high), interpolation=cv2.INTER_AREA)
    across, down = (np.minimum(np.arange(n), np.arange(n)[::-1]) / LIPS_MARGIN for n in (wide, high))
    share = np.clip(np.minimum(across, down[:, None]), 0, 1).astype(np.float32)
    under = layer[y0:y1, x0:x1]
    under += cv2.merge([share] * 3) * (fine - under)


def lacks_inside(wanted: Wanted, picture: int, target: np.ndarray) -> bool:
    """Whether the target's mouth is open and the picture's far less so: its inside would be lips, stretched."""
    want, have = (mouth_gap(points) for points in (target, wanted.landmarks[picture]))
    return want > OPEN_MOUTH and have < STRETCH * want


def match_ring(layer: np.ndarray, under: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Scale the layer's channels so that they agree with what lies under its soft edge: another picture, other light.

    A factor, not a shift: the inside of a mouth stays dark.
    """
    edge = cv2.inRange(mask, 0.02, 0.6)
    own, wanted = np.array(cv2.mean(layer, edge)[:3]), np.array(cv2.mean(under, edge)[:3])
    gain = np.clip((wanted + 1) / (own + 1), *RING_GAIN)  # 1 where there is no edge
    return layer * gain.astype(np.float32)


def _around(target: np.ndarray, polygons: tuple[tuple[int, ...], ...], shape: tuple[int, int], margin: float) -> Box:
    """The box inside a picture of H, W that holds some outlines and a margin; may be empty."""
    points = target[list(sum(polygons, ())), :2]
    low = np.clip(np.floor(points.min(0) - margin), 0, shape[::-1]).astype(int).tolist()
    high = np.clip(np.ceil(points.max(0) + margin) + 1, 0, shape[::-1]).astype(int).tolist()
    # Even, so that a raster of the whole picture in steps of 2 can be cut there.
    return low[0] // 2 * 2, low[1] // 2 * 2, high[0], high[1]


def region_mask(
    target: np.ndarray, polygons: tuple[tuple[int, ...], ...], shape: tuple[int, int], grow: float, soft: float
) -> np.ndarray:
    """Soft mask of some outlines, grown by `grow` pixels and blurred by `soft`: H x W float32."""
    step = max(1, int(soft / 3))  # a wide blur costs little on a reduced picture, and looks the same
    mask = np.zeros([-(-n // step) for n in shape], np.uint8)
    for polygon in polygons:
        points = np.round(((target[list(polygon), :2] + 0.5) / step - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
        cv2.polylines(mask, [points], True, 255, max(1, round(2 * grow / step)), cv2.LINE_AA, 4)
    blurred = cv2.GaussianBlur(mask * np.float32(1 / 255), (0, 0), max(soft / step, 0.5))
    if step > 1:
        blurred = cv2.resize(blurred, (mask.shape[1] * step, mask.shape[0] * step), interpolation=cv2.INTER_LINEAR)
    return blurred[: shape[0], : shape[1]]


def _warped(wanted: Wanted, raster: Raster, index: int) -> np.ndarray:
    positions = source_map(raster, mesh_points(wanted.landmarks[index]))
    return warp(wanted.picture(index), positions)
