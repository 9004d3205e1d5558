"""Letters for visible labels as pen strokes, so that they need no font: OpenCV's own for ASCII, ours for a few others.

The Chinese characters are those that GB 45438-2025, 5.1, asks a written label for: 人工智能 (artificial intelligence)
and 生成, 合成 (generated, synthesised). Their strokes were drawn for this file, in one width like OpenCV's letters.
"""

import functools

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
Stroke = list[tuple[int, int]]
BOX = 100
"""Width and height of the square in which strokes lie; x to the right, y down."""

STROKES: dict[str, list[Stroke]] = {
    "人": [[(50, 4), (48, 30), (38, 62), (6, 97)], [(49, 26), (58, 56), (72, 80), (96, 97)]],
    "工": [[(12, 12), (88, 12)], [(50, 12), (50, 90)], [(3, 90), (97, 90)]],
    "智": [
        [(20, 2), (8, 22)],
        [(14, 13), (46, 13)],
        [(2, 30), (52, 30)],
        [(29, 13), (28, 30), (18, 46), (3, 56)],
        [(30, 34), (48, 50)],
        [(62, 10), (62, 48)],
        [(62, 10), (94, 10), (94, 48)],
        [(62, 44), (94, 44)],
        [(22, 62), (22, 99)],
        [(22, 62), (80, 62), (80, 99)],
        [(22, 79), (80, 79)],
        [(22, 96), (80, 96)],
    ],
    "能": [
        [(28, 2), (10, 28), (44, 25)],
        [(36, 12), (49, 33)],
        [(10, 44), (10, 97)],
        [(10, 44), (44, 44), (44, 92), (34, 95)],
        [(10, 60), (44, 60)],
        [(10, 75), (44, 75)],
        [(90, 8), (62, 22)],
        [(60, 2), (60, 40), (90, 40), (95, 28)],
        [(90, 56), (62, 70)],
        [(60, 50), (60, 93), (90, 93), (96, 79)],
    ],
    "生": [
        [(26, 4), (20, 24), (5, 44)],
        [(20, 25), (92, 25)],
        [(14, 58), (86, 58)],
        [(52, 2), (52, 94)],
        [(3, 94), (97, 94)],
    ],
    "成": [
        [(14, 24), (94, 24)],
        [(14, 24), (14, 60), (3, 97)],
        [(14, 48), (42, 48), (40, 80), (28, 82)],
        [(54, 2), (58, 42), (72, 76), (90, 96), (96, 76)],
        [(86, 40), (70, 68), (42, 96)],
        [(70, 4), (84, 15)],
    ],
    "合": [
        [(50, 3), (32, 26), (3, 46)],
        [(50, 3), (68, 26), (97, 46)],
        [(30, 44), (70, 44)],
        [(20, 60), (20, 99)],
        [(20, 60), (80, 60), (80, 99)],
        [(20, 95), (80, 95)],
    ],
}
SPACE = 0.62  # of a capital's height
DOT = "·"


def drawable(letter: str) -> bool:
    """Whether there are strokes for a letter."""
    return letter in STROKES or letter == DOT or (letter.isascii() and letter.isprintable())


def draw(text: str, capital: int, pen: int) -> np.ndarray:
    """`text` in white on black, uint8, H x W, with `capital` pixels from its baseline to the top of a capital.

    The picture is 1.4 capitals high (descenders need the rest) and has no margin at its sides. Chinese characters are
    as high as capitals are, stroke width included.

    Args:
        text: letters for which `drawable` holds.
        capital: pixels. pen: width of a stroke, pixels.
    """
    scale, base = _scale(capital, pen)
    wide = sum(_width(letter, capital, pen, scale) for letter in text)
    canvas = np.zeros((round(1.4 * capital), max(1, wide)), np.uint8)
    x = 0
    for letter in text:
        wide = _width(letter, capital, pen, scale)
        if letter in STROKES:
            inner = capital - pen
            for stroke in STROKES[letter]:
                points = np.array(stroke, np.float64) * inner / BOX + (x + 0.1 * capital + pen / 2, pen / 2)
                cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 4)
        elif letter == DOT:
            cv2.circle(canvas, (x + wide // 2, capital // 2), max(1, round(0.11 * capital)), 255, -1, cv2.LINE_AA)
        elif letter != " ":
            cv2.putText(canvas, letter, (x, base), FONT, scale, 255, pen, cv2.LINE_AA)
        x += wide
    return canvas


@functools.lru_cache(maxsize=8)
def _scale(capital: int, pen: int) -> tuple[float, int]:
    """OpenCV's scale at which an H with its stroke width has just that height, and where its baseline then lies.

    Measured on what is drawn: what OpenCV says of a letter's height differs between its versions.
    """
    scale, base = capital / 22, capital
    for _ in range(3):
        canvas = np.zeros((4 * capital, 4 * capital), np.uint8)
        cv2.putText(canvas, "H", (capital, 2 * capital), FONT, scale, 255, pen, cv2.LINE_AA)
        rows = np.flatnonzero(canvas.max(1) > 127)
        base = capital - (int(rows[-1]) + 1 - 2 * capital)
        scale *= capital / (rows[-1] + 1 - rows[0])
    return scale, base


def _width(letter: str, capital: int, pen: int, scale: float) -> int:
    if letter in STROKES:
        return round(1.2 * capital)
    if letter in (" ", DOT):
        return round((SPACE if letter == " " else 0.4) * capital)
    return cv2.getTextSize(letter, FONT, scale, pen)[0][0]
