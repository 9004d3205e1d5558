"""The mesh over a face: every cell found, and a picture that follows its landmarks."""

import cv2
import numpy as np
import pytest

from photodouble.faces import outline_matte
from photodouble.retarget import REGIONS, render
from photodouble.retarget.mesh import match_ring, region_mask
from photodouble.retarget.warp import mesh_points, rasterise, source_map, warp

SIZE = 256


def alone(index):
    return dict.fromkeys(REGIONS, index)


def inside(landmarks, shape=(SIZE, SIZE)):
    return outline_matte(landmarks, shape, 0) > 0


@pytest.mark.parametrize("step", [1, 2, 3])
def test_each_cell_inside_the_outline_has_a_triangle(people, step):
    wanted = people["p001"]
    raster = rasterise(mesh_points(wanted.landmarks[0]), wanted.triangles, (SIZE, SIZE - 11), step)
    covered = np.kron(raster.triangle >= 0, np.ones((step, step), bool))[:SIZE, : SIZE - 11]
    assert covered[inside(wanted.landmarks[0], (SIZE, SIZE - 11))].all()
    assert not covered[0, 0]
    there = weights(raster)[:, raster.triangle >= 0]
    assert np.allclose(there.sum(0), 1, atol=1e-4)
    assert there.min() > -1e-3


def weights(raster):
    """(3, h, w) barycentric weights of the cells."""
    y, x = np.indices(raster.triangle.shape)
    return np.einsum("fvhw,fhw->vhw", raster.forms[:, :, raster.triangle], np.stack([x, y, np.ones_like(x)]))


def test_a_part_of_a_raster_is_that_of_the_part(people):
    points = mesh_points(people["p001"].landmarks[3])
    raster = rasterise(points, people["p001"].triangles, (SIZE, SIZE), 2)
    whole = source_map(raster, points)
    part = source_map(raster.part(40, 60, 151, 170), points)
    assert part.shape == (110, 111, 2)
    assert abs(part[2:-2, 2:-2] - whole[62:168, 42:149]).max() < 1e-3


def test_weights_give_each_cell_its_own_place(people):
    wanted = people["p001"]
    points = mesh_points(wanted.landmarks[3])
    raster = rasterise(points, wanted.triangles, (SIZE, SIZE), 1)
    y, x = np.nonzero(raster.triangle >= 0)
    corners = points[raster.vertices[:, raster.triangle[y, x]], :2]
    place = (weights(raster)[:, y, x, None] * corners).sum(0)
    assert abs(place - np.stack([x, y], 1)).max() < 1e-2


def test_of_triangles_that_fold_over_the_nearer_one_is_seen():
    square = [(0, 0), (40, 0), (40, 40), (0, 40)]
    points = np.array([(*p, 5.0) for p in square] + [(*p, -5.0) for p in square])
    triangles = np.array([[0, 1, 2], [4, 5, 6], [4, 6, 7], [0, 2, 3]])
    for order in (triangles, triangles[::-1]):
        raster = rasterise(points, order, (30, 30), 1)
        assert set(raster.vertices[:, np.unique(raster.triangle)].ravel().tolist()) == {4, 5, 6, 7}


def test_a_triangle_without_area_or_outside_covers_nothing():
    points = np.array([(5, 5, 0), (10, 10, 0), (20, 20, 0), (-50, 0, 0), (-40, 9, 0), (-45, 30, 0)], float)
    raster = rasterise(points, np.array([[0, 1, 2], [3, 4, 5]]), (30, 30), 1)
    assert (raster.triangle == -1).all()
    assert (source_map(raster, points) == -1).all()


def test_warp_repeats_the_edge():
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    here = np.stack(np.meshgrid(np.arange(4), np.arange(4)), 2).astype(np.float32)
    assert (warp(picture, here) == picture).all()
    assert (warp(picture, here - 50) == picture[0, 0]).all()
    assert warp(picture, here).dtype == np.float32


def test_of_a_large_picture_warp_takes_the_same():
    picture = np.random.default_rng(0).integers(0, 256, (200, 150, 3), np.uint8)
    for x, y in ((-4, 30), (60.4, 90.6), (140, 190)):
        here = np.stack(np.meshgrid(np.arange(20) + x, np.arange(20) + y), 2).astype(np.float32)
        whole = warp(picture, np.tile(here, (10, 10, 1)))[:20, :20]
        assert abs(warp(picture, here) - whole).max() < 1e-3


def test_a_picture_drawn_on_its_own_landmarks_is_itself(people):
    wanted = people["p001"]
    for index in (0, 9):
        drawn = render(wanted, wanted.landmarks[index], alone(index), (SIZE, SIZE))
        assert drawn.shape == (SIZE, SIZE, 3)
        assert drawn.dtype == np.float32
        away = abs(drawn - wanted.picture(index).astype(np.float32))[inside(wanted.landmarks[index])]
        assert away.mean() < 1


def test_the_picture_moves_and_grows_with_its_landmarks(people):
    wanted = people["p001"]
    target = wanted.landmarks[0] * np.float32(0.75) + np.array([30, 12, 0], np.float32)
    drawn = render(wanted, target, alone(0), (230, 240))
    matrix = np.array([[0.75, 0, 30], [0, 0.75, 12]])
    expected = cv2.warpAffine(wanted.picture(0), matrix, (240, 230), flags=cv2.INTER_CUBIC).astype(np.float32)
    away = abs(drawn - expected)[inside(target, (230, 240))]
    assert away.mean() < 1.5
    still = render(wanted, wanted.landmarks[0], alone(0), (230, 240))
    assert abs(drawn - still)[inside(target, (230, 240))].mean() > 10


def test_eyes_and_mouth_come_from_their_own_pictures(people):
    wanted, face, other = people["p001"], 5, 0
    target = wanted.landmarks[face]
    plain = render(wanted, target, alone(face), (SIZE, SIZE))
    size = np.linalg.norm(target[33, :2] - target[263, :2])
    centres = {"eyes": target[[159, 386], :2], "mouth": target[[13], :2]}
    for region, places in centres.items():
        mixed = render(wanted, target, alone(face) | {region: other}, (SIZE, SIZE))
        changed = abs(mixed - plain).max(2)
        y, x = np.indices((SIZE, SIZE))
        near = min_distance(x, y, places) < 0.9 * size
        assert changed[~near].max() == 0
        assert changed.max() > 10


def test_a_second_picture_is_mixed_in_by_its_share(people):
    wanted, target = people["p001"], people["p001"].landmarks[5]
    one, other = (render(wanted, target, alone(index), (SIZE, SIZE)) for index in (5, 0))
    fade = dict.fromkeys(REGIONS, (0, 0.375))
    between = render(wanted, target, alone(5), (SIZE, SIZE), fade=fade)
    away = abs(between - (0.625 * one + 0.375 * other))
    assert away.mean() < 0.5 < abs(one - other).mean()  # the eyes and the mouth are lit anew


def min_distance(x, y, places):
    return np.min([np.hypot(x - px, y - py) for px, py in places], axis=0)


def test_a_face_at_the_edge_of_the_picture_is_drawn_as_far_as_it_is_inside(people):
    wanted = people["p001"]
    for shift in ((-130, 0, 0), (0, 140, 0), (900, 900, 0)):
        target = wanted.landmarks[0] + np.array(shift, np.float32)
        drawn = render(wanted, target, {"face": 0, "eyes": 3, "mouth": 8}, (SIZE, SIZE))
        assert drawn.shape == (SIZE, SIZE, 3)
        assert np.isfinite(drawn).all()


def test_a_layer_is_scaled_to_what_lies_under_its_edge():
    mask = region_mask(np.array([[20, 20], [40, 20], [40, 40], [20, 40]], float), ((0, 1, 2, 3),), (60, 60), 4, 3)
    assert mask.max() == pytest.approx(1)
    assert mask[0].max() == 0
    under = np.full((60, 60, 3), 90, np.float32)
    layer = np.full((60, 60, 3), (120, 60, 95), np.float32)
    assert abs(match_ring(layer, under, mask) - under).max() < 1
    assert (match_ring(layer, under, np.zeros_like(mask)) == layer).all()
