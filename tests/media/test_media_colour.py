"""Values: known code values of the standards, both ways, and through files."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photodouble.media import ClipWriter, Colour, Frame, open_clip
from photodouble.media.colour import decode_srgb, encode_srgb, rgb_matrix, to_depth, yuv_matrix
from photodouble.media.planes import from_rgb, to_rgb

# Red at its peak: the code values that BT.601-7, BT.709-6, BT.2020-2 and JFIF give.
RED = [
    (Colour(6, range=1), 8, (81, 90, 240)),
    (Colour(1, range=1), 8, (63, 102, 240)),
    (Colour(5, range=2), 8, (76, 85, 255)),
    (Colour(1, range=1), 10, (250, 409, 960)),
    (Colour(9, range=1), 10, (294, 387, 960)),
]


@pytest.mark.parametrize(("colour", "bits", "code"), RED)
def test_matrices_give_the_standards_code_values(colour: Colour, bits: int, code: tuple[int, ...]) -> None:
    matrix = rgb_matrix(colour, 64, 48, bits, 255)
    assert np.allclose(matrix[:, :3] @ [255, 0, 0] + matrix[:, 3], code, atol=0.6)
    back = yuv_matrix(colour, 64, 48, bits, 65535)
    assert np.allclose(back[:, :3] @ code + back[:, 3], [65535, 0, 0], atol=300)


@pytest.mark.parametrize(("colour", "bits", "code"), RED)
@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_frames_hold_the_standards_code_values(colour: Colour, bits: int, code: tuple[int, ...], chroma: str) -> None:
    deep = "10le" if bits == 10 else ""
    red = np.zeros((16, 16, 3), np.uint8 if bits == 8 else np.uint16)
    red[..., 0] = np.iinfo(red.dtype).max
    frame = from_rgb(red, f"yuv{chroma}p{deep}", colour)
    for plane, value in zip(frame.planes, code, strict=True):
        assert abs(int(np.frombuffer(plane, np.uint16 if deep else np.uint8)[3]) - value) <= 1
    white = float(np.iinfo(red.dtype).max)
    assert np.abs(to_rgb(frame, colour, eight_bit=False).astype(float) - red).max() <= white * 1.5 / 255
    assert to_rgb(frame, colour, eight_bit=True).dtype == np.uint8


def test_white_of_ten_bits_is_the_peak() -> None:
    """libswscale gives 65280 here."""
    frame = from_rgb(np.full((16, 16, 3), 65535, np.uint16), "yuv420p10le", Colour(1, range=1))
    assert to_rgb(frame, Colour(1, range=1), eight_bit=False).min() == 65535


@pytest.mark.parametrize("tags", [(6, 6, 6, 1), (1, 1, 1, 1), (5, 5, 6, 2), (9, 9, 14, 1)])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv420p10le"])
def test_a_tagged_plate_is_read_by_its_tags_and_written_with_them(record, tmp_path, tags, format) -> None:
    deep = 4 if format.endswith("10le") else 1
    plate = open_clip(
        record(tmp_path / "a.mp4", tags=tags, format=format, fill=lambda _: (120 * deep, 100 * deep, 150 * deep))
    )
    assert plate.colour == Colour(*tags)
    frames = list(plate.frames())
    matrix = yuv_matrix(plate.colour, 64, 48, 8, 255)
    expected = matrix[:, :3] @ [120, 100, 150] + matrix[:, 3]
    scale = 1 if deep == 1 else 257
    assert np.abs(frames[3].image / scale - expected).max() < 1
    with ClipWriter(tmp_path / "b.mp4", plate) as writer:
        for frame in frames:
            writer.write(frame)
    written = open_clip(tmp_path / "b.mp4")
    assert (written.colour, written.bit_depth, written.chroma) == (plate.colour, plate.bit_depth, plate.chroma)
    with av.open(str(tmp_path / "b.mp4")) as container:
        luma = np.frombuffer(next(container.decode(video=0)).planes[0], np.uint8 if deep == 1 else np.uint16)
    assert abs(int(luma[0]) - 120 * deep) <= deep


@pytest.mark.parametrize(("size", "red"), [((64, 48), (81, 90, 240)), ((1280, 720), (63, 102, 240))])
def test_an_untagged_plate_is_guessed_by_its_size_and_stays_untagged(record, tmp_path, size, red) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=range(2), size=size, fill=lambda _: red))
    assert np.abs(next(plate.frames()).image.astype(int) - [255, 0, 0]).max() <= 3
    with ClipWriter(tmp_path / "b.mp4", plate) as writer:
        for frame in plate.frames():
            writer.write(frame)
    assert open_clip(tmp_path / "b.mp4").colour.matrix == 2
    assert np.abs(next(open_clip(tmp_path / "b.mp4").frames()).image.astype(int) - [255, 0, 0]).max() <= 4


def test_chroma_edges_stay_where_they_are() -> None:
    """A shift of a quarter pixel would move the centre of a coloured bar."""
    image = np.full((32, 64, 3), 128, np.uint8)
    image[:, 24:40] = (200, 90, 90)
    colour = Colour(1, range=1)
    once = to_rgb(from_rgb(image, "yuv420p", colour), colour, eight_bit=True)
    weight = np.abs(once[16, :, 0].astype(float) - once[16, :, 1])
    assert abs((weight * np.arange(64)).sum() / weight.sum() - 31.5) < 0.05


@given(st.lists(st.integers(0, 255), min_size=3, max_size=3), st.sampled_from([1, 5, 9]), st.sampled_from([1, 2]))
def test_eight_bit_colours_survive_444(rgb: list[int], matrix: int, range_: int) -> None:
    colour = Colour(matrix, range=range_)
    image = np.full((8, 8, 3), rgb, np.uint8)
    back = to_rgb(from_rgb(image, "yuv444p", colour), colour, eight_bit=True)
    assert np.abs(back.astype(int) - image).max() <= 2


@given(st.lists(st.integers(0, 65535), min_size=3, max_size=3))
def test_deep_colours_survive_ten_bits(rgb: list[int]) -> None:
    colour = Colour(1, range=1)
    image = np.full((8, 8, 3), rgb, np.uint16)
    back = to_rgb(from_rgb(image, "yuv444p10le", colour), colour, eight_bit=False)
    assert np.abs(back.astype(int) - image).max() <= 65535 * 2 / 1023


@pytest.mark.parametrize(
    "format", ["rgb24", "bgr0", "gbrp", "gbrp10le", "gbrp16le", "rgb48le", "nv12", "p010le", "yuyv422"]
)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_other_pixel_formats_are_read(format: str, value: int) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), value, np.uint8), format="rgb24").reformat(format=format)
    image = to_rgb(frame, Colour(6, range=1), eight_bit=False)
    white = np.iinfo(image.dtype).max
    assert image.shape == (16, 16, 3)
    # libswscale's own way into more than 8 bits makes 65280 of white.
    assert np.abs(image * (255 / white) - value).max() <= 1.5
    assert np.abs(to_rgb(frame, Colour(6, range=1), eight_bit=True).astype(int) - value).max() <= 1.5


def test_grey_is_read_by_its_range() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((16, 16), 235, np.uint8), format="gray")
    assert to_rgb(frame, Colour(range=1), eight_bit=True).max() == 255
    assert to_rgb(frame, Colour(range=2), eight_bit=True).max() == 235


def test_depths_convert_into_each_other() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(to_depth(to_depth(ramp, np.uint16), np.uint8), ramp)
    assert np.array_equal(to_depth(to_depth(ramp, np.float32), np.uint8), ramp)
    assert to_depth(np.full((2, 2, 3), 7.5, np.float32), np.uint8).max() == 255
    assert np.allclose(encode_srgb(np.float32([0.2140411])), 0.5, atol=1e-4)
    assert np.allclose(decode_srgb(np.float32([0.5])), 0.2140411, atol=1e-5)


def test_rgb_pictures_become_tagged_video(tmp_path) -> None:
    from photodouble.media import write_picture

    (tmp_path / "in").mkdir()
    image = np.full((48, 64, 3), (111, 172, 96), np.uint8)
    for index in range(3):
        write_picture(tmp_path / "in" / f"{index}.png", image)
    plate = open_clip(tmp_path / "in")
    with ClipWriter(tmp_path / "o.mp4", plate) as writer:
        for index in range(3):
            writer.write(Frame(image, index, index, Fraction(1, 24)))
    written = open_clip(tmp_path / "o.mp4")
    assert (written.colour.matrix, written.colour.range, written.chroma) == (6, 1, "420")
    assert np.abs(next(written.frames()).image.astype(int) - image).max() <= 2
