"""What is written is what was given, whole or not at all."""

import os
import subprocess
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from test_media_time import copy

from photodouble.errors import BadInput
from photodouble.media import CODECS, ClipWriter, Frame, open_clip
from photodouble.media.writer import decodable

RANDOM = np.random.default_rng(3)


def noise(frame: Frame, dtype=np.uint8) -> Frame:
    return replace(frame, image=RANDOM.integers(0, np.iinfo(dtype).max + 1, frame.image.shape).astype(dtype))


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (17, 16)])
@pytest.mark.parametrize("format", ["bgr0", "gbrp10le", "gbrp12le", "gbrp16le"])
def test_ffv1_is_exact_in_rgb(record, tmp_path, size, format) -> None:
    plate = open_clip(record(tmp_path / "a.mkv", size=size, format=format, codec="ffv1", pts=range(3)))
    frames = [noise(frame, frame.image.dtype) for frame in plate.frames()]
    if plate.bit_depth in (10, 12):  # what the plate's depth holds
        top = (1 << plate.bit_depth) - 1

        def exact(image: np.ndarray) -> np.ndarray:
            code = np.rint(image * np.float32(top / 65535))
            return (code * np.float32(65535 / top) + 0.5).astype(np.uint16)

        frames = [replace(frame, image=exact(frame.image)) for frame in frames]
    with ClipWriter(tmp_path / "b.mkv", plate, "ffv1") as writer:
        for frame in frames:
            writer.write(frame)
    written = open_clip(tmp_path / "b.mkv")
    assert written.bit_depth == plate.bit_depth
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, written.frames(), strict=True))


@pytest.mark.parametrize("codec", ["h264", "hevc", "prores", "ffv1", "png", "tiff", "jpeg"])
@pytest.mark.parametrize("size", [(64, 48), (63, 48), (64, 47), (65, 49)])
def test_every_codec_keeps_the_size_and_the_picture(record, tmp_path, codec, size) -> None:
    plate = open_clip(record(tmp_path / "a.mkv", pts=range(3), size=size, format="yuv420p", codec="ffv1"))
    name = {"prores": "b.mov", "ffv1": "b.mkv", "h264": "b.mp4", "hevc": "b.mp4"}.get(codec, "b")
    written = copy(plate, tmp_path / name, codec=codec)
    assert (written.width, written.height) == size
    for a, b in zip(plate.frames(), written.frames(dtype=np.uint8), strict=True):
        assert b.image.shape == (size[1], size[0], 3)
        assert np.abs(a.image.astype(int) - b.image).mean() < 3.5


@pytest.mark.parametrize(
    ("codec", "format"), [("h264", "yuv420p10le"), ("hevc", "yuv422p10le"), ("prores", "yuv422p10le")]
)
def test_ten_bits_stay_ten_bits(record, tmp_path, codec, format) -> None:
    tags = (9, 9, 16, 1)
    path = record(
        tmp_path / "a.mkv", format=format, codec="ffv1", tags=tags, fill=lambda index: (400 + index, 500, 530)
    )
    plate = open_clip(path)
    assert plate.bit_depth == 10
    frames = list(plate.frames())
    assert len({int(frame.image[20, 20, 1]) for frame in frames}) == 10  # steps below those of 8 bits
    written = copy(plate, tmp_path / "b.mov", codec=codec)
    assert (written.bit_depth, written.colour) == (10, plate.colour)
    for a, b in zip(frames, written.frames(), strict=True):
        assert np.abs(a.image.astype(int) - b.image).max() < 3 * 65535 / 1023


def test_the_same_frames_give_the_same_bytes(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", sound=True))
    for suffix in ("mp4", "mkv", "mov"):
        copy(plate, tmp_path / f"b.{suffix}")
        copy(plate, tmp_path / f"c.{suffix}")
        assert (tmp_path / f"b.{suffix}").read_bytes() == (tmp_path / f"c.{suffix}").read_bytes()


def test_mp4_starts_with_its_index(record, tmp_path) -> None:
    copy(open_clip(record(tmp_path / "a.mkv")), tmp_path / "b.mp4")
    data = (tmp_path / "b.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "folder"])
def test_nothing_remains_after_an_exception(record, tmp_path, name) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", sound=True))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError), ClipWriter(tmp_path / name, plate) as writer:
        writer.write(next(plate.frames()))
        raise ZeroDivisionError
    assert sorted(tmp_path.iterdir()) == before


def test_an_older_output_survives_a_failure_and_is_replaced_by_a_success(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    (tmp_path / "b.mp4").write_bytes(b"older")
    with pytest.raises(ZeroDivisionError), ClipWriter(tmp_path / "b.mp4", plate) as writer:
        writer.write(next(plate.frames()))
        raise ZeroDivisionError
    assert (tmp_path / "b.mp4").read_bytes() == b"older"
    assert copy(plate, tmp_path / "b.mp4").count() == 10
    copy(plate, tmp_path / "folder")
    assert copy(plate, tmp_path / "folder").count() == 10


BAD_TARGETS = [
    ("missing/b.mp4", None, "does not exist"),
    ("missing/folder", None, "does not exist"),
    ("b.mp4", "ffv1", "goes into .mkv"),
    ("b.mp4", "prores", "goes into .mov"),
    ("b.m4v", "hevc", "goes into .mp4"),
    ("b.mp4", "png", "go into a folder"),
    ("b.xyz", None, "use .mp4"),
    ("b.mp4", "divx", "there is no codec"),
    ("a.mp4", None, "is the plate itself"),
    ("mine", "png", "holds other files"),
    ("b.png", None, "is one picture"),
    ("a.mp4/b.mp4", None, "does not exist"),
]


@pytest.mark.parametrize(("name", "codec", "words"), BAD_TARGETS)
def test_bad_targets_are_refused_in_one_sentence(record, tmp_path, name, codec, words) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.png").write_bytes(b"dear to me")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=words) as caught, ClipWriter(tmp_path / name, plate, codec) as writer:
        for frame in plate.frames():
            writer.write(frame)
    assert str(tmp_path) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_frame_of_another_size_is_refused(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    frame = next(plate.frames())
    with pytest.raises(BadInput, match="32x48 and not 64x48"), ClipWriter(tmp_path / "b.mp4", plate) as writer:
        writer.write(replace(frame, image=frame.image[:, :32]))


def test_a_clip_without_frames_is_refused(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    with pytest.raises(BadInput, match="Nothing was written"), ClipWriter(tmp_path / "b.mp4", plate):
        pass
    assert not (tmp_path / "b.mp4").exists()


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("target", ["b.mp4", "b.mkv", "b.mov", "ffv1.mkv", "folder", "tiff", "b.exr"])
def test_a_full_disk(record, tmp_path, small_disk, target) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", size=(256, 192)))
    codec = {"ffv1.mkv": "ffv1", "b.mov": "prores", "tiff": "tiff"}.get(target)
    with pytest.raises(BadInput, match="disk") as caught, ClipWriter(small_disk / target, plate, codec) as writer:
        for frame in plate.frames():
            writer.write(noise(frame))
    assert str(small_disk / target) in str(caught.value)
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_is_full_at_the_very_end(record, tmp_path, small_disk) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", size=(128, 96), sound=True))
    whole = copy(plate, tmp_path / "whole.mp4").path.read_bytes()
    outcomes = set()
    for slack in range(-8192, 12289, 4096):
        (small_disk / "filler").unlink(missing_ok=True)
        state = os.statvfs(small_disk)
        (small_disk / "filler").write_bytes(bytes(state.f_bavail * state.f_bsize - len(whole) - slack))
        try:
            copy(plate, small_disk / "b.mp4")
        except BadInput as error:
            assert "disk is full" in str(error)
            assert not (small_disk / "b.mp4").exists()
            outcomes.add("refused")
        else:
            assert (small_disk / "b.mp4").read_bytes() == whole
            (small_disk / "b.mp4").unlink()
            outcomes.add("written")
    assert outcomes == {"refused", "written"}


def test_a_read_only_folder(record, tmp_path, small_disk) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(BadInput, match="read-only"):
        copy(plate, small_disk / "b.mp4")


def test_codecs_are_those_promised() -> None:
    assert set(CODECS) >= {"h264", "hevc", "prores", "ffv1", "png", "tiff", "jpeg"}


def test_apple_players_get_their_hevc_tag(record, tmp_path) -> None:
    copy(open_clip(record(tmp_path / "a.mp4")), tmp_path / "b.mp4", codec="hevc")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_sample_aspect_is_carried(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", aspect=Fraction(16, 11)))
    assert plate.sample_aspect == Fraction(16, 11)
    for name in ("b.mp4", "b.mkv"):
        assert copy(plate, tmp_path / name).sample_aspect == Fraction(16, 11)


def test_decoding_times_are_made_where_an_encoder_leaves_them_undefined():
    packets = []
    for pts in (0, 160, 80, 40, 120):
        packet = av.Packet(b"x")
        packet.pts, packet.dts = pts, -94717637343976
        packets.append(packet)
    times = [packet.dts for packet in decodable(packets)]
    assert times == [-80, -40, 0, 40, 80]
    assert all(packet.dts <= packet.pts for packet in packets)
