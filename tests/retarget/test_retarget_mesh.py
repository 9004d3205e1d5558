"""What is chosen for a face, from a FaceSet and over a shot; drawings and training pairs."""

import numpy as np
import pytest

from photodouble.errors import BadInput
from photodouble.faces import Embedder, FaceSet, FaceSetWriter
from photodouble.retarget import REGIONS, compare, know_faces, paths, plan_shot, target_features
from photodouble.retarget.drawing import drawing
from photodouble.retarget.mesh import own_features
from photodouble.retarget.pairs import make_pairs
from photodouble.retarget.shot import BLOCK


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sheets):
    """A FaceSet of the first person."""
    place = tmp_path_factory.mktemp("set") / "faces"
    embedder = Embedder()
    with FaceSetWriter(place, 256) as writer:
        for index, (picture, face) in enumerate(sheets["p001"]):
            face.frame, face.source, face.track = index, "sheet", index // 6
            face.embedding = embedder(picture, face.landmarks)
            writer.add(face, picture)
    return place


def test_a_persons_own_frames_choose_themselves(people, sheets):
    wanted = people["p001"]
    difference = compare(wanted, wanted.landmarks, wanted.blendshapes)
    want = target_features(difference, wanted.landmarks, wanted.blendshapes)
    chosen = paths(wanted, want, np.ones(len(wanted.landmarks), bool))
    for region in REGIONS:
        assert want[region].dtype == np.float32
        # Pictures whose lips touch are told apart by little: now and then a twin is chosen.
        assert (chosen[region] == np.arange(len(wanted.landmarks))).mean() >= 0.8


def test_an_open_mouth_of_one_person_chooses_one_of_the_other(people, sheets):
    wanted, plate = people["p001"], people["p002"]
    difference = compare(wanted, plate.landmarks, plate.blendshapes)
    chosen = paths(wanted, target_features(difference, plate.landmarks, plate.blendshapes), np.ones(16, bool))
    jaw = 25  # jawOpen
    opened = plate.blendshapes[:, jaw] > 0.4
    assert wanted.blendshapes[chosen["mouth"], jaw][opened].min() > 0.3
    assert wanted.blendshapes[chosen["mouth"], jaw][plate.blendshapes[:, jaw] < 0.05].max() < 0.2


def test_a_person_is_known_from_its_set(folder, people):
    wanted, rows = know_faces(FaceSet.open(folder))
    assert rows.tolist() == list(range(16))
    # The set's crops are aligned by the same points: pixels are the same but for JPEG.
    assert abs(wanted.landmarks - people["p001"].landmarks).max() < 1
    assert abs(wanted.picture(4).astype(float) - people["p001"].picture(4)).mean() < 4
    assert wanted.price.shape == (16,)
    assert (wanted.price >= 0).all()
    _, some = know_faces(FaceSet.open(folder), most=5)
    assert len(some) == 5


def test_an_empty_set_is_bad_input(tmp_path):
    FaceSetWriter(tmp_path / "faces", 256).close()
    with pytest.raises(BadInput, match=r"no faces in .*extract"):
        know_faces(FaceSet.open(tmp_path / "faces"))


def test_a_shot_is_planned_along_its_tracks(folder, people):
    faces = FaceSet.open(folder)
    rows = np.arange(16)
    shot = plan_shot(people["p002"], faces, rows)
    assert np.flatnonzero(shot.starts).tolist() == [0, 6, 12]
    assert {region: len(shot.choice[region]) for region in REGIONS} == dict.fromkeys(REGIONS, 16)
    ((start, landmarks, target),) = shot.blocks()
    assert start == 0
    assert landmarks.shape == target.shape == (16, 478, 3)
    assert abs(landmarks - faces.landmarks(0, 16)).max() > 0  # smoothed
    assert 0.5 < abs(target - landmarks).mean() < 20


def test_blocks_do_not_show_in_the_smoothing(folder, people, monkeypatch):
    faces = FaceSet.open(folder)
    rows = np.arange(16)
    ((_, whole, _),) = plan_shot(people["p002"], faces, rows).blocks()
    monkeypatch.setattr("photodouble.retarget.shot.BLOCK", 3)
    parts = list(plan_shot(people["p002"], faces, rows).blocks())
    assert BLOCK > 16
    assert [start for start, _, _ in parts] == [0, 3, 6, 9, 12, 15]
    assert (np.concatenate([part for _, part, _ in parts]) == whole).all()


def test_a_drawing_shows_open_mouths_and_eyes(sheets):
    by_jaw = sorted((face for _, face in sheets["p001"]), key=lambda face: face.blendshapes[25])
    shut, wide = (drawing(face.landmarks / 2, 128) for face in (by_jaw[0], by_jaw[-1]))
    assert shut.shape == (128, 128, 3)
    assert shut.dtype == np.uint8
    assert (wide[..., 0] == 255).sum() > 50 + 3 * (shut[..., 0] == 255).sum()
    assert (wide[..., 1] > 200).any()
    assert set(np.unique(wide[..., 2])) > {0, 180}


def test_pairs_show_the_same_face_twice(people):
    person = people["p001"]
    apart = ~np.eye(16, dtype=bool)
    made = list(make_pairs(person, np.array([0, 5, 5]), apart, 96, seed=3))
    assert len(made) == 3
    for mesh, lines, target, matte in made:
        assert mesh.shape == lines.shape == target.shape == (96, 96, 3)
        assert matte.shape == (96, 96)
        assert {mesh.dtype, lines.dtype, target.dtype, matte.dtype} == {np.dtype(np.uint8)}
        away = abs(mesh.astype(float) - target)[matte > 250].mean()
        assert 0 < away < 20
    again = list(make_pairs(person, np.array([0, 5, 5]), apart, 96, seed=3))
    assert all((a == b).all() for one, other in zip(made, again, strict=True) for a, b in zip(one, other, strict=True))


def test_pairs_use_only_what_they_may(people):
    person = people["p001"]
    used: set[int] = set()

    def note(index):
        used.add(index)
        return person.picture(index)

    spied = type(person)(**{**vars(person), "picture": note})
    apart = np.ones((16, 16), bool)
    allowed = np.zeros(16, bool)
    allowed[8:] = True
    list(make_pairs(spied, np.full(6, 2), apart, 64, seed=0, allowed=allowed))
    assert used - {2} <= set(range(8, 16))
    assert set(own_features(person)) == set(REGIONS)
