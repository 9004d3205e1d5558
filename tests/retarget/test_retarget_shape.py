"""Shapes: taken out of a pose and put back, and one person's expression in another's proportions."""

import numpy as np
import pytest

from photodouble.faces import pose
from photodouble.faces.topology import LIPS_INNER
from photodouble.retarget import smooth
from photodouble.retarget.mesh import KEEP, compare, targets
from photodouble.retarget.shape import EYES, SHUT, Proportions, gaze, opening, transfer, unpose


def stack(faces):
    return np.stack([face.landmarks for _, face in faces]), np.stack([face.blendshapes for _, face in faces])


def gap(shapes):
    return shapes[:, 14, 1] - shapes[:, 13, 1]


def test_what_is_taken_apart_can_be_put_together(sheets):
    landmarks, _ = stack(sheets["p001"])
    posed = unpose(landmarks)
    assert abs(posed.apply(posed.shape) - landmarks).max() < 1e-3
    assert np.allclose(posed.rotation @ np.swapaxes(posed.rotation, 1, 2), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(posed.rotation), 1)


def test_a_shape_knows_nothing_of_size_place_and_turn(sheets):
    landmarks, _ = stack(sheets["p001"])
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = 3.5 * landmarks @ turn.T + (120, -40, 9)
    first, second = unpose(landmarks), unpose(moved)
    assert abs(first.shape - second.shape).max() < 1e-5
    assert np.allclose(second.scale, 3.5 * first.scale)
    corners = first.shape[:, [33, 263]]
    assert np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1) == pytest.approx(1, abs=0.15)


def test_a_person_in_its_own_proportions_stays_as_it_is(sheets, people):
    landmarks, blendshapes = stack(sheets["p001"])
    difference = compare(people["p001"], landmarks, blendshapes)
    assert abs(difference.offset).max() < 1e-9
    assert (*difference.lids, difference.lips) == pytest.approx((1, 1, 1))
    _, pixels = targets(difference, landmarks)
    # Lids that cross where they are shut are held together, and irises get the depth of the eye's corners.
    away = abs(pixels - landmarks)[..., :2]
    assert away.mean() < 0.02
    assert away.max() < 1.5


def test_proportions_come_from_the_wanted_person_and_the_pose_from_the_plate(sheets, people):
    landmarks, blendshapes = stack(sheets["p002"])
    difference = compare(people["p001"], landmarks, blendshapes)
    shapes, pixels = targets(difference, landmarks)
    wanted, plate = np.median(people["p001"].posed.shape, axis=0), np.median(unpose(landmarks).shape, axis=0)
    inner = difference.weight > 0.9
    before = np.linalg.norm((plate - wanted)[inner], axis=1).mean()
    after = np.linalg.norm((np.median(shapes, axis=0) - wanted)[inner], axis=1).mean()
    assert after < 0.5 * before
    assert abs(pose(pixels) - pose(landmarks)).max() < 6


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_closed_lips_and_eyes_stay_closed_and_open_ones_open_in_proportion(sheets, ratio):
    shapes = unpose(stack(sheets["p001"])[0]).shape
    shut = shapes.copy()
    for lids, _ in EYES:
        shut[:, list(lids[1:8]), 1] = shut[:, list(lids[:8:-1]), 1]
    shut[:, list(LIPS_INNER[1:10]), 1] = shut[:, list(LIPS_INNER[:10:-1]), 1]
    offset = np.random.default_rng(0).normal(0, 0.03, (478, 3))
    difference = Proportions(offset, (ratio, ratio), ratio, np.ones(478))
    closed = transfer(shut, difference, KEEP)
    assert abs(gap(closed)).max() < 1e-9
    assert all(opening(closed, lids).max() <= 1e-3 for lids, _ in EYES)
    opened = transfer(shapes, difference, KEEP)
    assert np.allclose(gap(opened), ratio * np.maximum(gap(shapes) - SHUT, 0), atol=1e-9)


def test_irises_stay_where_the_plates_look(sheets):
    shapes = unpose(stack(sheets["p001"])[0]).shape
    offset = np.random.default_rng(1).normal(0, 0.03, (478, 3))
    moved = transfer(shapes, Proportions(offset, (1, 1), 1, np.ones(478)), KEEP)
    for lids, iris in EYES:
        assert abs(gaze(moved, lids, iris) - gaze(shapes, lids, iris)).max() < 1e-9


def test_smoothing_keeps_parabolas_calms_noise_and_stops_at_tracks():
    t = np.arange(30, dtype=np.float64)[:, None, None]
    rng = np.random.default_rng(2)
    slope, bend = rng.normal(size=(2, 1, 478, 3))
    path = (100 + slope * t + 0.05 * bend * t**2).astype(np.float32)
    none = np.zeros(30, bool)
    assert abs(smooth(path, none) - path).max() < 1e-3
    noise = rng.normal(size=(30, 478, 3)).astype(np.float32)
    assert smooth(noise, none)[2:-2].std() < 0.75 * noise.std()
    cut = none.copy()
    cut[12] = True
    jump = path.copy()
    jump[12:] += 500
    assert abs(smooth(jump, cut) - jump).max() < 2e-3
    assert abs(smooth(jump, none) - jump).max() > 10
