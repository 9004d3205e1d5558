"""Figures on pictures whose answer is known."""

import cv2
import numpy as np
import pytest

from photodouble.evaluation import pixels

RNG = np.random.default_rng(5)
NOISE = cv2.GaussianBlur(RNG.integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 1.5)


def disc(radius: float = 35.0, soft: float = 1.0) -> np.ndarray:
    y, x = np.mgrid[:120, :160]
    return np.clip((radius - np.hypot(x - 80, y - 60)) / soft + 0.5, 0, 1).astype(np.float32)


def test_region_holds_the_matte_and_a_margin():
    matte = np.zeros((50, 60), bool)
    matte[20:30, 10:18] = True
    x0, y0, x1, y1 = pixels.region(matte)
    assert (x0, y0, x1, y1) == (6, 16, 22, 34)
    assert pixels.cut(matte, (x0, y0, x1, y1)).sum() == matte.sum()
    assert pixels.region(np.zeros((50, 60), bool)) is None


def test_sharpness_falls_with_blur_and_with_contrast_squared():
    grey, inside = RNG.integers(0, 256, (120, 160), dtype=np.uint8), pixels.core(disc())
    plate = pixels.sharpness(grey, inside)
    assert pixels.sharpness(cv2.GaussianBlur(grey, (0, 0), 2), inside) < 0.3 * plate
    half = np.round((grey.astype(np.float32) - 128) / 2 + 128).astype(np.uint8)
    assert pixels.sharpness(half, inside) / plate == pytest.approx(0.25, rel=0.1)


def test_sharpness_looks_only_inside_and_needs_enough_pixels():
    grey, inside = pixels.luma(NOISE), pixels.core(disc())
    outside = grey.copy()
    outside[disc() == 0] = 0
    assert pixels.sharpness(outside, inside) == pixels.sharpness(grey, inside)
    assert np.isnan(pixels.sharpness(grey, np.zeros_like(inside)))


def test_a_pasted_tone_is_a_step_and_the_plate_is_none():
    plate = np.full((120, 160, 3), 128, np.uint8)
    edge = pixels.contour(disc())
    assert pixels.edge_contrast(plate, edge) == 0
    matte = disc()[..., None]
    darker = (plate * (1 - matte) + 100 * matte).astype(np.uint8)
    grey = np.float32([[[128 / 255] * 3, [100 / 255] * 3]])
    expected = np.ptp(cv2.cvtColor(grey, cv2.COLOR_RGB2Lab)[0, :, 0])
    assert pixels.edge_contrast(darker, edge) == pytest.approx(expected, rel=0.1)


def test_a_soft_matte_hides_part_of_the_step():
    plate = np.full((120, 160, 3), 128, np.uint8)
    steps = []
    for soft in (1.0, 20.0):
        matte = disc(soft=soft)
        mixed = (plate * (1 - matte[..., None]) + 90 * matte[..., None]).astype(np.uint8)
        steps.append(pixels.edge_contrast(mixed, pixels.contour(matte)))
    assert steps[1] < 0.4 * steps[0]


def test_a_seam_that_is_light_on_one_side_and_dark_on_the_other_does_not_cancel():
    plate = np.full((120, 160, 3), 128, np.uint8)
    tilt = np.clip(128 + (np.arange(160) - 80)[None, :, None], 0, 255) * np.ones((120, 1, 3))
    matte = disc()[..., None]
    mixed = (plate * (1 - matte) + tilt * matte).astype(np.uint8)
    assert pixels.edge_contrast(mixed, pixels.contour(disc())) > 5


def test_a_matte_without_an_edge_has_no_contour():
    assert pixels.contour(np.zeros((40, 40), np.float32)) is None
    assert pixels.contour(np.ones((40, 40), np.float32)) is None


def test_change_sees_one_pixel_outside_and_nothing_inside():
    output = NOISE.copy()
    output[60, 80] ^= 255
    outside = disc() == 0
    assert pixels.change(output, NOISE, outside) == (0, 0)
    output[0, 0, 1] = NOISE[0, 0, 1] ^ 8
    found = pixels.change(output, NOISE, outside)
    assert found.largest == 8
    assert found.mean == pytest.approx(8 / (3 * outside.sum()))
    kept = pixels.erase(outside, [(-5, -5, 3, 3), (400, 400, 500, 500)])
    assert pixels.change(output, NOISE, kept) == (0, 0)
    assert outside[0, 0]  # erase made a copy


def test_change_of_no_pixel_is_unknown():
    assert np.isnan(pixels.change(NOISE, NOISE, np.zeros((120, 160), bool)).largest)


def test_motion_is_no_flicker_but_flicker_is():
    grey = pixels.luma(NOISE)
    shift = np.float32([[1, 0, 2], [0, 1, 1]])
    moved = cv2.warpAffine(grey, shift, (160, 120), borderMode=cv2.BORDER_REPLICATE)
    matte = disc()
    still, plate = pixels.flow_warped_errors((grey, moved), (grey, moved), matte)
    assert still == plate
    assert plate < 0.5 * np.abs(moved.astype(int) - grey)[matte > 0.5].mean()
    brighter = cv2.add(moved, 12)
    flicker, plate = pixels.flow_warped_errors((grey, brighter), (grey, moved), matte)
    assert flicker > plate + 6


def test_flow_without_a_matte_is_unknown():
    grey = pixels.luma(NOISE)
    assert np.isnan(pixels.flow_warped_errors((grey, grey), (grey, grey), np.zeros((120, 160), np.float32))).all()
