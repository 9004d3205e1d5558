"""Detector, landmarker and encoder on pictures of people who do not exist."""

import sys

import cv2
import numpy as np
import pytest

from photodouble.errors import BadInput
from photodouble.faces import BLENDSHAPES, SAME_PERSON, create_detector, quality, sharpness
from photodouble.faces.detect import DETECTORS, YuNet, register

SHAPE = {name: index for index, name in enumerate(BLENDSHAPES)}


@pytest.fixture(scope="module")
def expressions(sheet, find_all):
    """The sheet's faces, row by row."""
    faces = find_all(sheet)
    return sorted(faces, key=lambda face: (round(face.box[1] / (sheet.shape[0] / 4)), face.box[0]))


def test_sheet_of_sixteen_gives_sixteen_faces_of_one_person(expressions):
    assert len(expressions) == 16
    embeddings = np.stack([face.embedding for face in expressions])
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert (embeddings @ embeddings.T).min() > SAME_PERSON
    assert len({face.track for face in expressions}) == 16
    for face in expressions:
        assert face.score > 0.9
        assert face.landmarks.shape == (478, 3)
        assert face.landmarks.dtype == np.float32
        assert face.blendshapes.shape == (52,)


def test_blendshapes_say_what_the_picture_shows(expressions):
    shapes = np.stack([face.blendshapes for face in expressions])
    assert shapes.min() >= 0
    assert shapes.max() <= 1
    neutral, smile, surprise, closed = 0, 1, 4, 12
    assert shapes[surprise, SHAPE["jawOpen"]] > shapes[neutral, SHAPE["jawOpen"]] + 0.3
    assert shapes[smile, SHAPE["mouthSmileLeft"]] > shapes[neutral, SHAPE["mouthSmileLeft"]] + 0.5
    both = [SHAPE["eyeBlinkLeft"], SHAPE["eyeBlinkRight"]]
    assert shapes[closed, both].min() > shapes[neutral, both].max() + 0.1


def test_left_and_right_are_the_persons_own(portrait, find):
    """A smirk to one side changes sides in the mirror."""
    face, mirror = find(portrait), find(np.ascontiguousarray(portrait[:, ::-1]))
    assert mirror.landmarks[473, 0] > mirror.landmarks[468, 0]
    assert face.landmarks[473, 0] > face.landmarks[468, 0]
    width = portrait.shape[1]
    assert mirror.landmarks[468, 0] == pytest.approx(width - 1 - face.landmarks[473, 0], abs=0.01 * width)


def test_landmarks_are_plate_pixels_at_any_size(portrait, find):
    small = find(portrait).landmarks
    large = find(cv2.resize(portrait, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)).landmarks
    assert np.abs((large[:, :2] + 0.5) / 3 - 0.5 - small[:, :2]).max() < 6
    assert np.abs(large[:, 2] / 3 - small[:, 2]).max() < 12
    assert small[4, 2] < small[234, 2]  # the nose is nearer than the ear


def test_people_are_told_apart(picture, find):
    faces = [find(np.ascontiguousarray(picture(f"person_{p}_portrait")[::4, ::4])) for p in ("p001", "p002", "p004")]
    again = find(np.ascontiguousarray(picture("person_p002_selfie")[::4, ::4]))
    cosines = [float(again.embedding @ face.embedding) for face in faces]
    assert int(np.argmax(cosines)) == 1
    assert cosines[1] > SAME_PERSON
    assert cosines[1] > max(cosines[0], cosines[2]) + 0.2


def test_embedding_is_that_of_the_published_network(portrait, portrait_face, parts):
    """Unpacking the weights changes speed, not results: OpenCV-independent check against ONNX's own evaluator."""
    import onnx
    import onnxruntime

    from photodouble import weights
    from photodouble.faces.alignment import crop as cut
    from photodouble.faces.embedding import SIDE, five_point_matrix

    model = onnx.load(weights.path("sface"))
    data = [item for item in model.graph.input if item.name == "data"]
    del model.graph.input[:]
    model.graph.input.extend(data)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    small = cut(portrait, five_point_matrix(portrait_face.landmarks), SIDE, cv2.INTER_LINEAR)
    wanted = session.run(None, {"data": small.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]
    wanted /= np.linalg.norm(wanted)
    assert float(wanted @ portrait_face.embedding) > 0.9999
    two = parts["embedder"].batch([portrait, portrait], [portrait_face.landmarks] * 2)
    assert two.shape == (2, 128)
    assert np.allclose(two, portrait_face.embedding, atol=1e-4)
    assert parts["embedder"].batch([], []).shape == (0, 128)


def test_nothing_is_found_where_nobody_is(find_all):
    rng = np.random.default_rng(0)
    for image in (
        np.zeros((240, 320, 3), np.uint8),
        rng.integers(0, 255, (240, 320, 3), np.uint8),
        np.full((33, 2000, 3), 200, np.uint8),
    ):
        assert find_all(image) == []


@pytest.mark.parametrize("side", [64, 120, 3000])
def test_detector_at_small_and_large_sizes(portrait, side):
    image = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC)
    (found,) = create_detector("yunet").detect(image)
    (reference,) = create_detector("yunet").detect(portrait)
    assert found.score >= 0.7
    assert np.abs(found.box / side - reference.box / 512).max() < 0.06
    assert np.abs(found.points / side - reference.points / 512).max() < 0.04
    assert found.points[0, 0] < found.points[1, 0]


def test_threshold_is_kept(portrait):
    assert YuNet(threshold=0.999).detect(portrait) == []


def test_hog_finds_the_same_face(portrait):
    pytest.importorskip("dlib")
    (found,) = create_detector("hog").detect(portrait)
    (wanted,) = create_detector("yunet").detect(portrait)
    assert 0 < found.score <= 1
    assert np.linalg.norm(found.points - wanted.points, axis=1).max() < 0.08 * 512


def test_hog_without_dlib_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(BadInput, match=r"pip install photodouble\[hog\]"):
        create_detector("hog")


def test_unknown_detector_names_the_known_ones():
    with pytest.raises(BadInput, match="hog, yunet"):
        create_detector("nothing")


def test_a_detector_can_be_added(monkeypatch):
    monkeypatch.setattr("photodouble.faces.detect.DETECTORS", dict(DETECTORS))

    @register("blind")
    class Blind:
        def detect(self, image):
            return []

    assert create_detector("blind").detect(np.zeros((8, 8, 3), np.uint8)) == []


def test_quality_orders_sharp_large_and_frontal(portrait):
    blurred = cv2.GaussianBlur(portrait, (0, 0), 6)
    assert sharpness(portrait) > 5 * sharpness(blurred)
    assert sharpness(np.zeros((64, 64, 3), np.uint8)) == 0
    best = quality(500, 100, np.zeros(3))
    assert 0 < best < 1
    assert best > quality(20, 100, np.zeros(3))
    assert best > quality(500, 10, np.zeros(3))
    assert best > quality(500, 100, np.array([60, 0, 0]))
    assert quality(500, 100, np.array([0, 0, 90])) == best
    assert quality(500, 100, np.array([120, 0, 0])) == 0
