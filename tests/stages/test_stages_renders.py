"""What is known of renders: each by its own path, and by one process at a time."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from photodouble.errors import BadInput
from photodouble.project import Project
from photodouble.stages.convert_lock import alone
from photodouble.stages.render_record import RenderRecord


def saved(project: Project, output: Path) -> RenderRecord:
    record = RenderRecord(Path("p.mov"), output, Path("faces"), "ada", output.parent.name, "mesh", "exr")
    record.save(project)
    return record


def test_outputs_of_one_name_are_two_renders(project, tmp_path, monkeypatch) -> None:
    outputs = [tmp_path / shot / "comp" for shot in ("s010", "s020")]
    for output in outputs:
        output.mkdir(parents=True)
        saved(project, output)
    assert [RenderRecord.load(project, output).replaced for output in outputs] == ["s010", "s020"]
    (tmp_path / "link").symlink_to(tmp_path / "s010")
    monkeypatch.chdir(tmp_path / "s010")
    for way in (Path("comp"), Path("../s010/comp"), tmp_path / "link" / "comp"):
        assert RenderRecord.load(project, way).replaced == "s010"


def test_a_record_of_another_render_is_not_taken(project, tmp_path) -> None:
    saved(project, tmp_path / "a.mov")
    (tmp_path / "b").mkdir()
    moved = tmp_path / "b" / "a.mov"
    with pytest.raises(BadInput, match=r"knows no render .*b/a.mov, but one at .*a.mov: if it was moved") as caught:
        RenderRecord.load(project, moved)
    assert "\n" not in str(caught.value)
    shutil.copytree(project.render(tmp_path / "a.mov"), project.render(moved))
    with pytest.raises(BadInput, match="is of another render"):
        RenderRecord.load(project, moved)
    with pytest.raises(BadInput, match="Nothing is known"):
        RenderRecord.load(project, tmp_path / "a.mo")


HOLDING = """
import sys
from pathlib import Path
from photodouble.stages.convert_lock import alone
with alone(Path(sys.argv[1]), Path("a.mov")):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_a_render_is_one_processs_until_that_ends_however_it_does(tmp_path) -> None:
    folder = tmp_path / "renders" / "a"
    command = [sys.executable, "-c", HOLDING, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match="Another process is rendering"), alone(folder, Path("a.mov")):
            pass
        with alone(tmp_path / "renders" / "b", Path("b.mov")):
            pass
        process.kill()
        process.wait()
    with alone(folder, Path("a.mov")):
        pass
    with alone(folder, Path("a.mov")):
        pass
