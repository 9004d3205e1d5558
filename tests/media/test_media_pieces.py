"""Pieces that are encoded on their own make the same film when they are joined, and say so if they are damaged."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.media import ClipWriter, open_clip
from photodouble.media.codecs import pixel_format
from photodouble.media.colour import coding
from photodouble.media.joined import clip_pieces, join_clip, join_mattes, matte_pieces
from photodouble.media.pieces import decoding_times, read_table, whole
from photodouble.media.planes import from_rgb

VARIABLE = [0, 40, 80, 200, 210, 220, 300, 301, 500, 900, 1000, 1010, 1020, 1500, 1510, 1520]  # milliseconds


def pieces(plate, folder, codec, suffix, size=6):
    """A piece for each `size` frames."""
    folder.mkdir(exist_ok=True)
    frames, paths = list(plate.frames()), []
    for start in range(0, len(frames), size):
        paths.append(folder / f"{start:08d}.piece")
        with clip_pieces(paths[-1], plate, suffix, codec) as writer:
            for frame in frames[start : start + size]:
                colour = coding(plate.colour, plate.width, plate.height)
                coded = from_rgb(frame.image, pixel_format(codec, plate), colour)
                coded.pts, coded.time_base, coded.duration = frame.pts, frame.time_base, frame.duration
                writer.write(coded)
    return paths


def times(path):
    clip = open_clip(path)
    return [frame.pts * frame.time_base for frame in clip.frames(dtype=np.uint8)]


def packet_times(path):
    with av.open(str(path)) as container:
        found = [(p.dts, p.pts) for p in container.demux(video=0) if p.size]
    return [dts for dts, _ in found], [pts for _, pts in found]


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mp4"), ("h264", ".mkv"), ("hevc", ".mp4"), ("prores", ".mov"), ("ffv1", ".mkv")]
)
@pytest.mark.parametrize("first", [0, 500])
def test_joined_pieces_keep_times_sound_and_pictures(record, tmp_path, codec, suffix, first) -> None:
    pts = [time + first for time in VARIABLE]
    tags = (1, 1, 1, 1)
    plate = open_clip(record(tmp_path / "a.mp4", pts=pts, time_base=Fraction(1, 1000), sound=True, tags=tags))
    output = tmp_path / f"b{suffix}"
    assert join_clip(pieces(plate, tmp_path / "p", codec, suffix), output, plate, codec) == []
    assert times(output) == times(plate.path)
    written = open_clip(output)
    assert written.has_audio
    assert written.colour == (plate.colour if codec != "ffv1" else written.colour)
    for one, other in zip(plate.frames(), written.frames(dtype=np.uint8), strict=True):
        assert np.abs(one.image.astype(int) - other.image).mean() < 3.5
    dts, pts = packet_times(output)
    if suffix != ".mkv":  # which stores no decoding times
        assert all(np.diff(dts) > 0)
        assert all(d <= p for d, p in zip(dts, pts, strict=True))
    if codec == "h264" and suffix == ".mp4":
        assert pts != sorted(pts)  # there are B-frames to be put right


def test_one_piece_is_what_the_clip_writer_writes(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=VARIABLE, time_base=Fraction(1, 1000), sound=True))
    with ClipWriter(tmp_path / "whole.mp4", plate) as writer:
        for frame in plate.frames():
            writer.write(frame)
    join_clip(pieces(plate, tmp_path / "p", "h264", ".mp4", 99), tmp_path / "joined.mp4", plate, "h264")
    assert packet_times(tmp_path / "joined.mp4") == packet_times(tmp_path / "whole.mp4")
    for one, other in zip(*(open_clip(tmp_path / n).frames() for n in ("joined.mp4", "whole.mp4")), strict=True):
        assert np.array_equal(one.image, other.image)


def test_a_plate_that_starts_before_zero_is_moved_with_its_sound(record, tmp_path) -> None:
    pts = [time - 200 for time in VARIABLE]
    options = {"avoid_negative_ts": "disabled"}
    path = record(tmp_path / "a.ts", pts=pts, time_base=Fraction(1, 1000), sound=True, container_options=options)
    plate = open_clip(path)
    join_clip(pieces(plate, tmp_path / "p", "h264", ".mp4"), tmp_path / "b.mp4", plate, "h264")
    assert times(tmp_path / "b.mp4") == [Fraction(time, 1000) for time in VARIABLE]


def test_the_same_frames_give_the_same_bytes(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", sound=True))
    made = [pieces(plate, tmp_path / name, "h264", ".mp4", 4) for name in "pq"]
    assert [path.read_bytes() for path in made[0]] == [path.read_bytes() for path in made[1]]
    for name, paths in zip("pq", made, strict=True):
        join_clip(paths, tmp_path / f"{name}.mp4", plate, "h264")
    assert (tmp_path / "p.mp4").read_bytes() == (tmp_path / "q.mp4").read_bytes()


def test_a_damaged_piece_is_known(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    (piece,) = pieces(plate, tmp_path / "p", "h264", ".mp4", 99)
    good = piece.read_bytes()
    assert whole(piece) is not None
    flipped = bytearray(good)
    flipped[len(good) // 4] ^= 1
    for bad in (good[:-1], good[:100], b"", bytes(flipped), good + b"x", b"nonsense" * 99):
        piece.write_bytes(bad)
        assert whole(piece) is None
    piece.write_bytes(good[:-1])
    with pytest.raises(BadInput, match="missing or damaged"):
        join_clip([piece, piece], tmp_path / "b.mp4", plate, "h264")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.mp4", "p"]


def test_pieces_of_another_encoder_are_not_joined(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    made = pieces(plate, tmp_path / "p", "hevc", ".mp4")
    with pytest.raises(BadInput, match="another encoder"):
        join_clip(made, tmp_path / "b.mp4", plate, "h264")


def test_nothing_remains_of_a_piece_after_an_exception(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    with pytest.raises(ZeroDivisionError), clip_pieces(tmp_path / "x.piece", plate, ".mp4", "h264"):
        raise ZeroDivisionError
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]


def test_mattes_are_joined_too(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=VARIABLE, time_base=Fraction(1, 1000)))
    paths = []
    for start in (0, 8):
        paths.append(tmp_path / f"{start}.piece")
        with matte_pieces(paths[-1], plate) as writer:
            for frame in plate.frames(start, start + 8):
                grey = av.VideoFrame.from_ndarray(np.full((48, 64), frame.index, np.uint8), format="gray")
                grey.pts, grey.time_base, grey.duration = frame.pts, frame.time_base, frame.duration
                writer.write(grey)
    join_mattes(paths, tmp_path / "m.mkv", plate)
    assert times(tmp_path / "m.mkv") == times(plate.path)
    assert [int(f.image[3, 3, 0]) for f in open_clip(tmp_path / "m.mkv").frames()] == list(range(16))
    table = read_table(paths[0])
    assert table is not None and len(table.pts) == 8


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(0, 4), st.randoms())
def test_decoding_times_rise_and_are_never_after_presentation(steps, held, random) -> None:
    shown = np.cumsum(steps)
    # Any order of decoding that holds back `held` pictures at most.
    order, waiting = [], list(range(len(shown)))
    while waiting:
        order.append(waiting.pop(random.randrange(min(held + 1, len(waiting)))))
    pts = shown[order]
    dts = decoding_times(pts, random.randrange(3))
    assert (np.diff(dts) > 0).all()
    assert (dts <= pts).all()
