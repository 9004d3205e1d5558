import cv2
import numpy as np
import pytest

from photodouble.provenance.watermark_embed import HOLD, TURN, embed, embed_luma, sign

IDENTIFIER = 0xC0FFEE


@pytest.fixture(scope="module")
def picture(portraits):
    """640 x 480, RGB, a person."""
    return cv2.cvtColor(cv2.resize(cv2.imread(str(portraits[0])), (640, 480), interpolation=cv2.INTER_AREA), 4)


def levels(before, after):
    return after.astype(np.float64) - before


def test_it_is_faint_and_grey(picture):
    change = levels(picture, embed(picture, 0, IDENTIFIER))
    assert 10 * np.log10(255**2 / np.mean(change**2)) > 42
    assert np.abs(change).max() < 10
    inside = (picture.min(2) > 12) & (picture.max(2) < 243)
    np.testing.assert_array_equal(np.ptp(change[inside], axis=1), 0)
    assert abs(change.mean()) < 0.05


def test_it_is_weaker_where_nothing_hides_it_and_in_the_dark(picture):
    flat, dark = np.full_like(picture, 120), np.zeros_like(picture)
    busy = np.random.default_rng(0).integers(40, 200, picture.shape, np.uint8)
    busy = cv2.GaussianBlur(busy, (0, 0), 2)
    spread = [levels(image, embed(image, 0, IDENTIFIER)).std() for image in (dark, flat, busy)]
    assert spread[0] < 0.6 * spread[1] and spread[1] < 0.8 * spread[2]


def test_the_same_for_the_same_frame_whatever_came_before(picture):
    first = embed(picture, 40, IDENTIFIER)
    for index in range(3):
        embed(picture, index, 7)
    np.testing.assert_array_equal(embed(picture, 40, IDENTIFIER), first)
    assert (embed(picture, 40, IDENTIFIER ^ 1) != first).any()


def test_masked_by_the_plate_what_is_equal_stays_equal(picture):
    """So a render can be held against the marked plate: outside the matte both are the same, bit for bit."""
    output = picture.copy()
    output[100:300, 200:400] = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    same = (output == picture).all(2)
    marked, plate = embed(output, 5, IDENTIFIER, picture), embed(picture, 5, IDENTIFIER)
    np.testing.assert_array_equal(marked[same], plate[same])
    assert (embed(output, 5, IDENTIFIER)[same] != plate[same]).any()


def test_its_sign_turns_slowly(picture):
    signs = [sign(index) for index in range(4 * HOLD)]
    assert signs[0] == 1 and signs[HOLD + TURN] == -1 and signs[2 * HOLD + TURN] == 1
    assert np.abs(np.diff(signs)).max() <= 2 / TURN
    one, other = (levels(picture, embed(picture, index, IDENTIFIER)) for index in (HOLD - 1, 2 * HOLD - 1))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < -0.8


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_depths_get_the_same_mark(picture, dtype):
    small = embed(picture, 0, IDENTIFIER).astype(np.float64)
    if dtype == np.uint16:
        image = picture.astype(np.uint16) * 257
        found = embed(image, 0, IDENTIFIER)
        assert np.abs(found / 257 - small).max() < 0.51 + 1e-6
    else:
        image = np.power(picture / np.float32(255), np.float32(2.4))
        found = embed(image, 0, IDENTIFIER)
        code = 255 * np.power(np.maximum(found, 0), 1 / 2.4)
        one, other = (code - picture)[..., 1], (small - picture)[..., 1]
        lit = picture.min(2) > 30
        assert np.corrcoef(one[lit], other[lit])[0, 1] > 0.85
    assert found.dtype == dtype


def test_light_beyond_white_stays_beyond_white_and_strange_values_stay(picture):
    image = np.power(picture / np.float32(255), np.float32(2.4))
    image[10:20, 10:20] = 40.0
    image[30, 30] = np.nan
    image[31, 31] = np.inf
    image[32:34, 32:34] = -0.01
    found = embed(image, 0, IDENTIFIER)
    assert found[10:20, 10:20].min() > 38 and found[10:20, 10:20].max() < 42
    assert np.isnan(found[30, 30]).all() and np.isinf(found[31, 31]).all()
    assert (found[32:34, 32:34] < 0).all()
    assert np.isfinite(np.delete(found.reshape(-1), np.flatnonzero(~np.isfinite(image)))).all()


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (16, 12), (144, 176), (1, 1)])
def test_any_size(size):
    image = np.full((*size, 3), 128, np.uint8)
    found = embed(image, 0, IDENTIFIER)
    assert found.shape == image.shape
    assert np.abs(levels(image, found)).max() < 12


@pytest.mark.parametrize(("bits", "full"), [(8, False), (8, True), (10, False), (12, True)])
def test_a_luma_plane_gets_the_same_mark(picture, bits, full):
    grey = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    wanted = levels(grey, embed(grey, 3, IDENTIFIER))[..., 0]
    step = 1 << (bits - 8)
    black, scale = (0, (256 * step - 1) / 255) if full else (16 * step, 219 * step / 255)
    plane = np.rint(grey[..., 0] * scale + black).astype(np.uint8 if bits == 8 else np.uint16)
    found = levels(plane, embed_luma(plane, 3, IDENTIFIER, bits, full)) / scale
    inside = (grey[..., 0] > 12) & (grey[..., 0] < 243)
    assert np.abs(found - wanted)[inside].max() < 1.2
    assert np.corrcoef(found[inside], wanted[inside])[0, 1] > 0.85
