"""Figures on arrays whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from photodouble.evaluation import metrics

RNG = np.random.default_rng(3)
FACE = np.c_[RNG.uniform(100, 200, (478, 2)), RNG.uniform(-20, 20, 478)]
FACE[[33, 133, 362, 263]] = [[110, 150, 0], [130, 150, 0], [170, 150, 0], [190, 150, 0]]
FACE[[468, 473]] = [[120, 150, 0], [180, 150, 0]]


def blendshapes(n: int, columns: dict[int, np.ndarray] | None = None) -> np.ndarray:
    values = np.full((n, 52), 0.2)
    for column, series in (columns or {}).items():
        values[:, column] = series
    return values


def test_mean_embedding_is_the_direction_of_the_better_half():
    good, bad = np.eye(128)[0], np.eye(128)[1]
    rows, quality = np.stack([good, 3 * good, bad]), np.array([0.9, 0.8, 0.1])
    np.testing.assert_allclose(metrics.mean_embedding(rows, quality), good, atol=1e-6)
    assert metrics.mean_embedding(rows)[1] > 0.3
    assert np.linalg.norm(metrics.mean_embedding(rows)) == pytest.approx(1, abs=1e-6)


def test_rows_that_were_not_embedded_are_left_out_of_the_mean():
    rows = np.stack([np.eye(128)[0], np.zeros(128), np.full(128, np.nan)])
    np.testing.assert_allclose(metrics.mean_embedding(rows), np.eye(128)[0], atol=1e-6)
    assert np.isnan(metrics.mean_embedding(rows[1:])).all()


def test_cosine_does_not_depend_on_length_and_is_unknown_without_an_embedding():
    person = np.r_[1.0, np.zeros(127)]
    rows = np.zeros((3, 128))
    rows[0, 0], rows[1, :2] = 5, (3, 4)
    np.testing.assert_allclose(metrics.cosine(rows, person), [1, 0.6, np.nan])


def test_share_nearer_counts_known_frames_only():
    assert metrics.share_nearer([0.7, 0.2, np.nan, 0.6], [0.1, 0.5, 0.0, 0.1]) == pytest.approx(2 / 3)
    assert np.isnan(metrics.share_nearer([np.nan], [0.3]))


def test_eye_distance_does_not_shrink_when_the_head_turns():
    turn = np.array([[0.5, 0, np.sqrt(0.75)], [0, 1, 0], [-np.sqrt(0.75), 0, 0.5]])  # 60 degrees of yaw
    assert metrics.eye_distance(FACE) == pytest.approx(60)
    assert metrics.eye_distance(FACE @ turn.T) == pytest.approx(60)
    assert metrics.eye_distance((FACE @ turn.T)[:, :2]) == pytest.approx(30)


def test_landmark_error_ignores_place_size_and_roll():
    angle, scale = 0.3, 1.7
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = np.c_[FACE[:, :2] @ matrix.T + (40, -9), FACE[:, 2]]
    assert metrics.landmark_error(moved, FACE) == pytest.approx(0, abs=1e-9)


def test_landmark_error_is_percent_of_the_eye_distance():
    noise = RNG.normal(0, 1, (478, 2))
    moved = np.c_[FACE[:, :2] + 0.6 * noise / np.linalg.norm(noise, axis=1, keepdims=True), FACE[:, 2]]
    # Every point is off by 0.6 of 60 pixels, and the alignment can take away only a little of it.
    assert metrics.landmark_error(moved, FACE) == pytest.approx(1.0, abs=0.02)


def test_acceleration_is_zero_at_constant_speed_and_sees_a_jump():
    speed = np.array([2.0, -1.0, 0.0])
    assert metrics.acceleration(FACE, FACE + speed, FACE + 2 * speed, 60) == pytest.approx(0, abs=1e-12)
    assert metrics.acceleration(FACE, FACE + np.array([3, 0, 0]), FACE, 60) == pytest.approx(6 / 60)


def test_ratio_of_medians_is_one_for_the_same_and_ignores_an_outlier():
    plate = np.array([1.0, 1, 1, 1, np.nan])
    assert metrics.ratio_of_medians(plate, plate) == 1
    assert metrics.ratio_of_medians([2, 2, 2, 900, 7], plate) == 2
    assert metrics.ratio_of_medians(np.zeros(5), np.zeros(5)) == 1
    assert np.isnan(metrics.ratio_of_medians(np.ones(3), np.zeros(3)))
    assert np.isnan(metrics.ratio_of_medians([np.nan], [1.0]))


def test_blendshape_correlation_is_the_mean_over_those_that_move():
    t = np.linspace(0, 6, 90)
    plate = blendshapes(90, {3: 0.5 + 0.3 * np.sin(t), 7: 0.5 + 0.2 * np.cos(3 * t), 9: 0.2 + 0.01 * np.sin(9 * t)})
    same = blendshapes(90, {3: 0.1 + 0.1 * np.sin(t), 7: 0.5 - 0.2 * np.cos(3 * t), 9: RNG.uniform(0, 1, 90)})
    assert list(np.flatnonzero(metrics.moving(plate))) == [3, 7]
    assert metrics.blendshape_correlation(plate, plate) == pytest.approx(1)
    assert metrics.blendshape_correlation(same, plate) == pytest.approx(
        0, abs=1e-9
    )  # one follows, one does the opposite
    assert metrics.blendshape_correlation(blendshapes(90), plate) == 0  # a frozen face


def test_pooled_correlation_weighs_by_motion():
    t = np.linspace(0, 6, 90)
    plate = blendshapes(90, {3: 0.5 + 0.4 * np.sin(t), 7: 0.5 + 0.05 * np.cos(5 * t)})
    output = blendshapes(90, {3: 0.3 + 0.4 * np.sin(t), 7: 0.5 - 0.05 * np.cos(5 * t)})
    assert metrics.blendshape_correlation(output, plate) == pytest.approx(0, abs=0.05)
    assert metrics.blendshape_correlation_pooled(output, plate) > 0.9


def test_a_plate_that_does_not_move_gives_no_correlation():
    assert np.isnan(metrics.blendshape_correlation(blendshapes(30), blendshapes(30)))
    assert np.isnan(metrics.blendshape_correlation_pooled(blendshapes(30), blendshapes(30)))
    assert np.isnan(metrics.gaze_correlation(np.zeros((30, 2, 2)), np.zeros((30, 2, 2))))


def test_expression_error_ignores_a_persons_own_resting_face():
    t = np.linspace(0, 6, 91)
    plate = blendshapes(91, {3: 0.5 + 0.3 * np.sin(t)})
    output = plate + 0.1
    output[40, 3] += 0.4
    error = metrics.expression_error(output, plate)
    assert np.argmax(error) == 40
    assert error[40] == pytest.approx(0.4, abs=0.02)
    assert np.median(error) == pytest.approx(0, abs=0.02)


def test_gaze_is_in_eye_widths_and_turns_with_the_head():
    looking = FACE.copy()
    looking[[468, 473], 0] += 5  # eyes are 20 pixels wide
    looking[[468, 473], 1] += 2
    np.testing.assert_allclose(metrics.gaze(looking), [[0.25, 0.1], [0.25, 0.1]], atol=1e-12)
    roll = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(metrics.gaze(looking @ roll.T), metrics.gaze(looking), atol=1e-12)
    error = metrics.gaze_error(metrics.gaze(looking)[None], metrics.gaze(FACE)[None])
    assert error == pytest.approx([np.hypot(0.25, 0.1)])


def test_eyes_open_in_parts_of_their_width():
    face = FACE.copy()
    face[[159, 145, 386, 374]] = [[120, 147, 0], [120, 153, 0], [180, 149.5, 0], [180, 150.5, 0]]
    np.testing.assert_allclose(metrics.eye_opening(face), [0.3, 0.05])


def test_gaze_correlation_follows_the_eyes():
    gaze = np.zeros((50, 2, 2))
    gaze[..., 0] = np.sin(np.linspace(0, 9, 50))[:, None] * 0.2
    assert metrics.gaze_correlation(0.5 * gaze + 0.1, gaze) == pytest.approx(1)
    assert metrics.gaze_correlation(-gaze, gaze) == pytest.approx(-1)


def test_pose_error_wraps_around():
    assert metrics.pose_error([[10, 0, 179]], [[13, 0, -179]]) == pytest.approx([5 / 3])


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.just(52)), elements=st.floats(0, 1)),
    st.lists(st.integers(0, 11), max_size=12),
)
def test_frames_without_a_face_are_ignored_not_counted(values, gone):
    plate, output = values.copy(), values[:, ::-1].copy()
    rows = [k for k in gone if k < len(values)]
    output[rows] = np.nan
    kept = np.setdiff1d(np.arange(len(values)), rows)
    for figure in (metrics.blendshape_correlation, metrics.blendshape_correlation_pooled):
        a, b = figure(output, plate), figure(output[kept], plate[kept])
        assert (np.isnan(a) and np.isnan(b)) or a == pytest.approx(b, abs=1e-9)
        assert np.isnan(a) or -1 <= a <= 1
    error = metrics.expression_error(output, plate)
    assert error.shape == (len(values),)
    assert np.isnan(error[rows]).all()


@given(hnp.arrays(np.float32, (3, 478, 3), elements=st.floats(-1e4, 1e4, width=32)))
def test_any_landmarks_give_a_number_or_nothing(points):
    with np.errstate(all="raise", under="ignore"):
        assert metrics.gaze(points).shape == (3, 2, 2)
        assert np.isfinite(metrics.gaze(points)).all()
        error = metrics.landmark_error(points[0], points[1])
        assert np.isnan(error) or error >= 0
        jump = metrics.acceleration(*points, float(metrics.eye_distance(points[0])))
        assert np.isnan(jump) or jump >= 0
