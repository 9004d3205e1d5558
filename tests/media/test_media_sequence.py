"""Numbered pictures: patterns, first files, gaps; metadata, precision and layers of what is written."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from test_media_identity import disc

from photodouble.errors import BadInput
from photodouble.media import ClipWriter, MatteWriter, open_clip, read_mattes, write_picture
from photodouble.media.matte import copy_mattes
from photodouble.media.picture_files import Layers
from photodouble.media.picture_output import picture_name, write_frame
from photodouble.media.pictures import read

RANDOM = np.random.default_rng(4)


def film(folder: Path, numbers=range(1001, 1005), suffix="exr", kind="half", **told) -> Path:
    """A sequence with timecode, camera and frame rate in its headers; returns the pattern."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        pixels = RANDOM.random((24, 32, 3)).astype(np.float32) * (20 if kind != "uint16" else 1)
        spec = oiio.ImageSpec(32, 24, 3, kind)
        spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (number, 0))
        spec.attribute("camera", "A")
        spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), (24000, 1001))
        for name, value in told.items():
            spec.attribute(name.replace("_", ":"), value)
        path = folder / f"sh010.{number:04d}.{suffix}"
        output = oiio.ImageOutput.create(str(path))
        assert output.open(str(path), spec) and output.write_image(pixels) and output.close()
    return folder / f"sh010.####.{suffix}"


def spec_of(path: Path) -> oiio.ImageSpec:
    source = oiio.ImageInput.open(str(path))
    spec = oiio.ImageSpec(source.spec())
    source.close()
    return spec


@pytest.mark.parametrize("name", ["sh010.####.exr", "sh010.%04d.exr", "sh010.1001.exr", ""])
def test_a_sequence_by_pattern_first_file_or_folder(tmp_path, name) -> None:
    film(tmp_path / "in")
    write_picture(tmp_path / "in" / "sh0101.tif", np.zeros((4, 4, 3), np.uint8)) if name else None
    plate = open_clip(tmp_path / "in" / name)
    assert [file.name for file in plate.files] == [f"sh010.{number}.exr" for number in range(1001, 1005)]
    assert (plate.rate, plate.bit_depth) == (Fraction(24000, 1001), 32)


def test_a_later_file_is_one_picture_and_so_is_a_numbered_still(tmp_path) -> None:
    film(tmp_path / "in")
    assert open_clip(tmp_path / "in" / "sh010.1002.exr").count() == 1
    for number in (1, 2):
        write_picture(tmp_path / f"holiday.{number}.png", np.zeros((4, 4, 3), np.uint8))
    assert open_clip(tmp_path / "holiday.1.png").count() == 1


@pytest.mark.parametrize("name", ["sh010.####.exr", "sh010.1001.exr"])
def test_missing_frames_are_named(tmp_path, name) -> None:
    film(tmp_path / "in", [1001, 1003, 1004, 1007])
    with pytest.raises(BadInput, match=r"\(1001-1007\) lacks the frames 1002, 1005-1006: put") as caught:
        open_clip(tmp_path / "in" / name)
    assert "\n" not in str(caught.value)
    assert open_clip(tmp_path / "in").count() == 4  # the folder is taken as it is


@pytest.mark.parametrize("name", ["no.####.exr", "gone/no.%04d.exr", "sh010.###.exr"])
def test_a_pattern_without_files(tmp_path, name) -> None:
    film(tmp_path / "in")
    if name == "sh010.###.exr":  # ### stands for three digits or more
        assert open_clip(tmp_path / "in" / name).count() == 4
        return
    with pytest.raises(BadInput, match="no file like"):
        open_clip(tmp_path / "in" / name)


def test_exr_goes_out_as_it_came_in_with_layers(tmp_path) -> None:
    plate = open_clip(film(tmp_path / "in", oiio_ColorSpace="ACEScg", compression="piz"))
    matte = disc(32, 24)
    (tmp_path / "layers").mkdir()
    with ClipWriter(tmp_path / "out" / "comp.####.exr", plate) as writer:
        for frame in plate.frames():
            image = np.where(matte[:, :, None] > 0, np.float32(0.5), frame.image)
            writer.write(replace(frame, image=image))
            layers = Layers(matte, np.full_like(image, 0.25), frame.image)
            path = tmp_path / "layers" / picture_name(plate, frame.index, ".exr", Path("comp.####.exr"))
            write_frame(path, path, replace(frame, image=image), plate, layers)
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"comp.{number}.exr" for number in range(1001, 1005)]
    for number, (file, frame) in enumerate(zip(files, plate.frames(), strict=True), 1001):
        found = oiio.ImageBuf(str(tmp_path / "layers" / file.name))
        spec = found.spec()
        layers = {"R", "G", "B", "A", "matte.A", *(f"{layer}.{c}" for layer in ("face", "plate") for c in "RGB")}
        assert set(spec.channelnames) == layers
        assert spec.format.basetype == oiio.HALF and spec.get_string_attribute("compression") == "piz"
        assert spec.get_string_attribute("camera") == "A" and spec.getattribute("smpte:TimeCode") == spec_of(
            plate.files[number - 1001]
        ).getattribute("smpte:TimeCode")
        assert spec.get_string_attribute("oiio:ColorSpace") == spec_of(plate.files[0]).get_string_attribute(
            "oiio:ColorSpace"
        )
        pixels = found.get_pixels(oiio.FLOAT)
        layer = {name: pixels[:, :, index] for index, name in enumerate(spec.channelnames)}
        assert np.array_equal(layer["plate.G"], frame.image[:, :, 1])
        assert np.array_equal(layer["R"][matte == 0], frame.image[:, :, 0][matte == 0])
        assert (layer["R"][matte > 0] == 0.5).all() and (layer["face.B"] == 0.25).all() and layer["A"].min() == 1
        assert np.abs(layer["matte.A"] - matte).max() < 1e-3
    again = open_clip(tmp_path / "out" / "comp.####.exr")
    assert (again.colour, again.rate) == (plate.colour, plate.rate)
    assert np.array_equal(read(files[0]).image[matte == 0], next(plate.frames()).image[matte == 0])


def test_lossy_compression_is_not_taken_over(tmp_path) -> None:
    plate = open_clip(film(tmp_path / "in", [1], compression="dwaa:45"))
    with ClipWriter(tmp_path / "out", plate, "exr") as writer:
        frame = next(plate.frames())
        writer.write(frame)
    assert spec_of(tmp_path / "out" / "sh010.0001.exr").get_string_attribute("compression") == "zip"
    assert np.array_equal(read(tmp_path / "out" / "sh010.0001.exr").image, frame.image)


@pytest.mark.parametrize("bits", [10, 16])
def test_dpx_keeps_its_code_values_and_timecode(tmp_path, bits) -> None:
    plate = open_clip(film(tmp_path / "in", [7, 8], "dpx", "uint16", oiio_BitsPerSample=bits))
    assert plate.bit_depth == 16
    with ClipWriter(tmp_path / "out", plate, "dpx") as writer:
        for frame in plate.frames():
            writer.write(frame)
    for number in (7, 8):
        one, other = (tmp_path / folder / f"sh010.{number:04d}.dpx" for folder in ("in", "out"))
        assert np.array_equal(read(one).image, read(other).image)
        assert spec_of(other).get_int_attribute("oiio:BitsPerSample") == bits
        assert spec_of(other).getattribute("smpte:TimeCode") == spec_of(one).getattribute("smpte:TimeCode")


def test_a_video_goes_into_a_pattern(tmp_path, record) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=range(3)))
    with ClipWriter(tmp_path / "out" / "x.%03d.tif", plate) as writer:
        for frame in plate.frames():
            writer.write(frame)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["x.000.tif", "x.001.tif", "x.002.tif"]
    with ClipWriter(tmp_path / "out" / "x.%03d.tif", plate) as writer:  # one's own are replaced
        writer.write(next(plate.frames()))
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds other files"), ClipWriter(tmp_path / "out" / "x.%03d.tif", plate):
        pass


@pytest.mark.parametrize("name", ["m.mkv", "m.mp4", "m", "m/m.####.png", "m/m.%04d.exr", "m/m.####.tif"])
def test_mattes_in_every_format(tmp_path, name) -> None:
    plate = open_clip(film(tmp_path / "in"))
    matte = disc(32, 24)
    with MatteWriter(tmp_path / "first.mkv", plate) as writer:
        for frame in plate.frames():
            writer.write(matte, frame)
    copy_mattes(tmp_path / "first.mkv", tmp_path / name, plate)
    if "#" in name or "%" in name:
        assert sorted(file.stem for file in (tmp_path / "m").iterdir()) == [f"m.{n}" for n in range(1001, 1005)]
    back = list(read_mattes(tmp_path / name))
    assert len(back) == 4
    for found in back:
        assert np.abs(found - matte).max() < (0.05 if name == "m.mp4" else 0.005)
        assert name == "m.mp4" or np.array_equal(found > 0, matte > 0)
