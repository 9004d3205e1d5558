"""Nothing that a render did not make is lost by it, and no plate is taken for another one."""

import os
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from photodouble.consent import add_record
from photodouble.errors import BadInput, Refused
from photodouble.faces import FaceSet
from photodouble.media import Space, open_clip
from photodouble.project import init_project
from photodouble.stages import convert_preview, extract, swap
from photodouble.stages.convert import ConvertConfig, run
from photodouble.stages.convert_plan import make_plan, plate_faces, plate_faces_rows, plate_folder
from photodouble.stages.convert_ready import prepare
from photodouble.stages.events import Warned


def result(steps):
    """What a stage's generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def pictures(tmp_path, small_plate):
    """The first two frames of the plate as a numbered sequence."""
    folder = tmp_path / "seq"
    folder.mkdir()
    for frame in open_clip(small_plate).frames(0, 2):
        cv2.imwrite(str(folder / f"shot.{frame.index + 1001:04d}.png"), frame.image[..., ::-1])
    return folder


@pytest.mark.parametrize("matte", ["mattes/shot.####.png", "mattes"])
def test_a_matte_does_not_replace_a_folder_that_holds_other_files(cast, tmp_path, small_plate, matte):
    other = tmp_path / "mattes" / "notes.txt"
    other.parent.mkdir()
    other.write_text("of another shot")
    config = ConvertConfig(cast.root, small_plate, "double", "ada", tmp_path / "out.mp4", matte=tmp_path / matte)
    with pytest.raises(BadInput, match="holds other files"):
        list(run(config))
    assert other.read_text() == "of another shot"


@pytest.mark.parametrize("output", ["seq", "seq/shot.####.png", "seq/new.####.exr"])
def test_the_plates_own_folder_is_no_place_for_the_result(cast, tmp_path, pictures, output):
    before = {file.name: file.read_bytes() for file in pictures.iterdir()}
    config = ConvertConfig(cast.root, pictures, "double", "ada", tmp_path / output)
    with pytest.raises(BadInput, match="the plate itself"):
        list(run(config))
    with pytest.raises(BadInput, match="the plate itself"):
        list(convert_preview.run(replace(config, output=pictures, frames="0")))
    with pytest.raises(BadInput, match="the plate itself"):
        list(swap.run(swap.SwapConfig(pictures, [pictures], tmp_path / output, tmp_path / "p", model="mesh")))
    assert {file.name: file.read_bytes() for file in pictures.iterdir()} == before


def test_one_picture_is_no_matte_of_a_clip_and_that_is_said_before_the_work(cast, tmp_path, small_plate):
    config = ConvertConfig(cast.root, small_plate, "double", "ada", tmp_path / "out.mp4", matte=tmp_path / "matte.png")
    with pytest.raises(BadInput, match="cannot hold a clip"):
        list(run(config))
    assert not (cast.root / "plates").exists()


def test_a_number_sign_in_a_films_name_is_part_of_it(cast, tmp_path, pictures):
    output, matte = tmp_path / "take#2.mov", tmp_path / "m#1.mkv"
    list(run(ConvertConfig(cast.root, pictures, "double", "ada", output, matte=matte)))
    assert open_clip(output).count() == open_clip(matte).count() == 2


def test_plates_of_one_name_in_two_folders_are_two_plates(cast, tmp_path, small_plate, pictures, monkeypatch):
    """The identity has faces of a `plate.png` sequence; another folder's, older one gets its own."""
    one, two = tmp_path / "s010", tmp_path / "s020"
    for folder in (one, two):
        (folder / "plate").mkdir(parents=True)
    first, second = sorted(pictures.iterdir())
    shutil.copy(first, one / "plate" / "a.0001.png")
    image = cv2.flip(cv2.imread(str(second)), 1)
    cv2.imwrite(str(two / "plate" / "a.0001.png"), image)
    os.utime(two / "plate" / "a.0001.png", (1e9, 1e9))
    monkeypatch.chdir(one)
    list(extract.run(extract.ExtractConfig(cast.root, "double", ["plate"])))
    own = FaceSet.open(cast.faces("double"))
    monkeypatch.chdir(two)
    config = ConvertConfig(cast.root, "plate", "double", "ada", tmp_path / "out")
    ready = result(prepare(config))
    plan = result(make_plan(cast, "plate", "double", "ada", ready.wanted, ready.clip))
    assert plan.shot.faces.folder != own.folder
    assert np.abs(plan.shot.faces.landmarks(0, 1) - own.landmarks(0, 1)).max() > 5
    # By another spelling it is the same plate, whose faces are known.
    monkeypatch.chdir(tmp_path)
    again = open_clip(two / "plate")
    assert len(plate_faces_rows(plan.shot.faces, again)) == 1
    made = result(make_plan(cast, two / "plate", "double", "ada", ready.wanted, again))
    assert made.shot.frame.tolist() == [0]


def test_another_colour_space_is_looked_at_anew(cast, pictures, tmp_path):
    files = []
    for name in ("", "sRGB"):
        clip = open_clip(pictures, space=Space(name))
        config = ConvertConfig(cast.root, pictures, "double", "ada", tmp_path / "out", space=Space(name))
        ready = result(prepare(config))
        files.append(result(make_plan(cast, pictures, "double", "ada", ready.wanted, clip)).files)
    assert files[0].looks != files[1].looks and files[0].hands != files[1].hands


def test_the_plates_face_must_be_the_doubles(project, tmp_path, small_plate, portraits):
    """A double known by other footage is not a plate's other person, also where its faces are kept already."""
    clip = open_clip(small_plate)
    folder = plate_folder(project, clip)
    events = list(plate_faces(project, small_plate, "double", folder, clip))
    assert any("bound to the face" in event.message for event in events if isinstance(event, Warned))
    other = make_other(tmp_path, portraits[2])
    with pytest.raises(Refused, match="double"):
        list(plate_faces(project, other, "double", plate_folder(project, open_clip(other)), open_clip(other)))
    # Kept faces are no way around it: another person is bound to the record meanwhile.
    bound = init_project(tmp_path / "bound")
    add_record(bound, "double", "synthetic", "openpeople 0.1.2, AI-generated")
    list(extract.run(extract.ExtractConfig(bound.root, "double", [other])))
    kept = plate_folder(bound, clip)
    shutil.copytree(folder / "faces", kept / "faces")
    with pytest.raises(Refused, match="double"):
        list(plate_faces(bound, small_plate, "double", kept, clip))


def make_other(tmp_path, portrait):
    """Two pictures of another person."""
    folder = tmp_path / "other"
    folder.mkdir()
    image = cv2.resize(cv2.imread(str(portrait)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def test_stills_of_different_sizes_are_taken_by_swap(project, tmp_path, small_plate, portraits):
    folder = tmp_path / "stills"
    folder.mkdir()
    for number, factor in enumerate((0.5, 0.4)):
        image = cv2.resize(cv2.imread(str(portraits[1])), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    config = swap.SwapConfig(
        small_plate, [folder], tmp_path / "no" / "out.mp4", tmp_path / "p", model="mesh", basis=None
    )
    (tmp_path / "no").mkdir()
    with pytest.raises(Refused, match="no consent"):  # and not: pictures of one size
        list(swap.run(config))
