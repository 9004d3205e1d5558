"""Outside the matte the plate's own bits: in every depth, subsampling, range and matrix."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photodouble.media import Clip, ClipWriter, Colour, open_clip
from photodouble.media.codecs import pixel_format
from photodouble.media.colour import coding
from photodouble.media.joined import clip_pieces, join_clip
from photodouble.media.picture_files import write_part
from photodouble.media.pictures import read
from photodouble.media.planes import to_rgb
from photodouble.media.stored import Stored
from photodouble.media.video import stored_frames
from photodouble.media.writer import encodable

RANDOM = np.random.default_rng(11)
SIZE = (66, 50)
# Matrix, primaries, transfer, range: BT.601, 709, JFIF, 2020 PQ, 2020 HLG.
TAGS = {"601": (6, 6, 6, 1), "709": (1, 1, 1, 1), "full": (1, 1, 1, 2), "pq": (9, 9, 16, 1), "hlg": (9, 9, 18, 1)}


def noisy(path: Path, format: str, tags=(1, 1, 1, 1), size=SIZE, frames=2, codec="ffv1") -> Path:
    """A plate of noise over all code values: what no way through RGB would bring back."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = *size, format
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = tags
        for index in range(frames):
            frame = av.VideoFrame(*size, format)
            bits = frame.format.components[0].bits
            for plane in frame.planes:
                dtype = np.uint8 if bits == 8 else np.uint16
                values = RANDOM.integers(0, 1 << bits, plane.buffer_size // dtype().itemsize).astype(dtype)
                plane.update(values.tobytes())
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def samples(path: Path) -> list[list[np.ndarray]]:
    """The stored planes of every frame."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
            planes = []
            for plane in frame.planes:
                rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
                planes.append(rows[:, : plane.width].copy())
            found.append(planes)
    return found


def disc(width: int, height: int) -> np.ndarray:
    """A soft matte in the middle."""
    y, x = np.mgrid[:height, :width]
    away = np.hypot(x - width * 0.47, y - height * 0.52)
    return np.clip((min(width, height) * 0.35 - away) / 5, 0, 1).astype(np.float32)


def painted(plate: Clip, path: Path, codec: str) -> np.ndarray:
    """Write the plate with its middle painted over, as a render does; returns the matte."""
    matte, format = disc(plate.width, plate.height), pixel_format(codec, plate)
    tags = coding(plate.colour, plate.width, plate.height) if "yuv" in format else replace(plate.colour, matrix=0)
    with clip_pieces(path.with_suffix(".piece"), plate, path.suffix, codec) as piece:
        for stored in stored_frames(plate):
            frame = stored.frame()
            frame.image[matte > 0] = frame.image[matte > 0] * 0.25
            fits = stored.fits(format)
            made = stored.changed(frame.image, (0, 0), matte, format, tags) if fits else encodable(frame, format, tags)
            made.pts, made.time_base, made.duration = stored.pts, plate.time_base, frame.duration
            piece.write(made)
    join_clip([path.with_suffix(".piece")], path, plate, codec)
    return matte


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize(
    "format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p16le"]
)
def test_ffv1_keeps_the_plates_samples(tmp_path, format, tags) -> None:
    plate = open_clip(noisy(tmp_path / "a.mkv", format, TAGS[tags]))
    matte = painted(plate, tmp_path / "b.mkv", "ffv1")
    written = open_clip(tmp_path / "b.mkv")
    assert (written.stored_format, written.colour) == (plate.stored_format, plate.colour)
    for one, other in zip(plate.frames(), written.frames(), strict=True):
        assert np.array_equal(one.image[matte == 0], other.image[matte == 0])
        away = np.abs(one.image.astype(float) - other.image)[matte > 0.9].mean() / np.iinfo(one.image.dtype).max
        assert away > 0.05
    for one, other in zip(samples(plate.path), samples(tmp_path / "b.mkv"), strict=True):
        assert np.array_equal(one[0][matte == 0], other[0][matte == 0])
        for a, b in zip(one[1:], other[1:], strict=True):
            outside = cv2.resize(matte, a.shape[::-1], interpolation=cv2.INTER_AREA) == 0
            assert np.array_equal(a[outside], b[outside])
            assert not np.array_equal(a, b)


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "yuva444p10le"])
@pytest.mark.parametrize("size", [(63, 47), (17, 16), (64, 33)])
def test_odd_sizes_too(tmp_path, format, size) -> None:
    plate = open_clip(noisy(tmp_path / "a.mkv", format, size=size))
    matte = painted(plate, tmp_path / "b.mkv", "ffv1")
    for one, other in zip(plate.frames(), open_clip(tmp_path / "b.mkv").frames(), strict=True):
        assert np.array_equal(one.image[matte == 0], other.image[matte == 0])
        assert (one.alpha is None) == (other.alpha is None) == ("yuva" not in format)
        if one.alpha is not None:
            assert np.array_equal(one.alpha, other.alpha)


@settings(max_examples=40)
@given(
    st.integers(2, 20),
    st.integers(2, 20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30),
    st.sampled_from(["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"]),
)
def test_any_matte_leaves_what_it_does_not_cover(width, height, holes, format) -> None:
    """Wherever single pixels lie outside: no chroma sample that reaches one of them changes."""
    stored = av.VideoFrame(width, height, format)
    deep = format.endswith("le")
    for plane in stored.planes:
        count = plane.buffer_size // (2 if deep else 1)
        plane.update(RANDOM.integers(0, 1024 if deep else 256, count).astype(np.uint16 if deep else np.uint8).tobytes())
    matte = np.ones((height, width), np.float32)
    for y, x in holes:
        matte[y % height, x % width] = 0
    colour = Colour(1, 1, 1, 1)
    one = Fraction(1)
    clip = Clip(Path("a"), "video", width, height, one, one, 10 if deep else 8, colour, 1, stored_format=format)
    before = to_rgb(stored, colour, eight_bit=False)
    done = Stored(stored, clip, 0, 0).changed(255 - before // 2, (0, 0), matte, format, colour)
    after = to_rgb(done, colour, eight_bit=False)
    assert np.array_equal(before[matte == 0], after[matte == 0])


@pytest.mark.parametrize("format", ["yuv422p10le", "yuva444p10le"])
def test_prores_starts_from_the_plates_samples(tmp_path, format) -> None:
    plate = open_clip(noisy(tmp_path / "a.mkv", format))
    painted(plate, tmp_path / "b.mov", "prores")
    written = open_clip(tmp_path / "b.mov")
    assert written.has_alpha == ("yuva" in format)
    with av.open(str(tmp_path / "b.mov")) as container:
        assert container.streams.video[0].codec_context.codec_tag == ("ap4h" if "444" in format else "apch")
    if written.has_alpha:
        one, other = next(plate.frames()), next(written.frames())
        assert np.abs(one.alpha.astype(int) - other.alpha).max() <= 65535 // 1023 + 1


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [("tif", np.uint8), ("tif", np.uint16), ("tif", np.float32), ("exr", np.float32), ("png", np.uint16)],
)
def test_pictures_keep_every_bit_and_their_alpha(tmp_path, suffix, dtype) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    top = 50 if dtype == np.float32 else np.iinfo(dtype).max
    image = (RANDOM.random((20, 30, 3)) * top).astype(dtype)
    alpha = (RANDOM.random((20, 30)) * min(top, 65535 if dtype != np.float32 else 1)).astype(dtype)
    write_part(folder / f"a.1001.{suffix}", image, folder / f"a.1001.{suffix}", alpha)
    plate = open_clip(folder)
    assert plate.has_alpha
    codec = {"tif": "tiff", "exr": "exr", "png": "png"}[suffix]
    matte = disc(30, 20)
    with ClipWriter(tmp_path / "out", plate, codec) as writer:
        for frame in plate.frames():
            frame.image[matte > 0] = frame.image[matte > 0] * 0.25
            writer.write(frame)
    found = read(tmp_path / "out" / f"a.1001.{suffix}")
    assert np.array_equal(found.image[matte == 0], image[matte == 0])
    assert np.array_equal(found.alpha, alpha)
    assert found.image.dtype == dtype and not np.array_equal(found.image, image)
    if dtype == np.float32:
        assert found.image[matte == 0].max() > 45


def test_turned_plates_are_stored_upright_as_rgb(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", rotation=90, pts=range(2)))
    matte = painted(plate, tmp_path / "b.mkv", "ffv1")
    for one, other in zip(plate.frames(), open_clip(tmp_path / "b.mkv").frames(), strict=True):
        assert np.array_equal(one.image[matte == 0], other.image[matte == 0])


def test_what_cannot_hold_alpha_says_so(tmp_path) -> None:
    plate = open_clip(noisy(tmp_path / "a.mkv", "yuva420p"))
    for name in ("b.mp4", "c"):
        with ClipWriter(tmp_path / name, plate, "jpeg" if name == "c" else None) as writer:
            writer.write(next(plate.frames()))
        (sentence,) = writer.left_out
        assert "alpha" in sentence and str(plate.path) in sentence
