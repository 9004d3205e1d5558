"""Swap and demo through the real command line: what comes out, and what bad input leaves behind: nothing."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from photodouble import weights
from photodouble.cli import main
from photodouble.consent import add_record, digest, require
from photodouble.project import Project
from photodouble.stages import demo
from photodouble.stages.swap import ACTOR, DOUBLE
from photodouble.stages.train import TrainConfig
from photodouble.stages.train import run as train

STATED = ("--basis", "synthetic", "--reference", "openpeople 0.1.2")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing certificates of the test's own."""
    monkeypatch.setenv("PHOTODOUBLE_HOME", str(tmp_path / "home"))


def times(path: Path) -> list:
    with av.open(str(path)) as container:
        return sorted(p.pts * p.time_base for p in container.demux(container.streams.video[0]) if p.pts is not None)


def command(capsys: pytest.CaptureFixture, *words: object) -> dict:
    """Run the command line with `--json`; it must end well. The result, with standard error as `told`."""
    status = main([str(word) for word in words] + ["--json"])
    said = capsys.readouterr()
    assert status == 0, said.err
    return json.loads(said.out) | {"told": " ".join(said.err.split())}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_mesh_from_plate_to_signed_swap(tmp_path, small_plate, portraits, capsys):
    output = tmp_path / "out" / "o.mp4"
    output.parent.mkdir()
    words = ["swap", small_plate, "--to", portraits[1], "--output", output, "--model", "mesh", *STATED]
    values = command(capsys, *words)
    assert values["output"] == str(output)
    assert values["frames"] == values["frames_with_face"] == 30
    assert set(values["seconds"]) == {"extract double", "extract actor", "convert", "report", "all"}
    assert values["training"] == {}
    assert values["quality"]["frames"] == 30
    assert values["quality"]["similarity_wanted"] > values["quality"]["similarity_replaced"]
    assert times(output) == times(small_plate)
    assert sorted(path.name for path in output.parent.iterdir()) == ["o.mp4", "o.photodouble", "o.report.html"]
    assert Path(values["report"]).read_text().startswith("<!")
    project = Project(output.parent / "o.photodouble")
    manifest = command(capsys, "inspect", output)["manifest"]
    assert manifest["state"] == "valid"
    assert manifest["consent"] == [digest(require(project, name, date.today())) for name in (ACTOR, DOUBLE)]
    data = bytearray(output.read_bytes())
    data[len(data) // 2] ^= 1
    output.write_bytes(data)
    assert command(capsys, "inspect", output)["manifest"]["state"] == "tampered"


def test_lite_from_three_stills_and_again_and_with_another_person(tmp_path, small_plate, stills, capsys):
    output, project = tmp_path / "o.mp4", tmp_path / "project"
    words = ["--output", output, "--minutes", 0.05, "--project", project, *STATED]
    values = command(capsys, "swap", small_plate, "--to", *stills, *words)
    assert values["model"] == "lite"
    assert values["frames"] == values["frames_with_face"] == 30
    assert values["training"]["images"] > 0
    assert values["training"]["images_per_second"] > 0
    assert 0 < values["training"]["ssim"] <= 1
    assert values["training"]["stopped"].endswith(".")
    assert {"train", "convert", "report"} <= set(values["seconds"])
    assert command(capsys, "inspect", output)["manifest"]["state"] == "valid"
    before = {path: sha256(path) for path in (output, project / "models" / "lite" / "weights.safetensors")}
    again = command(capsys, "swap", small_plate, "--to", *stills, *words)
    assert "Continuing the training" in again["told"]
    assert again["training"]["images"] == values["training"]["images"]
    before[output] = sha256(output)
    other = weights.path("person_p005_portrait")
    assert main([str(word) for word in ("swap", small_plate, "--to", other, *words)]) == 3
    assert "is the person in the consent record of 'actor'" in capsys.readouterr().err
    assert before == {path: sha256(path) for path in before}


def test_demo_recasts_its_plate(tmp_path, small_plate, monkeypatch, capsys):
    """With a smaller clip and fewer pictures than the real one, which takes minutes."""
    own = tmp_path / "weights"
    own.mkdir()
    shutil.copy(small_plate, own / "clip.mp4")
    plate = replace(weights.REGISTRY[demo.PLATE], sha256=sha256(small_plate), size=small_plate.stat().st_size)
    monkeypatch.setitem(weights.REGISTRY, demo.PLATE, plate)
    monkeypatch.setenv("PHOTODOUBLE_WEIGHTS", str(own))
    monkeypatch.setattr(demo, "PICTURES", ("portrait", "selfie"))
    output = tmp_path / "out" / "demo"
    values = command(capsys, "demo", "--output", output, "--minutes", "0.02")
    assert {path.name for path in output.iterdir()} == {"swap.mp4", "mesh.mp4", "report.html", "project"}
    assert (values["output"], values["report"]) == (str(output / "swap.mp4"), str(output / "report.html"))
    assert set(values["qualities"]) == {"lite", "mesh"}
    assert values["training"]["images"] > 0
    assert times(output / "swap.mp4") == times(output / "mesh.mp4") == times(small_plate)
    assert "without any training, is in" in values["told"]
    for name in ("swap.mp4", "mesh.mp4"):
        assert command(capsys, "inspect", output / name)["manifest"]["basis"] == "synthetic"


@dataclass
class Place:
    """What a case of bad input may use and spoil: `project` has the faces of `double` and `ada` and a `lite` of them.

    `output` is the name under which nothing may lie afterwards; `undo` is called at the end.
    """

    root: Path
    plate: Path
    person: Path
    project: Project
    monkeypatch: pytest.MonkeyPatch
    undo: Callable[[Callable[[], object]], object]
    output: Path

    def swap(self, plate: Path | None = None, to: Path | None = None, stated: tuple[str, ...] = STATED) -> list:
        place = ["--project", self.root / "new", "--model", "mesh"]
        return ["swap", plate or self.plate, "--to", to or self.person, "--output", self.output, *place, *stated]

    def convert(self, model: str = "lite") -> list:
        people = ["--from", "double", "--to", "ada", "--model", model]
        return ["convert", self.plate, *people, "--output", self.output, "--project", self.project.root]

    def mount(self, *options: str) -> Path:
        """A small file system."""
        folder = self.root / "mounted"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("file systems cannot be mounted here")
        self.undo(lambda: subprocess.run(["umount", "-l", str(folder)], check=True))
        return folder


@pytest.fixture(scope="module")
def _trained(tmp_path_factory, _cast, copy_project) -> Project:
    project = copy_project(_cast, tmp_path_factory.mktemp("trained") / "project")
    list(train(TrainConfig(project.root, "double", "ada", images=16)))
    return project


@pytest.fixture
def place(tmp_path, small_plate, portraits, _trained, copy_project, monkeypatch, request) -> Iterator[Place]:
    project = copy_project(_trained, tmp_path / "project")
    output = tmp_path / "out" / "o.mp4"
    output.parent.mkdir()
    yield Place(tmp_path, small_plate, portraits[1], project, monkeypatch, request.addfinalizer, output)


def no_video(p: Place) -> list:
    (p.root / "text.mp4").write_text("not a film\n" * 99)
    return p.swap(plate=p.root / "text.mp4")


def no_plate(p: Place) -> list:
    return p.swap(plate=p.root / "none.mp4")


def cut_off(p: Place) -> Path:
    path = p.root / "cut.mp4"
    path.write_bytes(p.plate.read_bytes()[: p.plate.stat().st_size * 2 // 3])
    return path


def truncated_plate(p: Place) -> list:
    return p.swap(plate=cut_off(p))


def truncated_source(p: Place) -> list:
    return p.swap(to=cut_off(p))


def faceless(p: Place) -> Path:
    path = p.root / "grey.mkv"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 24, (160, 120))
    for index in range(6):
        writer.write(np.full((120, 160, 3), 90 + 10 * index, np.uint8))
    writer.release()
    return path


def faceless_plate(p: Place) -> list:
    return p.swap(plate=faceless(p))


def faceless_source(p: Place) -> list:
    return p.swap(to=faceless(p))


def empty_folder(p: Place) -> list:
    (p.root / "empty").mkdir()
    return p.swap(to=p.root / "empty")


def tiny(p: Place) -> Path:
    path = p.root / "tiny.png"
    assert cv2.imwrite(str(path), np.zeros((16, 16, 3), np.uint8))
    return path


def tiny_source(p: Place) -> list:
    return p.swap(to=tiny(p))


def tiny_plate(p: Place) -> list:
    p.output = p.output.with_suffix(".png")
    return p.swap(plate=tiny(p))


def nothing_stated(p: Place) -> list:
    return p.swap(stated=())


def half_stated(p: Place) -> list:
    return p.swap(stated=STATED[:2])


def no_record(p: Place) -> list:
    p.project.consent("ada").unlink()
    return p.convert()


def expired(p: Place) -> list:
    add_record(p.project, "ada", "release", "contract 12", expires=date(2020, 1, 31))
    return p.convert()


def broken_record(p: Place) -> list:
    p.project.consent("ada").write_text("basis = ")
    return p.convert()


def missing_folder(p: Place) -> list:
    p.output = p.root / "nowhere" / "o.mp4"
    return p.swap()


def below_a_file(p: Place) -> list:
    (p.root / "file").write_text("")
    p.output = p.root / "file" / "o.mp4"
    return p.swap()


def read_only(p: Place) -> list:
    p.output = p.mount("-o", "ro") / "o.mp4"
    return p.swap()


def full_disk(p: Place) -> list:
    """Room for a part of the output."""
    p.output = p.mount("-o", "size=16k") / "o.mp4"
    return p.convert("mesh")


def full_project(p: Place) -> list:
    words = p.swap()
    words[words.index("--project") + 1] = p.mount("-o", "size=64k") / "project"
    return words


def the_plate_itself(p: Place) -> list:
    shutil.copy(p.plate, p.output)
    p.plate, p.output = p.output, p.output.with_name("other.mp4")
    words = p.swap()
    words[words.index("--output") + 1] = p.plate
    return words


def no_weights(p: Place, arguments: Callable[[], list] | None = None) -> list:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PHOTODOUBLE_WEIGHTS"):
        p.monkeypatch.delenv(name, raising=False)
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        p.monkeypatch.setenv(name, value)
    p.monkeypatch.setenv("PHOTODOUBLE_CACHE", str(p.root / "cache"))
    return p.swap()


def no_weights_for_the_demo(p: Place) -> list:
    no_weights(p)
    p.output = p.root / "demo" / "swap.mp4"
    return ["demo", "--output", p.output.parent]


def demo_below_a_file(p: Place) -> list:
    (p.root / "file").write_text("")
    p.output = p.root / "file" / "demo" / "swap.mp4"
    return ["demo", "--output", p.output.parent]


def cut_off_model(p: Place) -> list:
    path = p.project.model("lite") / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    return p.convert()


def altered_model(p: Place) -> list:
    path = p.project.model("lite") / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    return p.convert()


def altered_description(p: Place) -> list:
    path = p.project.model("lite") / "model.json"
    path.write_text(path.read_text().replace('"ada"', '"eve"'))
    return p.convert()


def no_model(p: Place) -> list:
    return p.convert("original")


def unknown_model(p: Place) -> list:
    words = p.swap()
    words[words.index("--model") + 1] = "huge"
    return words


def unknown_suffix(p: Place) -> list:
    p.output = p.output.with_suffix(".xyz")
    return p.swap()


def one_picture_for_a_clip(p: Place) -> list:
    p.output = p.output.with_suffix(".png")
    return p.swap()


def wrong_codec(p: Place) -> list:
    return [*p.swap(), "--codec", "prores"]


CASES = [
    (no_video, 2, r"text\.mp4"),
    (no_plate, 2, r"none\.mp4"),
    (truncated_plate, 2, r"cut\.mp4"),
    (truncated_source, 2, r"cut\.mp4"),
    (faceless_plate, 2, r"No face was found in .*grey\.mkv"),
    (faceless_source, 2, r"No face was found in .*grey\.mkv"),
    (empty_folder, 2, r"empty"),
    (tiny_source, 2, r"tiny\.png is 16x16 pixels"),
    (tiny_plate, 2, r"tiny\.png is 16x16 pixels"),
    (nothing_stated, 3, r"--basis"),
    (half_stated, 3, r"--reference"),
    (no_record, 3, r"consent add ada"),
    (expired, 3, r"'ada' expired on 2020-01-31"),
    (broken_record, 2, r"consent\.toml"),
    (missing_folder, 2, r"nowhere does not exist"),
    (below_a_file, 2, r"file/o\.mp4"),
    (read_only, 2, r"read-only"),
    (full_disk, 2, r"needs about .* on the disk of .*mounted"),
    (full_project, 2, r"The disk is full while writing .*mounted"),
    (the_plate_itself, 2, r"is the plate itself"),
    (no_weights, 2, r"Cannot fetch"),
    (no_weights_for_the_demo, 2, r"Cannot fetch demo_plate"),
    (demo_below_a_file, 2, r"file/demo"),
    (cut_off_model, 2, r"weights\.safetensors is cut off or was altered"),
    (altered_model, 2, r"weights\.safetensors is cut off or was altered"),
    (altered_description, 2, r"model\.json is cut off or was altered"),
    (no_model, 2, r"There is no model in .*original"),
    (unknown_model, 2, r"There is no model 'huge'"),
    (one_picture_for_a_clip, 2, r"one picture and cannot hold a clip"),
    (wrong_codec, 2, r"prores goes into"),
    (unknown_suffix, 2, r"o\.xyz"),
]


@pytest.mark.parametrize(("case", "status", "sentence"), CASES, ids=[case.__name__ for case, *_ in CASES])
def test_bad_input(case, status, sentence, place, capsys):
    words = [str(word) for word in case(place)]
    beside = sorted(place.output.parent.iterdir()) if place.output.parent.is_dir() else []
    assert main([*words, "--json"]) == status
    told = capsys.readouterr()
    values = json.loads(told.out)
    assert values["exit_status"] == status
    error = values["error"]
    assert re.search(sentence, error)
    assert "\n" not in error and error.endswith(".") and not re.search(r"\. [A-Z]", error)
    assert told.err.rstrip().endswith(f"error: {error}")
    assert "Traceback" not in told.err
    assert not place.output.exists()
    assert (sorted(place.output.parent.iterdir()) if place.output.parent.is_dir() else []) == beside
