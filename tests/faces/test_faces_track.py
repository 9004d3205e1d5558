"""The tracker on a short made-up shot, people out of tracks, and gathering over chunks."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from photodouble.faces import SAME_PERSON, Tracker
from photodouble.faces.gather import Gathered
from photodouble.faces.people import Tracks, join, match
from photodouble.faces.track import finish
from photodouble.media import Frame, open_clip


class Counting:
    """A detector that counts how often it is asked."""

    def __init__(self, inner):
        self.inner, self.calls = inner, 0

    def detect(self, image):
        self.calls += 1
        return self.inner.detect(image)


def frame(image, index):
    return Frame(image, index, index * 512, Fraction(1, 12288))


@pytest.fixture(scope="module")
def shot(small_plate):
    return list(open_clip(small_plate).frames(dtype=np.uint8))


def test_one_face_is_one_track_and_the_detector_rests(shot, parts):
    detector = Counting(parts["detector"])
    tracker = Tracker(**{**parts, "detector": detector}, every=10, embed_every=12)
    faces = [tracker.step(one) for one in shot]
    assert [len(found) for found in faces] == [1] * len(shot)
    assert {found[0].track for found in faces} == {0}
    assert [found[0].frame for found in faces] == [one.index for one in shot]
    assert [found[0].pts for found in faces] == [one.pts for one in shot]
    assert detector.calls <= 1 + len(shot) // 10
    embedded = [index for index, found in enumerate(faces) if found[0].embedding.any()]
    assert embedded == list(range(0, len(shot), 12))
    first, second = faces[0][0].embedding, faces[12][0].embedding
    assert float(first @ second) > SAME_PERSON


class Glancing(Counting):
    """One whose glances are counted apart."""

    def __init__(self, inner):
        super().__init__(inner)
        self.quick = Counting(inner.glance())

    def glance(self):
        return self.quick


def test_most_looks_for_new_faces_are_glances(shot, parts):
    detector = Glancing(parts["detector"])
    tracker = Tracker(**{**parts, "detector": detector}, every=3)
    for one in shot[:26]:
        assert len(tracker.step(one)) == 1
    # The first frame is searched whole; then every third is a glance, but each fourth of those looks is not.
    assert (detector.calls, detector.quick.calls) == (3, 6)


def test_faces_finished_together_are_those_finished_one_by_one(shot, parts):
    tracker = Tracker(**parts)
    alone = [face for one in shot[:6] for face in tracker.step(one)]
    tracker.reset()
    raw = [face for one in shot[:6] for face in tracker.follow(one)]
    assert not any(face.pose.any() or face.quality for face in raw)
    together = finish(raw)
    assert np.array_equal([face.pose for face in alone], [face.pose for face in together])
    assert [face.quality for face in alone] == [face.quality for face in together]
    assert finish([]) == []


def test_same_frames_give_the_same_faces(shot, parts):
    tracker = Tracker(**parts)
    once = [tracker.step(one)[0].landmarks for one in shot[:8]]
    tracker.reset()
    again = [tracker.step(one)[0].landmarks for one in shot[:8]]
    assert np.array_equal(once, again)


def test_following_agrees_with_finding_anew(shot, parts):
    tracker, fresh = Tracker(**parts), Tracker(**parts)
    for one in shot:
        followed = tracker.step(one)[0]
        found = fresh.look(one)[0]
        eye = np.linalg.norm(found.landmarks[33] - found.landmarks[263])
        assert np.abs(followed.landmarks[:, :2] - found.landmarks[:, :2]).mean() < 0.04 * eye


def test_a_cut_begins_new_tracks(shot, parts, picture):
    other = cv2.resize(picture("person_p002_portrait"), (320, 320), interpolation=cv2.INTER_AREA)[40:280]
    tracker = Tracker(**parts)
    before = [tracker.step(one)[0].track for one in shot[:5]]
    after = [tracker.step(frame(other, 5 + i))[0].track for i in range(3)]
    assert len(set(before)) == len(set(after)) == 1
    assert set(before).isdisjoint(after)


def test_a_face_that_vanishes_is_lost_at_once_and_found_again_under_its_number(shot, parts):
    tracker = Tracker(**parts)
    grey = np.full_like(shot[0].image, 120)
    width = grey.shape[1]
    hidden = shot[0].image.copy()
    hidden[:, width // 4 : 3 * width // 4] = grey[:, width // 4 : 3 * width // 4]
    tracks = []
    for index, image in enumerate([shot[0].image] * 3 + [hidden] * 2 + [shot[0].image] * 3):
        tracks.append([face.track for face in tracker.step(frame(image, index))])
    assert tracks[:3] == [[0]] * 3
    assert tracks[3:5] == [[], []]
    assert len(tracks[-1]) == 1


def test_second_face_is_found_while_one_is_followed(portrait, parts):
    small = cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA)
    alone = np.full((240, 480, 3), 128, np.uint8)
    alone[:, :240] = small
    both = alone.copy()
    both[:, 240:] = small[:, ::-1]
    tracker = Tracker(**parts, every=4)
    counts = [len(tracker.step(frame(alone if i < 3 else both, i))) for i in range(9)]
    assert counts[:3] == [1, 1, 1]
    assert counts[-1] == 2


@pytest.mark.parametrize("convert", [lambda x: x.astype(np.uint16) * 257, lambda x: x[:, ::-1][:, ::-1]])
def test_depths_and_views_are_taken(shot, parts, convert):
    plain = Tracker(**parts).step(shot[0])[0]
    other = Tracker(**parts).step(frame(convert(shot[0].image), 0))[0]
    assert np.abs(plain.landmarks - other.landmarks).max() < 0.5


def test_a_face_of_fifty_pixels_is_followed(shot, parts):
    tracker = Tracker(**parts)
    size = (176, 132)
    found = [tracker.step(frame(cv2.resize(one.image, size, interpolation=cv2.INTER_AREA), one.index)) for one in shot]
    assert all(len(faces) == 1 for faces in found)


def person(seed, noise=0.0, other=0):
    vector = np.random.default_rng(seed).normal(0, 1, 128)
    vector += noise * np.random.default_rng(1000 + other).normal(0, 1, 128)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def some_tracks(embeddings, frames, first, area=None, shot=True):
    count = len(frames)
    first = np.array(first)
    return Tracks(
        embedding=np.stack(embeddings),
        frames=np.array(frames),
        area=np.array(area or [100.0] * count),
        first=first,
        last=first + np.array(frames) - 1,
        shot=np.full(count, shot),
    )


def test_tracks_of_one_person_are_joined_and_the_most_seen_comes_first():
    tracks = some_tracks(
        [person(1), person(2), person(1, 0.5, 1), person(2, 0.5, 2), person(3)],
        [10, 50, 10, 60, 15],
        [0, 10, 60, 70, 130],
    )
    assert join(tracks).tolist() == [1, 0, 1, 0, 2]
    assert match(tracks, join(tracks), person(1, 0.3, 9)) == 1
    assert match(tracks, join(tracks), person(77)) is None


def test_area_counts_too():
    tracks = some_tracks([person(1), person(2)], [10, 20], [0, 10], area=[900.0, 100.0])
    assert join(tracks).tolist() == [0, 1]


def test_look_alikes_in_one_frame_are_two_people_but_a_sheet_is_one():
    alike = [person(1), person(1, 0.4, 1)]
    assert len(set(join(some_tracks(alike, [10, 10], [0, 5])).tolist())) == 2
    assert len(set(join(some_tracks(alike, [10, 10], [0, 10])).tolist())) == 1
    assert len(set(join(some_tracks(alike, [1, 1], [0, 0], shot=False)).tolist())) == 1


def test_thousands_of_tracks_are_joined(monkeypatch):
    monkeypatch.setattr("photodouble.faces.people.MOST", 20)
    embeddings = [person(i % 3, 0.3, i) for i in range(90)]
    found = join(some_tracks(embeddings, [5 + (i % 3 == 1) for i in range(90)], [10 * i for i in range(90)]))
    assert [len(set(found[i::3].tolist())) for i in range(3)] == [1, 1, 1]
    assert len(set(found.tolist())) == 3
    assert found[1] == 0


def columns(frames, box, embedding, track=0):
    count = len(frames)
    looks = np.zeros((count, 128), np.float32)
    looks[0] = embedding
    return {
        "frame": np.array(frames),
        "track": np.full(count, track),
        "quality": np.full(count, 0.5, np.float32),
        "box": np.tile(np.array(box, np.float32), (count, 1)),
        "embedding": looks,
    }


@pytest.mark.parametrize(
    ("box", "seed", "first", "expected"),
    [
        ((0, 0, 10, 10), 1, 4, 1),  # goes on
        ((50, 50, 60, 60), 1, 4, 2),  # another place
        ((0, 0, 10, 10), 4, 4, 2),  # another person
        ((0, 0, 10, 10), 1, 5, 2),  # a frame without the face between
    ],
)
def test_tracks_go_on_over_a_chunks_border(tmp_path, box, seed, first, expected):
    gathered = Gathered()
    gathered.add(tmp_path / "a", 0, columns([0, 1, 2, 3], (0, 0, 10, 10), person(1)), still=False)
    gathered.add(tmp_path / "b", 0, columns([first, first + 1], box, person(seed)), still=False)
    gathered.choose(None)
    numbers = {int(track) for path in gathered.paths for track in gathered.numbers(path)}
    assert len(numbers) == expected
    assert sum(gathered.faces(number) for number in range(gathered.people)) == 6
    assert gathered.others(0) == 6 - gathered.faces(0)


def test_tracks_end_with_their_clip(tmp_path):
    gathered = Gathered()
    gathered.add(tmp_path / "a", 0, columns([0, 1], (0, 0, 10, 10), person(1)), still=False)
    gathered.add(tmp_path / "b", 1, columns([2, 3], (0, 0, 10, 10), person(1)), still=False)
    gathered.choose(None)
    assert gathered.people == 1
    assert gathered.tracks(0) == 2
