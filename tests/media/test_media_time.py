"""Timestamps, counting and seeking."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from photodouble.errors import BadInput
from photodouble.media import Clip, ClipWriter, open_clip

VARIABLE = [0, 40, 80, 200, 210, 220, 300, 301, 500, 900, 1000]  # milliseconds
SCENES = {"g": "12", "bf": "3", "keyint_min": "12", "sc_threshold": "0"}


def seconds(clip: Clip) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in clip.frames(dtype=np.uint8)]


def copy(plate: Clip, path, **options) -> Clip:
    with ClipWriter(path, plate, **options) as writer:
        for frame in plate.frames():
            writer.write(frame)
    return open_clip(path)


@pytest.mark.parametrize("source", ["mp4", "mov", "mkv", "ts"])
@pytest.mark.parametrize("target", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("first", [0, 500])
def test_a_variable_rate_is_carried(record, tmp_path, source, target, first) -> None:
    pts = [time + first for time in VARIABLE]
    plate = open_clip(record(tmp_path / f"a.{source}", pts=pts, time_base=Fraction(1, 1000), sound=True))
    times = seconds(plate)
    assert [time - times[0] for time in times] == [Fraction(time, 1000) for time in VARIABLE]
    written = copy(plate, tmp_path / f"b.{target}")
    if target == "mkv":
        assert max(abs(a - b) for a, b in zip(seconds(written), times, strict=True)) <= Fraction(1, 2000)
    else:
        assert seconds(written) == times


@pytest.mark.parametrize("codec", ["h264", "hevc", "prores", "ffv1"])
@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24)])
def test_each_codec_keeps_the_times(record, tmp_path, codec, rate) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=range(8), time_base=1 / rate))
    target = tmp_path / {"prores": "b.mov", "ffv1": "b.mkv"}.get(codec, "b.mp4")
    written = copy(plate, target, codec=codec)
    if target.suffix == ".mkv":  # milliseconds
        assert seconds(written) == [Fraction(round(time * 1000), 1000) for time in seconds(plate)]
    else:
        assert seconds(written) == seconds(plate)
        assert (1 / written.time_base) % rate.numerator == 0
    assert written.count() == 8


def test_the_last_frame_keeps_its_duration(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=VARIABLE, time_base=Fraction(1, 1000)))
    last = list(plate.frames())[-1]
    assert last.duration > 0
    copied = list(copy(plate, tmp_path / "b.mp4").frames())[-1]
    assert copied.duration * copied.time_base == last.duration * last.time_base


@pytest.mark.parametrize("target", ["mp4", "mkv"])
def test_a_plate_that_starts_before_zero_is_moved_with_its_sound(record, tmp_path, target) -> None:
    pts = [time - 200 for time in VARIABLE]
    options = {"avoid_negative_ts": "disabled"}
    path = record(tmp_path / "a.ts", pts=pts, time_base=Fraction(1, 1000), sound=True, container_options=options)
    plate = open_clip(path)
    assert seconds(plate)[0] == Fraction(-1, 5)
    assert seconds(copy(plate, tmp_path / f"b.{target}")) == [Fraction(time, 1000) for time in VARIABLE]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_a_part_is_the_same_frames_as_in_the_whole(record, tmp_path, suffix) -> None:
    plate = open_clip(record(tmp_path / f"a.{suffix}", pts=range(50), options=SCENES))
    whole = list(plate.frames())
    assert plate.count() == len(whole) == 50
    assert [frame.index for frame in whole] == list(range(50))
    for start, stop in [
        (0, 3),
        (1, 2),
        (11, 13),
        (12, 20),
        (23, 26),
        (37, None),
        (49, 50),
        (50, None),
        (7, 7),
        (60, 70),
    ]:
        part = list(plate.frames(start, stop))
        assert [frame.index for frame in part] == list(range(50))[start:stop]
        for frame in part:
            assert frame.pts == whole[frame.index].pts
            assert np.array_equal(frame.image, whole[frame.index].image)


def test_seeking_decodes_little(record, tmp_path, monkeypatch) -> None:
    from photodouble.media import planes

    plate = open_clip(record(tmp_path / "a.mp4", pts=range(100), options=SCENES))
    converted = []
    to_rgb = planes.to_rgb
    monkeypatch.setattr(planes, "to_rgb", lambda *given: converted.append(1) or to_rgb(*given))
    assert next(plate.frames(90)).index == 90
    assert len(converted) == 1


def test_two_readers_do_not_disturb_each_other(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=range(20)))
    pairs = list(zip(plate.frames(), plate.frames(3), strict=False))
    assert [(a.index, b.index) for a, b in pairs] == [(index, index + 3) for index in range(17)]


def test_frames_out_of_order_are_refused(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    frames = list(plate.frames())
    with pytest.raises(BadInput, match=r"Frame 1 .* not later"), ClipWriter(tmp_path / "b.mp4", plate) as writer:
        writer.write(frames[2])
        writer.write(frames[1])
    assert not list(tmp_path.glob("*b*"))


OPEN_GOP = "keyint=10:min-keyint=10:scenecut=0:bframes=3:b-adapt=0:open-gop=1"


def cut_at_key(plate: Path, path: Path, nth: int) -> Path:
    """The packets from the `nth` key frame on, moved by its time, as editing without re-encoding leaves them."""
    with av.open(str(plate)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        keys, begin = -1, 0
        for packet in source.demux(video=0):
            keys += packet.is_keyframe
            if packet.dts is None or keys < nth:
                continue
            begin = begin or packet.dts
            packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, stream
            output.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize(
    ("codec", "options", "leading"),
    [
        ("libx264", {"x264-params": OPEN_GOP}, 0),
        ("libx265", {"x265-params": f"{OPEN_GOP}:log-level=none"}, 0),
        # Leading pictures that need nothing before the key frame (RADL) are shown.
        ("libx265", {"x265-params": f"{OPEN_GOP.replace('open-gop=1', 'open-gop=0:radl=2')}:log-level=none"}, 2),
    ],
)
def test_a_cut_begins_with_what_can_be_shown(record, tmp_path, codec, options, leading, suffix) -> None:
    """Pictures before an open GOP's key frame refer to some that the cut has not: they are in no count."""
    plate = record(tmp_path / "a.mp4", pts=range(50), codec=codec, options=options)
    clip = open_clip(cut_at_key(plate, tmp_path / f"b.{suffix}", 1))
    with av.open(str(clip.path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size and not packet.is_discard]
    whole = list(clip.frames(dtype=np.uint8))
    before = sum(frame.pts < next(packet.pts for packet in packets if packet.is_keyframe) for frame in whole)
    assert suffix == "mp4" or (before == leading and (leading or len(packets) > len(whole)))
    assert clip.count() == len(whole)
    for start in (1, 9, 10, 17, 29):
        part = list(clip.frames(start, start + 3, dtype=np.uint8))
        assert [frame.pts for frame in part] == [frame.pts for frame in whole[start : start + 3]]
        assert all(np.array_equal(frame.image, whole[frame.index].image) for frame in part)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_part_begins_where_the_decoder_has_recovered(record, tmp_path, suffix) -> None:
    """With x264's intra-refresh a decoder that begins at a recovery point shows nothing for nine frames."""
    refresh = {"x264-params": "intra-refresh=1:keyint=10:bframes=0"}
    clip = open_clip(record(tmp_path / f"a.{suffix}", pts=range(100), size=(160, 96), options=refresh))
    whole = list(clip.frames(dtype=np.uint8))
    assert clip.count() == len(whole) == 100
    for start in (1, 10, 25, 87):
        frame = next(clip.frames(start, dtype=np.uint8))
        assert frame.pts == whole[start].pts and np.array_equal(frame.image, whole[start].image)
