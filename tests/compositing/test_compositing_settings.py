"""What a compositor's settings do to a composited face."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from photodouble.compositing import USUAL, Settings, composite, face_box
from photodouble.errors import BadInput
from photodouble.faces import outline_matte
from photodouble.faces.topology import OVAL


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    """A noisy plate of 160 x 160, another noisy face, landmarks on an ellipse, and the box."""
    random = np.random.default_rng(1)
    plate = cv2.GaussianBlur(random.integers(0, 256, (160, 160, 3)).astype(np.uint8), (0, 0), 0.6)
    landmarks = np.full((478, 3), 80, np.float32)
    angle = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    landmarks[list(OVAL), 0], landmarks[list(OVAL), 1] = 80 + 40 * np.cos(angle), 80 + 50 * np.sin(angle)
    box = face_box(landmarks, plate.shape[:2])
    shape = (box[3] - box[1], box[2] - box[0], 3)
    face = cv2.GaussianBlur(random.normal((150, 90, 60), 60, shape).astype(np.float32), (0, 0), 1)
    return plate, face, landmarks, box


def done(scene, **changes):
    plate, face, landmarks, box = scene
    return composite(plate, face, landmarks, box, settings=replace(USUAL, **changes))


def test_the_usual_settings_are_those_without_any(scene) -> None:
    plain = composite(*scene)
    assert np.array_equal(plain.image, done(scene).image)
    assert np.array_equal(plain.matte, done(scene).matte)


def test_the_matte_grows_and_shrinks_by_parts_of_the_face(scene) -> None:
    across = [np.ptp(np.flatnonzero(done(scene, matte_grow=by).matte[80])) for by in (-0.1, 0, 0.1)]
    assert [abs(wide - 80 * (1 + 2 * by)) <= 3 for wide, by in zip(across, (-0.1, 0, 0.1), strict=True)] == [True] * 3


def test_a_softer_matte_is_whole_on_fewer_pixels(scene) -> None:
    whole = [(done(scene, matte_softness=soft).matte > 0.99).sum() for soft in (0, 0.09, 0.3)]
    assert whole[0] > whole[1] > whole[2] > 0


def test_colour_sharpness_and_opacity(scene) -> None:
    plate, _, _, _ = scene
    inside = done(scene).matte > 0.99

    def mean(**changes):
        return done(scene, **changes).image[inside].mean(0)

    apart = [np.abs(mean(colour=part) - plate[inside].mean(0)).mean() for part in (0, 0.5, 1)]
    assert apart[0] > apart[1] > apart[2]
    sharp = [done(scene, sharpness=part, grain=0).image for part in (0, 1, 2)]
    detail = [cv2.Laplacian(image, cv2.CV_32F)[inside].std() for image in sharp]
    assert detail[0] < detail[1] < detail[2]
    assert np.array_equal(done(scene, opacity=0).image, plate)
    assert done(scene, opacity=0.5).matte.max() == 0.5


def test_the_step_at_the_edge_goes_as_far_as_is_asked_for(scene) -> None:
    plate, face, landmarks, box = scene
    lit = face + np.linspace(-60, 60, face.shape[1], dtype=np.float32)[None, :, None]
    soft, matte = cv2.GaussianBlur(plate, (0, 0), 4), outline_matte(landmarks, plate.shape[:2], 0.09)
    rim = (matte > 0.4) & (matte < 0.9)

    def step(part):
        return np.abs(done((soft, lit, landmarks, box), edge=part).image[rim] - soft[rim].astype(np.float32)).mean()

    assert step(0) > 1.1 * step(0.5) > 1.2 * step(1)


def test_what_is_outside_the_matte_stays_whatever_is_set(scene) -> None:
    for changes in ({"matte_grow": 0.1}, {"matte_softness": 0.5, "blend_width": 0.3}, {"sharpness": 3}):
        result = done(scene, **changes)
        assert np.array_equal(result.image[result.matte == 0], scene[0][result.matte == 0])


@pytest.mark.parametrize(
    "values", [{"colour": 1.5}, {"opacity": float("nan")}, {"matte_grow": "wide"}, {"grain": True}]
)
def test_bad_values_are_refused(values) -> None:
    with pytest.raises(BadInput, match=next(iter(values))):
        Settings(**values)
