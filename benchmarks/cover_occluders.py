"""Things in front of a face, drawn: what `make_cover.py` teaches with and measures on.

Every shape is a soft mask on a square picture in which a face lies as in `retarget.uncovered.LAYOUT`; what it is made
of, its light and its shadow are chosen apart from it.
"""

from collections.abc import Callable

import cv2
import numpy as np

FINE = 2
"""Shapes are drawn so many times larger, and averaged."""

Shape = Callable[[np.random.Generator, int, np.ndarray], np.ndarray]


def microphone(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """A stick from the picture's edge with a round or long head near the mouth or the cheeks."""
    mask = np.zeros((side, side), np.uint8)
    head = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.45, 0.95)]) * side
    angle = rng.uniform(0.05, 0.95) * np.pi if rng.random() < 0.85 else rng.uniform(-np.pi, 0)
    far = head + 1.5 * side * np.array([np.cos(angle), np.sin(angle)])
    radius = rng.uniform(0.05, 0.16) * side
    _line(mask, head, far, rng.uniform(0.25, 0.9) * 2 * radius)
    axes = (radius * rng.uniform(1, 1.7), radius)
    cv2.ellipse(mask, (head.tolist(), (2 * axes[0], 2 * axes[1]), float(np.degrees(angle))), 255, -1, cv2.LINE_AA)
    return mask


def rod(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """One or a few rods, cables or straps through the picture."""
    mask = np.zeros((side, side), np.uint8)
    middle = rng.uniform(0.2, 0.8, 2) * side
    angle = rng.uniform(0, np.pi)
    way = np.array([np.cos(angle), np.sin(angle)])
    for number in range(rng.integers(1, 3)):
        shift = number * rng.uniform(0.08, 0.2) * side * np.array([-way[1], way[0]])
        near = middle + shift - (2 * side if rng.random() < 0.6 else rng.uniform(0, 0.3) * side) * way
        _line(mask, near, middle + shift + 2 * side * way, rng.uniform(0.02, 0.14) * side)
    return mask


def paper(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """A sheet, a book or a phone: a rectangle, seen aslant."""
    mask = np.zeros((side, side), np.uint8)
    size = rng.uniform(0.15, 0.75, 2) * side
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2
    corners = corners * (1 + rng.uniform(-0.15, 0.15, (4, 2)))
    cv2.fillPoly(mask, [_fixed(_placed(rng, corners, side))], 255, cv2.LINE_AA, 4)
    return mask


def cup(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """A cup or a glass before the mouth, with or without a handle."""
    mask = np.zeros((side, side), np.uint8)
    wide, high, taper = rng.uniform(0.2, 0.5) * side, rng.uniform(0.25, 0.6) * side, rng.uniform(0.7, 1)
    centre = np.array([rng.uniform(0.3, 0.7), rng.uniform(0.75, 1.05)]) * side
    body = np.array([(-1, -1), (1, -1), (taper, 1), (-taper, 1)]) * (wide / 2, high / 2)
    turn = _turn(rng.uniform(-0.5, 0.5))
    cv2.fillPoly(mask, [_fixed(centre + body @ turn)], 255, cv2.LINE_AA, 4)
    rim = centre + np.array([0, -high / 2]) @ turn
    tilt = float(np.degrees(np.arctan2(turn[0, 1], turn[0, 0])))
    cv2.ellipse(mask, (rim.tolist(), (wide, wide * rng.uniform(0.1, 0.4)), tilt), 255, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        ear = centre + np.array([wide / 2 * rng.choice([-1, 1]), 0]) @ turn
        radius = max(round(high * 0.25), 2)
        cv2.circle(mask, ear.round().astype(int).tolist(), radius, 255, max(round(0.04 * side), 1), cv2.LINE_AA)
    return mask


def glasses(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """Frames around both eyes, sometimes with dark lenses; `eyes` are their centres, (2, 2)."""
    mask = np.zeros((side, side), np.uint8)
    across = eyes[1] - eyes[0]
    gap = float(np.hypot(*across))
    way, tilt = across / max(gap, 1e-6), float(np.degrees(np.arctan2(across[1], across[0])))
    wide, high = gap * rng.uniform(0.62, 0.85), gap * rng.uniform(0.4, 0.75)
    thick = max(round(rng.uniform(0.012, 0.045) * side), 1)
    filled = rng.random() < 0.3
    drop = np.array([-way[1], way[0]]) * rng.uniform(-0.02, 0.12) * gap
    square = rng.random() < 0.5
    for sign, eye in zip((-1, 1), eyes + drop, strict=True):
        centre = eye + sign * rng.uniform(0, 0.05) * gap * way
        if square:
            box = np.array([(-1, -1), (1, -1), (0.85, 1), (-0.85, 1)]) * (wide / 2, high / 2)
            points = _fixed(centre + box @ _turn(-np.radians(tilt)))
            cv2.polylines(mask, [points], True, 255, thick, cv2.LINE_AA, 4)
            if filled:
                cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
        else:
            cv2.ellipse(mask, (centre.tolist(), (wide, high), tilt), 255, -1 if filled else thick, cv2.LINE_AA)
        _line(mask, centre + sign * way * wide / 2, centre + sign * way * gap * 1.6, thick)
    _line(mask, eyes[0] + drop + way * wide / 2, eyes[1] + drop - way * wide / 2, thick)
    return mask


def hair(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """A bundle of curves from the top or a side over forehead and cheek."""
    mask = np.zeros((side, side), np.uint8)
    root = np.array([rng.uniform(0.1, 0.9), rng.uniform(-0.1, 0.15)]) * side
    tip = np.array([rng.uniform(0.1, 0.9), rng.uniform(0.25, 1.0)]) * side
    bend = (root + tip) / 2 + rng.normal(0, 0.2, 2) * side
    width = rng.uniform(0.02, 0.14) * side
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(rng.integers(4, 22)):
        a, b, c = (p + rng.normal(0, width * f, 2) for p, f in ((root, 1), (bend, 1), (tip, 0.8)))
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        thick = max(round(rng.uniform(0.006, 0.035) * side), 1)
        cv2.polylines(mask, [_fixed(curve)], False, 255, thick, cv2.LINE_AA, 4)
    return mask


def hand(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """A palm with fingers on an arm that leaves the picture."""
    mask = np.zeros((side, side), np.uint8)
    palm = np.array([rng.uniform(0.05, 0.95), rng.uniform(0.3, 1.05)]) * side
    size = rng.uniform(0.14, 0.26) * side
    angle = rng.uniform(-np.pi, np.pi)
    cv2.ellipse(mask, (palm.tolist(), (2 * size, 1.6 * size), float(np.degrees(angle))), 255, -1, cv2.LINE_AA)
    spread = rng.uniform(0.12, 0.35)
    for finger in range(rng.integers(1, 6)):
        way = angle + spread * (finger - 2) + rng.normal(0, 0.08)
        start = palm + 0.6 * size * np.array([np.cos(angle + 0.4 * (finger - 2)), np.sin(angle + 0.4 * (finger - 2))])
        long = size * rng.uniform(0.8, 1.8)
        joint = start + 0.55 * long * np.array([np.cos(way), np.sin(way)])
        way += rng.normal(0, 0.3)
        thick = size * rng.uniform(0.28, 0.4)
        _line(mask, start, joint, thick)
        _line(mask, joint, joint + 0.5 * long * np.array([np.cos(way), np.sin(way)]), 0.9 * thick)
    away = angle + np.pi + rng.normal(0, 0.3)
    _line(mask, palm, palm + 2 * side * np.array([np.cos(away), np.sin(away)]), 1.2 * size)
    return mask


def blob(rng: np.random.Generator, side: int, eyes: np.ndarray) -> np.ndarray:
    """A smooth shape of no kind."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones(48)
    for wave in range(1, 6):
        radius += rng.normal(0, 0.28 / wave) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    radius = np.maximum(radius, 0.15) * rng.uniform(0.06, 0.32) * side
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None] * rng.uniform(0.6, 1.6, 2)
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [_fixed(_placed(rng, points, side))], 255, cv2.LINE_AA, 4)
    return mask


SHAPES: dict[str, Shape] = {
    shape.__name__: shape for shape in (microphone, rod, paper, cup, glasses, hair, hand, blob)
}  # fmt: skip


def draw(rng: np.random.Generator, size: int, eyes: np.ndarray, kind: str | None = None) -> np.ndarray:
    """One thing's mask, size x size float32 0..1; `eyes` (2, 2) are the eyes' centres in its pixels."""
    kind = kind or str(rng.choice([*SHAPES, "glasses", "hand"]))  # the hardest ones more often
    mask = SHAPES[kind](rng, FINE * size, (eyes + 0.5) * FINE - 0.5)
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def cloth(rng: np.random.Generator, size: int, pictures: np.ndarray) -> np.ndarray:
    """What a thing is made of, size x size x 3 float32 0..255: a colour, a pattern, or a piece of another picture."""
    kind = rng.random()
    if kind < 0.35:
        other = pictures[rng.integers(len(pictures))]
        side = int(rng.integers(6, len(other) // 2))
        x, y = rng.integers(0, len(other) - side, 2)
        surface = cv2.resize(other[y : y + side, x : x + side], (size, size)).astype(np.float32)
        surface = np.rot90(surface, int(rng.integers(4))) * rng.uniform(0.6, 1.4) + rng.normal(0, 12, 3)
    else:
        other = pictures[rng.integers(len(pictures))]
        plain = (
            rng.uniform(0, 255, 3),
            np.full(3, rng.choice([rng.uniform(0, 45), rng.uniform(200, 255), rng.uniform(0, 255)])),
            other[rng.integers(20, 50), rng.integers(20, 44)] * rng.uniform(0.6, 1.3),
        )[int(rng.choice(3, p=(0.35, 0.4, 0.25)))]
        surface = np.tile(plain.astype(np.float32), (size, size, 1))
        if rng.random() < 0.4:
            grid = np.linspace(0, 1, size, dtype=np.float32)
            angle, waves = rng.uniform(0, np.pi), rng.uniform(3, 30)
            phase = np.cos(angle) * grid + np.sin(angle) * grid[:, None]
            stripes = np.clip(3 * np.sin(2 * np.pi * waves * phase) - rng.uniform(-2, 2), 0, 1)[..., None]
            surface = surface + stripes * rng.normal(0, 60, 3)
    if rng.random() < 0.6:
        surface = surface + smooth_noise(rng, size, int(rng.integers(3, 12)))[..., None] * rng.uniform(4, 30)
    return np.clip(surface * (1 + ramp(rng, size, 0.35)[..., None]), 0, 255).astype(np.float32)


def ramp(rng: np.random.Generator, size: int, most: float) -> np.ndarray:
    """A slope of light across the picture, size x size float32 in -most..most."""
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    return rng.uniform(0, most) * np.tanh((np.cos(angle) * grid + np.sin(angle) * grid[:, None]) * rng.uniform(0.5, 3))


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Noise with about `cells` bumps across, size x size float32 of about unit strength."""
    return cv2.resize(rng.normal(0, 1, (cells, cells)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)


def _line(mask: np.ndarray, start: np.ndarray, end: np.ndarray, thick: float) -> None:
    a, b = (tuple(np.round(np.clip(p, -4000, 4000) * 16).astype(int).tolist()) for p in (start, end))
    cv2.line(mask, a, b, 255, max(round(thick), 1), cv2.LINE_AA, 4)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 16).astype(np.int32)


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _placed(rng: np.random.Generator, points: np.ndarray, side: int) -> np.ndarray:
    return points @ _turn(rng.uniform(-np.pi, np.pi)) + rng.uniform(0.05, 0.95, 2) * side
