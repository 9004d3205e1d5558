"""The new face in the plate's light: its colours as a whole, then, at the edge, a smooth field of gains."""

import cv2
import numpy as np

from photodouble.compositing.look import AXES, bare_skin, enlarged, luma, reduced, shrunk, skin_light, small_step, times
from photodouble.faces.topology import OVAL

CONTRAST, SATURATION = (0.8, 1.3), (0.5, 1.3)
"""Factors within which they follow the plate's. Make-up and beards are not light, and what gives a face its contrast is
its shape as much as its light: made as flat as a plate in flat light, it is no longer that face."""

DARK = 102.0
"""Luma (0..255) below which the change of colour fades out: the inside of a mouth is dark in any light."""

FLOOR = 6.0
"""Levels added before a logarithm is taken, or the noise of black would count as light."""

ALONG, FLAT, FADE = 0.05, 0.02, 0.11
"""Correction at the matte's edge: blur along it, depth down to which all of it is given, and at which none is left, in
parts of the face's width."""

EDGE_MOST, EDGE_TINT = 0.4, 0.12
"""Limits of the correction at the edge, as logarithms: of its mean over the channels, and of what one has beyond it.
Hair against skin is another colour, and no light."""

UNLIKE = 0.5
"""Logarithm of a ratio from which the plate's edge counts little: hair over the face is not its skin in a light."""


def match_light(
    face: np.ndarray,
    plate: np.ndarray,
    landmarks: np.ndarray,
    matte: np.ndarray,
    light: np.ndarray | None = None,
    cover: np.ndarray | None = None,
    strength: float = 1.0,
    edge: float = 0.0,
    bare: np.ndarray | None = None,
) -> np.ndarray:
    """Give a face the plate's light.

    The skin's mean becomes the plate's, and so do its contrast and its saturation (Reinhard, Ashikhmin, Gooch and
    Shirley, "Color Transfer between Images", 2001, with luma and one factor for both colour axes: an optimal transport
    between two Gaussians that turns no hue). What is then left of the difference along the matte's edge is spread
    inwards as gains and fades out, like the membranes of Perez, Gangnet and Blake, "Poisson Image Editing", 2003, and
    Farbman et al., "Coordinates for Instant Image Cloning", 2009, but with an end: the face's own shading stays.

    Args:
        face, plate: H x W x 3 float32 RGB, 0..255.
        landmarks: (478, 2 or 3) that the face was drawn on, in their pixels.
        matte: H x W float32, the blend's.
        light: `Look.light` of the plate, filtered over the shot; None: as it is in this frame.
        cover: H x W float32, 1 where something is in front of the plate's face.
        strength: 0..1, part of the match that is made.
        edge: 0..1, part of the difference at the edge that is spread inwards.
        bare: `bare_skin` of the landmarks; None: it is found here.

    Returns:
        H x W x 3 float32 RGB, 0..255; `face` itself where no skin is to be seen.
    """
    shape = matte.shape
    step = small_step(landmarks, shape)
    bare = bare_skin(landmarks, shape) if bare is None else bare
    there = None if cover is None else 1 - reduced(cover, step)
    own, other = reduced(face, step), None
    if light is None or edge:
        other = reduced(plate, step)
    have, want = skin_light(own, bare), light
    if want is None and other is not None:
        want = skin_light(other, bare if there is None else bare * there)
    if have is None or want is None or not strength:
        return face
    matrix = _transport(have, want)
    lit = _recoloured(face, matrix, strength)
    if not edge or other is None:
        return lit
    points = shrunk(landmarks, step)
    width = float(np.ptp(points[list(OVAL), 0]))
    left = _logarithm(other) - _logarithm(_recoloured(own, matrix, 1.0))
    seen = reduced(matte, step)
    field = _edge(left, seen * (1 - seen) if there is None else seen * (1 - seen) * there, width)
    field = field * _near(points, seen.shape, width)
    gains = cv2.exp(field * np.float32(strength * edge))
    lit *= enlarged(gains, step, shape)
    return np.clip(lit, 0, 255, out=lit)


def _transport(have: np.ndarray, want: np.ndarray) -> np.ndarray:
    """(3, 4) float32: what is added to an RGB value, from `Look.light` of the face and of the plate."""
    contrast, saturation = np.clip((want[3:] + 0.1) / (have[3:] + 0.1), *np.transpose([CONTRAST, SATURATION]))
    matrix = np.linalg.inv(AXES) @ np.diag([contrast, saturation, saturation]) @ AXES
    return np.c_[matrix - np.eye(3), want[:3] - matrix @ have[:3]].astype(np.float32)


def _recoloured(picture: np.ndarray, matrix: np.ndarray, strength: float) -> np.ndarray:
    lit = luma(picture)
    lit *= np.float32(1 / DARK)
    np.clip(lit, 0, 1, out=lit)
    if strength != 1:
        lit *= np.float32(strength)
    change = times(cv2.transform(picture, matrix), lit)
    change += picture
    return np.clip(change, 0, 255, out=change)


def _logarithm(picture: np.ndarray) -> np.ndarray:
    return cv2.log(np.maximum(picture, 0) + np.float32(FLOOR))


def _edge(left: np.ndarray, middle: np.ndarray, width: float) -> np.ndarray:
    """The logarithms `left` (h x w x 3) as they are where `middle` is large, along the matte's edge, spread around."""
    unlike = np.square(left * np.float32(1 / UNLIKE)).mean(2)
    weight = middle * cv2.exp(-unlike) + np.float32(1e-6)
    sigma = max(ALONG * width, 0.5)
    total = cv2.GaussianBlur(left * weight[..., None], (0, 0), sigma)
    spread = total / cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    grey = spread.mean(2, keepdims=True)
    return np.clip(grey, -EDGE_MOST, EDGE_MOST) + np.clip(spread - grey, -EDGE_TINT, EDGE_TINT)


def _near(points: np.ndarray, shape: tuple[int, ...], width: float) -> np.ndarray:
    """h x w x 1 float32: 1 at the outline, 0 deep inside."""
    inside = np.zeros(shape, np.uint8)
    cv2.fillPoly(inside, [np.round(points[list(OVAL)] * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5) / np.float32(max(width, 1e-6))
    ramp = np.clip((depth - FLAT) / (FADE - FLAT), 0, 1)
    return (1 - ramp * ramp * (3 - 2 * ramp))[..., None]
