"""From footage to a FaceSet: who is kept, what is refused, and that a killed run goes on to the same bytes."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest

from photodouble import weights
from photodouble.consent import add_record
from photodouble.errors import BadInput, Refused
from photodouble.faces import SAME_PERSON, FaceSet, find_faces
from photodouble.media import Space, open_clip, read_picture, write_picture
from photodouble.stages.events import Progress, Result, Started, Warned
from photodouble.stages.extract import ExtractConfig, extract_faces, run


def result(events):
    events = list(events)
    assert isinstance(events[-1], Result)
    return events[-1].values


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and not re.search(r"\. [A-Z]", text)


def small(name: str, width: int) -> np.ndarray:
    image = read_picture(weights.path(name))
    return cv2.resize(image, (width, round(width * image.shape[0] / image.shape[1])), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory, small_plate):
    """The plate's faces, in chunks of 12 frames, and the events of the run."""
    folder = tmp_path_factory.mktemp("extract") / "faces"
    return folder, list(extract_faces(folder, [small_plate], chunk=12))


def test_run_writes_the_identitys_faces(project, small_plate):
    events = list(run(ExtractConfig(project.root, "double", [small_plate])))
    values = events[-1].values
    assert isinstance(events[0], Started)
    assert events[0].plan["frames"] == 30
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == 30
    assert values["identity"] == "double"
    assert values["folder"] == str(project.faces("double"))
    assert (values["faces"], values["frames"], values["frames_with_face"]) == (30, 30, 30)
    assert (values["people"], values["others"], values["tracks"]) == (1, 0, 1)
    faces = FaceSet.open(project.faces("double"))
    assert len(faces) == 30
    assert faces.crop_size == values["crop_size"]
    assert sorted(path.name for path in project.identity("double").iterdir()) == ["consent.toml", "faces"]


def test_chunks_are_joined_into_one_track_with_one_embedding(extracted):
    folder, events = extracted
    faces = FaceSet.open(folder)
    assert events[-1].values["tracks"] == 1
    assert faces.frame.tolist() == list(range(30))
    assert set(faces.track.tolist()) == set(faces.person.tolist()) == {0}
    assert np.allclose(np.linalg.norm(faces.embedding, axis=1), 1, atol=1e-5)
    assert (faces.embedding == faces.embedding[0]).all()
    assert (np.diff(faces.pts) > 0).all()
    eyes = faces.landmarks(0, 30)[:, [33, 263], :2]
    assert (np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1) > 20).all()


def test_crop_size_holds_the_plates_resolution(extracted):
    faces = FaceSet.open(extracted[0])
    assert faces.crop_size % 64 == 0
    assert faces.crop(0).shape == (faces.crop_size, faces.crop_size, 3)
    scale = np.linalg.norm(faces.matrices(0, 30)[:, 0, :2], axis=1)
    assert np.median(scale) >= 0.9


def test_same_sources_again_return_at_once(extracted, small_plate):
    folder, first = extracted
    before = digest(folder)
    events = list(extract_faces(folder, [small_plate], chunk=12))
    assert [type(event) for event in events] == [Warned, Result]
    assert not events[-1].values["extracted"]
    assert events[-1].values["faces"] == first[-1].values["faces"]
    assert digest(folder) == before


def test_changed_source_is_extracted_anew(tmp_path, small_plate):
    clip = tmp_path / "clip.mp4"
    shutil.copy(small_plate, clip)
    assert result(extract_faces(tmp_path / "faces", [clip]))["extracted"]
    os.utime(clip, (1, 1))
    assert result(extract_faces(tmp_path / "faces", [clip]))["extracted"]


def test_killed_and_started_again_it_ends_in_the_same_bytes(extracted, small_plate, tmp_path):
    """SIGKILL once some chunks are there."""
    script = (
        "import sys; from pathlib import Path\n"
        "from photodouble.stages.extract import extract_faces\n"
        "for event in extract_faces(Path(sys.argv[1]), [Path(sys.argv[2])], chunk=12): pass\n"
    )
    folder = tmp_path / "faces"
    work = tmp_path / ".faces.work"
    process = subprocess.Popen([sys.executable, "-c", script, str(folder), str(small_plate)])
    try:
        limit = time.monotonic() + 120
        while not list(work.glob("0*.parquet")) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = len(list(work.glob("0*.parquet")))
    assert 0 < done < 3
    assert not folder.exists()
    (work / ".0000-00000012.1.part.parquet").write_bytes(b"half a chunk")
    events = list(extract_faces(folder, [small_plate], chunk=12))
    assert any(isinstance(event, Warned) and "Continuing" in event.message for event in events)
    assert digest(folder) == digest(extracted[0])
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_does_not_change_the_bytes(workers, extracted, small_plate, tmp_path):
    events = list(extract_faces(tmp_path / "faces", [small_plate], chunk=12, workers=workers))
    assert digest(tmp_path / "faces") == digest(extracted[0])
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == 30


def test_chunks_that_are_there_are_passed_over(extracted, small_plate, tmp_path):
    """A hole between finished chunks, as a killed run of another number of workers leaves it."""
    work = tmp_path / ".faces.work"
    steps = extract_faces(tmp_path / "faces", [small_plate], chunk=6, workers=1)
    for _ in steps:
        if len(list(work.glob("0*.parquet"))) >= 4:
            break
    steps.close()
    for start in (0, 12):
        (work / f"0000-{start:08d}.parquet").unlink()
    list(extract_faces(tmp_path / "faces", [small_plate], chunk=6, workers=1))
    list(extract_faces(tmp_path / "whole", [small_plate], chunk=6))
    assert digest(tmp_path / "faces") == digest(tmp_path / "whole")


def test_a_damaged_chunk_is_made_again(extracted, small_plate, tmp_path):
    steps = extract_faces(tmp_path / "faces", [small_plate], chunk=12, workers=1)
    for event in steps:
        if isinstance(event, Progress) and event.done >= 20:
            break
    steps.close()
    chunk = min((tmp_path / ".faces.work").glob("*.parquet"))
    chunk.write_bytes(chunk.read_bytes()[:1000])
    list(extract_faces(tmp_path / "faces", [small_plate], chunk=12))
    assert digest(tmp_path / "faces") == digest(extracted[0])


def test_stills_of_all_kinds_and_sheets(tmp_path):
    """A sheet of sixteen, a portrait, and a folder with another portrait."""
    (tmp_path / "folder").mkdir()
    write_picture(tmp_path / "folder" / "b.png", small("person_p001_selfie", 400))
    write_picture(tmp_path / "portrait.jpg", small("person_p001_portrait", 500))
    sheet = weights.path("person_p001_emotions")
    values = result(extract_faces(tmp_path / "faces", [sheet, tmp_path / "portrait.jpg", tmp_path / "folder"]))
    faces = FaceSet.open(tmp_path / "faces")
    assert values["faces"] == len(faces) == 18
    assert (values["frames"], values["people"], values["others"]) == (3, 1, 0)
    assert np.bincount(faces.source).tolist() == [16, 1, 1]
    assert len(faces.sources) == 3
    assert (faces.embedding @ faces.embedding.T).min() > SAME_PERSON


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A folder of four pictures: three of P001, large, and one of P002."""
    folder = tmp_path_factory.mktemp("crowd") / "stills"
    folder.mkdir()
    for number, kind in enumerate(("portrait", "selfie", "snapshot")):
        write_picture(folder / f"{number}.png", small(f"person_p001_{kind}", 500))
    write_picture(folder / "3.png", small("person_p002_portrait", 400))
    return folder


def test_the_person_seen_most_is_kept_and_others_are_counted(crowd, tmp_path):
    values = result(extract_faces(tmp_path / "faces", [crowd]))
    assert (values["faces"], values["people"], values["others"]) == (3, 2, 1)
    assert FaceSet.open(tmp_path / "faces").frame.tolist() == [0, 1, 2]


def test_a_reference_picture_names_the_person(crowd, tmp_path):
    reference = weights.path("person_p002_selfie")
    values = result(extract_faces(tmp_path / "faces", [crowd], reference))
    faces = FaceSet.open(tmp_path / "faces")
    assert values["faces"] == 1
    assert faces.frame.tolist() == [3]
    look = find_faces(small("person_p002_selfie", 600))[0].embedding
    assert float(faces.embedding[0] @ look) > SAME_PERSON


def test_a_reference_of_somebody_else_is_bad_input(crowd, tmp_path):
    performer = next(open_clip(weights.path("demo_plate")).frames(0, 1, np.uint8)).image
    write_picture(tmp_path / "performer.png", performer)
    with pytest.raises(BadInput, match="Nobody") as caught:
        list(extract_faces(tmp_path / "faces", [crowd], tmp_path / "performer.png"))
    assert one_sentence(caught.value)
    assert not (tmp_path / "faces").exists()


def test_without_crops(small_plate, tmp_path):
    list(extract_faces(tmp_path / "faces", [small_plate], store_crops=False))
    faces = FaceSet.open(tmp_path / "faces")
    assert len(faces) == 30
    assert list((tmp_path / "faces" / "crops").iterdir()) == []
    with pytest.raises(BadInput):
        faces.crop(0)


def nobody(tmp_path):
    write_picture(tmp_path / "wall.png", np.full((240, 320, 3), 90, np.uint8))
    return tmp_path / "wall.png"


def tiny(tmp_path):
    write_picture(tmp_path / "tiny.png", np.full((16, 16, 3), 90, np.uint8))
    return tmp_path / "tiny.png"


def text(tmp_path):
    (tmp_path / "clip.mp4").write_text("not a video")
    return tmp_path / "clip.mp4"


def empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def nothing(tmp_path):
    return tmp_path / "missing.mp4"


@pytest.mark.parametrize("make", [nobody, tiny, text, empty_folder, nothing])
def test_bad_sources_are_one_sentence_and_leave_nothing(make, project, tmp_path):
    source = make(tmp_path)
    with pytest.raises(BadInput) as caught:
        list(run(ExtractConfig(project.root, "ada", [source])))
    assert one_sentence(caught.value)
    assert source.name in str(caught.value)
    assert [path.name for path in project.identity("ada").iterdir()] == ["consent.toml"]


def test_truncated_video_leaves_no_set(project, small_plate, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(small_plate.read_bytes()[: small_plate.stat().st_size // 2])
    with pytest.raises(BadInput) as caught:
        list(run(ExtractConfig(project.root, "ada", [cut])))
    assert one_sentence(caught.value)
    assert not project.faces("ada").exists()


def test_a_tiny_picture_in_a_folder_is_named(tmp_path):
    folder = tmp_path / "stills"
    folder.mkdir()
    write_picture(folder / "a.png", small("person_p001_portrait", 300))
    write_picture(folder / "b.png", np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(BadInput, match=r"b\.png is 16x16"):
        list(extract_faces(tmp_path / "faces", [folder]))


@pytest.mark.parametrize("config", ["ocio://default", "gone.ocio"])
def test_a_config_that_is_not_needed_need_not_be_a_file(tmp_path, config):
    """What is refused is the picture without a face."""
    with pytest.raises(BadInput, match=r"wall\.png"):
        list(extract_faces(tmp_path / "faces", [nobody(tmp_path)], space=Space("", config)))


def test_no_sources_is_bad_input(tmp_path):
    with pytest.raises(BadInput):
        list(extract_faces(tmp_path / "faces", []))


def test_without_consent_nothing_is_read(project, tmp_path):
    with pytest.raises(Refused, match="consent add"):
        list(run(ExtractConfig(project.root, "stranger", [tmp_path / "not there.mp4"])))
    add_record(project, "late", "release", "form 1", expires=date(2001, 1, 1))
    with pytest.raises(Refused):
        list(run(ExtractConfig(project.root, "late", [tmp_path / "not there.mp4"])))


def test_refused_footage_leaves_nothing(project, small_plate, monkeypatch):
    """A gate that has to refuse: the limit put so low that any picture reaches it."""
    monkeypatch.setattr("photodouble.stages.extract.NUDITY_LIMIT", 0.0)
    with pytest.raises(Refused, match="nudity"):
        list(run(ExtractConfig(project.root, "ada", [small_plate])))
    assert [path.name for path in project.identity("ada").iterdir()] == ["consent.toml"]


def test_unknown_project_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="photodouble init"):
        list(run(ExtractConfig(tmp_path, "ada", [tmp_path])))
