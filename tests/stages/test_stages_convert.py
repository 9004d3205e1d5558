"""Convert, with the real weights: a plate's face replaced, and everything else left as it was."""

import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from photodouble.consent import add_record, digest, require
from photodouble.errors import BadInput, Refused
from photodouble.faces import Embedder, FaceSet, find_faces
from photodouble.files import lock
from photodouble.media import ClipWriter, open_clip, read_mattes
from photodouble.project import init_project
from photodouble.provenance import (
    find_field,
    ledgers,
    look_up,
    manifest_digest,
    read_manifest,
    read_watermark,
)
from photodouble.stages import extract
from photodouble.stages.convert import ConvertConfig, run
from photodouble.stages.events import Progress, Result, Started, Warned
from photodouble.stages.render_record import RenderRecord

FRAMES = 16
GAP = range(6, 9)
"""Frames of the gapped plate that show no face."""


def images(path):
    return [frame.image for frame in open_clip(path).frames()]


def times(path):
    return [frame.pts * frame.time_base for frame in open_clip(path).frames()]


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and not re.search(r"\. [A-Z]", text)


@pytest.fixture(scope="module")
def plate(tmp_path_factory, make_plate, portraits) -> Path:
    """16 frames of the first portrait in motion, 320 x 240."""
    return make_plate(tmp_path_factory.mktemp("plate") / "plate.mp4", portraits[0], FRAMES)


@pytest.fixture(scope="module")
def gapped(tmp_path_factory, plate) -> Path:
    """The same with uneven timestamps and three frames without a face, lossless."""
    path = tmp_path_factory.mktemp("gapped") / "gapped.mkv"
    clip = open_clip(plate)
    with ClipWriter(path, clip, "ffv1") as writer:
        for frame in clip.frames():
            image = frame.image.copy()
            if frame.index in GAP:
                image[:] = image[:, :1]
            later = frame.pts + (frame.pts if frame.index < 10 else 12 * frame.pts // frame.index)
            writer.write(type(frame)(**{**vars(frame), "image": image, "pts": later}))
    return path


@pytest.fixture(scope="module")
def ready(tmp_path_factory, plate, portraits):
    """A project in which `double` comes from the plate and `ada` from one portrait of another person."""
    project = init_project(tmp_path_factory.mktemp("ready") / "project")
    for name, source in (("double", plate), ("ada", portraits[1])):
        add_record(project, name, "synthetic", "openpeople 0.1.2, AI-generated")
        list(extract.run(extract.ExtractConfig(project.root, name, [source])))
    return project


@pytest.fixture(scope="module")
def converted(tmp_path_factory, ready, plate):
    """Output and matte of a lossless render, and the events."""
    folder = tmp_path_factory.mktemp("converted")
    config = ConvertConfig(
        ready.root, plate, "double", "ada", folder / "out.mkv", codec="ffv1", matte=folder / "matte.mkv"
    )
    return config, list(run(config))


def test_the_result_tells_what_was_made(converted):
    config, events = converted
    values = events[-1].values
    assert isinstance(events[-1], Result)
    assert any(isinstance(event, Started) for event in events)
    assert any(isinstance(event, Progress) and event.done == FRAMES for event in events)
    assert values["frames"] == values["frames_with_face"] == values["faces_drawn"] == FRAMES
    assert (values["codec"], values["model"]) == ("ffv1", "mesh")
    assert Path(values["output"]) == config.output
    assert Path(values["matte"]) == config.matte
    assert values["seconds"] > 0


def test_where_every_bit_is_kept_nothing_changes_outside_the_matte(converted, plate):
    config, _events = converted
    before = list(images(plate))
    after, mattes = images(config.output), list(read_mattes(config.matte))
    assert len(before) == len(after) == len(mattes) == FRAMES
    for one, other, matte in zip(before, after, mattes, strict=True):
        assert (one[matte == 0] == other[matte == 0]).all()
        assert 0.03 < (matte > 0).mean() < 0.5
        assert abs(one.astype(int) - other)[matte > 0.9].mean() > 3


def test_frames_keep_their_times_and_the_sound_comes_along(converted, plate):
    config, _ = converted
    away = [abs(one - other) for one, other in zip(times(plate), times(config.output), strict=True)]
    assert max(away) <= 0.0005 + 1e-9  # Matroska's milliseconds
    assert open_clip(config.output).has_audio


def test_the_face_becomes_the_wanted_persons(converted, ready, plate):
    config, _ = converted
    wanted = FaceSet.open(ready.faces("ada")).embedding.mean(0)
    own = FaceSet.open(ready.faces("double")).embedding.mean(0)
    embedder = Embedder()
    for index in (0, 8, 15):
        image = images(config.output)[index]
        (face,) = find_faces(image)
        found = embedder(image, face.landmarks)
        assert found @ wanted > found @ own + 0.1
        assert found @ wanted > own @ wanted + 0.25


def test_the_expression_stays_where_it_was(converted, ready):
    config, _ = converted
    before = FaceSet.open(ready.faces("double"))
    image = images(config.output)[5]
    (face,) = find_faces(image)
    eyes = [33, 133, 362, 263]
    width = np.ptp(before.landmarks(5, 6)[0][:, 0])
    away = np.linalg.norm(face.landmarks[eyes, :2] - before.landmarks(5, 6)[0][eyes, :2], axis=1)
    assert away.mean() < 0.06 * width
    assert abs(face.pose - before.pose[5]).max() < 8


def test_output_and_matte_are_marked_and_recorded(converted, ready):
    config, _ = converted
    digests = {digest(require(ready, name, date.today())) for name in ("ada", "double")}
    for path in (config.output, config.matte):
        state = read_manifest(path)
        assert state.state == "valid", state.reason
        assert set(state.consent) == digests
        assert state.basis == "synthetic"
    record = RenderRecord.load(ready, config.output)
    assert (record.frames, record.wanted, record.replaced) == (FRAMES, "ada", "double")
    assert record.label_box is None
    entry = look_up(record.watermark, ledgers(ready.root, Path("none"))[:1])
    assert (entry.output, entry.manifest) == ("out.mkv", manifest_digest(config.output))


def test_no_working_file_is_left(converted, ready):
    config, _ = converted
    assert not [item for item in ready.render(config.output).iterdir() if "unsigned" in item.name]


def test_another_plate_with_gaps_and_a_research_basis(tmp_path, ready, gapped, plate):
    """Its own faces are found; frames without one pass through; the visible label is on all of them."""
    root = tmp_path / "project"
    shutil.copytree(ready.root, root)
    add_record(init_project(root), "ada", "research", "a study")
    output = tmp_path / "out.mkv"
    values = list(run(ConvertConfig(root, gapped, "double", "ada", output, codec="ffv1")))[-1].values
    assert values["frames"] == FRAMES
    assert values["faces_drawn"] == values["frames_with_face"] == FRAMES - len(GAP)
    x0, y0, x1, y1 = RenderRecord.load(init_project(root), output).label_box
    mattes = list(read_mattes(Path(values["matte"])))
    for index, (one, other, matte) in enumerate(zip(images(gapped), images(output), mattes, strict=True)):
        label = np.zeros(matte.shape, bool)
        label[y0:y1, x0:x1] = True
        outside = ~label & (matte == 0)
        assert (one[outside] == other[outside]).all()
        assert abs(one[label].astype(int) - other[label]).mean() > 20
        assert (matte.max() == 0) == (index in GAP)
    assert times(output) == times(gapped)
    assert len(set(np.diff(times(output)))) > 1
    assert read_manifest(output).basis == "research"


def test_the_same_command_gives_the_same_pictures_and_looks_for_hands_once(tmp_path, converted):
    config, _ = converted
    before = images(config.output)
    again = ConvertConfig(**{**vars(config), "output": tmp_path / "out.mkv", "matte": None})
    events = list(run(again))
    assert not [event for event in events if isinstance(event, Progress) and "hands" in event.text]
    assert all((one == other).all() for one, other in zip(before, images(again.output), strict=True))


def test_a_single_picture_is_a_plate_too(tmp_path, ready, portraits):
    output = tmp_path / "one.png"
    values = list(run(ConvertConfig(ready.root, portraits[0], "double", "ada", output)))[-1].values
    assert (values["frames"], values["faces_drawn"]) == (1, 1)
    assert read_manifest(output).state == "valid"
    assert images(output)[0].shape == images(portraits[0])[0].shape


def test_without_consent_nothing_is_done(tmp_path, plate, ready):
    root = tmp_path / "project"
    shutil.copytree(ready.root, root)
    for name in ("double", "ada"):
        (root / "identities" / name / "consent.toml").unlink()
        with pytest.raises(Refused, match=rf"no consent record for '{name}'") as caught:
            list(run(ConvertConfig(root, plate, "double", "ada", tmp_path / "out.mp4")))
        assert one_sentence(caught.value)
        shutil.copy(ready.consent(name), root / "identities" / name)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["project"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"output": Path("{tmp}/missing/out.mp4")}, "does not exist"),
        ({"output": Path("{tmp}/out.avi")}, "use .mp4"),
        ({"output": Path("{tmp}/out.mp4"), "codec": "ffv1"}, "ffv1"),
        ({"output": Path("{tmp}/out.mp4"), "matte": Path("{tmp}/missing/m.mkv")}, "does not exist"),
        ({"output": Path("{tmp}/out.mp4"), "matte": Path("{tmp}/m.avi")}, "ends in .mkv"),
        ({"output": Path("{tmp}/out.mkv"), "matte": Path("{tmp}/out.mkv")}, "is the output itself"),
        ({"output": Path("{tmp}/out.mp4"), "model": "nobody"}, "nobody"),
        ({"output": Path("{tmp}/out.mp4"), "target": "grace"}, "grace"),
    ],
)
def test_what_cannot_be_written_or_found_is_said_at_once(tmp_path, plate, ready, change, says):
    if change.get("target"):
        add_record(ready, "grace", "synthetic", "nobody's faces")
    values = {"output": tmp_path / "out.mp4"} | {
        key: Path(str(value).replace("{tmp}", str(tmp_path))) if isinstance(value, Path) else value
        for key, value in change.items()
    }
    config = ConvertConfig(**{"project": ready.root, "plate": plate, "source": "double", "target": "ada"} | values)
    seen = []
    with pytest.raises(BadInput) as caught:
        seen += run(config)
    assert says in str(caught.value)
    assert one_sentence(caught.value)
    assert seen == []
    assert list(tmp_path.iterdir()) == []


def test_the_plate_is_never_overwritten(ready, plate):
    before = plate.read_bytes()
    with pytest.raises(BadInput, match="is the plate itself"):
        list(run(ConvertConfig(ready.root, plate, "double", "ada", plate)))
    assert plate.read_bytes() == before


def test_a_set_without_the_plates_faces_is_said_in_one_sentence(tmp_path, ready, plate):
    root = tmp_path / "project"
    shutil.copytree(ready.root, root)
    for picture in (root / "identities" / "double" / "faces" / "crops").iterdir():
        picture.unlink()
    with pytest.raises(BadInput, match="no face") as caught:
        list(run(ConvertConfig(root, plate, "double", "ada", tmp_path / "out.mp4")))
    assert one_sentence(caught.value)


@pytest.mark.skipif("os.geteuid() == 0", reason="root may write everywhere")
def test_a_read_only_folder_is_said_at_once(tmp_path, ready, plate):
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut").chmod(0o500)
    with pytest.raises(BadInput, match="read-only"):
        next(run(ConvertConfig(ready.root, plate, "double", "ada", tmp_path / "shut" / "out.mp4")))


RENDERING = """
import sys
from pathlib import Path
from photodouble.stages.convert import ConvertConfig, run
from photodouble.stages.events import Progress
root, plate, output, matte = map(Path, sys.argv[1:])
for event in run(ConvertConfig(root, plate, "double", "ada", output, matte=matte)):
    if isinstance(event, Progress) and not event.text and event.done >= 8:
        print("rendering", flush=True)
        sys.stdin.read()
"""


def test_a_killed_render_leaves_nothing_under_its_name(tmp_path, ready, plate):
    root = tmp_path / "project"
    shutil.copytree(ready.root, root)
    output, matte = tmp_path / "out.mp4", tmp_path / "matte.mkv"
    command = [sys.executable, "-c", RENDERING, str(root), str(plate), str(output), str(matte)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "rendering"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert [item.name for item in tmp_path.iterdir()] == ["project"]
    values = list(run(ConvertConfig(root, plate, "double", "ada", output, matte=matte)))[-1].values
    assert values["frames"] == FRAMES
    assert sorted(item.name for item in tmp_path.iterdir()) == ["matte.c2pa", "matte.mkv", "out.mp4", "project"]


def test_a_fault_while_rendering_leaves_nothing_under_its_name(tmp_path, ready, plate):
    """Meanwhile nobody else renders it."""
    output = tmp_path / "out.mp4"
    config = ConvertConfig(ready.root, plate, "double", "ada", output)
    steps = run(config)
    for event in steps:
        if isinstance(event, Progress) and not event.text:
            there = sorted(ready.render(output).rglob("*"))
            with pytest.raises(BadInput, match=r"Another process is rendering .*out\.mp4") as caught:
                list(run(config))
            assert one_sentence(caught.value)
            assert set(there) <= set(ready.render(output).rglob("*"))
            with pytest.raises(RuntimeError):
                steps.throw(RuntimeError("stop"))
            break
    assert list(tmp_path.iterdir()) == []
    assert not [item for item in ready.render(output).iterdir() if "unsigned" in item.name]


def test_what_another_process_finds_out_about_the_plate_is_waited_for(tmp_path, ready, plate):
    steps = run(ConvertConfig(ready.root, plate, "double", "ada", tmp_path / "out.mp4"))
    ready.plate(plate).mkdir(parents=True, exist_ok=True)
    with lock(ready.plate(plate)) as taken:
        assert taken(False)
        event = next(step for step in steps if isinstance(step, Warned))
        assert event.message == f"Another process is looking at {plate} at this moment: waiting for it."
    assert isinstance(next(steps), Progress | Started)
    steps.close()


def test_a_chinese_label_stands_on_the_frames_and_in_the_metadata(tmp_path, ready, plate):
    """All frames of the first 2 s bear it, in a corner without a face; whatever else is the plate's to the bit."""
    output, clip = tmp_path / "out.mkv", open_clip(plate)
    plate = tmp_path / "slow.mkv"
    noise = np.random.default_rng(0).integers(0, 256, (50, 320, 3), dtype=np.uint8)
    with ClipWriter(plate, clip, "ffv1") as writer:
        for frame in clip.frames():
            frame.image[-50:] = noise
            writer.write(replace(frame, pts=4 * frame.pts))
    config = ConvertConfig(ready.root, plate, "double", "ada", output, codec="ffv1", label="cn")
    events = list(run(config))
    assert not [event for event in events if isinstance(event, Warned)]
    box = RenderRecord.load(ready, output).label_box
    x0, y0, x1, y1 = box
    assert y1 - y0 >= 0.05 * 240
    mattes = list(read_mattes(Path(events[-1].values["matte"])))
    late = np.array(times(plate)) >= 2
    assert 0 < late.sum() < FRAMES / 2
    for one, other, matte, bare in zip(images(plate), images(output), mattes, late, strict=True):
        assert (abs(one[y0:y1, x0:x1].astype(int) - other[y0:y1, x0:x1]).mean() > 20) != bare
        assert not (matte[y0:y1, x0:x1] > 0).any()
        same = matte == 0
        same[y0:y1, x0:x1] = bare
        assert (one[same] == other[same]).all()
    field = find_field(output)
    assert (field["Label"], field["ContentProducer"]) == ("1", "photodouble")
    assert read_manifest(output).state == "valid"


def test_a_label_that_cannot_be_made_is_said_before_the_work(tmp_path, ready, plate):
    for asked, told in (({"label": "corner"}, "--label-text"), ({"label_text": "ä"}, "cannot show")):
        with pytest.raises(BadInput, match=told):
            next(run(ConvertConfig(ready.root, plate, "double", "ada", tmp_path / "o.mp4", **asked)))


def test_where_bits_are_lost_anyway_the_watermark_is_all_over_the_frame_and_read_again(tmp_path, ready, plate):
    output = tmp_path / "out.mp4"
    values = list(run(ConvertConfig(ready.root, plate, "double", "ada", output)))[-1].values
    found = read_watermark(open_clip(output))
    assert found.identifier is not None
    assert f"{found.identifier:06x}" == values["watermark"]
    entry = look_up(found.identifier, ledgers(ready.root, Path("none"))[:1])
    assert entry is not None
    assert entry.manifest == manifest_digest(output)
    assert not read_watermark(open_clip(plate)).detected
