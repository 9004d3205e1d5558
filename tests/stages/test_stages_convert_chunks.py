"""Renders in chunks: killed anywhere they go on, and what they write does not depend on it."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photodouble.compositing import USUAL, Settings
from photodouble.errors import BadInput
from photodouble.media import open_clip, read_mattes
from photodouble.project import Project
from photodouble.provenance import read_manifest
from photodouble.stages import convert_preview
from photodouble.stages.convert import ConvertConfig, run
from photodouble.stages.convert_disk import check_space, disk_bytes
from photodouble.stages.events import Progress, Warned
from photodouble.stages.presets import chosen, load_preset, preset_names

CHUNK = 8
"""Frames in a chunk here: `small_plate` has four, the last one with 6 frames."""


@pytest.fixture(scope="module")
def made(_cast, small_plate, tmp_path_factory, copy_project):
    """A project whose plate is planned, a config, and the result of an uninterrupted render."""
    folder = tmp_path_factory.mktemp("chunks")
    project = copy_project(_cast, folder / "project")
    config = ConvertConfig(project.root, small_plate, "double", "ada", folder / "whole.mkv", chunk=CHUNK)
    values = list(run(config))[-1].values
    # The watermark depends on the output's name: what is compared bears the same one, and shares its folder there.
    matte = shutil.copyfile(values["matte"], folder / "matte.mkv")
    return project, config, values | {"matte": str(matte)}


def bytes_of(values):
    """What must be the same: the film before its manifest, and the matte."""
    return values["film_sha256"], Path(values["matte"]).read_bytes()


def test_a_film_whose_manifest_lies_beside_it_is_the_same_file(made, tmp_path) -> None:
    _, config, values = made
    again = list(run(replace(config, output=tmp_path / "whole.mkv")))[-1].values
    assert bytes_of(again) == bytes_of(values)
    assert (tmp_path / "whole.mkv").read_bytes() == config.output.read_bytes()


def test_the_number_of_processes_does_not_matter(made, tmp_path) -> None:
    _, config, values = made
    two = list(run(replace(config, output=tmp_path / "whole.mkv", jobs=2)))[-1].values
    assert bytes_of(two) == bytes_of(values)
    assert two["faces_drawn"] == 30


def test_a_folder_of_pictures_goes_on_too(made, tmp_path) -> None:
    _, config, _ = made
    config = replace(config, output=tmp_path / "pictures")
    whole = list(run(config))[-1].values
    interrupted(config)
    assert bytes_of(list(run(config))[-1].values) == bytes_of(whole)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 30
    (tmp_path / "pictures" / "mine.txt").write_text("dear to me")
    with pytest.raises(BadInput, match="holds other files"):
        list(run(config))


RENDERING = """
import os, sys
from pathlib import Path
from photodouble.stages.convert import ConvertConfig, run
root, plate, output = map(Path, sys.argv[1:])
for line in sys.stdin:
    pid = os.fork()  # what is imported is imported once
    if not pid:
        for event in run(ConvertConfig(root, plate, "double", "ada", output, chunk=8)):
            pass
        os._exit(0)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""


def test_killed_at_ten_random_moments_it_ends_in_the_same_bytes(made, tmp_path) -> None:
    project, config, values = made
    output = tmp_path / "whole.mkv"
    command = [sys.executable, "-c", RENDERING, str(project.root), str(config.plate), str(output)]
    moments = random.Random(1)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(10):
            process.stdin.write("go\n")
            process.stdin.flush()
            pid = int(process.stdout.readline())
            time.sleep(moments.uniform(0, 1.2))
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(pid, signal.SIGKILL)
            assert process.stdout.readline() == "ended\n"
            assert not output.exists() or read_manifest(output).state == "valid"
        process.stdin.close()
    final = list(run(replace(config, output=output)))[-1].values
    assert bytes_of(final) == bytes_of(values)
    assert output.read_bytes() == config.output.read_bytes()
    assert not [item.name for item in project.render(output).iterdir() if "chunk" in item.name or "part" in item.name]


def interrupted(config, frames=20):
    """Run it until so many frames are done, then stop it."""
    steps = run(config)
    for event in steps:
        if isinstance(event, Progress) and not event.text and event.done >= frames:
            steps.close()
            return
    raise AssertionError("it ended")


def test_finished_chunks_are_used_again_unless_damaged_or_of_other_settings(made, tmp_path) -> None:
    project, config, values = made
    config = replace(config, output=tmp_path / "whole.mkv")
    interrupted(config)
    (folder,) = project.render(config.output).glob("chunks-*")
    assert sorted(item.stem for item in folder.glob("*.json")) == ["00000000", "00000008"]
    piece = folder / "00000008.video"
    data = bytearray(piece.read_bytes())
    data[len(data) // 2] ^= 1
    piece.write_bytes(data)
    events = list(run(config))
    said = [event.message for event in events if isinstance(event, Warned)]
    assert any("1 chunks are done" in sentence for sentence in said)
    assert bytes_of(events[-1].values) == bytes_of(values)
    interrupted(config)
    other = replace(config, settings=Settings(opacity=0.5))
    events = list(run(other))
    assert not [event for event in events if isinstance(event, Warned)]
    assert bytes_of(events[-1].values) != bytes_of(values)


def test_chosen_frames_get_a_face_and_the_others_stay(made, tmp_path) -> None:
    _, config, _ = made
    config = replace(config, output=tmp_path / "some.mkv", codec="ffv1", frames="3,7-9")
    values = list(run(config))[-1].values
    assert values["faces_drawn"] == 4
    mattes = list(read_mattes(Path(values["matte"])))
    assert [index for index, matte in enumerate(mattes) if matte.any()] == [3, 7, 8, 9]
    for one, other, matte in zip(
        open_clip(config.plate).frames(), open_clip(config.output).frames(), mattes, strict=True
    ):
        assert np.array_equal(one.image[matte == 0], other.image[matte == 0])


@pytest.mark.parametrize("frames", ["x", "9-3", "30", "1,,2", "-1"])
def test_frames_that_cannot_be_meant_are_said(made, tmp_path, frames) -> None:
    with pytest.raises(BadInput, match=r"frame|range"):
        list(run(replace(made[1], output=tmp_path / "some.mkv", frames=frames)))


def test_a_preview_shows_the_frames_with_the_settings_and_plans_nothing_anew(made, tmp_path) -> None:
    _, config, _ = made
    config = replace(config, output=tmp_path / "look", frames="2,10-11")
    events = list(convert_preview.run(config))
    assert not [event for event in events if isinstance(event, Progress) and event.text]
    values = events[-1].values
    assert values["pictures"] == ["000002.png", "000010.png", "000011.png"]
    assert values["faces_drawn"] == 3
    plate = {frame.index: frame.image for frame in open_clip(config.plate).frames()}
    for name in values["pictures"]:
        assert read_manifest(tmp_path / "look" / name).state == "valid"
        (shown,) = open_clip(tmp_path / "look" / name).frames()
        assert 0.02 < (shown.image != plate[int(name[:6])]).any(2).mean() < 0.5
    list(convert_preview.run(replace(config, settings=replace(USUAL, opacity=0))))
    (shown,) = open_clip(tmp_path / "look" / "000002.png").frames()
    assert np.array_equal(shown.image, plate[2])


def test_presets_are_kept_in_the_project(project: Project) -> None:
    settings = chosen(project.root, None, {"colour": 0.5, "grain": None}, "soft skin")
    assert settings == replace(USUAL, colour=0.5)
    assert (load_preset(project, "soft skin"), preset_names(project)) == (settings, ["soft skin"])
    assert chosen(project.root, "soft skin", {"opacity": 0.9}, None) == replace(settings, opacity=0.9)
    for name, text, says in (
        ("absent", None, "there are: soft skin"),
        ("../x", None, "cannot be called"),
        ("bad", "colour = [", "Cannot read"),
        ("odd", "hue = 1", "hue"),
        ("far", "colour = 9", "from 0 to 1"),
    ):
        if text is not None:
            (project.root / "presets" / f"{name}.toml").write_text(text)
        with pytest.raises(BadInput, match=says):
            load_preset(project, name)


def test_a_render_that_does_not_fit_is_refused_before_it_begins(made, tmp_path) -> None:
    clip = open_clip(made[1].plate)
    film, mattes, both = disk_bytes(clip, "h264")
    assert check_space(clip, "h264", tmp_path, tmp_path / "o.mp4", tmp_path / "m.mkv", 0) == film + mattes + both
    huge = replace(clip, estimated_frames=10**9)
    with pytest.raises(BadInput, match=r"needs about [\d.]+ TB on the disk of .* free"):
        check_space(huge, "h264", tmp_path, tmp_path / "o.mp4", None, 0)


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(disk)]
    if subprocess.run(size, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_fills_up_leaves_the_finished_chunks(made, tmp_path, small_disk) -> None:
    project, config, values = made
    output = tmp_path / "whole.mkv"
    renders = project.render(output)
    renders.symlink_to(small_disk)
    filler = small_disk / "filler"
    with pytest.raises(BadInput, match="disk is full"):
        for event in run(replace(config, output=output)):
            if isinstance(event, Progress) and not event.text and event.done > CHUNK and not filler.exists():
                free = shutil.disk_usage(small_disk).free
                filler.write_bytes(bytes(max(free - 4096, 0)))
    assert not output.exists()
    assert len(list(small_disk.glob("chunks-*/*.json"))) >= 1
    filler.unlink()
    final = list(run(replace(config, output=output)))[-1].values
    assert bytes_of(final) == bytes_of(values)
    renders.unlink()
