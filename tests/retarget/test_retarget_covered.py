"""What covers a face is found, what is the person's own is not. The people are AI-generated (openpeople)."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from photodouble.faces import FaceSet, alignment, outline_matte, transform
from photodouble.faces.faceset import FaceSetWriter
from photodouble.retarget.covered import SHORTEST, CoverNetwork, choose, cleaned, find_covers, settle
from photodouble.retarget.uncovered import CHANNELS, LAYOUT, SIZE, evidence, inside, keep, predict, small_faces

FRAMES, FIRST, LAST = 96, 40, 60
SHAPE = (320, 320)


def scene(sheets, index, own=False):
    """Frame `index`: a face that holds each expression for some frames and moves; its picture and landmarks."""
    cv2.setRNGSeed(index)
    expressions = sheets["p001"]
    picture, face = expressions[index // 6 % 8]
    picture = covered_by(picture, stick(picture.shape[:2])) if own else picture
    turn = 0.04 * np.sin(index / 5)
    matrix = np.array(
        [[np.cos(turn), -np.sin(turn), 34 + 6 * np.sin(index / 9)], [np.sin(turn), np.cos(turn), 24 + index / 12]]
    )
    image = cv2.warpAffine(picture, matrix, SHAPE[::-1], borderMode=cv2.BORDER_REPLICATE)
    light = 1 + 0.12 * np.sin(index / 11)
    noise = cv2.randn(np.empty(image.shape, np.float32), 0, 2)
    landmarks = transform(face.landmarks, matrix).astype(np.float32)
    return np.clip(image * light + noise, 0, 255).astype(np.uint8), replace(face, landmarks=landmarks, frame=index)


def stick(shape=SHAPE):
    """A green rod with a round head before the mouth, H x W uint8."""
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, (150, 205), 24, 255, -1, cv2.LINE_AA)
    cv2.line(mask, (150, 205), (60, 330), 255, 16, cv2.LINE_AA)
    return mask


def covered_by(image, mask):
    return (image + (mask[..., None] / 255) * (np.array([70, 110, 60]) - image)).astype(np.uint8)


def write(folder, sheets, when, own=False):
    with FaceSetWriter(folder, 192) as writer:
        for index in range(FRAMES):
            image, face = scene(sheets, index, own)
            writer.add(face, covered_by(image, stick()) if when(index) else image)
    return FaceSet.open(folder)


def found(faces, rows=None):
    steps = find_covers(faces, np.arange(len(faces)) if rows is None else rows)
    while True:
        try:
            done, total = next(steps)
            assert 0 < done <= total
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def footage(tmp_path_factory, sheets):
    folder = tmp_path_factory.mktemp("covered")
    return {
        "bare": write(folder / "bare", sheets, lambda index: False),
        "covered": write(folder / "covered", sheets, lambda index: FIRST <= index < LAST),
        "always": write(folder / "always", sheets, lambda index: False, own=True),
    }


@pytest.fixture(scope="module")
def covers(footage):
    return found(footage["covered"])


def test_a_bare_face_is_not_covered(footage):
    assert len(found(footage["bare"]).frame) == 0


def test_a_stick_is_found_while_it_is_there(covers):
    inner = set(range(FIRST + 2, LAST - 2))
    assert inner <= set(covers.frame.tolist()) <= set(range(FIRST - 2, LAST + 2))


def test_its_matte_fits_the_stick_inside_the_face(covers, sheets):
    for index in (FIRST + 3, FIRST + 10, LAST - 4):
        image, face = scene(sheets, index)
        truth = stick()
        matte = covers.matte(index, covered_by(image, truth))
        assert matte.shape == SHAPE and matte.dtype == np.float32 and matte.min() >= 0 and matte.max() <= 1
        face_area = outline_matte(face.landmarks, SHAPE, 0) > 0
        is_, should = (matte > 0.5) & face_area, (truth > 127) & face_area
        assert (is_ & should).sum() / (is_ | should).sum() > 0.8


def test_what_is_there_all_the_time_is_the_persons_own(footage):
    assert len(found(footage["always"]).frame) == 0


def test_in_a_handful_of_frames_nothing_is_looked_for(footage):
    assert len(found(footage["covered"], np.arange(FIRST - 10, FIRST + 10)).frame) == 0


def test_neither_pytorch_is_loaded_nor_much_time_taken_for_it():
    code = "import sys, photodouble.retarget.covered as c; c.CoverNetwork(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_network_takes_any_number_of_faces_one_like_many():
    seen = np.random.default_rng(0).normal(0, 0.3, (3, CHANNELS, SIZE, SIZE)).astype(np.float32)
    network = CoverNetwork()
    together = network(seen)
    assert together.shape == (3, SIZE, SIZE)
    np.testing.assert_allclose(together[1], network(seen[1:2])[0], atol=1e-4)


def test_predictions_look_like_the_frame_and_light_does_not_count(footage):
    faces = footage["bare"]
    known = keep(faces, np.arange(0, FRAMES, 2))
    ((image, points),) = small_faces(faces, np.array([51]), SIZE)
    outline, drawn = inside(points), predict(known, points, [24, 25, 26, 27])
    bright, dark = (evidence(image, drawn * factor, outline) for factor in (1.0, 0.6))
    assert abs(bright[6:9] * outline).sum() / outline.sum() * 64 < 20
    assert abs(bright - dark)[:, outline > 0].mean() < 0.01


def test_small_faces_lie_in_their_layout(footage):
    faces = footage["bare"]
    for (_, points), row in zip(small_faces(faces, np.array([3, 70]), SIZE), (3, 70), strict=True):
        plate = faces.landmarks(row, row + 1)[0]
        np.testing.assert_allclose(points, transform(plate, alignment(plate, SIZE, LAYOUT)), atol=0.02)


def test_what_predicts_is_apart_in_time_and_usable():
    frame = np.arange(0, 400, 4)
    have = np.abs(frame - 200)[:, None] / 100.0
    usable = frame > 120
    chosen = frame[choose(have, np.zeros(1), frame, 200, usable, 30)]
    assert (abs(chosen - 200) >= 30).all() and (chosen > 120).all()
    assert np.diff(np.sort(chosen)).min() >= 15


def blocks(times, frames=30):
    mattes = np.zeros((frames, SIZE, SIZE), np.uint8)
    for time in times:
        mattes[time, 20:32, 20:32] = 250
    return mattes


def settled(mattes):
    n = len(mattes)
    return settle(mattes, np.arange(n), np.zeros(n, int))


def test_a_find_of_a_moment_is_dropped_and_a_gap_of_one_frame_closed():
    assert not settled(blocks(range(10, 10 + SHORTEST - 1))).any()
    there = settled(blocks(set(range(8, 22)) - {14}))[:, 26, 26] > 127
    assert there[8:22].all() and not there[:7].any() and not there[23:].any()


def test_tiny_and_faint_finds_are_none():
    matte = np.zeros((SIZE, SIZE), np.uint8)
    matte[10:12, 10:12] = 255
    matte[30:50, 30:50] = 180
    assert not cleaned(matte).any()
    matte[40, 40] = 255
    assert cleaned(matte).sum() == 400
