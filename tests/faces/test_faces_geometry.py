"""Alignment, pose, matte and regions on made-up and on real landmarks."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photodouble.faces import FACE, INNER, Layout, alignment, crop, eye_centres, invert, outline_matte, pose, transform
from photodouble.faces import topology as topo
from photodouble.faces.alignment import STEADY, TEMPLATE
from photodouble.faces.pose import CANONICAL, RIGID
from photodouble.faces.roi import Roi


def frontal(scale: float = 20.0, angle: float = 0.0, at: tuple[float, float] = (300.0, 200.0)) -> np.ndarray:
    """478 landmarks of which the steady ones are those of the template, turned clockwise by `angle` degrees."""
    rng = np.random.default_rng(0)
    points = rng.normal(0, 3, (478, 3))
    points[list(RIGID)] = CANONICAL
    points[list(STEADY), 0], points[list(STEADY), 1] = TEMPLATE[:, 0], -TEMPLATE[:, 1]
    turn = np.radians(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points[:, :2] = points[:, :2] @ rotation.T * scale + at
    points[:, 2] *= scale
    return points.astype(np.float32)


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """A canonical head after roll, then pitch, then yaw, in degrees."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    points = np.zeros((478, 3))
    points[list(RIGID)] = CANONICAL @ (about_y @ about_x @ about_z).T * 30 + (200, 150, 0)
    return points.astype(np.float32)


@pytest.mark.parametrize("layout", [FACE, INNER, Layout(0.2, 0.5)])
@pytest.mark.parametrize("size", [64, 256])
def test_eyes_lie_where_the_layout_says(portrait_face, layout, size):
    matrix = alignment(portrait_face.landmarks, size, layout)
    right, left = eye_centres(transform(portrait_face.landmarks, matrix))
    assert np.linalg.norm(left - right) / size == pytest.approx(layout.eye_distance, abs=0.02)
    middle = (left + right) / 2
    assert middle[0] == pytest.approx((size - 1) / 2, abs=0.03 * size)
    assert middle[1] == pytest.approx(layout.eye_y * size - 0.5, abs=0.03 * size)


@given(
    angle=st.floats(-180, 180),
    scale=st.floats(2, 200),
    x=st.floats(-500, 5000),
    y=st.floats(-500, 5000),
    size=st.sampled_from([32, 128, 512]),
)
def test_alignment_undoes_any_similarity(angle, scale, x, y, size):
    points = frontal(scale, angle, (x, y))
    there = transform(points, alignment(points, size))
    upright = transform(frontal(), alignment(frontal(), size))
    assert np.abs(there[list(STEADY), :2] - upright[list(STEADY), :2]).max() < 0.02 * size


def test_alignment_moves_little_when_landmarks_do():
    points = frontal()
    noise = np.random.default_rng(1).normal(0, 0.1, (60, 478, 3)).astype(np.float32)
    matrices = alignment(points + noise, 256)
    assert matrices.shape == (60, 2, 3)
    where = transform(np.repeat(points[None, :, :2], 60, 0), matrices)
    assert where.std(0).max() < 0.15


def test_batches_agree_with_single_faces():
    many = np.stack([frontal(10 + i, 7.0 * i) for i in range(4)])
    matrices = alignment(many, 128)
    assert np.allclose(matrices[2], alignment(many[2], 128))
    assert np.allclose(transform(many, matrices)[3], transform(many[3], matrices[3]), atol=1e-3)
    assert np.allclose(invert(matrices)[1], invert(matrices[1]))
    assert np.allclose(pose(many)[1], pose(many[1]), atol=1e-4)


def test_two_dimensions_give_the_same_matrix():
    points = frontal(angle=20)
    assert np.array_equal(alignment(points, 128), alignment(points[:, :2], 128))


@given(st.floats(-170, 170), st.floats(0.1, 20), st.floats(-300, 300), st.floats(-300, 300))
def test_invert_undoes_transform(angle, factor, x, y):
    turn = np.radians(angle)
    c, s = factor * np.cos(turn), factor * np.sin(turn)
    matrix = np.array([[c, -s, x], [s, c, y]], np.float32)
    points = np.array([[0, 0, 1.0], [50, -20, 3], [640, 480, -2]], np.float32)
    assert np.abs(transform(transform(points, matrix), invert(matrix)) - points).max() < 0.05


def test_crop_reads_the_pixels_that_the_matrix_names():
    y, x = np.mgrid[0:300, 0:400].astype(np.float32)
    image = np.stack([x, y, x + y], -1)
    matrix = np.array([[1.4, 0.2, -100], [-0.2, 1.4, -60]], np.float32)
    out = crop(image, matrix, 128)
    back = transform(np.array([[30.0, 40.0], [100.0, 90.0]]), invert(matrix))
    for (u, v), (px, py) in zip([(30, 40), (100, 90)], back, strict=True):
        assert out[v, u, 0] == pytest.approx(px, abs=0.1)
        assert out[v, u, 1] == pytest.approx(py, abs=0.1)


@pytest.mark.parametrize("shrink", [2.0, 3.3, 7.9])
def test_crop_that_shrinks_keeps_positions_and_does_not_alias(shrink):
    y, x = np.mgrid[0:1000, 0:1000].astype(np.float32)
    matrix = np.array([[1 / shrink, 0, -3], [0, 1 / shrink, -2]], np.float32)
    out = crop(np.stack([x, y, x], -1), matrix, 96)
    assert out[50, 60, 0] == pytest.approx((60 + 3) * shrink, abs=0.05 * shrink)
    assert out[50, 60, 1] == pytest.approx((50 + 2) * shrink, abs=0.05 * shrink)
    checks = (((x + y) % 2) * 255).astype(np.uint8)
    grey = crop(np.repeat(checks[..., None], 3, 2), matrix, 96)
    assert np.abs(grey.astype(float) - 127.5).max() <= 20


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_crop_keeps_the_depth_and_repeats_the_edge(dtype):
    image = np.full((50, 40, 3), 7, dtype)
    for shift in (0, 1000, -1000):
        out = crop(image, np.array([[1, 0, shift], [0, 1, 0]], np.float32), 64)
        assert out.dtype == dtype
        assert out.shape == (64, 64, 3)
        assert (out == 7).all()


@given(st.floats(-70, 70), st.floats(-60, 60), st.floats(-170, 170))
def test_pose_of_a_turned_head(yaw, pitch, roll):
    found = pose(turned(yaw, pitch, roll))
    difference = (found - (yaw, pitch, roll) + 180) % 360 - 180
    assert np.abs(difference).max() < 0.1


def test_pose_signs_on_pictures(portrait, find):
    height, width = portrait.shape[:2]
    straight = pose(find(portrait).landmarks)
    assert np.abs(straight).max() < 12
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -25, 1)  # OpenCV counts anticlockwise
    rolled = cv2.warpAffine(portrait, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    assert pose(find(rolled).landmarks)[2] - straight[2] == pytest.approx(25, abs=4)
    mirrored = pose(find(np.ascontiguousarray(portrait[:, ::-1])).landmarks)
    assert mirrored[0] == pytest.approx(-straight[0], abs=4)
    assert mirrored[2] == pytest.approx(-straight[2], abs=4)


def test_matte_fades_inside_the_outline(portrait_face, portrait):
    shape = portrait.shape[:2]
    soft = outline_matte(portrait_face.landmarks, shape, 0.15)
    hard = outline_matte(portrait_face.landmarks, shape, 0)
    assert soft.dtype == np.float32
    assert soft.shape == shape
    assert soft.min() == 0
    assert soft.max() == 1
    assert (soft[hard == 0] == 0).all()
    nose = portrait_face.landmarks[4, :2].round().astype(int)
    assert soft[nose[1], nose[0]] == 1
    assert 0.3 < soft.sum() / hard.sum() < 0.95


def test_matte_of_a_face_that_the_picture_cuts_off_stays_opaque_there():
    points = np.zeros((478, 2), np.float32)
    around = np.linspace(0, 2 * np.pi, len(topo.OVAL), endpoint=False)
    points[list(topo.OVAL)] = np.stack([50 * np.sin(around), 60 - 50 * np.cos(around)], 1)  # centred on the left edge
    matte = outline_matte(points, (120, 100), 0.2)
    assert matte[60, 0] == 1
    assert matte[60, 45] < 0.5
    assert outline_matte(points + 1000, (120, 100)).sum() == 0


def test_region_follows_a_roll(portrait_face):
    points = portrait_face.landmarks
    plain = Roi.of_landmarks(points)
    turn = np.radians(40)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    roll = Roi.of_landmarks(points[:, :2] @ rotation.T)
    assert roll.angle - plain.angle == pytest.approx(turn, abs=1e-3)
    assert roll.size == pytest.approx(plain.size, rel=1e-3)
    centre = transform(np.array([[roll.x, roll.y]]), roll.matrix(256))
    assert np.allclose(centre, 127.5, atol=1e-3)


def test_topology_names_each_point_once():
    for part, count in ((topo.OVAL, 36), (topo.LEFT_EYE, 16), (topo.RIGHT_EYE, 16), (topo.LIPS_OUTER, 20)):
        assert len(set(part)) == len(part) == count
    assert len(set(topo.BLENDSHAPE_POINTS)) == len(topo.BLENDSHAPE_POINTS) == 146
    assert len(set(topo.BLENDSHAPES)) == 52
