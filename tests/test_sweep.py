"""What killed processes left half-written is removed, what a running one writes is not."""

import os
import subprocess
import sys

import pytest

from photodouble.files import sweep


@pytest.mark.skipif(sys.platform == "win32", reason="whether a process runs is not asked there")
def test_only_what_nobody_writes_any_more_is_swept(tmp_path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as running:
        kept = tmp_path / f".a.{running.pid}.part.mov"
        gone = [tmp_path / f".a.{os.getpid()}.part.mp4", tmp_path / ".a.999999999.part"]
        others = [tmp_path / f".b.{os.getpid()}.part.mp4", tmp_path / "a.mp4"]
        for file in (kept, *gone, *others):
            file.touch()
        sweep(tmp_path / "a.mp4")
        assert kept.exists() and all(file.exists() for file in others)
        assert not any(file.exists() for file in gone)
        running.kill()
        running.wait()
    sweep(tmp_path / "a.mp4")
    assert not kept.exists()
