"""Visible labels: what they say, how large, for how long, where; drawn into frames of any depth.

Presets:
    research: every output of the basis `research` carries it, over the whole clip.
    cn: GB 45438-2025, 5.4 f) and g): letters of at least 5 % of the shorter side, for at least 2 s from the start, that
        say that AI and synthesis are in it (5.1). Its metadata field is in aigc.py.
    corner: words of one's own, over the whole clip.
"""

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from photodouble.errors import BadInput
from photodouble.provenance import strokes

PRESETS = ("research", "cn", "corner")
RESEARCH = "AI-ALTERED · RESEARCH"
CHINESE = "AI合成"
CHINESE_SHARE = 0.055  # of the shorter side, a capital; characters of these strokes are a little lower: 5 % at least
CHINESE_SECONDS = 2.0
LONGEST = 60  # letters of one's own words
CORNERS = ("bottom left", "bottom right", "top left", "top right")
Box = tuple[int, int, int, int]

_SHARE = 0.031  # of the shorter side, a capital of the other labels: the plate under it is 5 % high
_PLATE = 1.62  # height of the plate in capitals
_SMALLEST = 9  # pixels of a plate; below, letters cannot be told apart
_SMALLEST_CHINESE = 11  # pixels of a Chinese character


@dataclass(frozen=True)
class Label:
    """What stands on the frames.

    Attributes:
        text: see `strokes.drawable`. share: height of a capital in shares of the picture's shorter side, at least.
        until: seconds on the clip's clock after which it is gone; None: never.
        corner: one of CORNERS.
    """

    text: str
    share: float = _SHARE
    until: float | None = None
    corner: str = CORNERS[0]

    def shown(self, seconds: float) -> bool:
        """Whether the frame at `seconds` on the clip's clock bears it."""
        return self.until is None or seconds < self.until


def make_label(preset: str | None, text: str | None, research: bool) -> Label | None:
    """The label that was asked for together with the one that is required; None: neither.

    Two labels stand side by side on one plate, and each rule holds for both. `until` counts from 0.

    Args:
        preset: one of PRESETS. text: words of one's own, for the preset `corner`, which they imply.
        research: the basis of a record is `research`, which asks for its label whatever else is shown.

    Raises:
        BadInput: there is no such preset, or the words are missing, too long, or have letters that cannot be drawn.
    """
    if preset is None and text is not None:
        preset = "corner"
    if preset not in (None, *PRESETS):
        raise BadInput(f"There is no label {preset!r}: choose one of {', '.join(PRESETS)}.")
    if (preset == "corner") != (text is not None):
        raise BadInput(
            "The label 'corner' shows words of your own: give --label corner together with --label-text TEXT."
        )
    parts = [RESEARCH] if research or preset == "research" else []
    if preset == "cn":
        parts.append(CHINESE)
    if text is not None:
        parts.append(_checked(text))
    if not parts:
        return None
    chinese = preset == "cn"
    until = CHINESE_SECONDS if parts == [CHINESE] else None
    return Label(" · ".join(parts), CHINESE_SHARE if chinese else _SHARE, until)


def _checked(text: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > LONGEST:
        raise BadInput(f"A label has 1 to {LONGEST} letters: {text!r} has {len(words)}.")
    for letter in words:
        if not strokes.drawable(letter):
            known = "".join(strokes.STROKES)
            raise BadInput(f"The label cannot show {letter!r}: use the letters of ASCII, '{strokes.DOT}' and {known}.")
    return words


def label_region(label: Label, width: int, height: int) -> Box:
    """Where the label of a width x height picture is: x0, y0, x1, y1, the far edges excluded; narrower if that is."""
    letters = _mask(label.text, _capital(label, width, height))
    high, wide = min(letters.shape[0], height), min(letters.shape[1], width)
    x0 = 0 if label.corner.endswith("left") else width - wide
    y0 = 0 if label.corner.startswith("top") else height - high
    return x0, y0, x0 + wide, y0 + high


def free_corner(label: Label, width: int, height: int, faces: np.ndarray) -> str:
    """The corner whose label covers the fewest faces, the earlier one of CORNERS among equals.

    Args:
        faces: boxes x0, y0, x1, y1 of all faces in all frames that bear the label, (n, 4), pixels.
    """
    boxes = np.asarray(faces, np.float64).reshape(-1, 4)

    def covered(corner: str) -> int:
        x0, y0, x1, y1 = label_region(Label(label.text, label.share, corner=corner), width, height)
        inside = (boxes[:, 0] < x1) & (boxes[:, 2] > x0) & (boxes[:, 1] < y1) & (boxes[:, 3] > y0)
        return int(inside.sum())

    return min(CORNERS, key=covered)


def draw_label(image: np.ndarray, label: Label) -> np.ndarray:
    """A copy of `image` (H x W x 3 RGB; uint8, uint16 or float32, white at 255, 65535 or 1.0) with the label on it.

    White letters on a plate of dark grey that is nearly opaque, so that they are legible on any picture; nothing
    outside `label_region` changes.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = label_region(label, width, height)
    letters = _mask(label.text, _capital(label, width, height))
    if letters.shape != (y1 - y0, x1 - x0):
        letters = cv2.resize(letters, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    white = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}.get(image.dtype, 1.0)
    under = image[y0:y1, x0:x1].astype(np.float32)
    plate = 0.15 * np.clip(under, 0, white) + 0.85 * 0.08 * white
    mixed = plate + letters[..., None] * (white - plate)
    result = image.copy()
    result[y0:y1, x0:x1] = np.rint(mixed) if np.issubdtype(image.dtype, np.integer) else mixed
    return result


def labelled(image: np.ndarray, seconds: float, label: Label | None) -> np.ndarray:
    """The frame shown at `seconds` on the clip's clock: with the label as long as there is one, else as it is."""
    return image if label is None or not label.shown(seconds) else draw_label(image, label)


def _capital(label: Label, width: int, height: int) -> int:
    """Height of a capital in pixels."""
    least = _SMALLEST / _PLATE
    if any(letter in strokes.STROKES for letter in label.text):
        least = _SMALLEST_CHINESE
    return max(math.ceil(label.share * min(width, height)), math.ceil(least))


@functools.lru_cache(maxsize=8)
def _mask(text: str, capital: int) -> np.ndarray:
    """The letters with the plate around them, H x W float32, 0..1. Drawn large and reduced, so that small ones keep
    their strokes. The array is shared between calls: do not write to it.
    """
    times = max(1, round(64 / capital))
    tall = capital * times
    dense = any(letter in strokes.STROKES for letter in text)
    large = strokes.draw(text, tall, max(1, round(tall / (9 if dense else 7))))
    above = round((_PLATE - 1) / 2 * tall)
    side = round(0.4 * tall)
    body = large[: round(_PLATE * tall) - above]
    below = round(_PLATE * tall) - above - len(body)
    canvas = cv2.copyMakeBorder(body, above, below, side, side, cv2.BORDER_CONSTANT, value=0)
    size = max(1, round(canvas.shape[1] / times)), max(1, round(canvas.shape[0] / times))
    small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    # Reducing thins the strokes; a gamma brings the letters back to full contrast.
    return np.clip((small.astype(np.float32) / 255.0) ** 0.7, 0, 1)
