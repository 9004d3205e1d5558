"""Sound, subtitles, chapters and titles that come along."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from test_media_time import copy, seconds

from photodouble.media import ClipWriter, open_clip

SUBTITLES = "1\n00:00:00,100 --> 00:00:00,300\nHello\n\n2\n00:00:00,300 --> 00:00:00,390\nthere\n"


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def with_text(plate: Path, path: Path) -> Path:
    """Remux a plate with a subtitle stream, a title, a chapter, and a timecode."""
    text = plate.with_suffix(".srt")
    text.write_text(SUBTITLES)
    with av.open(str(plate)) as source, av.open(str(text)) as lines, av.open(str(path), "w") as output:
        inputs = [source.streams.video[0], source.streams.audio[0], lines.streams[0]]
        copies = [output.add_stream_from_template(stream) for stream in inputs]
        copies[1].metadata["language"] = "fra"
        output.metadata["title"] = "A plate"
        output.set_chapters(
            [{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
        )
        for container, index in ((source, 0), (lines, 2)):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = copies[packet.stream_index + index]
                    output.mux(packet)
    return path


@pytest.mark.parametrize("source", ["mp4", "mkv"])
@pytest.mark.parametrize("target", ["mp4", "mov", "mkv"])
def test_sound_is_copied_bit_by_bit(record, tmp_path, source, target) -> None:
    plate = open_clip(record(tmp_path / f"a.{source}", pts=range(30), sound=True))
    assert plate.has_audio
    with ClipWriter(tmp_path / f"b.{target}", plate) as writer:
        assert writer.left_out == []
        for frame in plate.frames():
            writer.write(frame)
    before, after = packets(plate.path, "audio"), packets(tmp_path / f"b.{target}", "audio")
    assert [data for _, data in after] == [data for _, data in before]
    assert max(abs(a - b) for (a, _), (b, _) in zip(after, before, strict=True)) <= Fraction(1, 1000)
    assert seconds(open_clip(tmp_path / f"b.{target}")) == seconds(plate)


def test_subtitles_titles_and_chapters_come_along(record, tmp_path) -> None:
    plate = with_text(record(tmp_path / "a.mp4", sound=True), tmp_path / "a.mkv")
    copy(open_clip(plate), tmp_path / "b.mkv")
    assert packets(tmp_path / "b.mkv", "subtitle") == packets(plate, "subtitle")
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.metadata["title"] == "A plate"
        assert container.streams.audio[0].metadata["language"] == "fra"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One"]


def test_what_the_container_cannot_hold_is_named(record, tmp_path) -> None:
    plate = open_clip(with_text(record(tmp_path / "a.mp4", sound=True), tmp_path / "a.mkv"))
    with ClipWriter(tmp_path / "b.mp4", plate) as writer:
        for frame in plate.frames():
            writer.write(frame)
    (sentence,) = writer.left_out
    assert "subtitle" in sentence and str(plate.path) in sentence
    assert len(packets(tmp_path / "b.mp4", "audio")) == len(packets(plate.path, "audio"))


def test_a_part_can_be_written_without_the_other_streams(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", sound=True))
    assert not copy(plate, tmp_path / "b.mkv", copy_streams=False).has_audio


def boxes(data: bytearray, start: int, stop: int) -> dict[bytes, list[tuple[int, int]]]:
    """Where the boxes between `start` and `stop` of a MOV begin and end, by type (ISO/IEC 14496-12, section 4.2)."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    while start < stop:
        end = start + int.from_bytes(data[start : start + 4], "big")
        found.setdefault(bytes(data[start + 4 : start + 8]), []).append((start, end))
        start = end
    return found


def sound_refers_to_timecode(path: Path) -> None:
    """Copy the picture track's reference to the timecode track (`tref`) to the sound's track, as QuickTime writes."""
    data = bytearray(path.read_bytes())
    ((movie, end),) = boxes(data, 0, len(data))[b"moov"]
    assert end == len(data)  # no offset of a sample moves
    tracks = boxes(data, movie + 8, end)[b"trak"]
    start, stop = next(track for track in tracks if b"vide" in data[slice(*track)])
    reference = data[slice(*boxes(data, start + 8, stop)[b"tref"][0])]
    start, stop = next(track for track in tracks if b"soun" in data[slice(*track)])
    data[stop:stop] = reference
    for box, size in ((start, stop - start), (movie, end - movie)):
        data[box : box + 4] = (size + len(reference)).to_bytes(4, "big")
    path.write_bytes(data)


def test_sound_that_refers_to_the_timecode_comes_along(record, tmp_path) -> None:
    first = record(tmp_path / "a.mp4", sound=True)
    with av.open(str(first)) as source, av.open(str(tmp_path / "t.mov"), "w") as output:
        copies = [output.add_stream_from_template(stream) for stream in source.streams]
        copies[0].metadata["timecode"] = "10:11:12:13"
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    sound_refers_to_timecode(tmp_path / "t.mov")
    with av.open(str(tmp_path / "t.mov")) as container:
        assert container.streams.audio[0].metadata["timecode"] == "10:11:12:13"
    plate = open_clip(tmp_path / "t.mov")
    with ClipWriter(tmp_path / "b.mov", plate) as writer:
        assert writer.left_out == []
        for frame in plate.frames():
            writer.write(frame)
    assert packets(tmp_path / "b.mov", "audio") == packets(plate.path, "audio")
    with av.open(str(tmp_path / "b.mov")) as container:
        assert sorted(stream.type for stream in container.streams) == ["audio", "data", "video"]


def test_timecode_is_kept(record, tmp_path) -> None:
    first = record(tmp_path / "a.mp4")
    with av.open(str(first)) as source, av.open(str(tmp_path / "t.mov"), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        stream.metadata["timecode"] = "10:11:12:13"
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    copy(open_clip(tmp_path / "t.mov"), tmp_path / "b.mov")
    with av.open(str(tmp_path / "b.mov")) as container:
        assert container.streams.video[0].metadata["timecode"] == "10:11:12:13"
