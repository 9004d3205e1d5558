"""A face into a frame: what changes, what must not, and how colours and detail follow the plate."""

import cv2
import numpy as np
import pytest

from photodouble.compositing import USUAL, Moment, composite, face_box, measure_look
from photodouble.compositing.blend import band_mattes, bands, blend, grown
from photodouble.compositing.detail import match_detail
from photodouble.compositing.light import match_light
from photodouble.compositing.look import luma
from photodouble.faces import find_faces, outline_matte
from photodouble.faces.topology import OVAL
from photodouble.media import read_picture

SCALE = {"uint8": 1, "uint16": 257, "float32": 1 / 255}


@pytest.fixture(scope="module")
def plate(portraits):
    """A portrait, 352 x 256 RGB uint8, and its landmarks."""
    image = read_picture(portraits[0])[..., :3]
    image = cv2.resize(image[: image.shape[1] * 352 // 256], (256, 352), interpolation=cv2.INTER_AREA)
    (face,) = find_faces(image)
    return image, face.landmarks


@pytest.fixture(scope="module")
def box(plate):
    image, landmarks = plate
    return face_box(landmarks, image.shape[:2])


@pytest.fixture(scope="module")
def drawn(plate, box):
    """Another face for the box: the plate's own mirrored, with more red and contrast."""
    x0, y0, x1, y1 = box
    own = plate[0][y0:y1, x0:x1, :].astype(np.float32)
    return np.clip((own[:, ::-1] - 110) * 1.3 + (140, 110, 100), 0, 255).astype(np.float32)


def typed(image, dtype):
    """The picture in another depth; as float, with noise below 8 bits and a light above white inside the face."""
    if dtype == "uint8":
        return image
    rng = np.random.default_rng(0)
    noisy = image.astype(np.float64) * SCALE[dtype] + rng.uniform(0, SCALE[dtype], image.shape)
    result = np.clip(noisy, 0, 65535).astype(dtype)
    if dtype == "float32":
        result[90:200, 60:90] += 1.5
        result[:8, :8] = 4.25
    return result


def inner(landmarks, box, softness=0.0):
    x0, y0, x1, y1 = box
    return outline_matte(landmarks - np.array([x0, y0, 0]), (y1 - y0, x1 - x0), softness)


@pytest.mark.parametrize("dtype", SCALE)
def test_outside_the_matte_the_plates_bits_stay(plate, box, drawn, dtype):
    image, landmarks = typed(plate[0], dtype), plate[1]
    before = image.copy()
    done = composite(image, drawn, landmarks, box)
    assert (image == before).all()
    assert done.image.dtype == image.dtype
    assert done.matte.dtype == np.float32
    assert done.matte.shape == image.shape[:2]
    assert done.matte.min() >= 0
    assert done.matte.max() == 1
    outside = done.matte == 0
    assert done.image[outside].tobytes() == image[outside].tobytes()
    assert (done.image[done.matte > 0.5] != image[done.matte > 0.5]).mean() > 0.5
    hard = outline_matte(grown(landmarks, USUAL.matte_grow), image.shape[:2], 0) > 0
    assert (done.matte[~hard] == 0).all()


def test_the_depths_agree(plate, box, drawn):
    results = []
    for dtype, scale in SCALE.items():
        image = (plate[0].astype(np.float64) * scale).astype(dtype)
        results.append(composite(image, drawn, plate[1], box).image / scale)
    assert abs(results[0] - results[1]).max() < 1.6  # rounding to 8 bits, and as much less grain
    assert abs(results[0] - results[1]).mean() < 0.3
    assert abs(results[1] - results[2]).max() < 0.01


def test_values_above_white_stay_above(plate, box, drawn):
    image, landmarks = typed(plate[0], "float32"), plate[1]
    done = composite(image, drawn, landmarks, box)
    light = (image > 1.5).all(2) & (done.matte > 0.9)
    assert light.sum() > 100
    # White and above is one light for the networks: only what lies below white changes.
    assert done.image[light].min() > 0.5
    excess = image[light] - 1
    assert ((done.image[light] - excess) <= 1 + 1e-5).all()
    assert ((done.image[light] - excess) >= -1e-5).all()


def test_what_lies_before_the_face_stays(plate, box, drawn):
    image, landmarks = plate
    x0, y0, x1, y1 = box
    cover = np.zeros((y1 - y0, x1 - x0), np.float32)
    cover[60:] = 1
    done = composite(image, drawn, landmarks, box, cover)
    assert (done.image[y0 + 60 :] == image[y0 + 60 :]).all()
    assert done.matte[y0 + 60 :].max() == 0
    assert done.matte[: y0 + 60].max() == 1
    everywhere = composite(image, drawn, landmarks, box, np.ones_like(cover))
    assert (everywhere.image == image).all()
    assert everywhere.matte.max() == 0


def test_opacity_multiplies_the_matte(plate, box, drawn):
    image, landmarks = plate
    opacity = np.full(drawn.shape[:2], 0.5, np.float32)
    opacity[:, :40] = 0
    full, half = (composite(image, drawn, landmarks, box, None, each) for each in (None, opacity))
    x0 = box[0]
    assert np.allclose(half.matte[:, x0 + 40 :], full.matte[:, x0 + 40 :] / 2, atol=1e-6)
    assert (half.image[:, : x0 + 40] == image[:, : x0 + 40]).all()


def test_the_plates_own_face_changes_nothing_to_speak_of(plate, box):
    image, landmarks = plate
    x0, y0, x1, y1 = box
    done = composite(image, image[y0:y1, x0:x1].astype(np.float32), landmarks, box)
    away = abs(done.image.astype(int) - image)
    assert away.max() <= 1
    assert away.mean() < 0.05


def test_a_face_that_the_picture_cuts_off_is_composited_as_far_as_it_goes(plate):
    image, landmarks = plate
    for shift in ((-110, 0, 0), (90, 160, 0)):
        moved = landmarks + np.array(shift, np.float32)
        x0, y0, x1, y1 = box = face_box(moved, image.shape[:2])
        done = composite(image, np.full((y1 - y0, x1 - x0, 3), 90, np.float32), moved, box)
        assert done.image.shape == image.shape
        assert (done.image[done.matte == 0] == image[done.matte == 0]).all()
        assert done.matte.max() > 0.9
    look = measure_look(image.astype(np.float32), landmarks)
    huge = landmarks * 8  # of which a strip is to be seen, narrower than the pixels of a reduced picture
    wide, high = np.ptp(huge[list(OVAL), :2], axis=0) - 23
    for shift in ((60, -high, 0), (-wide, 60, 0), (-wide, -high, 0)):
        moved = huge - huge[list(OVAL)].min(0) + np.array(shift, np.float32)
        x0, y0, x1, y1 = box = face_box(moved, (260, 107))
        face = np.full((y1 - y0, x1 - x0, 3), 90, np.float32)
        done = composite(image[:260, :107], face, moved, box, moment=Moment(0, look))
        assert done.image.shape == (260, 107, 3)
    assert face_box(landmarks + 5000, image.shape[:2])[0] >= face_box(landmarks + 5000, image.shape[:2])[2]


def test_a_box_holds_the_outline_with_its_margin(plate, box):
    _, landmarks = plate
    x0, y0, x1, y1 = box
    outline = landmarks[list(OVAL), :2]
    assert (outline > (x0, y0)).all()
    assert (outline < (x1, y1)).all()
    assert x1 - x0 == pytest.approx(1.24 * np.ptp(outline[:, 0]), abs=3)


def test_bands_add_up_to_the_change_and_fade_at_different_widths(plate, box, drawn):
    image, landmarks = plate
    x0, y0, x1, y1 = box
    own = image[y0:y1, x0:x1].astype(np.float32)
    inside = landmarks - np.array([x0, y0, 0], np.float32)
    mattes = band_mattes(inside, own.shape[:2])
    assert len(mattes) == len(bands())
    assert (mattes[0] >= mattes[1]).all()
    assert mattes[0].sum() > mattes[1].sum()
    ones = [np.ones_like(matte) for matte in mattes]
    assert np.allclose(blend(own, drawn, ones, 150.0), drawn - own, atol=1e-3)
    change = blend(own, drawn, mattes, 150.0)
    deep = cv2.erode(mattes[1], np.ones((41, 41))) == 1  # what is coarse is reduced by 9
    assert np.allclose(change[deep], (drawn - own)[deep], atol=1e-3)


def test_colours_move_to_the_plates(plate, box, drawn):
    x0, y0, x1, y1 = box
    own = plate[0][y0:y1, x0:x1].astype(np.float32)
    points = plate[1] - np.array([x0, y0, 0], np.float32)
    matte = inner(plate[1], box, 0.08)
    matched = match_light(drawn, own, points, matte)
    assert matched.dtype == np.float32
    assert matched.min() >= 0
    assert matched.max() <= 255
    skin = (matte > 0.5) & (drawn.max(2) > 120)
    before = abs(drawn[skin].mean(0) - own[skin].mean(0))
    after = abs(matched[skin].mean(0) - own[skin].mean(0))
    assert before.max() > 20
    assert after.max() < 0.3 * before.max()
    assert (match_light(drawn, own, points, matte, strength=0.0) == drawn).all()
    assert (match_light(drawn, own, points, matte, None, np.ones_like(matte)) == drawn).all()


def test_a_plate_in_flat_light_does_not_take_all_of_a_faces_modelling(plate, box, drawn):
    x0, y0, x1, y1 = box
    own = plate[0][y0:y1, x0:x1].astype(np.float32)
    points, deep = plate[1] - np.array([x0, y0, 0], np.float32), inner(plate[1], box, 0.3) > 0.9
    spread = [
        luma(match_light(drawn, 128 + part * (own - 128), points, deep.astype(np.float32)))[deep].std()
        for part in (0.1, 0.4, 1.0)
    ]
    assert spread[0] == pytest.approx(spread[1], rel=0.05)
    assert spread[0] > 0.7 * luma(drawn)[deep].std()


def test_at_the_edge_the_face_has_the_plates_light_and_deep_inside_its_own(plate, box):
    x0, y0, x1, y1 = box
    own = plate[0][y0:y1, x0:x1].astype(np.float32)
    points = plate[1] - np.array([x0, y0, 0], np.float32)
    matte = inner(plate[1], box, 0.08)
    across = np.linspace(0.6, 1.4, own.shape[1], dtype=np.float32)[None, :, None]
    lit = np.clip(own * across, 0, 255)
    matched = match_light(lit, own, points, matte, edge=1.0)
    depth = [(matte > 0.2) & (matte < 0.8), inner(plate[1], box, 0.3) > 0.99]
    edge, deep = (abs(matched[where] - own[where]).mean() / abs(lit[where] - own[where]).mean() for where in depth)
    assert edge < 0.5
    assert deep > 1.5 * edge


def test_a_dark_mouth_is_not_tinted(plate, box, drawn):
    x0, y0, x1, y1 = box
    own = plate[0][y0:y1, x0:x1].astype(np.float32) * (0.8, 0.9, 1.0)
    dark = drawn.copy()
    dark[80:90, 60:80] = 4
    points = plate[1] - np.array([x0, y0, 0], np.float32)
    matched = match_light(dark, own.astype(np.float32), points, inner(plate[1], box, 0.06))
    assert abs(matched[82:88, 64:76] - 4).max() < 5


@pytest.mark.parametrize("blur", [0.0, 1.5, 3.0])
def test_detail_comes_nearer_to_the_plates(plate, box, blur):
    x0, y0, x1, y1 = box
    own = plate[0][y0:y1, x0:x1].astype(np.float32)
    points = plate[1] - np.array([x0, y0, 0], np.float32)
    soft = cv2.GaussianBlur(own, (0, 0), 1.0)
    other = cv2.GaussianBlur(own, (0, 0), blur) if blur else own
    have, want = (measure_look(picture, points).detail for picture in (soft, other))
    matched = match_detail(luma(soft), have, want)
    now = measure_look(cv2.merge([matched] * 3), points).detail
    # To sharpen may go far, to blur only a little.
    nearer = 0.7 if blur == 0 else 0.98
    assert abs(np.log(now / want)) < nearer * abs(np.log(have / want))
    assert abs(matched.mean() - luma(soft).mean()) < 0.5
    assert (match_detail(luma(soft), float("nan"), want) == luma(soft)).all()


def test_the_face_is_handed_on_unblended(plate, box, drawn):
    for whole in (True, False):
        done = composite(plate[0], drawn, plate[1], box, whole=whole)
        x0, y0, x1, y1 = done.box
        assert done.face.shape == (y1 - y0, x1 - x0, 3)
        assert done.face.dtype == np.float32
        deep = inner(plate[1], done.box, 0.3) > 0.99
        assert abs(done.face[deep] - done.image[y0:y1, x0:x1][deep]).max() <= 1
        assert (done.box == box) == whole


def test_what_the_matte_does_not_need_makes_no_difference(plate, box, drawn):
    noisy = np.clip(plate[0] + np.random.default_rng(3).normal(0, 6, plate[0].shape), 0, 255).astype(np.uint8)
    soft = cv2.GaussianBlur(drawn, (0, 0), 1.5)
    all_of_it, needed = (composite(noisy, soft, plate[1], box, whole=whole) for whole in (True, False))
    assert (all_of_it.matte == needed.matte).all()
    away = abs(all_of_it.image.astype(int) - needed.image)
    assert np.percentile(away, 99) <= 8
    assert away.mean() < 0.8


def test_a_frame_is_the_same_whenever_it_is_rendered(plate, box, drawn):
    noisy = np.clip(plate[0] + np.random.default_rng(3).normal(0, 6, plate[0].shape), 0, 255).astype(np.uint8)
    first, again, other = (composite(noisy, drawn, plate[1], box, moment=Moment(k)).image for k in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


def test_a_face_too_small_for_its_grain_is_as_sharp_as_a_soft_plate(plate):
    """Of 36 pixels: too little skin for cells of grain, enough for detail."""
    image, landmarks = plate
    factor = 36 / np.ptp(landmarks[list(OVAL), 0])
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    points = ((landmarks + 0.5) * factor - 0.5).astype(np.float32)
    x0, y0, x1, y1 = area = face_box(points, small.shape[:2])
    soft = cv2.GaussianBlur(small, (0, 0), 0.7)
    look = measure_look(soft[y0:y1, x0:x1].astype(np.float32), points - (x0, y0, 0))
    assert np.isnan(look.grain).all() and look.detail > 1
    done = composite(soft, small[y0:y1, x0:x1].astype(np.float32), points, area)
    inside = done.blended > 0.99
    before, plates, after = (
        sharpness(part, inside) for part in (small[y0:y1, x0:x1], soft[y0:y1, x0:x1], done.image[y0:y1, x0:x1])
    )
    assert before > 2 * plates
    assert 0.7 * plates < after < 1.6 * plates


def sharpness(picture, inside):
    return cv2.Laplacian(luma(picture.astype(np.float32)), cv2.CV_32F)[inside].var()
