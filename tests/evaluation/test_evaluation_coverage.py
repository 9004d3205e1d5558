"""What a plate asks for and the footage lacks, on made-up footage with one thing lacking at a time."""

import json

import cv2
import numpy as np
import pytest
from footage import acting, made
from hypothesis import given, settings
from hypothesis import strategies as st

from photodouble.evaluation.coverage import ACTS, coverage, facing
from photodouble.evaluation.data import DataReport, holds
from photodouble.evaluation.footage import CHEEKS, blurred, foreign, light
from photodouble.faces.topology import BLENDSHAPES


def turned(footage, rows, yaw=0.0, pitch=0.0):
    footage.pose[rows, :2] = yaw, pitch
    return footage


def report(plate, wanted):
    return DataReport(wanted, plate, coverage(plate, wanted))


def test_footage_covers_itself():
    result = coverage(made(), made())
    assert result.share == 1
    assert result.gaps == []
    assert not result.uncovered.any()


def test_a_mouth_that_only_the_plate_opens_is_named_with_frames_and_time():
    plate = acting(made(name="double"), slice(50, 75), "jawOpen")
    (gap,) = coverage(plate, made()).gaps
    assert gap.sentence("ada") == (
        "The plate opens the mouth wide in 25 frames (1.0 s, at 0:02.0); the footage of ada never does."
    )
    assert sorted(gap.rows) == list(range(50, 75))
    assert gap.distance.min() > 1
    assert coverage(plate, made()).share == 0.75
    assert coverage(plate, acting(made(), slice(0, 5), "jawOpen")).gaps == []


def test_footage_that_does_more_than_the_plate_lacks_nothing():
    assert coverage(made(), acting(turned(made(), slice(0, 50), 40), slice(20, 80), "jawOpen")).gaps == []


def test_what_the_footage_does_at_another_angle_only_is_told_so():
    wanted = acting(turned(made(), slice(50, 100), 40), slice(50, 100), "mouthSmileLeft", "mouthSmileRight")
    plate = acting(made(name="double"), slice(0, 10), "mouthSmileLeft", "mouthSmileRight")
    (gap,) = coverage(plate, wanted).gaps
    assert gap.does == "smiles broadly with the head upright"
    assert gap.instead == "does so at other angles only"
    assert sorted(gap.rows) == list(range(10))


@pytest.mark.parametrize(
    ("yaw", "pitch", "words"),
    [
        (50, 0, "turns the head to the picture's right by up to 50°"),
        (-50, 0, "turns the head to the picture's left by up to 50°"),
        (0, 30, "lifts the head by up to 30°"),
        (0, -30, "lowers the head by up to 30°"),
    ],
)
def test_a_head_turned_farther_than_ever_is_named_with_both_angles(yaw, pitch, words):
    plate = turned(made(name="double"), slice(0, 20), yaw, pitch)
    (gap,) = coverage(plate, turned(made(), slice(0, 100), 0, 0)).gaps
    assert gap.does == words
    assert gap.instead == "by 0° at most"


def test_a_head_turned_and_lifted_at_once_is_a_gap_of_its_own():
    wanted = turned(turned(made(), slice(0, 30), 40, 0), slice(30, 60), 0, 30)
    (gap,) = coverage(turned(made(), slice(0, 20), 40, 30), wanted).gaps
    assert gap.does == "holds the head turned to the picture's right and lifted"
    assert "not both at once" in gap.instead


def test_brows_count_from_each_persons_own_rest():
    brows = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")
    assert coverage(acting(made(), slice(0, 100), *brows, level=0.6), made()).gaps == []
    assert len(coverage(acting(made(), slice(0, 30), *brows, level=0.6), made()).gaps) == 1


def test_light_from_the_other_side_is_a_gap():
    (gap,) = coverage(made(side=np.full(100, 1.5)), made()).gaps
    assert gap.trait == "side"
    assert gap.does == "is lit from the picture's left (by 1.5 stops)"
    assert gap.instead == "is so by 0.1 stops at most"
    assert coverage(made(side=np.full(100, np.nan)), made()).gaps == []


def test_two_frames_are_no_gap_and_blurred_or_foreign_pictures_fill_none():
    plate = acting(made(name="double"), slice(50, 52), "jawOpen")
    assert coverage(plate, made()).gaps == []
    plate = acting(plate, slice(50, 60), "jawOpen")
    wanted = acting(made(), slice(0, 10), "jawOpen")
    assert coverage(plate, wanted).gaps == []
    wanted.sharpness[:5] = 10
    wanted.embedding[5:10] = np.eye(128)[7]
    assert [blurred(wanted).sum(), foreign(wanted).sum()] == [5, 5]
    assert len(coverage(plate, wanted).gaps) == 1


def test_the_weightiest_gap_comes_first_and_at_most_three_sentences_warn():
    plate = acting(acting(made(200, "double"), slice(0, 10), "jawOpen"), slice(20, 120), "mouthFunnel")
    plate = acting(acting(plate, slice(130, 150), "eyeBlinkLeft", "eyeBlinkRight"), slice(155, 185), "mouthPucker")
    found = report(plate, made())
    assert [gap.trait for gap in found.coverage.gaps] == ["funnel", "pucker", "lids", "jaw"]
    said = found.warnings()
    assert len(said) == 3
    assert said[0].startswith("The plate rounds the lips in 100 frames")
    assert all(text.endswith(".") and "\n" not in text for text in said)


def test_foreign_faces_and_coarse_ones_are_warned_of_first():
    wanted = made(box=np.tile([0.0, 0, 30, 40], (100, 1)))
    wanted.embedding[:3] = np.eye(128)[9]
    said = report(acting(made(name="double"), slice(0, 50), "jawOpen"), wanted).warnings()
    assert said[0] == "3 faces of ada may be somebody else's: delete the pictures that are wrong."
    assert said[1] == "The faces of ada are 30 pixels wide and the plate's 100: expect a soft result."
    assert "opens the mouth" in said[2]


def test_the_values_are_json_whatever_is_unknown():
    unknown = made(brightness=np.full(100, np.nan), side=np.full(100, np.nan))
    values = report(acting(made(name="double"), slice(0, 9), "jawOpen"), unknown).values()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["covered"] == 0.91
    assert values["gaps"][0]["frames"] == 9
    assert values["footage"]["ada"]["side"] is None


def test_nothing_covers_nothing():
    nobody = made(0)
    assert coverage(made(), nobody).share == coverage(nobody, made()).share == 0
    assert report(made(), nobody).warnings() == []
    assert holds(nobody) == {"faces": 0}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(-90, 90), st.floats(0, 1), st.sampled_from(ACTS))
def test_any_two_pieces_of_footage_compare(n, m, yaw, amount, act):
    plate, wanted = turned(acting(made(n), slice(0, n), *act.plus, level=amount), slice(0, n), yaw), made(m)
    found = report(plate, wanted)
    assert 0 <= found.coverage.share <= 1
    assert (found.coverage.share < 1) == bool(found.coverage.gaps)
    json.dumps(found.values(), allow_nan=False)


def test_light_is_read_from_the_cheeks_in_stops():
    points = np.zeros((478, 3), np.float32)
    for cheek, x in zip(CHEEKS, (20, 80), strict=True):
        angle = np.linspace(0, 2 * np.pi, len(cheek), endpoint=False)
        points[list(cheek), :2] = np.stack([x + 10 * np.cos(angle), 50 + 10 * np.sin(angle)], 1)
    picture = np.full((100, 100, 3), 128, np.uint8)
    level, side = light(picture, points, 0)
    assert side == pytest.approx(0)
    assert level == pytest.approx(
        cv2.cvtColor(np.full((1, 1, 3), 128 / 255, np.float32), cv2.COLOR_RGB2LAB)[0, 0, 0], 0.02
    )
    picture[:, :50] = round(128 * 2 ** (1 / 2.2))
    assert light(picture, points, 0)[1] == pytest.approx(1, abs=0.02)
    assert np.isnan(light(picture, points, 40)[1])


def test_every_act_is_made_of_blendshapes_that_exist():
    assert {name for act in ACTS for name in (*act.plus, *act.minus)} <= set(BLENDSHAPES)
    assert facing(np.zeros((3, 3))) == "upright"
