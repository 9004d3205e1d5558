"""Small mattes of covers: kept, and painted with the picture's own edges."""

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.faces.occlusion import Hands
from photodouble.faces.occlusion_cover import Covers, Front, beside

SHAPE = (240, 260)


def bar():
    """A picture with a dark bar on a bright ground, and where the bar is."""
    truth = np.zeros(SHAPE, np.uint8)
    cv2.line(truth, (60, 60), (200, 170), 255, 26, cv2.LINE_AA)
    picture = 200 - 140 * (truth[..., None] / 255) + np.random.default_rng(0).normal(0, 3, (*SHAPE, 3))
    return np.clip(picture, 0, 255).astype(np.uint8), truth


def covers_of(truth, frames=(4, 5, 9)):
    """Covers as the network leaves them: 64 pixels for 3.5 times as many of the plate."""
    scale = 64 / 224
    matrix = np.array([[scale, 0, -4.0], [0, scale, -2.0]], np.float32)
    small = cv2.warpAffine(truth, matrix, (64, 64), flags=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 1.0)
    n = len(frames)
    return Covers(np.array(frames, np.int32), np.tile(matrix, (n, 1, 1)), np.tile(small, (n, 1, 1)))


def no_hands():
    return Hands(*(np.zeros((0, *rest), kind) for rest, kind in (((), int), ((), int), ((21, 3), "f"), ((), "f"))))


def test_the_edge_is_that_of_the_picture():
    picture, truth = bar()
    covers = covers_of(truth)
    matte = covers.matte(5, picture)
    assert abs(matte - truth / 255).mean() < 0.012
    rough = cv2.warpAffine(covers.small[0], covers.matrix[0], SHAPE[::-1], flags=cv2.WARP_INVERSE_MAP) / 255
    assert abs(matte - truth / 255).mean() < 0.6 * abs(rough - truth / 255).mean()


def test_frames_without_a_cover_stay_bare():
    picture, truth = bar()
    covers = covers_of(truth)
    assert not covers.matte(6, picture).any()
    assert covers.rows(6).size == 0 and covers.rows(9).tolist() == [2]


def test_a_large_cover_is_painted_in_full_size():
    picture, truth = bar()
    covers = covers_of(truth)
    big = cv2.resize(picture, None, fx=3, fy=3)
    linear = covers.matrix / np.array([3, 3, 1], np.float32)
    matte = Covers(covers.frame, linear, covers.small).matte(4, big)
    assert matte.shape == big.shape[:2]
    assert abs(cv2.resize(matte, SHAPE[::-1], interpolation=cv2.INTER_AREA) - truth / 255).mean() < 0.02


def test_hands_and_covers_are_united():
    picture, truth = bar()
    front = Front(no_hands(), covers_of(truth))
    assert front.frame.tolist() == [4, 5, 9]
    assert front.hides(4) and not front.hides(6)
    np.testing.assert_array_equal(front.matte(4, picture), front.covers.matte(4, picture))


def test_a_piece_that_is_a_known_hand_is_left_to_it_and_others_are_not():
    covers, hands = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    covers[20:60, 20:60] = 0.9
    covers[100:140, 100:150] = 1
    hands[10:45, 10:80] = 1
    left = beside(covers, hands)
    assert not left[:80].any()
    np.testing.assert_array_equal(left[80:], covers[80:])
    assert covers[30, 30] > 0  # what is given stays
    assert not beside(np.zeros(SHAPE, np.float32), hands).any()


def test_saved_covers_are_the_same(tmp_path):
    covers = covers_of(bar()[1])
    covers.save(tmp_path / "covers.npz")
    again = Covers.load(tmp_path / "covers.npz")
    for name in ("frame", "matrix", "small"):
        np.testing.assert_array_equal(getattr(again, name), getattr(covers, name))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match="nothing-here"):
        Covers.load(tmp_path / "nothing-here.npz")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), flip=st.integers(0, 10**6))
def test_a_damaged_file_is_refused_or_whole(tmp_path, cut, flip):
    path = tmp_path / "covers.npz"
    covers_of(bar()[1]).save(path)
    data = bytearray(path.read_bytes()[: max(int(cut * path.stat().st_size), 1)])
    data[flip % len(data)] ^= 0xFF
    path.write_bytes(bytes(data))
    try:
        assert Covers.load(path).frame.tolist() == [4, 5, 9]
    except BadInput as error:
        assert str(path) in str(error)


def test_other_arrays_are_no_covers(tmp_path):
    path = tmp_path / "covers.npz"
    np.savez(path, frame=np.zeros(3, np.int32), matrix=np.zeros((2, 2, 3)), small=np.zeros((3, 64, 64)))
    with pytest.raises(BadInput, match="covers of a shot"):
        Covers.load(path)
