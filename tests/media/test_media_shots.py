"""Lists of frames, EDLs and timelines, as editing programs write them."""

from fractions import Fraction

import numpy as np
import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.media import open_clip, parse_frames, read_shots, write_picture
from photodouble.media.shots import _frames

EDL = """TITLE: cut 3
FCM: NON-DROP FRAME

001  AX       V     C        00:00:00:05 00:00:00:10 01:00:00:00 01:00:00:05
* FROM CLIP NAME: a.mov
002  AX       AA    C        00:00:00:00 00:00:01:00 01:00:00:05 01:00:01:05
* FROM CLIP NAME: a.mov
003  AX       V     C        00:00:00:20 00:00:00:24 01:00:00:05 01:00:00:09
* FROM CLIP NAME: other.mov
004  AX       V     D    012 00:00:01:00 00:00:01:05 01:00:00:09 01:00:00:14
* FROM CLIP NAME: A.MOV
"""


@pytest.fixture(scope="module")
def plate(tmp_path_factory, record):
    """40 frames at 25 a second, called a.mov."""
    return open_clip(record(tmp_path_factory.mktemp("plate") / "a.mov", pts=range(40)))


@pytest.mark.parametrize(
    ("text", "numbers", "found"),
    [
        ("3", (), [range(3, 4)]),
        ("3, 10-12", (), [range(3, 4), range(10, 13)]),
        ("12-14,13-16,17", (), [range(12, 18)]),
        ("1001-1002,1040", range(1001, 1041), [range(0, 2), range(39, 40)]),
    ],
)
def test_frames(text, numbers, found) -> None:
    assert parse_frames(text, 40, tuple(numbers)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "no frame"), ("a", "no frame"), ("5-3", "write 3-5"), ("40", "0 to 39"), ("1,,2", "no frame")],
)
def test_bad_frames(text, words) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        parse_frames(text, 40)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@given(st.text(alphabet="0123456789-, ;x", max_size=20))
def test_any_text_is_frames_or_bad_input(text) -> None:
    try:
        found = parse_frames(text, 1000)
    except BadInput:
        return
    assert found == sorted(found, key=lambda part: part.start)
    assert all(0 <= part.start < part.stop <= 1000 for part in found)


def test_an_edl_gives_the_pictures_of_this_plate(tmp_path, plate) -> None:
    (tmp_path / "cut.edl").write_text(EDL)
    assert read_shots(tmp_path / "cut.edl", plate) == [range(5, 10), range(25, 30)]


def test_an_edl_without_names_is_about_this_plate(tmp_path, plate) -> None:
    (tmp_path / "cut.edl").write_text("\n".join(line for line in EDL.splitlines() if line[:1] != "*"))
    assert read_shots(tmp_path / "cut.edl", plate) == [range(5, 10), range(20, 24), range(25, 30)]


def test_both_sides_of_an_edls_transition(tmp_path, plate) -> None:
    """Two lines of one event: FROM is the first one's, which goes on for the transition's length, TO the second's."""
    lines = """001  AX  V  C        00:00:00:02 00:00:00:05 01:00:00:00 01:00:00:03
* FROM CLIP NAME: a.mov
002  AX  V  C        00:00:00:05 00:00:00:05 01:00:00:03 01:00:00:03
002  AX  V  D    004 00:00:01:00 00:00:01:05 01:00:00:03 01:00:00:08
* FROM CLIP NAME: {}
* SOURCE FILE: {}
* TO CLIP NAME: {}
* SOURCE FILE: {}
"""
    (tmp_path / "cut.edl").write_text(lines.format("a.mov", "A.MOV", "b.mov", "B.MOV"))
    assert read_shots(tmp_path / "cut.edl", plate) == [range(2, 9)]
    (tmp_path / "cut.edl").write_text(lines.format("b.mov", "B.MOV", "a.mov", "A.MOV"))
    assert read_shots(tmp_path / "cut.edl", plate) == [range(2, 5), range(25, 30)]


def test_an_edl_counts_from_the_plates_timecode(tmp_path) -> None:
    import av

    with av.open(str(tmp_path / "tc.mov"), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["timecode"] = "10:00:00:00"
        for index in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8), format="rgb24")
            frame.pts = index
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    (tmp_path / "cut.edl").write_text("001  TC  V  C  10:00:00:12 10:00:00:20 01:00:00:00 01:00:00:08\n")
    assert read_shots(tmp_path / "cut.edl", open_clip(tmp_path / "tc.mov")) == [range(12, 20)]
    (tmp_path / "cut.edl").write_text("001  TC  V  C  11:00:00:12 11:00:00:20 01:00:00:00 01:00:00:08\n")
    with pytest.raises(BadInput, match="lie outside"):
        read_shots(tmp_path / "cut.edl", open_clip(tmp_path / "tc.mov"))


def test_drop_frame_timecode() -> None:
    """SMPTE ST 12-1: frames 0 and 1 of each minute but every tenth are not there."""
    assert _frames("00:00:59;29", 30) + 1 == _frames("00:01:00;02", 30)
    assert _frames("00:09:59;29", 30) + 1 == _frames("00:10:00;00", 30)
    assert _frames("01:00:00;00", 30) == 107892
    assert _frames("01:00:00:00", 30) == 108000


def timeline(path, media, parts, rate=25.0, available=None) -> None:
    made = otio.schema.Timeline("cut")
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    made.tracks.append(track)
    for start, length in parts:
        time = otio.opentime.TimeRange(
            otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(length, rate)
        )
        track.append(otio.schema.Clip("a cut", media_reference=media.clone(), source_range=time))
        track.append(otio.schema.Gap(duration=otio.opentime.RationalTime(5, rate)))
    other = otio.schema.ExternalReference(target_url="file:///films/other.mov")
    track.append(otio.schema.Clip("another", media_reference=other, source_range=time))
    otio.adapters.write_to_file(made, str(path))


def test_a_timeline_gives_its_shots_of_this_plate(tmp_path, plate) -> None:
    media = otio.schema.ExternalReference(target_url="file:///films/rush%20es/a.mov")
    timeline(tmp_path / "cut.otio", media, [(2, 3), (30, 20)])
    assert read_shots(tmp_path / "cut.otio", plate) == [range(2, 5), range(30, 40)]


def test_a_timeline_counts_from_where_its_media_begins(tmp_path, plate) -> None:
    begin = otio.opentime.TimeRange(otio.opentime.RationalTime(90000, 25), otio.opentime.RationalTime(40, 25))
    media = otio.schema.ExternalReference(target_url="a.mov", available_range=begin)
    timeline(tmp_path / "cut.otio", media, [(90002, 3)])
    assert read_shots(tmp_path / "cut.otio", plate) == [range(2, 5)]


def shot(start: int, length: int, *effects: otio.schema.Effect, enabled: bool = True) -> otio.schema.Clip:
    """`length` frames of a timeline from frame `start` of a.mov on."""
    time = otio.opentime.TimeRange(otio.opentime.RationalTime(start, 25), otio.opentime.RationalTime(length, 25))
    media = otio.schema.ExternalReference(target_url="a.mov")
    made = otio.schema.Clip("a cut", media, time, effects=list(effects))
    made.enabled = enabled
    return made


def cut(path, *tracks: otio.schema.Track):
    made = otio.schema.Timeline("cut")
    made.tracks.extend(tracks)
    otio.adapters.write_to_file(made, str(path))
    return path


def test_sound_and_what_is_disabled_are_no_shots(tmp_path, plate) -> None:
    sound = otio.schema.Track("A1", kind=otio.schema.TrackKind.Audio, children=[shot(0, 40)])
    off = otio.schema.Track("V2", children=[shot(20, 10)])
    off.enabled = False
    nested = otio.schema.Stack(children=[otio.schema.Track("V", children=[shot(35, 2)])])
    pictures = otio.schema.Track("V1", children=[shot(2, 3), shot(10, 4, enabled=False), nested])
    path = cut(tmp_path / "cut.otio", pictures, off, sound)
    assert read_shots(path, plate) == [range(2, 5), range(35, 37)]
    with pytest.raises(BadInput, match="enabled"):
        read_shots(cut(tmp_path / "none.otio", off.clone(), sound.clone()), plate)


@pytest.mark.parametrize(("speed", "found"), [(2.0, range(4, 24)), (0.5, range(4, 9)), (0.0, range(4, 5))])
def test_a_shots_speed_counts(tmp_path, plate, speed, found) -> None:
    warp = otio.schema.LinearTimeWarp(time_scalar=speed) if speed else otio.schema.FreezeFrame()
    path = cut(tmp_path / "cut.otio", otio.schema.Track("V1", children=[shot(4, 10, warp)]))
    assert read_shots(path, plate) == [found]


@pytest.mark.parametrize("warp", [otio.schema.LinearTimeWarp(time_scalar=-1.0), otio.schema.TimeEffect("ramp")])
def test_a_speed_that_does_not_tell_the_frames_is_refused(tmp_path, plate, warp) -> None:
    path = cut(tmp_path / "cut.otio", otio.schema.Track("V1", children=[shot(4, 10, warp.clone())]))
    with pytest.raises(BadInput, match="backwards or at a varying speed") as caught:
        read_shots(path, plate)
    assert str(path) in str(caught.value)


def test_a_timelines_transitions_count(tmp_path, plate) -> None:
    """At double speed, 3 of the timeline's frames before the cut and 2 after it are 6 and 4 of the plate's."""
    before, after = otio.opentime.RationalTime(3, 25), otio.opentime.RationalTime(2, 25)
    fade = otio.schema.Transition("fade", otio.schema.TransitionTypes.SMPTE_Dissolve, before, after)
    fast = otio.schema.LinearTimeWarp(time_scalar=2.0)
    track = otio.schema.Track("V1", children=[shot(2, 5), fade, shot(20, 5, fast)])
    assert read_shots(cut(tmp_path / "cut.otio", track), plate) == [range(2, 9), range(14, 30)]


def test_a_timeline_of_an_image_sequence(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(1001, 1007):
        write_picture(tmp_path / "in" / f"sh.{number}.png", np.zeros((8, 8, 3), np.uint8))
    begin = otio.opentime.TimeRange(otio.opentime.RationalTime(1001, 24), otio.opentime.RationalTime(6, 24))
    media = otio.schema.ImageSequenceReference(
        target_url_base="file:///in/", name_prefix="sh.", name_suffix=".png", start_frame=1001, frame_step=1, rate=24,
        frame_zero_padding=4, available_range=begin,
    )  # fmt: skip
    timeline(tmp_path / "cut.otio", media, [(1002, 2)], rate=24.0)
    plate = open_clip(tmp_path / "in" / "sh.####.png", rate=Fraction(24))
    assert read_shots(tmp_path / "cut.otio", plate) == [range(1, 3)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("cut.edl", "no events here", "no event"),
        ("cut.edl", EDL.replace("a.mov", "b.mov").replace("A.MOV", "b.mov"), "is of the plate a.mov"),
        ("cut.otio", "{not json", "no timeline"),
        ("cut.otio", "{}", "no timeline"),
        ("cut.otio", '{"OTIO_SCHEMA": "Timeline.1", "name": "x"}', "no timeline"),
        ("cut.xml", "<xml/>", "no shot list"),
        ("gone.edl", None, "There is no shot list"),
    ],
)
def test_bad_lists_give_one_sentence(tmp_path, plate, name, text, words) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=words) as caught:
        read_shots(tmp_path / name, plate)
    assert str(tmp_path / name) in str(caught.value)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_edl_or_bad_input(tmp_path_factory, plate, data) -> None:
    path = tmp_path_factory.mktemp("any") / "x.edl"
    path.write_bytes(b"001  AX  V  C  00:00:00:05 00:00:00:10 01:00:00:00 01:00:00:05\n" + data)
    try:
        assert all(part.stop <= 40 for part in read_shots(path, plate))
    except BadInput as error:
        assert str(path) in str(error)
