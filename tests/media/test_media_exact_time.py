"""Timing as editors check it: every frame's time, every packet of sound, and what lies between the two."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from test_media_streams import packets
from test_media_time import copy, seconds

from photodouble.media import open_clip

RATES = {"23.976": (24000, 1001), "25": (25, 1), "29.97": (30000, 1001), "59.94": (60000, 1001)}
B_FRAMES = {"bf": "3", "g": "12", "x264-params": "b-adapt=0"}


def offset(path: Path) -> Fraction:
    """How much later the sound's first packet is shown than the first picture."""
    return packets(path, "audio")[0][0] - seconds(open_clip(path))[0]


def assert_same(plate: Path, written: Path) -> None:
    """The same times, the same sound, the same distance between them; Matroska's times are milliseconds."""
    slack = Fraction(1, 1000) if written.suffix == ".mkv" else Fraction(0)
    before, after = seconds(open_clip(plate)), seconds(open_clip(written))
    assert len(before) == len(after) and max(abs(a - b) for a, b in zip(before, after, strict=True)) <= slack
    one, other = packets(plate, "audio"), packets(written, "audio")
    assert [data for _, data in one] == [data for _, data in other]
    assert max(abs(a - b) for (a, _), (b, _) in zip(one, other, strict=True)) <= slack
    assert abs(offset(plate) - offset(written)) <= 2 * slack


@pytest.mark.parametrize(("rate", "target"), [("23.976", "mkv"), ("25", "mov"), ("29.97", "mov"), ("59.94", "mp4")])
def test_constant_rates(record, tmp_path, rate, target) -> None:
    base = 1 / Fraction(*RATES[rate])
    plate = record(tmp_path / "a.mov", pts=range(12), time_base=base, sound=True, options=B_FRAMES)
    copy(open_clip(plate), tmp_path / f"b.{target}")
    assert_same(plate, tmp_path / f"b.{target}")
    written = seconds(open_clip(tmp_path / f"b.{target}"))
    assert target == "mkv" or written == [index * base for index in range(12)]


@pytest.mark.parametrize("target", ["mov", "mkv"])
def test_b_frames(record, tmp_path, target) -> None:
    plate = record(tmp_path / "a.mp4", pts=[0, 1, 2, 5, 6, 7, 11, 12, 13, 20], sound=True, options=B_FRAMES)
    with av.open(str(plate)) as container:
        assert any(p.pts != p.dts for p in container.demux(video=0) if p.size)  # it has some
    copy(open_clip(plate), tmp_path / f"b.{target}")
    assert_same(plate, tmp_path / f"b.{target}")


def later_sound(plate: Path, path: Path, by: Fraction) -> Path:
    """The same streams with the sound `by` seconds later."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(plate)) as source, av.open(str(path), "w", container_options=options) as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                shift = round(by / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = copies[packet.stream_index]
            output.mux(packet)
    return path


@pytest.mark.parametrize(("source", "target"), [("mp4", "mp4"), ("mp4", "mkv"), ("mkv", "mov")])
def test_sound_that_starts_later_stays_later(record, tmp_path, source, target) -> None:
    first = record(tmp_path / "first.mp4", pts=range(20), sound=True)
    plate = later_sound(first, tmp_path / f"a.{source}", Fraction(1, 5))
    assert abs(offset(plate) - offset(first) - Fraction(1, 5)) < Fraction(1, 500)
    copy(open_clip(plate), tmp_path / f"b.{target}")
    slack = Fraction(1, 1000)
    assert abs(offset(tmp_path / f"b.{target}") - offset(plate)) <= slack
    assert [data for _, data in packets(tmp_path / f"b.{target}", "audio")] == [
        data for _, data in packets(plate, "audio")
    ]


@pytest.mark.parametrize("target", ["mp4", "mkv"])
def test_a_start_before_zero_keeps_the_distance_to_the_sound(record, tmp_path, target) -> None:
    options = {"avoid_negative_ts": "disabled"}
    path = record(tmp_path / "a.ts", pts=range(-5, 10), sound=True, container_options=options, options=B_FRAMES)
    plate = open_clip(path)
    assert seconds(plate)[0] < 0
    copy(plate, tmp_path / f"b.{target}")
    assert abs(offset(tmp_path / f"b.{target}") - offset(path)) <= Fraction(2, 1000)
    after = seconds(open_clip(tmp_path / f"b.{target}"))
    assert after[0] == 0 and np.allclose(np.diff([float(time) for time in after]), 0.04, atol=0.0011)


def with_edit_list(path: Path, start: int) -> None:
    """Have the picture track's edit list begin at `start` in the media's own units (ISO/IEC 14496-12, 8.6.6)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst")
    assert data[at + 4] == 0  # version 0: 32-bit
    assert int.from_bytes(data[at + 8 : at + 12], "big") == 1
    media = at + 16
    data[media : media + 4] = (int.from_bytes(data[media : media + 4], "big") + start).to_bytes(4, "big")
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("target", ["mp4", "mkv"])
def test_an_edit_list_hides_frames(record, tmp_path, target) -> None:
    """Four frames of 1/25 s before the edit are not shown, and are not written."""
    plate = record(tmp_path / "a.mp4", pts=range(20), sound=True, options={"bf": "0", "g": "1"})
    whole = list(open_clip(plate).frames())
    with av.open(str(plate)) as container:
        ticks = int(Fraction(4, 25) / container.streams.video[0].time_base)
    with_edit_list(plate, ticks)
    clip = open_clip(plate)
    shown = list(clip.frames())
    assert len(shown) == clip.count() == 16
    assert np.array_equal(shown[0].image, whole[4].image)
    copy(clip, tmp_path / f"b.{target}")
    assert_same(plate, tmp_path / f"b.{target}")
