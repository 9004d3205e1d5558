"""Landmarks by flow between looks of the network: as good as the network's own, and honest where faces come and go."""

from fractions import Fraction
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest

from photodouble.faces import Tracker
from photodouble.faces.between import Flow
from photodouble.faces.track import STRIDE
from photodouble.faces.walk import walk
from photodouble.media import Frame, open_clip


def frame(image, index):
    return Frame(image, index, index * 512, Fraction(1, 12288))


def frames(images):
    return [frame(image, index) for index, image in enumerate(images)]


@pytest.fixture(scope="module")
def shot(make_plate, portraits, tmp_path_factory):
    """40 frames of a face that moves as slowly as people do."""
    path = make_plate(tmp_path_factory.mktemp("slow") / "slow.mp4", portraits[0], frames=120)
    return list(islice(open_clip(path).frames(dtype=np.uint8), 40))


@pytest.fixture
def tracker(parts):
    return Tracker(**parts)


def test_walking_gives_what_following_gives_with_fewer_looks(shot, parts, tracker):
    followed = Tracker(**parts)
    slow = [followed.follow(one)[0] for one in shot]
    fast = [faces for _, faces in walk(tracker, iter(shot))]
    assert [len(faces) for faces in fast] == [1] * len(shot)
    assert {faces[0].track for faces in fast} == {0}
    assert [faces[0].frame for faces in fast] == [one.index for one in shot]
    assert [faces[0].pts for faces in fast] == [one.pts for one in shot]
    assert tracker.looks < 0.7 * followed.looks
    for ours, theirs in zip(fast, slow, strict=True):
        eye = np.linalg.norm(theirs.landmarks[33, :2] - theirs.landmarks[263, :2])
        assert np.abs(ours[0].landmarks - theirs.landmarks)[:, :2].mean() < 0.02 * eye
        assert np.abs(ours[0].blendshapes - theirs.blendshapes).mean() < 0.06


def test_with_a_stride_of_one_the_network_sees_every_frame(shot, parts):
    followed, walked = Tracker(**parts), Tracker(**parts, stride=1)
    slow = [followed.follow(one)[0] for one in shot[:12]]
    fast = [faces[0] for _, faces in walk(walked, shot[:12])]
    assert walked.looks == followed.looks == 11
    assert all(np.array_equal(a.landmarks, b.landmarks) for a, b in zip(fast, slow, strict=True))


def test_the_same_frames_give_the_same_faces(shot, tracker):
    once = [faces[0].landmarks for _, faces in walk(tracker, shot[:20])]
    tracker.reset()
    assert np.array_equal(once, [faces[0].landmarks for _, faces in walk(tracker, shot[:20])])


@pytest.mark.parametrize("gone", [range(13, 20), range(17, 31)])
def test_a_face_is_there_in_just_the_frames_that_show_it(shot, tracker, gone):
    grey = np.full_like(shot[0].image, 120)
    images = [grey if index in gone else shot[index].image for index in range(len(shot))]
    found = {one.index for one, faces in walk(tracker, frames(images)) if faces}
    assert found == set(range(len(shot))) - set(gone)


def test_a_cut_between_two_looks_begins_a_new_track(shot, tracker, picture):
    other = cv2.resize(picture("person_p002_portrait"), (320, 320), interpolation=cv2.INTER_AREA)[40:280]
    images = [one.image for one in shot[:18]] + [other] * 9
    tracks = [faces[0].track for _, faces in walk(tracker, frames(images))]
    assert [index for index, (a, b) in enumerate(pairwise(tracks), 1) if a != b] == [18]


def test_a_second_face_is_followed_back_to_no_frame_before_it_came(portrait, parts):
    small = cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA)
    alone = np.full((240, 480, 3), 128, np.uint8)
    alone[:, :240] = small
    both = alone.copy()
    both[:, 240:] = small[:, ::-1]
    came = 2 * STRIDE + 3
    images = [alone] * came + [both] * 4 * STRIDE
    counts = [len(faces) for _, faces in walk(Tracker(**parts, every=4), frames(images))]
    assert counts[:came] == [1] * came
    assert counts[came + STRIDE :] == [2] * (len(images) - came - STRIDE)


def test_flow_is_not_sure_of_a_frame_that_shows_something_else(shot, tracker, picture):
    a, b = (tracker.look(one)[0].landmarks for one in (shot[0], shot[4]))
    images = [one.image for one in shot[:5]]
    assert all(guess.sure for guess in Flow(images, a, b).between(0, 4, a, b))
    noise = np.random.default_rng(0).integers(0, 255, images[2].shape, np.uint8)
    guesses = Flow([*images[:2], noise, *images[3:]], a, b).between(0, 4, a, b)
    assert [guess.sure for guess in guesses] == [True, False, True]


def test_no_frames_give_no_faces(tracker):
    assert list(walk(tracker, [])) == []
