import cv2
import numpy as np
import pytest

from photodouble.errors import BadInput
from photodouble.provenance.label import (
    CHINESE,
    CORNERS,
    RESEARCH,
    Label,
    draw_label,
    free_corner,
    label_region,
    labelled,
    make_label,
)
from photodouble.provenance.strokes import STROKES, draw

WHITE = {np.uint8: 255, np.uint16: 65535, np.float32: 1.0}
LABELS = {
    "research": Label(RESEARCH),
    "cn": make_label("cn", None, False),
    "corner": Label("Ada's double, 2026", corner="top right"),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("width", "height"), [(176, 144), (360, 640), (1280, 720)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_the_label_is_legible_and_nothing_else_changes(
    name: str, dtype: type, width: int, height: int, level: float
) -> None:
    label = LABELS[name]
    image = np.full((height, width, 3), level * WHITE[dtype], dtype)
    before = image.copy()
    result = draw_label(image, label)
    x0, y0, x1, y1 = label_region(label, width, height)
    assert result.dtype == dtype
    assert np.array_equal(image, before)
    outside = np.ones((height, width), bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(result[outside], before[outside])
    assert (x0 == 0) == label.corner.endswith("left") or x1 - x0 == width
    assert (y0 == 0) == label.corner.startswith("top")
    assert y1 - y0 >= max(9, round(0.05 * min(width, height)))
    light = result[y0:y1, x0:x1].astype(np.float64).mean(axis=2) / WHITE[dtype]
    # White strokes on a dark plate, whatever is below, and about as much ink as letters have.
    assert light.max() > 0.85 and np.percentile(light, 20) < 0.25
    assert 0.1 < (light > 0.5).mean() < 0.45


@pytest.mark.parametrize(("width", "height"), [(176, 144), (320, 240), (640, 360), (720, 1280), (1920, 1080), (64, 64)])
def test_every_letter_of_the_chinese_label_is_at_least_5_percent_high(width: int, height: int) -> None:
    label = make_label("cn", None, False)
    image = draw_label(np.zeros((height, width, 3), np.uint8), label)
    x0, y0, x1, y1 = label_region(label, width, height)
    ink = image[y0:y1, x0:x1, 0] > 110
    columns = np.flatnonzero(ink.any(0))
    letters = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    assert len(letters) >= 3  # A, I, 合, 成; small ones may touch
    for letter in letters:
        rows = np.flatnonzero(ink[:, letter[0] : letter[-1] + 1].any(1))
        assert rows[-1] + 1 - rows[0] >= 0.05 * min(width, height)


def test_small_letters_have_the_shape_of_large_ones() -> None:
    """At 176 x 144 the words are few pixels high; they still look like the same words drawn large."""
    for label in (LABELS["research"], LABELS["cn"]):
        small = draw_label(np.zeros((144, 176, 3), np.uint8), label)
        large = draw_label(np.zeros((2160, 3840, 3), np.uint8), label)
        (x0, y0, x1, y1), (a0, b0, a1, b1) = label_region(label, 176, 144), label_region(label, 3840, 2160)
        words, model = small[y0:y1, x0:x1, 0].astype(np.float32), large[b0:b1, a0:a1, 0]
        reduced = cv2.resize(model, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA).astype(np.float32)
        assert np.corrcoef(words.ravel(), reduced.ravel())[0, 1] > 0.8


def test_every_chinese_character_is_one_of_its_own() -> None:
    pictures = {letter: draw(letter, 64, 7).astype(np.float64).ravel() for letter in STROKES}
    for one, other in ((a, b) for a in pictures for b in pictures if a < b):
        assert np.corrcoef(pictures[one], pictures[other])[0, 1] < 0.8, one + other
    assert set(CHINESE) <= {*STROKES, "A", "I"}


def test_a_picture_smaller_than_the_label_gets_what_fits() -> None:
    for label in LABELS.values():
        result = draw_label(np.zeros((6, 20, 3), np.uint8), label)
        assert result.shape == (6, 20, 3) and result.max() > 60


def test_what_is_asked_for_and_what_is_required_stand_together() -> None:
    assert make_label(None, None, False) is None
    assert make_label(None, None, True) == make_label("research", None, False) == Label(RESEARCH)
    chinese = make_label("cn", None, False)
    assert (chinese.text, chinese.until) == ("AI合成", 2.0)
    both = make_label("cn", None, True)
    assert both.text == f"{RESEARCH} · AI合成"
    assert (both.until, both.share) == (None, chinese.share)  # each rule holds: over the whole clip, and as large
    assert make_label(None, "my film", False) == make_label("corner", "my film", False)
    assert make_label("corner", " my  film ", True).text == f"{RESEARCH} · my film"


@pytest.mark.parametrize(
    ("preset", "text", "told"),
    [
        ("neon", None, "no label 'neon'"),
        ("corner", None, "--label-text"),
        ("cn", "words", "--label-text"),
        ("corner", "  ", "has 0"),
        ("corner", "x" * 61, "has 61"),
        ("corner", "für Ada", "cannot show 'ü'"),
    ],
)
def test_labels_that_cannot_be_made_are_one_sentence(preset: str, text: str | None, told: str) -> None:
    with pytest.raises(BadInput, match=told) as error:
        make_label(preset, text, False)
    assert "\n" not in str(error.value)


def test_the_label_goes_where_no_face_is() -> None:
    label = LABELS["cn"]
    assert free_corner(label, 640, 360, np.zeros((0, 4))) == CORNERS[0]
    left = [0, 200, 200, 360]
    assert free_corner(label, 640, 360, np.array([left] * 3)) == "bottom right"
    both = [*[left] * 3, [500, 200, 640, 360]]
    assert free_corner(label, 640, 360, np.array(both)) == "top left"
    # Everywhere a face: where the fewest are.
    everywhere = [[0, 0, 640, 360]] * 4 + [left, left, [500, 300, 640, 360], [0, 0, 90, 90], [0, 0, 9, 9]]
    assert free_corner(label, 640, 360, np.array(everywhere)) == "top right"


@pytest.mark.parametrize("rate", [23.976, 24, 25, 59.94])
def test_the_chinese_label_stands_for_at_least_two_seconds(rate: float) -> None:
    image, label = np.full((48, 64, 3), 90, np.uint8), make_label("cn", None, False)
    marked = [bool((labelled(image, index / rate, label) != image).any()) for index in range(round(4 * rate))]
    count = sum(marked)
    assert all(marked[:count]) and count / rate >= 2.0 and (count - 1) / rate < 2.0
    assert (labelled(image, 99.0, LABELS["research"]) != image).any()
    assert labelled(image, 0.0, None) is image
