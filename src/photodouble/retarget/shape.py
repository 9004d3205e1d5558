"""A face's shape without its pose, and one person's expression in another person's shape.

A shape is 478 x 3 float64 in the canonical face's frame (x right, y down, z away, centred), in units in which the
distance between the eyes' outer corners of the canonical face is 1: heads at any distance and turn can be compared.
"""

from dataclasses import dataclass

import numpy as np

from photodouble.faces.pose import CANONICAL, RIGID
from photodouble.faces.topology import LEFT_EYE, LEFT_IRIS, LOWER_LIP, OVAL, RIGHT_EYE, RIGHT_IRIS, UPPER_LIP

UNIT = float(np.linalg.norm(CANONICAL[0] - CANONICAL[3]))
"""Between the outer eye corners of the canonical face, cm."""

EYES = ((RIGHT_EYE, RIGHT_IRIS), (LEFT_EYE, LEFT_IRIS))
CALM = 0.15
"""Share of a person's frames that its neutral shape is taken from."""

PAIRED = 400
"""Frames of the plate, spread over it, that are compared with the wanted person's."""

USUAL = 0.45
"""How much the difference between the two people's median shapes counts, which holds more of the person and some of
the expression, beside the difference of the frames that look most alike."""

SHUT, JOINING = 0.008, 0.03
"""A gap between the inner lips that is none yet, and the one below which they begin to close, in shape units."""

ON_OUTLINE = 0.2
"""How far the face's outline follows the wanted person's."""


@dataclass(frozen=True)
class Posed:
    """Landmarks taken apart: landmarks = scale * shape @ rotation.T + shift.

    Attributes:
        shape: (n, 478, 3) float64.
        scale: (n,) pixels for one unit of shape; rotation: (n, 3, 3); shift: (n, 3) pixels.
    """

    shape: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray

    def apply(self, shape: np.ndarray) -> np.ndarray:
        """Put other shapes, (n, 478, 3), into these poses: (n, 478, 3) float32, pixels."""
        turned = self.scale[:, None, None] * (shape @ np.swapaxes(self.rotation, 1, 2))
        return (turned + self.shift[:, None]).astype(np.float32)


def unpose(landmarks: np.ndarray) -> Posed:
    """Take pose and size out of landmarks, (n, 478, 3) in any pixels.

    The similarity is the least-squares one of Umeyama (1991) over points on bone.
    """
    points = np.asarray(landmarks, np.float64)
    model = (CANONICAL - CANONICAL.mean(0)) / UNIT
    rigid = points[:, RIGID]
    centre = rigid.mean(1)
    rigid = rigid - centre[:, None]
    u, s, vt = np.linalg.svd(np.swapaxes(rigid, 1, 2) @ model)
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (s * sign).sum(1) / (model**2).sum()
    shape = ((points - centre[:, None]) @ rotation) / scale[:, None, None]
    return Posed(shape, scale, rotation, centre)


def eyes_apart(landmarks: np.ndarray) -> float:
    """Between the eyes' outer corners as the picture shows them, of landmarks (478, 2 or 3), in their unit."""
    return float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))


def neutral_shape(shapes: np.ndarray, blendshapes: np.ndarray) -> np.ndarray:
    """The shape of a face at rest, (478, 3): the median over the frames that show the least expression.

    Args:
        shapes: (n, 478, 3).
        blendshapes: (n, 52), 0..1. Gaze (11 to 18) is no expression here.
    """
    effort = np.delete(blendshapes, range(11, 19), axis=1).sum(1)
    calm = np.argsort(effort, kind="stable")[: max(5, int(CALM * len(effort)))]
    return np.median(shapes[calm], axis=0)


@dataclass(frozen=True)
class Proportions:
    """How the wanted person's face differs from the plate person's at the same expression.

    Attributes:
        offset: (478, 3), to be added to the plate's shape.
        lids: for the right and the left eye, the wanted person's opening over the plate person's.
        lips: the wanted person's mouth width over the plate person's.
        weight: (478,) `ON_OUTLINE` on the outline, 1 well inside it.
    """

    offset: np.ndarray
    lids: tuple[float, float]
    lips: float
    weight: np.ndarray


def proportions(plate: Posed, plate_look: np.ndarray, wanted: Posed, wanted_look: np.ndarray) -> Proportions:
    """Compare two people on the pairs of frames in which they look most alike.

    Two people's frames at rest are no fair comparison: one may rest with a frown, the other with parted lips.

    Args:
        plate, wanted: shapes of n and m frames.
        plate_look, wanted_look: (n, d) and (m, d), expression and pose in comparable numbers (`look`).
    """
    frames = np.unique(np.linspace(0, len(plate_look) - 1, PAIRED).astype(int))
    distance = np.linalg.norm(plate_look[frames][:, None] - wanted_look[None], axis=2)
    nearest = distance.argmin(1)
    best = np.argsort(distance.min(1), kind="stable")[: max(8, len(frames) // 4)]
    a, b = plate.shape[frames[best]], wanted.shape[nearest[best]]
    middle = np.median(a, axis=0)
    lids = tuple(float(np.clip(np.median(opening(b, e) / opening(a, e)), 0.5, 2)) for e, _ in EYES)
    width = np.median(np.linalg.norm(b[:, 61] - b[:, 291], axis=1) / np.linalg.norm(a[:, 61] - a[:, 291], axis=1))
    usual = np.median(wanted.shape, axis=0) - np.median(plate.shape[frames], axis=0)
    offset = (1 - USUAL) * np.median(b - a, axis=0) + USUAL * usual
    return Proportions(offset, (lids[0], lids[1]), float(width), ON_OUTLINE + (1 - ON_OUTLINE) * inner_weight(middle))


def look(blendshapes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Expression and pose as one row of numbers: blendshapes (n, 52) and yaw, pitch in units of 40 degrees."""
    return np.concatenate([blendshapes[:, 1:], angles[:, :2] / 40], 1)


def opening(shapes: np.ndarray, lids: tuple[int, ...]) -> np.ndarray:
    """How far an eye is open: mean gap of its middle lid points, (n,), at least 0.001 shape units."""
    lower, upper = list(lids[2:7]), list(lids[14:9:-1])
    return np.maximum((shapes[:, lower, 1] - shapes[:, upper, 1]).mean(1), 1e-3)


def inner_weight(neutral: np.ndarray, fade: float = 0.15) -> np.ndarray:
    """How far inside the outline each landmark lies, (478,): 0 on the outline, 1 from `fade` units inwards."""
    outline = neutral[OVAL, :2]
    edges = np.roll(outline, -1, axis=0) - outline
    away = neutral[:, None, :2] - outline
    along = np.clip((away * edges).sum(-1) / np.maximum((edges**2).sum(-1), 1e-12), 0, 1)
    distance = np.linalg.norm(away - along[..., None] * edges, axis=-1).min(1)
    ramp = np.clip(distance / fade, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def transfer(shapes: np.ndarray, difference: Proportions, keep: float) -> np.ndarray:
    """The plate's expressions in the wanted person's proportions.

    Lids and lips open in proportion (closed stays closed), and irises lie in the eye where the plate's lie.

    Args:
        shapes: (n, 478, 3), the plate's.
        difference: between the two people.
        keep: 0..1, how much of the wanted person's proportions to take.

    Returns:
        (n, 478, 3) float64.
    """
    result = shapes + keep * difference.weight[:, None] * difference.offset
    for (lids, iris), ratio in zip(EYES, difference.lids, strict=True):
        lower, upper = list(lids[1:8]), list(lids[:8:-1])
        _set_gap(result, shapes[:, lower, 1] - shapes[:, upper, 1], ratio, lower, upper, (), ())
        _place_iris(result, shapes, lids, iris)
    lower, upper = list(LOWER_LIP[-1]), list(UPPER_LIP[-1])
    gap = shapes[:, lower, 1] - shapes[:, upper, 1] - SHUT
    _join(result, gap, lower, upper)
    _set_gap(result, gap, difference.lips, lower, upper, LOWER_LIP[:-1], UPPER_LIP[:-1])
    return result


def _join(result: np.ndarray, gap: np.ndarray, lower: list[int], upper: list[int]) -> None:
    """Let lips that are about to close meet point by point: where they lie side by side, the mesh would fold."""
    close = np.clip(1 - gap / JOINING, 0, 1)[..., None]
    middle = (result[:, lower] + result[:, upper]) / 2
    for points in (lower, upper):
        result[:, points] += close * (middle - result[:, points])


def _set_gap(
    result: np.ndarray,
    gap: np.ndarray,
    ratio: float,
    lower: list[int],
    upper: list[int],
    below: tuple[tuple[int, ...], ...],
    above: tuple[tuple[int, ...], ...],
) -> None:
    """Hold `lower` and `upper` apart by `gap` * `ratio`; the rows of points `below` and `above` move along."""
    change = (np.maximum(gap, 0) * ratio - (result[:, lower, 1] - result[:, upper, 1])) / 2
    for rows, sign in (((lower, *below), 1), ((upper, *above), -1)):
        for points in rows:
            result[:, list(points), 1] += sign * change


def gaze(shapes: np.ndarray, lids: tuple[int, ...], iris: tuple[int, ...]) -> np.ndarray:
    """Where the iris lies between the eye's corners: (n, 2), in eye widths from their middle, x along them."""
    outer, inner = shapes[:, lids[0], :2], shapes[:, lids[8], :2]
    axis = inner - outer
    offset = shapes[:, iris[0], :2] - (outer + inner) / 2
    width = np.maximum((axis**2).sum(1), 1e-12)
    return np.stack(
        [(offset * axis).sum(1) / width, (axis[:, 0] * offset[:, 1] - axis[:, 1] * offset[:, 0]) / width], 1
    )


def _place_iris(result: np.ndarray, shapes: np.ndarray, lids: tuple[int, ...], iris: tuple[int, ...]) -> None:
    look = gaze(shapes, lids, iris)
    outer, inner = result[:, lids[0], :2], result[:, lids[8], :2]
    axis = inner - outer
    across = np.stack([-axis[:, 1], axis[:, 0]], 1)
    centre = (outer + inner) / 2 + look[:, :1] * axis + look[:, 1:] * across
    rim = shapes[:, iris] - shapes[:, iris[:1]]
    result[:, iris] = rim
    result[:, iris, :2] += centre[:, None]
    result[:, iris, 2] += result[:, (lids[0], lids[8]), 2].mean(1)[:, None]
