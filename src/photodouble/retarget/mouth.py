"""The inside of a mouth that the wanted person's footage lacks: the plate's, in the wanted person's light."""

import cv2
import numpy as np

from photodouble.faces.topology import LIPS_INNER, LIPS_OUTER
from photodouble.retarget.shape import eyes_apart

SHIFT = 4


def mouth_gap(landmarks: np.ndarray) -> float:
    """Between the inner lips' middles, in parts of the distance between the eyes' outer corners."""
    eyes = eyes_apart(landmarks)
    return float(np.linalg.norm(landmarks[13, :2] - landmarks[14, :2])) / max(eyes, 1e-6)


def borrow_inside(layer: np.ndarray, target: np.ndarray, plate: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Lay the plate's mouth inside over a drawn mouth.

    Args:
        layer: h x w x 3 float32, the mouth's part of the drawn face; target: (478, 3) in its pixels.
        plate: the plate's frame, H x W x 3 uint8; landmarks: (478, 3) of its face.

    Returns:
        h x w x 3 float32.
    """
    own, wanted = landmarks[list(LIPS_INNER), :2], target[list(LIPS_INNER), :2]
    # Six numbers that take the target's lips to the plate's, in least squares.
    known = np.concatenate([wanted, np.ones((len(wanted), 1))], 1)
    matrix = np.linalg.lstsq(known, own, rcond=None)[0].T.astype(np.float64)
    height, width = layer.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(plate, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    hole, lips = (_filled(target, outline, (height, width)) for outline in (LIPS_INNER, LIPS_OUTER))
    # The light is read off the skin around the lips: lips have colours of their own.
    wide = max(3, round(0.1 * eyes_apart(target)))
    skin = cv2.subtract(cv2.dilate(lips, np.ones((wide, wide), np.uint8)), lips)
    light = (np.array(cv2.mean(layer, skin)[:3]) + 1) / (np.array(cv2.mean(inside, skin)[:3]) + 1)
    light = np.clip(light, 0.4, 2.5).astype(np.float32)
    soft = cv2.GaussianBlur(hole * np.float32(1 / 255), (0, 0), 1.0)[..., None]
    return layer + soft * (inside * light - layer)


def _filled(landmarks: np.ndarray, outline: tuple[int, ...], shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    points = np.round(landmarks[list(outline), :2] * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, SHIFT)
    return mask
