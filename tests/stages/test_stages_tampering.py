"""Whatever is done to a marked file, the verdict is the right one of three."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble.provenance import ManifestState, Marking, finish, make_field, read_manifest, sidecar
from photodouble.stages.events import Result
from photodouble.stages.inspect import BROKEN, MARKED, NONE, InspectConfig, run, verdict

MARKING = Marking("shot", "synthetic", ["ab" * 32])
LOOKED = {"detected": False, "identifier": None, "confidence": 0.1}
FOUND = {"detected": True, "identifier": "0000abcd", "confidence": 0.99}


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory, small_plate: Path) -> Path:
    """A marked MP4 with sound."""
    folder = tmp_path_factory.mktemp("marked")
    shutil.copy(small_plate, folder / "work.mp4")
    finish(folder / "work.mp4", folder / "shot.mp4", MARKING)
    return folder / "shot.mp4"


def inspect(path: Path) -> dict:
    *_, last = run(InspectConfig(path))
    assert isinstance(last, Result)
    assert last.values["verdict"] in (MARKED, BROKEN, NONE)
    return last.values


def box(data: bytes, kind: bytes) -> tuple[int, int]:
    """Where the contents of a box at the file's top begin and end."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == kind:
            return at + 8, at + size
        at += size
    raise AssertionError(f"no {kind!r}")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_any_changed_byte_of_the_pictures_breaks_the_mark(
    marked: Path, tmp_path: Path, where: float, change: int
) -> None:
    data = bytearray(marked.read_bytes())
    start, end = box(bytes(data), b"mdat")
    data[start + int(where * (end - start))] ^= change
    (tmp_path / "changed.mp4").write_bytes(data)
    state = read_manifest(tmp_path / "changed.mp4")
    assert (verdict(state, LOOKED, None), state.state) == (BROKEN, "tampered")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.floats(0.05, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_broken(marked: Path, tmp_path: Path, kept: float) -> None:
    data = marked.read_bytes()
    start, _ = box(data, b"uuid")  # where the manifest lies; what is cut off before it never had one
    (tmp_path / "cut.mp4").write_bytes(data[: max(start + 60, int(kept * len(data)))])
    assert inspect(tmp_path / "cut.mp4")["verdict"] == BROKEN


def test_bytes_at_the_end_break_the_mark(marked: Path, tmp_path: Path) -> None:
    (tmp_path / "longer.mp4").write_bytes(marked.read_bytes() + b"\0\0\0\x10free" + bytes(8))
    assert inspect(tmp_path / "longer.mp4")["verdict"] == BROKEN


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("frames", [12, 30])
def test_trimming_and_remuxing_lose_the_manifest_and_only_the_watermark_is_left(
    marked: Path, tmp_path: Path, suffix: str, frames: int
) -> None:
    copy = tmp_path / f"copy{suffix}"
    remux(marked, copy, frames)
    values = inspect(copy)
    assert (values["verdict"], values["manifest"]["state"]) == (NONE, "absent")
    state = read_manifest(copy)
    assert verdict(state, LOOKED, None) == NONE
    assert verdict(state, FOUND, None) == MARKED


def remux(source: Path, target: Path, frames: int) -> None:
    """Copy the first `frames` pictures, without encoding anything, as any cutting tool does."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for packet in reading.demux(video=0):
            if packet.dts is not None and packet.pts * packet.time_base < Fraction(frames, 24):
                packet.stream = stream
                writing.mux(packet)


def test_a_changed_manifest_is_broken(marked: Path, tmp_path: Path) -> None:
    data = bytearray(marked.read_bytes())
    at = data.find(b"synthetic")
    data[at : at + 9] = b"release  "
    (tmp_path / "changed.mp4").write_bytes(data)
    assert inspect(tmp_path / "changed.mp4")["verdict"] == BROKEN


def test_a_sidecar_of_another_file_is_broken_and_none_is_none(tmp_path: Path, small_plate: Path) -> None:
    for name in ("one.mkv", "two.mkv"):
        work = tmp_path / f"work-{name}"
        remux(small_plate, work, 20 if name == "one.mkv" else 10)
        finish(work, tmp_path / name, MARKING)
        assert inspect(tmp_path / name)["verdict"] == MARKED
    one, two = tmp_path / "one.mkv", tmp_path / "two.mkv"
    shutil.copy(sidecar(two), sidecar(one))
    assert inspect(one)["verdict"] == BROKEN
    sidecar(one).unlink()
    assert inspect(one)["verdict"] == NONE


def test_a_sequence_tells_which_pictures_are_gone(tmp_path: Path) -> None:
    """Also of a format that holds no manifest: each picture has its own beside it."""
    (tmp_path / "work").mkdir()
    for index in range(4):
        image = np.random.default_rng(index).random((24, 32, 3), np.float32)
        assert cv2.imwrite(str(tmp_path / "work" / f"{index}.tif"), image)
        (tmp_path / "work" / f"{index}.tif").rename(tmp_path / "work" / f"{index}.dpx")
    finish(tmp_path / "work", tmp_path / "out", MARKING)
    values = inspect(tmp_path / "out")
    assert (values["verdict"], values["pictures"]["valid"], values["pictures"]["missing"]) == (MARKED, 4, 0)
    (tmp_path / "out" / "3.dpx").unlink()
    values = inspect(tmp_path / "out")
    assert (values["verdict"], values["pictures"]["missing"]) == (MARKED, 1)
    shutil.copy(tmp_path / "out" / "0.c2pa", tmp_path / "out" / "1.c2pa")
    assert inspect(tmp_path / "out")["verdict"] == BROKEN


def test_what_a_file_says_of_itself_is_told_even_without_a_signature(tmp_path: Path, small_plate: Path) -> None:
    shutil.copy(small_plate, tmp_path / "work.mkv.mp4")
    remux(small_plate, tmp_path / "work.mkv", 8)
    field = make_field("studio-12", "shot")
    finish(tmp_path / "work.mkv", tmp_path / "shot.mkv", Marking("shot", "synthetic", ["ab" * 32], field=field))
    sidecar(tmp_path / "shot.mkv").unlink()
    values = inspect(tmp_path / "shot.mkv")
    assert (values["manifest"]["state"], values["declared"]["ContentProducer"]) == ("absent", "studio-12")
    assert values["verdict"] == MARKED


@pytest.mark.parametrize(
    ("state", "altered", "watermark", "declared", "told"),
    [
        ("valid", True, LOOKED, None, MARKED),
        ("valid", True, FOUND, None, MARKED),
        ("valid", False, LOOKED, None, NONE),  # a camera's manifest
        ("valid", False, FOUND, None, MARKED),
        ("tampered", False, LOOKED, None, BROKEN),
        ("tampered", False, FOUND, {"Label": "1"}, BROKEN),
        ("absent", False, LOOKED, None, NONE),
        ("absent", False, FOUND, None, MARKED),
        ("absent", False, LOOKED, {"Label": "1"}, MARKED),
        ("absent", False, {"detected": None}, None, NONE),
    ],
)
def test_the_verdict_follows_the_surest_mark(
    state: str, altered: bool, watermark: dict, declared: dict | None, told: str
) -> None:
    found = ManifestState(state, "", altered=altered)  # type: ignore[arg-type]
    assert verdict(found, watermark, declared) == told


def test_the_page_holds_verdict_questions_and_frames(marked: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    *_, last = run(InspectConfig(marked, page))
    assert last.values["report"] == str(page)
    text = page.read_text()
    assert MARKED in text and "ab" * 32 in text and "Signed manifest" in text
    assert text.count("data:image/jpeg;base64,") == 6
    assert "http://" not in text.replace("http://cv.iptc.org", "") and "<script" not in text and 'src="data:' in text
    assert "authentic" not in text.lower()


def test_names_in_a_file_cannot_write_into_the_page(tmp_path: Path, small_plate: Path) -> None:
    shutil.copy(small_plate, tmp_path / "work.mp4")
    title = "<script>alert(1)</script>"
    finish(tmp_path / "work.mp4", tmp_path / "shot.mp4", Marking(title, "synthetic", ["ab" * 32]))
    page = tmp_path / "page.html"
    list(run(InspectConfig(tmp_path / "shot.mp4", page)))
    assert "<script" not in page.read_text() and "&lt;script&gt;" in page.read_text()
