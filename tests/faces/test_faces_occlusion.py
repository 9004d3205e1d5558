"""Hands in front of a face: found on the demo's plate, painted, kept; and nothing painted where there is none."""

import itertools

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble import weights
from photodouble.errors import BadInput
from photodouble.faces import Landmarker, Roi, create_detector
from photodouble.faces.occlusion import Hand, HandMatte, Hands, HandSeeker, HandTracker, paint
from photodouble.faces.occlusion_hands import PalmDetector
from photodouble.faces.occlusion_shape import silhouette
from photodouble.faces.occlusion_shot import gather
from photodouble.faces.occlusion_track import believable, search_square

FIRST, LAST = 50, 72  # the hand comes in at 57 or 58
COVERED, CLEAR = 172, 300


def landmarks_of(image, before=None):
    if before is None:
        face = create_detector("yunet").detect(image)[0]
        roi = Roi.of_box(face.box, face.points)
    else:
        roi = Roi.of_landmarks(before)
    return LANDMARKER[0](image, roi, False).points


LANDMARKER: list[Landmarker] = []


@pytest.fixture(scope="module")
def plate():
    """Frame number -> (image, landmarks of the face)."""
    LANDMARKER[:] = [Landmarker()]
    wanted = {*range(FIRST, LAST), COVERED, CLEAR}
    frames = {}
    with av.open(str(weights.path("demo_plate"))) as container:
        for index, frame in enumerate(itertools.islice(container.decode(video=0), CLEAR + 1)):
            if index in wanted:
                image = frame.to_ndarray(format="rgb24")
                before = frames.get(index - 1)
                frames[index] = image, landmarks_of(image, None if before is None else before[1])
    LANDMARKER.clear()
    return frames


@pytest.fixture(scope="module")
def tracker():
    return HandTracker()


def open_hand(scale=1.0, x=0.0, y=0.0):
    """A spread right hand of size about 90, fingers up."""
    points = np.zeros((21, 3), np.float32)
    points[0, :2] = 0, 90
    bases = {1: (-25, 70), 5: (-28, 0), 9: (-8, -4), 13: (12, 0), 17: (30, 10)}
    ways = {1: (-0.8, -0.6), 5: (-0.3, -1), 9: (-0.05, -1), 13: (0.15, -1), 17: (0.4, -0.9)}
    for base, (bx, by) in bases.items():
        way = np.array(ways[base]) / np.hypot(*ways[base])
        for joint in range(4):
            points[base + joint, :2] = (bx, by) + way * joint * 25
    points[:, :2] = points[:, :2] * scale + (x, y)
    return Hand(points, 1.0)


def overlap(a, b):
    return np.minimum(a, b).sum() / np.maximum(a, b).sum()


def picture_of(hand, shape, width=1.1):
    """A picture whose hand is brighter and redder than what is behind it, with some grain; and its true matte."""
    truth = silhouette(hand.points[:, :2].astype(np.float64), hand.size, shape, width).astype(np.float32) / 255
    back, front = np.array([110, 90, 80]), np.array([190, 150, 130])
    image = back + truth[..., None] * (front - back) + np.random.default_rng(0).normal(0, 4, (*shape, 3))
    return image.clip(0, 255).astype(np.uint8), truth


# -- painting --


def test_the_edge_is_that_of_the_picture_not_of_the_landmarks():
    hand = open_hand(1, 130, 150)
    image, truth = picture_of(hand, (300, 280))
    off = Hand(hand.points + np.array([4, 3, 0], np.float32), 1.0)
    matte = paint(off, image)
    by_landmarks = silhouette(off.points[:, :2].astype(np.float64), off.size, truth.shape, 1.1) / 255
    assert overlap(matte, truth) > 0.93
    assert overlap(matte, truth) > overlap(by_landmarks, truth) + 0.05
    assert matte.dtype == np.float32 and matte.min() >= 0 and matte.max() <= 1


def test_every_kind_of_picture_gives_the_same_matte():
    hand = open_hand(1, 130, 150)
    image, _ = picture_of(hand, (300, 280))
    expected = paint(hand, image)
    assert np.array_equal(paint(hand, image.astype(np.uint16) * 257), expected)
    assert overlap(paint(hand, image.astype(np.float32) / 255), expected) > 0.99


def test_a_large_hand_is_painted_in_full_size():
    hand = open_hand(4, 520, 600)
    image, truth = picture_of(hand, (1200, 1120))
    assert overlap(paint(hand, image), truth) > 0.93


def test_a_hand_cut_off_by_the_frame_stays_opaque_at_the_edge():
    hand = open_hand(1, 130, 250)  # its wrist is below the frame
    image, truth = picture_of(hand, (290, 280))
    matte = paint(hand, image)
    assert matte[-1][truth[-1] == 1].min() > 0.8
    assert overlap(matte, truth) > 0.9


def test_a_fast_hand_is_smeared_along_its_way():
    hand = open_hand(1, 130, 150)
    image = np.full((300, 280, 3), 100, np.uint8)
    resting, fast = paint(hand, image), paint(hand, image, np.full((21, 2), (60, 0), np.float32))
    soft = lambda matte: ((matte > 0.1) & (matte < 0.9)).sum()  # noqa: E731
    assert soft(fast) > 3 * soft(resting)
    assert fast[:, :80].sum() > resting[:, :80].sum()
    assert (
        abs(fast.sum() / silhouette(hand.points[:, :2].astype(float), hand.size, (300, 280), 1.2).sum() * 255 - 1)
        < 0.05
    )


@pytest.mark.parametrize("x, y", [(-500, 100), (900, 100), (100, -500), (100, 2000), (np.nan, 100)])
def test_a_hand_out_of_sight_leaves_the_matte_empty(x, y):
    assert not paint(open_hand(1, x, y), np.zeros((200, 300, 3), np.uint8)).any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-2000, 2000, width=32), min_size=63, max_size=63), st.integers(1, 40), st.integers(1, 40))
def test_no_landmarks_break_the_painting(values, height, width):
    hand = Hand(np.array(values, np.float32).reshape(21, 3), 1.0)
    matte = paint(hand, np.zeros((height, width, 3), np.uint8), hand.points * 0.1)
    assert matte.shape == (height, width) and np.isfinite(matte).all()


# -- models --


def test_the_region_turns_and_grows_with_the_hand():
    hand = open_hand(1, 130, 150)
    turn = cv2.getRotationMatrix2D((130, 150), -30, 2.0)  # 30 degrees clockwise in the picture
    points = hand.points.copy()
    points[:, :2] = points[:, :2] @ turn[:, :2].T + turn[:, 2]
    a, b = hand.roi(), Hand(points, 1.0).roi()
    assert np.degrees(b.angle - a.angle) == pytest.approx(30, abs=1e-3)
    assert b.size == pytest.approx(2 * a.size, rel=1e-4)
    assert (b.x, b.y) == pytest.approx(tuple(turn[:, :2] @ (a.x, a.y) + turn[:, 2]), abs=1e-2)


def test_a_palm_is_found_with_a_hand_and_where_it_is_turned(plate, tracker):
    image, landmarks = plate[COVERED]
    found = tracker.find(image, landmarks)
    assert found and found[0].presence > 0.8
    middle = found[0].points[:, :2].mean(0)
    turned = np.ascontiguousarray(np.rot90(image))  # anticlockwise: x, y -> y, W - 1 - x
    corner = landmarks[:, :2] @ np.array([[0, -1], [1, 0]]) + (0, image.shape[1] - 1)
    again = tracker.find(turned, corner.astype(np.float32))
    assert again
    expected = np.array([middle[1], image.shape[1] - 1 - middle[0]])
    assert np.linalg.norm(again[0].points[:, :2].mean(0) - expected) < 0.3 * found[0].size


def test_outside_of_the_picture_no_palm_is_seen():
    detector = PalmDetector()
    assert detector(np.full((64, 64, 3), 127, np.uint8), Roi(-500.0, -500.0, 100.0)) == []


def test_a_hand_within_the_face_is_not_believed(plate):
    landmarks = plate[CLEAR][1]
    middle = landmarks[:, :2].mean(0)
    assert not believable(open_hand(0.5, *middle), landmarks)
    assert believable(open_hand(1.2, middle[0] - 60, middle[1] + 40), landmarks)
    assert not believable(open_hand(1.2, middle[0] - 900, middle[1]), landmarks)
    assert not believable(open_hand(9, *middle), landmarks)


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (100, 100)])
def test_palms_are_looked_for_inside_the_picture(plate, shape):
    square = search_square(plate[CLEAR][1] * 0.3, shape)
    assert square.size <= max(shape)
    for centre, length in ((square.x, shape[1]), (square.y, shape[0])):
        if square.size < length:
            assert centre - square.size / 2 >= -0.51 and centre + square.size / 2 <= length - 0.49


# -- frame by frame --


def test_the_hand_on_the_face_is_covered_and_the_face_is_not(plate, tracker):
    image, landmarks = plate[COVERED]
    matte = HandMatte(tracker=tracker)(image, landmarks)
    assert matte.shape == image.shape[:2] and matte.dtype == np.float32
    fingers = [(340, 225), (366, 230), (393, 225), (430, 285), (345, 300), (372, 196)]
    face = [(365, 130), (465, 130), (430, 180), (430, 235), (480, 200), (480, 270), (420, 160)]
    assert all(matte[y, x] > 0.9 for x, y in fingers)
    assert all(matte[y, x] < 0.05 for x, y in face)


def test_a_face_without_a_hand_gives_nothing(plate, tracker):
    matte = HandMatte(every=1, tracker=tracker)
    for _ in range(2):
        assert not matte(*plate[CLEAR]).any()


def test_without_a_face_the_hand_is_forgotten(plate, tracker):
    matte = HandMatte(tracker=tracker)
    assert matte(*plate[COVERED]).any()
    (before,) = tracker.step(*plate[COVERED])
    assert not matte(plate[COVERED][0], None).any()
    (after,) = tracker.step(*plate[COVERED])
    assert after.track != before.track


def test_what_was_refused_is_asked_again_at_every_second_look(plate):
    """A face taken for a palm costs half; a palm in another place is asked at once."""
    image, landmarks = plate[CLEAR]
    at, asked = [search_square(landmarks, image.shape)], []

    def landmarker(_, roi):
        asked.append(roi)
        return Hand(open_hand().points, 0.1)

    tracker = HandTracker(every=1, detector=lambda *_: [(0.8, roi) for roi in at], landmarker=landmarker)
    for _ in range(6):
        assert not tracker.step(image, landmarks)
    assert len(asked) == 3
    at.append(Roi(at[0].x + at[0].size, at[0].y, at[0].size, 0.0))
    tracker.step(image, landmarks)
    tracker.step(image, landmarks)
    assert len(asked) == 5  # the new palm at once, then the old one
    tracker.reset()
    tracker.step(image, landmarks)
    assert len(asked) == 7


# -- two passes --


@pytest.fixture(scope="module")
def hands(plate):
    seeker = HandSeeker(every=6)
    for index in range(FIRST, LAST):
        seeker.observe(index, *plate[index])
    return seeker.finish()


def test_a_hand_is_followed_back_to_where_it_came_in(hands, plate):
    assert set(hands.track) == {hands.track[0]}
    assert hands.frame[0] <= 59
    assert hands.frame.tolist() == list(range(hands.frame[0], LAST))
    for index in (FIRST, 54):
        assert not hands.matte(index, plate[index][0]).any()
    assert hands.matte(70, plate[70][0])[330, 340] == pytest.approx(1, abs=0.02)


def wandering(frames, presence, noise, track=0):
    """An open hand that moves 3 pixels a frame, seen with some error."""
    random = np.random.default_rng(track)
    return {
        (index, track): Hand(open_hand(1, 3 * index, 100).points + random.normal(0, noise, (21, 3)), presence)
        for index in frames
    }


def test_doubtful_tracks_are_dropped():
    sure, doubtful, short = (
        wandering(range(20), 0.99, 0),
        wandering(range(20), 0.85, 0, 1),
        wandering((5, 6), 0.99, 0, 2),
    )
    hands = gather(sure | doubtful | short)
    assert set(hands.track) == {0} and hands.frame.tolist() == list(range(20))


def test_hands_are_smoothed_without_lag():
    found = wandering(range(40), 0.99, 2.0)
    true = np.stack([open_hand(1, 3 * index, 100).points for index in range(40)])
    seen = np.stack([found[index, 0].points for index in range(40)])
    error = gather(found).points - true
    assert np.abs(error).mean() < 0.8 * np.abs(seen - true).mean()
    lag = (error - (seen - true))[:, :, 0].mean()
    assert abs(lag) < 0.05  # one frame's would be 3


def test_saved_hands_paint_the_same(hands, plate, tmp_path):
    path = tmp_path / "hands.npz"
    hands.save(path)
    again = Hands.load(path)
    for index in (71, 60, 66):
        assert np.array_equal(again.matte(index, plate[index][0]), hands.matte(index, plate[index][0]))
    assert [item.name for item in tmp_path.iterdir()] == ["hands.npz"]


def test_a_gap_in_the_frames_starts_anew(plate):
    seeker = HandSeeker(every=1)
    seeker.observe(68, *plate[68])
    seeker.observe(69, *plate[69])
    seeker.observe(90, plate[COVERED][0], plate[COVERED][1])
    seeker.observe(91, plate[CLEAR][0], None)
    assert len(seeker.finish().frame) == 0  # all of them are finds of a moment


def test_no_frames_give_no_hands():
    hands = HandSeeker(tracker=object.__new__(HandTracker)).finish()
    assert hands.points.shape == (0, 21, 3)
    assert not hands.matte(0, np.zeros((20, 30, 3), np.uint8)).any()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.npz"):
        Hands.load(tmp_path / "gone.npz")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), flip=st.integers(0, 2000))
def test_a_damaged_file_is_refused_or_whole(hands, tmp_path, cut, flip):
    path = tmp_path / "hands.npz"
    hands.save(path)
    data = bytearray(path.read_bytes())
    data[flip % len(data)] ^= 0x55
    path.write_bytes(data[: max(len(data) - cut, 0)])
    try:
        again = Hands.load(path)
    except BadInput as error:
        assert "hands.npz" in str(error)
    else:
        assert again.points.shape == (len(again.frame), 21, 3)


def test_other_arrays_are_no_hands(tmp_path):
    path = tmp_path / "hands.npz"
    np.savez(path, frame=np.arange(3), track=np.arange(3), points=np.zeros((2, 21, 3)), presence=np.zeros(3))
    with pytest.raises(BadInput, match=r"hands\.npz"):
        Hands.load(path)
