"""Grain and motion blur: what the plate has, the face gets."""

import cv2
import numpy as np
import pytest

from photodouble.compositing.grain import match_grain
from photodouble.compositing.look import SIGMAS, bands
from photodouble.compositing.motion import motion_line, reach, smeared
from photodouble.evaluation.grain import grain_power


def grain(grey):
    """Of a picture that is all flat skin."""
    return np.array([[band.var() for band in bands(grey)]] * 2)


def noise(level, blur=0.0, seed=1):
    field = np.random.default_rng(seed).normal(0, 1, (256, 256)).astype(np.float32)
    field = cv2.GaussianBlur(field, (0, 0), blur) if blur else field
    return field / field.std() * np.float32(level)


@pytest.mark.parametrize("level", [2.0, 6.0])
@pytest.mark.parametrize("blur", [0.0, 0.7, 1.0])
def test_a_smooth_face_gets_the_plates_grain_within_ten_percent(level, blur):
    plate = 128 + noise(level, blur)
    face = np.full((256, 256), 128, np.float32)
    done = match_grain(face, bands(face), grain(face), grain(plate), 5)
    assert np.allclose(grain(done) / grain(plate), 1, atol=0.1)  # of one frame, whose noise is not another's
    whole = np.ones(done.shape, bool)
    out, own = grain_power(*(np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (done, plate)), whole)
    assert out.sum() / own.sum() == pytest.approx(1, abs=0.1)


def test_a_grainier_face_loses_grain_and_keeps_its_edges():
    face = 128 + noise(4)
    face[:, 128:] += 80
    plate = 128 + noise(2)
    own = grain(128 + noise(4))
    done = match_grain(face, bands(face), own, grain(plate), 5)
    flat = done[:, 20:100]
    assert grain(flat)[0, 0] < 0.5 * own[0, 0]
    assert done[:, 129].mean() - done[:, 126].mean() > 70


def test_structure_that_the_plate_lacks_is_weakened_in_every_band_and_on_skin_alone():
    face, plate = (128 + a + b for a, b in ((noise(1.5), noise(3, 2.0, 2)), (noise(0.8), noise(1.2, 2.0, 2))))
    skin = np.zeros(face.shape, np.float32)
    skin[:, :128] = 1
    done = match_grain(face, bands(face), grain(face), grain(plate), 5, 1.0, skin)
    assert (done[:, 128:] == face[:, 128:]).all()
    before, after = (grain(picture[16:-16, 16:112]) / grain(plate) for picture in (face, done))
    assert (before > 3).all()
    assert (after < 1.1).all()
    assert (after > 0.2).all()  # noise has no large values that stay, as skin has


def test_what_rounding_adds_is_not_added_twice():
    face = np.full((256, 256), 128, np.float32)
    plate = np.rint(128 + noise(0.7, 0.5)).astype(np.float32)
    done = np.rint(match_grain(face, bands(face), grain(face), grain(plate), 5, rounded=1.0))
    twice = np.rint(match_grain(face, bands(face), grain(face), grain(plate), 5))
    assert np.allclose(grain(done)[0, :2] / grain(plate)[0, :2], 1, atol=0.1)
    assert grain(twice)[0, 0] > 1.05 * grain(done)[0, 0]


def test_grain_is_none_where_none_is_wanted_or_known():
    face = 128 + noise(1)
    assert match_grain(face, bands(face), grain(face), grain(128 + noise(5)), 5, 0.0) is face
    unknown = np.full((2, len(SIGMAS)), np.nan)
    assert match_grain(face, bands(face), grain(face), unknown, 5) is face


def test_a_still_face_is_blurred_along_the_motion_as_the_plate_is():
    texture = cv2.GaussianBlur(np.random.default_rng(2).normal(128, 60, (200, 200)).astype(np.float32), (0, 0), 1.5)
    where = np.ones((200, 200), np.float32)
    plate, motion = cv2.filter2D(texture, -1, np.full((1, 9), 1 / 9, np.float32)), np.array([18.0, 0.0])
    line = motion_line(texture, plate, where, motion)
    assert abs(smeared(texture, line) - plate).mean() < 0.5 * abs(texture - plate).mean()
    assert line.shape[0] // 2 <= reach(motion)
    assert motion_line(texture, texture, where, motion) is None  # a short shutter
    assert motion_line(texture, plate, where, None) is None
    assert motion_line(texture, plate, where, np.array([0.5, 0.0])) is None
    assert reach(None) == reach(np.array([0.5, 0.0])) == 0


def test_the_figure_looks_at_skin_and_not_at_features():
    whole = np.ones((256, 256), bool)
    plain, other = (np.clip(128 + noise(2, seed=k), 0, 255).astype(np.uint8) for k in (1, 2))
    face = plain.copy()
    face[60:196, np.random.default_rng(4).integers(0, 256, 40)] = 30  # teeth, lashes: most squares have some
    out, own = grain_power(face, other, whole)
    assert out.sum() / own.sum() == pytest.approx(1, abs=0.1)


def test_the_figure_knows_more_and_less_grain():
    whole = np.ones((256, 256), bool)
    a, b = (np.clip(128 + noise(level), 0, 255).astype(np.uint8) for level in (4, 8))
    out, own = grain_power(a, b, whole)
    assert np.allclose(out / own, 0.25, atol=0.05)
    assert np.isnan(grain_power(a, b, ~whole)[0]).all()
    assert np.isnan(grain_power(a[:8, :8], b[:8, :8], whole[:8, :8])[0]).all()
