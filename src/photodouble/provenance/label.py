"""The visible label that every output of the basis `research` carries."""

import functools

import cv2
import numpy as np

TEXT = "AI-ALTERED · RESEARCH"
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SMALLEST = 9  # pixels; below, the letters cannot be told apart
_SHARE = 0.05  # of the shorter side, the height that GB 45438-2025 asks for


def label_region(width: int, height: int, text: str = TEXT) -> tuple[int, int, int, int]:
    """Where the label of a width x height picture is: x0, y0, x1, y1, the far edges excluded; bottom left.

    It is as high as 5 % of the shorter side and at least 9 pixels, narrower if the picture is.
    """
    high = min(max(_SMALLEST, round(_SHARE * min(width, height))), height)
    wide = min(_mask(text, high).shape[1], width)
    return 0, height - high, wide, height


def draw_label(image: np.ndarray, text: str = TEXT) -> np.ndarray:
    """A copy of `image` (H x W x 3 RGB; uint8, uint16 or float32, white at 255, 65535 or 1.0) with the label on it.

    White letters on a plate of dark grey that is nearly opaque, so that they are legible on any picture; nothing
    outside `label_region` changes. A float picture's values above 1.0 stay above under the label's edge.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = label_region(width, height, text)
    letters = _mask(text, y1 - y0)
    if letters.shape[1] > x1 - x0:
        letters = cv2.resize(letters, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    white = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}.get(image.dtype, 1.0)
    under = image[y0:y1, x0:x1].astype(np.float32)
    plate = 0.15 * np.clip(under, 0, white) + 0.85 * 0.08 * white
    mixed = plate + letters[..., None] * (white - plate)
    result = image.copy()
    result[y0:y1, x0:x1] = np.rint(mixed) if np.issubdtype(image.dtype, np.integer) else mixed
    return result


@functools.lru_cache(maxsize=8)
def _mask(text: str, high: int) -> np.ndarray:
    """The letters as `high` x W float32, 0..1. Drawn large and reduced, so that small ones keep their strokes.

    The array is shared between calls: do not write to it.
    """
    times = max(1, round(96 / high))
    tall = high * times
    cap = cv2.getTextSize("A", _FONT, 1.0, 1)[0][1]
    scale, pen = 0.62 * tall / cap, max(1, round(tall / 11))
    pad, base = round(0.25 * tall), round(0.79 * tall)
    # The built-in font is ASCII: a middle dot is drawn as one.
    words = text.split("·")
    widths = [cv2.getTextSize(word, _FONT, scale, pen)[0][0] for word in words]
    gap = round(0.25 * tall)
    canvas = np.zeros((tall, sum(widths) + gap * (len(words) - 1) + 2 * pad), np.uint8)
    x = pad
    for index, (word, wide) in enumerate(zip(words, widths, strict=True)):
        cv2.putText(canvas, word, (x, base), _FONT, scale, 255, pen, cv2.LINE_AA)
        x += wide
        if index < len(words) - 1:
            cv2.circle(canvas, (x + gap // 2, base - round(0.26 * tall)), max(1, round(0.07 * tall)), 255, -1)
            x += gap
    small = cv2.resize(canvas, (max(1, round(canvas.shape[1] / times)), high), interpolation=cv2.INTER_AREA)
    # Reducing thins the strokes; a gamma brings the letters back to full contrast.
    return np.clip((small.astype(np.float32) / 255.0) ** 0.7, 0, 1)
