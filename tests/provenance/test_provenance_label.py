import cv2
import numpy as np
import pytest

from photodouble.provenance.label import draw_label, label_region

WHITE = {np.uint8: 255, np.uint16: 65535, np.float32: 1.0}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("width", "height"), [(176, 144), (640, 360), (360, 640), (1920, 1080)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_the_label_is_legible_and_nothing_else_changes(dtype: type, width: int, height: int, level: float) -> None:
    image = np.full((height, width, 3), level * WHITE[dtype], dtype)
    before = image.copy()
    result = draw_label(image)
    x0, y0, x1, y1 = label_region(width, height)
    assert result.dtype == dtype
    assert np.array_equal(image, before)
    outside = np.ones((height, width), bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(result[outside], before[outside])
    assert (x0, y1) == (0, height) and y1 - y0 == max(9, round(0.05 * min(width, height))) and x1 <= width
    light = result[y0:y1, x0:x1].astype(np.float64).mean(axis=2) / WHITE[dtype]
    # White strokes on a dark plate, whatever is below, and about as much ink as letters have.
    assert light.max() > 0.85 and np.percentile(light, 20) < 0.25
    assert 0.1 < (light > 0.5).mean() < 0.45


def test_small_letters_have_the_shape_of_large_ones() -> None:
    """At 176 x 144 the words are 9 pixels high; they still look like the same words drawn large."""
    small = draw_label(np.zeros((144, 176, 3), np.uint8))
    large = draw_label(np.zeros((2160, 3840, 3), np.uint8))
    (x0, y0, x1, y1), (a0, b0, a1, b1) = label_region(176, 144), label_region(3840, 2160)
    words, model = small[y0:y1, x0:x1, 0].astype(np.float32), large[b0:b1, a0:a1, 0]
    reduced = cv2.resize(model, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA).astype(np.float32)
    assert np.corrcoef(words.ravel(), reduced.ravel())[0, 1] > 0.9


def test_a_picture_smaller_than_the_label_gets_what_fits() -> None:
    result = draw_label(np.zeros((6, 20, 3), np.uint8))
    assert result.shape == (6, 20, 3) and result.max() > 60
