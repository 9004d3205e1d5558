"""Pictures and folders of pictures."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import OpenImageIO as oiio
import pytest

from photodouble.errors import BadInput
from photodouble.media import ClipWriter, Colour, Frame, open_clip, read_picture, write_picture
from photodouble.media.pictures import natural

RANDOM = np.random.default_rng(5)


def store(path, pixels: np.ndarray, **attributes) -> None:
    spec = oiio.ImageSpec(
        pixels.shape[1],
        pixels.shape[0],
        pixels.shape[2],
        {"float32": "float"}.get(pixels.dtype.name, pixels.dtype.name),
    )
    for name, value in attributes.items():
        if name in ("x", "y", "full_width", "full_height"):
            setattr(spec, name, value)
        else:
            spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(np.ascontiguousarray(pixels)) and output.close()


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        ("png", np.uint8),
        ("png", np.uint16),
        ("tif", np.uint8),
        ("tif", np.uint16),
        ("tif", np.float32),
        ("exr", np.float32),
    ],
)
@pytest.mark.parametrize("shape", [(7, 5, 3), (32, 48, 3)])
def test_lossless_formats_give_back_what_they_got(tmp_path, suffix, dtype, shape) -> None:
    image = (RANDOM.random(shape) * (3 if dtype == np.float32 else np.iinfo(dtype).max)).astype(dtype)
    write_picture(tmp_path / f"a.{suffix}", image)
    back = read_picture(tmp_path / f"a.{suffix}")
    assert back.dtype == dtype and np.array_equal(back, image)


def test_jpeg_is_near(tmp_path) -> None:
    image = np.full((32, 32, 3), (200, 30, 60), np.uint8)
    write_picture(tmp_path / "a.jpg", image)
    assert np.abs(read_picture(tmp_path / "a.jpg").astype(int) - image).max() <= 3


def test_grey_pictures(tmp_path) -> None:
    grey = RANDOM.integers(0, 256, (20, 30), dtype=np.uint8)
    write_picture(tmp_path / "a.png", grey)
    back = read_picture(tmp_path / "a.png")
    assert back.shape == (20, 30, 3) and np.array_equal(back[:, :, 2], grey)


def test_alpha_is_left_out_and_changes_no_colour(tmp_path) -> None:
    pixels = RANDOM.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    store(tmp_path / "a.png", pixels, **{"oiio:UnassociatedAlpha": 1})
    clip = open_clip(tmp_path / "a.png")
    assert clip.has_alpha and np.array_equal(next(clip.frames()).image, pixels[:, :, :3])


def test_exif_orientation_is_applied(tmp_path) -> None:
    pixels = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    store(tmp_path / "a.tif", pixels, Orientation=6)
    clip = open_clip(tmp_path / "a.tif")
    assert (clip.width, clip.height) == (20, 30)
    assert np.array_equal(next(clip.frames()).image, np.rot90(pixels, -1))


def test_an_exr_is_read_by_its_display_window(tmp_path) -> None:
    pixels = RANDOM.random((10, 12, 3), np.float32)
    store(tmp_path / "a.exr", pixels, x=4, y=3, full_width=40, full_height=30)
    image = read_picture(tmp_path / "a.exr")
    assert image.shape == (30, 40, 3) and np.array_equal(image[3:13, 4:16], pixels) and image[20:].max() == 0


def test_bright_exr_pixels_do_not_wrap(tmp_path) -> None:
    image = np.full((16, 16, 3), 9.0, np.float32)
    write_picture(tmp_path / "a.exr", image)
    clip = open_clip(tmp_path / "a.exr")
    assert (clip.bit_depth, clip.colour.transfer) == (32, 8)
    assert next(clip.frames()).image.max() == 9
    assert next(clip.frames(dtype=np.uint8)).image.min() >= 250


def test_a_folder_is_sorted_naturally_and_passes_over_other_files(tmp_path) -> None:
    for number in (10, 9, 100, 1):
        write_picture(tmp_path / f"shot{number}.png", np.full((16, 16, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    clip = open_clip(tmp_path, rate=Fraction(25))
    assert [int(frame.image[0, 0, 0]) for frame in clip.frames()] == [1, 9, 10, 100]
    assert [frame.pts * frame.time_base for frame in clip.frames(1, 3)] == [Fraction(1, 25), Fraction(2, 25)]
    assert (clip.kind, clip.count(), clip.estimated_frames) == ("pictures", 4, 4)
    assert clip.colour == Colour(0, 1, 13, 2)


def test_natural_order() -> None:
    from pathlib import Path

    names = ["a2", "a10", "a1b", "b", "10", "9", "a"]
    assert [path.name for path in sorted(map(Path, names), key=natural)] == ["9", "10", "a", "a1b", "a2", "a10", "b"]


def test_a_picture_of_another_size_is_named(tmp_path) -> None:
    write_picture(tmp_path / "1.png", np.zeros((16, 16, 3), np.uint8))
    write_picture(tmp_path / "2.png", np.zeros((16, 18, 3), np.uint8))
    with pytest.raises(BadInput, match=r"2\.png is 18x16 and not 16x16"):
        open_clip(tmp_path)


def test_a_damaged_picture_in_a_folder_is_named(tmp_path) -> None:
    for number in (1, 2, 3):
        write_picture(tmp_path / f"{number}.png", RANDOM.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    data = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(data[: len(data) // 2])
    clip = open_clip(tmp_path)
    frames = clip.frames()
    assert next(frames).index == 0
    with pytest.raises(BadInput, match=r"2\.png"):
        next(frames)


def test_written_pictures_keep_the_names_of_the_plates(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    for number in (7, 8):
        write_picture(tmp_path / "in" / f"take.{number}.tif", np.full((8, 8, 3), 7, np.uint16))
    plate = open_clip(tmp_path / "in")
    with ClipWriter(tmp_path / "out", plate, "tiff") as writer:
        for frame in plate.frames():
            writer.write(frame)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["take.7.tif", "take.8.tif"]
    assert open_clip(tmp_path / "out").bit_depth == 16


def test_one_picture_in_one_picture_out(tmp_path) -> None:
    image = RANDOM.integers(0, 256, (21, 33, 3), dtype=np.uint8)
    write_picture(tmp_path / "a.png", image)
    plate = open_clip(tmp_path / "a.png")
    with ClipWriter(tmp_path / "b.png", plate) as writer:
        writer.write(Frame(image, 0, 0, plate.time_base))
    assert np.array_equal(read_picture(tmp_path / "b.png"), image)


@pytest.mark.parametrize("name", ["a.gif", "a", "missing/a.png", "missing/a.exr"])
def test_pictures_that_cannot_be_written(tmp_path, name) -> None:
    with pytest.raises(BadInput):
        write_picture(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_the_room_loads_no_tensors() -> None:
    code = "import photodouble.media, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
