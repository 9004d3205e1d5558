"""A FaceSet on disk: what is written comes back, what is deleted is gone, what fails leaves nothing."""

import hashlib

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from photodouble.errors import BadInput
from photodouble.faces import Face, FaceSet, FaceSetWriter, alignment, crop, transform
from photodouble.faces.faceset import crop_name
from photodouble.faces.store import ROW_GROUP

SIDE = 64


def made_up(index, source="clip.mp4"):
    rng = np.random.default_rng(index)
    points = rng.uniform(20, 80, (478, 3)).astype(np.float32)
    return Face(
        frame=index,
        box=rng.uniform(0, 100, 4).astype(np.float32),
        score=0.5 + index / 10000,
        landmarks=points,
        blendshapes=rng.uniform(0, 1, 52).astype(np.float32),
        pose=rng.uniform(-9, 9, 3).astype(np.float32),
        embedding=rng.normal(0, 1, 128).astype(np.float32),
        sharpness=float(index),
        quality=0.25,
        track=index // 10,
        person=index % 2,
        source=source,
        pts=index * 1001,
    )


def write(folder, faces, image=None):
    with FaceSetWriter(folder, SIDE) as out:
        for face in faces:
            out.add(face, image)
    return FaceSet.open(folder)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More faces than two row groups hold, without pictures."""
    faces = [made_up(index) for index in range(2 * ROW_GROUP + 20)]
    return write(tmp_path_factory.mktemp("set") / "faces", faces), faces


def test_all_fields_come_back(many):
    found, faces = many
    assert len(found) == len(faces)
    assert found.crop_size == SIDE
    assert found.sources == ["clip.mp4"]
    for index in (0, 1, ROW_GROUP - 1, ROW_GROUP, len(faces) - 1):
        one, wanted = found.face(index), faces[index]
        for name in vars(wanted):
            assert (
                np.allclose(getattr(one, name), getattr(wanted, name))
                if name != "source"
                else one.source == wanted.source
            )
    assert found.frame.tolist() == list(range(len(faces)))
    assert found.pts.tolist() == [face.pts for face in faces]
    assert found.person.tolist() == [face.person for face in faces]
    assert np.array_equal(found.pose, np.stack([face.pose for face in faces]))
    assert np.array_equal(found.blendshapes, np.stack([face.blendshapes for face in faces]))
    assert np.array_equal(found.embedding, np.stack([face.embedding for face in faces]))


@pytest.mark.parametrize(("i0", "i1"), [(0, 3), (ROW_GROUP - 2, ROW_GROUP + 2), (0, 2 * ROW_GROUP + 20), (5, 5)])
def test_landmarks_stream_from_row_groups(many, i0, i1):
    found, faces = many
    assert pq.ParquetFile(found.folder / "faces.parquet").num_row_groups == 3
    expected = np.array([face.landmarks for face in faces[i0:i1]]).reshape(-1, 478, 3)
    assert np.array_equal(found.landmarks(i0, i1), expected)
    assert found.matrices(i0, i1).shape == (i1 - i0, 2, 3)


def test_crops_are_the_faces_pixels(tmp_path):
    y, x = np.mgrid[0:120, 0:120]
    image = np.stack([x * 2, y * 2, 255 - x * 2], -1).astype(np.uint8)
    face = made_up(0)
    found = write(tmp_path / "faces", [face], image)
    assert found.names == ["000000_0.jpg"]
    assert np.allclose(found.matrices(0, 1)[0], alignment(face.landmarks, SIDE))
    wanted = crop(image, alignment(face.landmarks, SIDE), SIDE)
    assert np.abs(found.crop(0).astype(int) - wanted).mean() < 2
    assert transform(face.landmarks, found.matrices(0, 1)[0]).shape == (478, 3)


def test_deleted_pictures_take_their_faces_out(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    faces = [made_up(index) for index in range(6)]
    found = write(tmp_path / "faces", faces, image)
    (found.folder / "crops" / found.names[1]).unlink()
    (found.folder / "crops" / found.names[4]).unlink()
    found = FaceSet.open(found.folder)
    assert found.missing == 2
    assert found.frame.tolist() == [0, 2, 3, 5]
    assert np.array_equal(found.landmarks(1, 4), np.stack([faces[i].landmarks for i in (2, 3, 5)]))
    assert found.face(3).frame == 5
    assert found.crop(3).shape == (SIDE, SIDE, 3)


def test_names_tell_sources_frames_and_faces_apart(tmp_path):
    faces = [made_up(7), made_up(7), made_up(7, "b.mp4"), made_up(8, "b.mp4")]
    found = write(tmp_path / "faces", faces, np.zeros((100, 100, 3), np.uint8))
    assert found.names == ["000007_0.jpg", "000007_1.jpg", "01-000007_0.jpg", "01-000008_0.jpg"]
    assert found.source.tolist() == [0, 0, 1, 1]
    assert found.sources == ["clip.mp4", "b.mp4"]
    assert crop_name(2, 5, 1) == "02-000005_1.jpg"


def test_same_faces_give_the_same_bytes(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    sums = []
    for name in ("a", "b"):
        write(tmp_path / name, [made_up(index) for index in range(3)], image)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        sums.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert sums[0] == sums[1]


def test_a_crash_while_writing_leaves_what_was_there(tmp_path):
    write(tmp_path / "faces", [made_up(0)])
    with pytest.raises(RuntimeError), FaceSetWriter(tmp_path / "faces", SIDE) as out:
        out.add(made_up(1), None)
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
    assert FaceSet.open(tmp_path / "faces").frame.tolist() == [0]
    with FaceSetWriter(tmp_path / "faces", SIDE) as out:
        out.add(made_up(1), None)
    assert FaceSet.open(tmp_path / "faces").frame.tolist() == [1]


def test_an_empty_set_can_be_opened(tmp_path):
    found = write(tmp_path / "faces", [])
    assert len(found) == 0
    assert found.landmarks(0, 0).shape == (0, 478, 3)
    assert found.embedding.shape == (0, 128)


def test_bad_sets_are_bad_input(tmp_path):
    with pytest.raises(BadInput, match="photodouble extract"):
        FaceSet.open(tmp_path / "nothing")
    found = write(tmp_path / "faces", [made_up(0)], np.zeros((100, 100, 3), np.uint8))
    picture = found.folder / "crops" / found.names[0]
    picture.write_bytes(b"no picture")
    with pytest.raises(BadInput, match=picture.name):
        found.crop(0)
    cv2.imwrite(str(picture), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(BadInput, match="64 pixels"):
        found.crop(0)
    index = found.folder / "faces.parquet"
    index.write_bytes(index.read_bytes()[:-20])
    with pytest.raises(BadInput, match="damaged"):
        FaceSet.open(found.folder)


def test_missing_parent_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput):
        FaceSetWriter(tmp_path / "file" / "faces", SIDE)
