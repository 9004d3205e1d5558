"""The face's own matte: its outline, fading out towards the inside."""

import cv2
import numpy as np

from photodouble.faces.topology import OVAL


def outline_matte(landmarks: np.ndarray, shape: tuple[int, int], softness: float = 0.1) -> np.ndarray:
    """Matte of the face's outline.

    Args:
        landmarks: (478, 2 or 3), in pixels of the picture that the matte is for.
        shape: H, W of that picture.
        softness: width of the fade in parts of the face's width; 0 gives a hard edge.

    Returns:
        H x W float32: 0 outside the outline, rising smoothly to 1 over the fade, which lies wholly inside.
    """
    return outline_mattes(landmarks, shape, (softness,))[0]


def outline_mattes(landmarks: np.ndarray, shape: tuple[int, int], softness: tuple[float, ...]) -> list[np.ndarray]:
    """`outline_matte` for several widths of the fade at once."""
    height, width = shape
    mattes = [np.zeros(shape, np.float32) for _ in softness]
    outline = np.asarray(landmarks, np.float64)[OVAL, :2]
    low = np.maximum(np.floor(outline.min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + 3, (width, height))
    if (high <= low).any():
        return mattes
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(inside, [np.round((outline - low) * 16).astype(np.int32)], 255, lineType=cv2.LINE_8, shift=4)
    # The picture's edge is no outline: a face that it cuts off stays opaque there.
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5)
    for matte, soft in zip(mattes, softness, strict=True):
        fade = soft * float(np.ptp(outline[:, 0]))
        if fade < 1:
            matte[y0:y1, x0:x1] = inside > 0
            continue
        ramp = distance * np.float32(1 / fade)
        np.minimum(ramp, 1, out=ramp)
        steep = ramp * np.float32(-2)
        steep += 3
        ramp *= ramp
        np.multiply(ramp, steep, out=matte[y0:y1, x0:x1])
    return mattes
