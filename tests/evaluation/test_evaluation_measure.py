"""Measuring real clips of a portrait in motion, and the report stage on them."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from photodouble import weights
from photodouble.errors import BadInput
from photodouble.evaluation import Quality, measure, plate_rows
from photodouble.faces import (
    Face,
    FaceSet,
    FaceSetWriter,
    Tracker,
    alignment,
    find_faces,
    invert,
    outline_matte,
)
from photodouble.media import Clip, ClipWriter, Frame, MatteWriter, Space, open_clip, read_picture, write_picture
from photodouble.stages import report
from photodouble.stages.events import Progress, Result
from photodouble.stages.render_record import RenderRecord

FRAMES = 18


def in_rgb(path: Path) -> Clip:
    """A clip after which FFV1 is written in RGB, so that pictures keep every bit."""
    return replace(open_clip(path), stored_format="")


@pytest.fixture(scope="module")
def plate_faces(small_plate: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceSet:
    folder = tmp_path_factory.mktemp("plate_faces") / "faces"
    tracker = Tracker()
    with FaceSetWriter(folder, 128) as writer:
        for frame in open_clip(small_plate).frames(0, FRAMES, dtype=np.uint8):
            for face in tracker.step(frame):
                writer.add(replace(face, source="plate.mp4", person=0), None)
    return FaceSet.open(folder)


@pytest.fixture(scope="module")
def wanted() -> tuple[np.ndarray, Face]:
    """Another person's portrait and the face in it."""
    picture = read_picture(weights.path("person_p002_portrait"))
    return picture, find_faces(picture)[0]


@pytest.fixture(scope="module")
def swap(
    small_plate: Path, plate_faces: FaceSet, wanted: tuple[np.ndarray, Face], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A crude recasting, lossless, and its mattes: the portrait's face laid upright over the plate's."""
    folder, plate = tmp_path_factory.mktemp("swap"), open_clip(small_plate)
    output, cover = folder / "swap.mkv", folder / "matte.mkv"
    rows = plate_rows(plate_faces)
    source = alignment(wanted[1].landmarks, 256)
    with ClipWriter(output, in_rgb(small_plate), "ffv1") as writer, MatteWriter(cover, plate) as mattes:
        for frame in plate.frames(0, FRAMES, dtype=np.uint8):
            points = plate_faces.landmarks(rows[frame.index], rows[frame.index] + 1)[0]
            matte = outline_matte(points, frame.image.shape[:2], 0.15)
            matrix = (np.vstack([invert(alignment(points, 256)), [0, 0, 1]]) @ np.vstack([source, [0, 0, 1]]))[:2]
            face = cv2.warpAffine(wanted[0], matrix.astype(np.float32), (plate.width, plate.height))
            mixed = frame.image * (1 - matte[..., None]) + face * matte[..., None]
            writer.write(replace(frame, image=np.round(mixed).astype(np.uint8)))
            mattes.write(matte, frame)
    return output, cover


@pytest.fixture(scope="module")
def lossless(small_plate: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plate's own pixels as they are decoded."""
    return rewrite(small_plate, tmp_path_factory.mktemp("lossless") / "plate.mkv", lambda frame: frame.image)


@pytest.fixture(scope="module")
def crude(lossless: Path, plate_faces: FaceSet, swap: tuple[Path, Path], wanted: tuple[np.ndarray, Face]) -> Quality:
    """What is measured of the crude recasting."""
    return measure(lossless, *swap, plate_faces, wanted[1].embedding)


def rewrite(plate: Path, output: Path, change: Callable[[Frame], np.ndarray]) -> Path:
    clip = open_clip(plate)
    with ClipWriter(output, in_rgb(plate), "ffv1") as writer:
        for frame in clip.frames(0, FRAMES, dtype=np.uint8):
            image = change(frame)
            writer.write(replace(frame, image=image))
    return output


def test_the_plate_itself_is_the_other_person_and_else_perfect(lossless, plate_faces, swap, wanted):
    quality = measure(lossless, lossless, swap[1], plate_faces, wanted[1].embedding)
    figures = quality.summary
    assert figures["frames"] == figures["frames_with_face"] == figures["plate_frames"] == FRAMES
    assert figures["similarity_replaced"] > 0.9
    assert figures["similarity_wanted"] < 0.45
    assert figures["share_nearer_wanted"] == 0
    for name in ("sharpness_ratio", "warped_error_ratio"):
        assert figures[name] == 1
    for name in ("edge_step", "outside_change", "outside_change_mean", "timestamp_error"):
        assert figures[name] == 0
    assert figures["landmark_error"] < 1
    assert figures["pose_error"] < 1
    # The region that the landmarks were found in differs by a frame's motion: the model's own noise is left.
    assert figures["jitter_ratio"] == pytest.approx(1, abs=0.35)


def test_a_crude_recasting_shows_in_every_figure(crude):
    figures = crude.summary
    assert figures["share_nearer_wanted"] == 1
    assert figures["similarity_wanted"] > 0.6 > figures["similarity_replaced"]
    assert figures["frames_lost"] == 0
    assert figures["outside_change"] == 0
    assert figures["edge_step"] > 0.3
    assert figures["sharpness_ratio"] != 1
    assert figures["landmark_error"] > 1.2


def test_rows_are_one_a_frame_and_can_be_kept(crude, tmp_path):
    assert {len(column) for column in crude.frames.values()} == {FRAMES}
    assert np.isfinite(crude.frames["flow_output"]).sum() == (FRAMES - 1) // 4
    np.testing.assert_allclose(crude.frames["time"], np.arange(FRAMES) / 24, atol=1e-3)
    crude.save(tmp_path)
    assert Quality.load(tmp_path).summary == crude.summary


def test_of_a_long_clip_the_likeness_is_sampled(lossless, plate_faces, swap, crude, wanted, monkeypatch):
    monkeypatch.setattr(sys.modules[measure.__module__], "EMBEDDED", 9)
    quality = measure(lossless, *swap, plate_faces, wanted[1].embedding)
    known = np.flatnonzero(np.isfinite(quality.frames["similarity_wanted"]))
    np.testing.assert_array_equal(known, np.arange(0, FRAMES, 2))
    np.testing.assert_array_equal(quality.frames["similarity_wanted"][known], crude.frames["similarity_wanted"][known])
    assert quality.summary["share_nearer_wanted"] == 1


def test_blur_and_trembling_are_seen(lossless, plate_faces, swap, wanted, tmp_path):
    shift = np.random.default_rng(2).normal(0, 2.0, (FRAMES, 2))

    def tremble(frame: Frame) -> np.ndarray:
        matrix = np.float32([[1, 0, shift[frame.index, 0]], [0, 1, shift[frame.index, 1]]])
        moved = cv2.warpAffine(frame.image, matrix, frame.image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        return cv2.GaussianBlur(moved, (0, 0), 1.2)

    output = rewrite(lossless, tmp_path / "tremble.mkv", tremble)
    figures = measure(lossless, output, swap[1], plate_faces, wanted[1].embedding).summary
    assert figures["jitter_ratio"] > 1.5
    assert figures["sharpness_ratio"] < 0.5
    assert figures["warped_error_ratio"] > 1.2
    assert figures["outside_change"] > 10


def test_a_face_that_is_gone_is_counted_and_the_label_is_left_out(lossless, plate_faces, swap, wanted, tmp_path):
    def wipe(frame: Frame) -> np.ndarray:
        image = frame.image.copy()
        if frame.index in (4, 5):
            image[:] = 60
        image[:10, :30] = 255
        return image

    output = rewrite(lossless, tmp_path / "wipe.mkv", wipe)
    quality = measure(lossless, output, swap[1], plate_faces, wanted[1].embedding, ignore=[(0, 0, 30, 10)])
    assert quality.summary["frames_lost"] == 2
    assert list(np.flatnonzero(quality.frames["presence"] < 0.5)) == [4, 5]
    assert np.isnan(quality.frames["similarity_wanted"][4])
    changed = quality.frames["outside_largest"]
    assert (np.delete(changed, [4, 5]) == 0).all()
    assert quality.frames["label_largest"].min() > 0


def test_a_plate_without_faces_gives_no_figures_and_no_crash(lossless, plate_faces, wanted):
    quality = measure(lossless, lossless, None, plate_faces, wanted[1].embedding, rows={})
    assert quality.summary["frames"] == FRAMES
    assert quality.summary["frames_with_plate_face"] == 0
    assert quality.summary["similarity_wanted"] is None
    assert quality.summary["outside_change"] is None


def test_without_mattes_the_outline_stands_in(lossless, plate_faces, wanted):
    figures = measure(lossless, lossless, None, plate_faces, wanted[1].embedding).summary
    assert figures["sharpness_ratio"] == 1
    assert figures["outside_change"] is None


def test_clips_that_do_not_fit_each_other_are_refused(lossless, plate_faces, wanted, tmp_path, make_plate, portraits):
    small = make_plate(tmp_path / "small.mp4", portraits[0], frames=3, width=160, height=120)
    with pytest.raises(BadInput, match="160x120"):
        measure(lossless, small, None, plate_faces, wanted[1].embedding)
    short = tmp_path / "short.mkv"
    clip = open_clip(lossless)
    with MatteWriter(short, clip) as mattes:
        for frame in clip.frames(0, 5):
            mattes.write(np.zeros((clip.height, clip.width), np.float32), frame)
    with pytest.raises(BadInput, match="ends before frame 5"):
        measure(lossless, lossless, short, plate_faces, wanted[1].embedding)


def test_plate_rows_takes_the_asked_person_and_the_best_face(tmp_path, plate_faces):
    first = plate_faces.face(0)
    with FaceSetWriter(tmp_path / "faces", 64) as writer:
        for person, quality, source in ((0, 0.4, "a"), (1, 0.9, "a"), (0, 0.6, "a"), (0, 0.5, "b")):
            writer.add(replace(first, person=person, quality=quality, source=source), None)
    faces = FaceSet.open(tmp_path / "faces")
    assert plate_rows(faces) == {first.frame: 1}
    assert plate_rows(faces, person=0) == {first.frame: 2}
    assert plate_rows(faces, person=0, source="b") == {first.frame: 3}
    assert plate_rows(faces, source="c") == {}


@pytest.fixture
def rendered(project, lossless, plate_faces, swap, wanted):
    """A project that knows the crude recasting."""
    with FaceSetWriter(project.faces("ada"), 128) as writer:
        writer.add(replace(wanted[1], source="portrait.jpg"), wanted[0])
    record = RenderRecord(
        plate=lossless, output=swap[0], faces=plate_faces.folder, matte=swap[1], wanted="ada", replaced="double",
        model="mesh", codec="ffv1", frames=FRAMES, seconds={"convert": 2.0}, label_box=(1, 2, 3, 4),
        consent={"ada": {"basis": "synthetic", "reference": "made up", "digest": "cd" * 32}},
    )  # fmt: skip
    record.save(project)
    assert RenderRecord.load(project, swap[0]) == record
    return project


def test_the_stage_measures_once_and_writes_the_page_beside_the_output(rendered, swap):
    events = list(report.run(report.ReportConfig(swap[0], rendered.root)))
    result = events[-1]
    assert isinstance(result, Result)
    page = Path(result.values["report"])
    assert page == swap[0].with_name("swap.report.html")
    assert result.values["quality"]["share_nearer_wanted"] == 1
    assert result.values["frames"] == result.values["frames_with_face"] == FRAMES
    text = page.read_text()
    assert "cd" * 32 in text
    assert "absent" in text  # nobody signed it
    before = (rendered.render(swap[0]) / "quality.json").stat().st_mtime_ns
    assert list(report.run(report.ReportConfig(swap[0], rendered.root)))[-1].values == result.values
    assert (rendered.render(swap[0]) / "quality.json").stat().st_mtime_ns == before
    page.unlink()


def test_the_stage_shows_two_results_side_by_side(rendered, swap, crude, tmp_path):
    other = rewrite(swap[0], tmp_path / "other.mkv", lambda frame: frame.image)
    replace(RenderRecord.load(rendered, swap[0]), output=other, model="lite").save(rendered)
    for output in (other, swap[0]):
        crude.save(rendered.render(output))
    config = report.ReportConfig(other, rendered.root, others=(swap[0],), path=tmp_path / "both.html")
    values = list(report.run(config))[-1].values
    assert values["qualities"] == {"lite": crude.summary, "mesh": crude.summary}
    assert values["report"] == str(tmp_path / "both.html")
    assert 'data-name="mesh"' in (tmp_path / "both.html").read_text()


def test_figures_older_than_the_output_are_measured_again(rendered, swap, crude):
    crude.save(rendered.render(swap[0]))
    later = (rendered.render(swap[0]) / "quality.json").stat().st_mtime + 5
    os.utime(swap[0], (later, later))
    events = list(report.run(report.ReportConfig(swap[0], rendered.root)))
    os.utime(swap[0])
    assert any(isinstance(event, Progress) for event in events)
    swap[0].with_name("swap.report.html").unlink()


@pytest.mark.parametrize("kind", ["exr", "dpx"])
def test_a_log_plate_is_measured_in_its_colour_space(rendered, swap, small_plate, tmp_path, kind):
    """Untouched, it has not changed, whatever its pictures became; the report is asked for by the output's pattern."""
    (tmp_path / "log").mkdir()
    for frame in open_clip(small_plate).frames(0, 2, dtype=np.uint8):
        code = (frame.image.astype(np.float32) * (0.5 / 255) + 0.1) * 65535
        write_picture(tmp_path / "log" / f"a.{1001 + frame.index}.dpx", np.rint(code).astype(np.uint16))
    space, pattern = Space("ARRI LogC4"), tmp_path / "comp" / f"shot.####.{kind}"
    plate = open_clip(tmp_path / "log", space=space)
    with ClipWriter(pattern, plate) as writer, MatteWriter(tmp_path / "matte.mkv", plate) as mattes:
        for frame in plate.frames():
            writer.write(frame)
            mattes.write(np.zeros((plate.height, plate.width), np.float32), frame)
    old = RenderRecord.load(rendered, swap[0])
    record = replace(
        old, plate=tmp_path / "log", output=pattern.parent, matte=tmp_path / "matte.mkv", codec=kind,
        colour_space=space.name, label_box=None, frames=2,
    )  # fmt: skip
    record.save(rendered)
    assert RenderRecord.load(rendered, pattern.parent).space == space
    values = list(report.run(report.ReportConfig(pattern, rendered.root)))[-1].values
    assert values["quality"]["outside_change"] <= 1
    assert values["report"] == str(tmp_path / "comp.report.html")


def test_the_stage_says_what_is_missing(rendered, swap, tmp_path):
    with pytest.raises(BadInput, match="Nothing is known about"):
        list(report.run(report.ReportConfig(tmp_path / "unknown.mp4", rendered.root)))
    with pytest.raises(BadInput, match="not a photodouble project"):
        list(report.run(report.ReportConfig(swap[0], tmp_path)))
    (tmp_path / "moved").mkdir()
    with pytest.raises(BadInput, match=r"knows no render .*moved/swap.mkv, but one at .*swap.mkv: if it was moved"):
        list(report.run(report.ReportConfig(tmp_path / "moved" / "swap.mkv", rendered.root)))
    path = rendered.render(swap[0]) / "render.json"
    path.write_text('{"plate": 3}')
    with pytest.raises(BadInput, match="damaged"):
        list(report.run(report.ReportConfig(swap[0], rendered.root)))
