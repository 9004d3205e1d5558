from pathlib import Path

import cv2
import numpy as np
import pytest

from photodouble.errors import BadInput
from photodouble.provenance import Marking, embed, finish
from photodouble.stages.events import Result
from photodouble.stages.inspect import InspectConfig, run

MARKING = Marking("shot", "synthetic", ["ab" * 32])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTODOUBLE_HOME", str(tmp_path / "home"))


def inspect(path: Path) -> dict:
    *_, last = run(InspectConfig(path))
    assert isinstance(last, Result)
    assert "authentic" not in str(last.values).lower()
    return last.values


def still(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8))
    return path


def test_a_clip_before_and_after_marking_and_after_one_byte(small_plate: Path, tmp_path: Path) -> None:
    values = inspect(small_plate)
    assert (values["verdict"], values["manifest"]["state"]) == ("no mark found", "absent")
    work, output = tmp_path / "work.mp4", tmp_path / "o.mp4"
    work.write_bytes(small_plate.read_bytes())
    finish(work, output, MARKING)
    values = inspect(output)
    assert values["verdict"] == "marked as altered"
    assert values["manifest"]["consent"] == ["ab" * 32]
    assert (values["manifest"]["trusted"], values["manifest"]["basis"]) == (True, "synthetic")
    assert values["watermark"]["detected"] is False and values["forensic"] is None
    data = bytearray(output.read_bytes())
    data[len(data) // 2] ^= 1
    output.write_bytes(data)
    values = inspect(output)
    assert (values["verdict"], values["manifest"]["state"]) == ("mark found but broken", "tampered")
    assert "mismatch" in values["manifest"]["reason"]


def test_the_watermark_is_still_there_without_the_manifest(portraits, tmp_path: Path) -> None:
    picture = cv2.resize(cv2.imread(str(portraits[0])), (320, 320), interpolation=cv2.INTER_AREA)
    path = tmp_path / "copy.jpg"
    assert cv2.imwrite(str(path), embed(picture, 0, 0xABC123), [cv2.IMWRITE_JPEG_QUALITY, 80])
    found = inspect(path)["watermark"]
    assert (found["detected"], found["identifier"], found["frames"]) == (True, "abc123", 1)
    assert 0.999 < found["confidence"] <= 1


def test_a_folder_is_as_good_as_its_worst_picture(tmp_path: Path) -> None:
    for index in range(3):
        still(tmp_path / "work" / f"{index}.png")
    folder = tmp_path / "out"
    finish(tmp_path / "work", folder, MARKING)
    values = inspect(folder)
    assert (values["verdict"], values["manifest"]["trusted"]) == ("marked as altered", True)
    assert values["pictures"] == {"valid": 3, "tampered": 0, "absent": 0, "missing": 0}
    still(folder / "3.png")
    values = inspect(folder)
    assert (values["verdict"], values["manifest"]["trusted"]) == ("no mark found", False)
    assert values["manifest"]["reason"].startswith("3.png:")
    data = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(data[:-20] + b"\0" + data[-19:])
    values = inspect(folder)
    assert values["verdict"] == "mark found but broken"
    assert values["pictures"] == {"valid": 2, "tampered": 1, "absent": 1, "missing": 0}


def test_what_is_neither_video_nor_picture_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a film")
    (tmp_path / "folder").mkdir()
    for name in ("text.mp4", "folder", "none.mp4"):
        with pytest.raises(BadInput) as told:
            inspect(tmp_path / name)
        assert name in str(told.value)
