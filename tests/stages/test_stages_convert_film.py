"""Convert of odd and of film plates: each ends faithful, or is refused in one sentence. Model mesh, few frames."""

import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from photodouble.consent import add_record
from photodouble.errors import BadInput
from photodouble.media import ClipWriter, Colour, Frame, open_clip, read_mattes
from photodouble.media.colour import decode_srgb, to_depth
from photodouble.media.pictures import read
from photodouble.media.transfer import PQ, from_linear
from photodouble.project import Project, init_project
from photodouble.stages import extract
from photodouble.stages.convert import ConvertConfig, run

FRAMES = 3


@pytest.fixture(scope="module")
def scenes(tmp_path_factory, make_plate, portraits) -> list[np.ndarray]:
    """Pictures of the first portrait in motion, 192 x 256 RGB."""
    path = make_plate(tmp_path_factory.mktemp("scenes") / "a.mp4", portraits[0], FRAMES, 192, 256, sound=False)
    return [frame.image for frame in open_clip(path).frames()]


@pytest.fixture(scope="module")
def known(tmp_path_factory, scenes, portraits) -> Project:
    """`double` from one picture of the scene and `ada` from a portrait; each plate's faces are found anew."""
    folder = tmp_path_factory.mktemp("known")
    cv2.imwrite(str(folder / "still.png"), scenes[0][:, :, ::-1])
    project = init_project(folder / "project")
    for name, source in (("double", folder / "still.png"), ("ada", portraits[1])):
        add_record(project, name, "synthetic", "openpeople 0.1.2, AI-generated")
        list(extract.run(extract.ExtractConfig(project.root, name, [source])))
    return project


@pytest.fixture
def convert(known, tmp_path) -> Callable[..., dict]:
    """Convert a plate; the result's values."""

    def go(plate: Path, output: str, **options) -> dict:
        return list(run(ConvertConfig(known.root, plate, "double", "ada", tmp_path / output, **options)))[-1].values

    return go


def store(path: Path, images: list[np.ndarray], format: str = "yuv420p", **given) -> Path:
    """Write RGB pictures losslessly; `given`: rotation, aspect, interlaced, tags."""
    with av.open(str(path), "w") as container:
        codec = "ffv1" if path.suffix == ".mkv" else "libx264"
        options = {} if codec == "ffv1" else {"qp": "0"}
        if given.get("interlaced"):
            options = {"crf": "10", "x264-params": "tff=1"}
        video = container.add_stream(codec, rate=24, options=options)
        video.width, video.height, video.pix_fmt = images[0].shape[1], images[0].shape[0], format
        context = video.codec_context
        context.sample_aspect_ratio = given.get("aspect", Fraction(1))
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = given.get(
            "tags", (1, 1, 1, 1)
        )
        if "rotation" in given:
            video.set_display_rotation(given["rotation"])
        container.start_encoding()
        for index, image in enumerate(images):
            source = "rgba" if image.shape[2] == 4 else "rgb48le" if image.dtype == np.uint16 else "rgb24"
            frame = av.VideoFrame.from_ndarray(image, format=source)
            frame = frame.reformat(format=format, dst_colorspace="ITU709")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def assert_faithful(plate: Path, values: dict, faces: int) -> None:
    """Drawn where there are faces, and outside the matte the plate's own bits."""
    assert values["faces_drawn"] == faces
    one, other = open_clip(plate), open_clip(Path(values["output"]))
    assert (one.width, one.height, one.bit_depth) == (other.width, other.height, other.bit_depth)
    assert one.sample_aspect == other.sample_aspect
    changed = 0
    for a, b, matte in zip(one.frames(), other.frames(), read_mattes(Path(values["matte"])), strict=True):
        assert np.array_equal(a.image[matte == 0], b.image[matte == 0])
        assert (a.alpha is None) == (b.alpha is None)
        assert a.alpha is None or np.array_equal(a.alpha, b.alpha)
        changed += bool((a.image != b.image).any())
    assert changed == faces


def one_sentence(error: BaseException) -> bool:
    return "\n" not in str(error) and str(error).endswith(".") and not re.search(r"\. [A-Z]", str(error))


def test_a_turned_plate_is_drawn_upright(tmp_path, convert, scenes) -> None:
    plate = store(tmp_path / "a.mov", [np.ascontiguousarray(np.rot90(scenes[0], -1))], rotation=90)
    assert (open_clip(plate).width, open_clip(plate).height) == (192, 256)
    assert_faithful(plate, convert(plate, "b.mkv", codec="ffv1"), 1)


def test_an_odd_sized_plate_of_one_frame(tmp_path, convert, scenes) -> None:
    plate = store(tmp_path / "a.mkv", [image[:255, :191] for image in scenes[:1]])
    assert_faithful(plate, convert(plate, "b.mkv", codec="ffv1"), 1)


def test_an_anamorphic_plate(tmp_path, convert, scenes) -> None:
    squeezed = [cv2.resize(image, (144, 256), interpolation=cv2.INTER_AREA) for image in scenes[:1]]
    plate = store(tmp_path / "a.mkv", squeezed, aspect=Fraction(4, 3))
    assert_faithful(plate, convert(plate, "b.mkv", codec="ffv1"), 1)


def test_an_interlaced_plate_is_refused(tmp_path, convert, scenes) -> None:
    plate = store(tmp_path / "a.mp4", scenes[:2], interlaced=True)
    assert open_clip(plate).interlaced
    with pytest.raises(BadInput, match="is interlaced") as caught:
        convert(plate, "b.mp4")
    assert one_sentence(caught.value) and not (tmp_path / "b.mp4").exists()


def test_alpha_stays(tmp_path, convert, scenes) -> None:
    alpha = np.linspace(0, 255, 192).astype(np.uint8)[None].repeat(256, 0)
    plate = store(tmp_path / "a.mkv", [np.dstack([scenes[0], alpha])], "yuva444p10le")
    assert open_clip(plate).has_alpha
    assert_faithful(plate, convert(plate, "b.mkv", codec="ffv1"), 1)


def test_a_plate_without_a_face_is_refused(tmp_path, convert, scenes) -> None:
    plate = store(tmp_path / "a.mkv", [np.full_like(scenes[0], 90)] * 2)
    with pytest.raises(BadInput, match=r"(?i)no .*face") as caught:
        convert(plate, "b.mkv", codec="ffv1")
    assert one_sentence(caught.value) and not (tmp_path / "b.mkv").exists()


def test_of_many_faces_one_is_replaced(tmp_path, convert, scenes, portraits) -> None:
    """The double stands on the left, somebody else on the right, twice."""
    crowd = cv2.cvtColor(cv2.imread(str(portraits[2])), cv2.COLOR_BGR2RGB)
    crowd = crowd[: crowd.shape[0] * 3 // 4]
    crowd = cv2.resize(crowd, (round(crowd.shape[1] * 256 / crowd.shape[0]), 256), interpolation=cv2.INTER_AREA)
    plate = store(tmp_path / "a.mkv", [np.hstack([image, crowd, crowd])[:, : 192 + crowd.shape[1] * 2 // 2 * 2] for image in scenes[:2]], "bgr0", tags=(0, 1, 1, 2))  # fmt: skip # noqa: E501
    values = convert(plate, "b.mkv", codec="ffv1")
    assert_faithful(plate, values, 2)
    for matte in read_mattes(Path(values["matte"])):
        assert matte[:, :192].max() > 0.9 and matte[:, 192:].max() == 0


def test_cuts_every_few_frames(tmp_path, convert, scenes) -> None:
    """Shot, empty set, mirrored shot: no face is drawn across a cut."""
    other = [np.ascontiguousarray(image[:, ::-1]) for image in scenes]
    shots = [scenes[0]] * 6 + [np.full_like(scenes[0], 70)] * 6 + [other[0]] * 6
    plate = store(tmp_path / "a.mkv", shots)
    values = convert(plate, "b.mkv", codec="ffv1")
    assert_faithful(plate, values, 12)
    drawn = [matte.max() > 0 for matte in read_mattes(Path(values["matte"]))]
    assert drawn == [True] * 6 + [False] * 6 + [True] * 6


def test_a_ten_bit_pq_plate(tmp_path, convert, scenes) -> None:
    """Seen by its light, changed by a difference, tagged as before."""
    codes = [
        np.rint(from_linear(decode_srgb(image.astype(np.float32) / 255) * 0.8, PQ) * 65535).astype(np.uint16)
        for image in scenes[:1]
    ]
    path = tmp_path / "a.mkv"
    seed = store(tmp_path / "seed.mkv", [scenes[0]], "yuv420p10le", tags=(9, 9, 16, 1))
    with ClipWriter(path, open_clip(seed), "ffv1") as writer:
        writer.write(Frame(codes[0], 0, 0, Fraction(1, 24)))
    values = convert(path, "b.mkv", codec="ffv1")
    assert_faithful(path, values, 1)
    assert open_clip(Path(values["output"])).colour == Colour(9, 9, 16, 1)


@pytest.fixture(scope="module")
def linear(tmp_path_factory, scenes) -> Path:
    """A half-float sequence in linear light, with an alpha channel, from 1001 on; its sky shines at 50."""
    folder = tmp_path_factory.mktemp("linear")
    for index, image in enumerate(scenes):
        pixels = decode_srgb(image.astype(np.float32) / 255)
        pixels[:10] = 50
        pixels[10:12] = -0.01
        spec = oiio.ImageSpec(192, 256, 4, "half")
        spec.channelnames = ("R", "G", "B", "A")
        spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (index, 0))
        output = oiio.ImageOutput.create(str(folder / f"sh.{1001 + index}.exr"))
        assert output.open(str(folder / f"sh.{1001 + index}.exr"), spec)
        assert output.write_image(np.dstack([pixels, np.full((256, 192, 1), 0.5, np.float32)])) and output.close()
    return folder / "sh.####.exr"


def test_an_exr_sequence_with_layers_a_matte_and_listed_frames(tmp_path, convert, linear, scenes) -> None:
    (tmp_path / "out").mkdir()
    values = convert(
        linear, "out/comp.####.exr", matte=tmp_path / "mattes" / "m.####.tif", frames=f"1001,{1000 + FRAMES}"
    )
    assert values["faces_drawn"] == 2
    plate, mattes = open_clip(linear), list(read_mattes(tmp_path / "mattes" / "m.####.tif"))
    assert [matte.max() > 0 for matte in mattes] == [True, False, True]
    for number, frame, matte in zip(range(1001, 1001 + FRAMES), plate.frames(), mattes, strict=True):
        path = tmp_path / "out" / f"comp.{number}.exr"
        assert path.with_suffix(".c2pa").is_file()
        found = read(path)
        assert np.array_equal(found.image[matte == 0], frame.image[matte == 0])
        assert found.image.max() == 50 and np.array_equal(found.alpha, frame.alpha)
        picture = oiio.ImageBuf(str(path))
        names = picture.spec().channelnames
        pixels = picture.get_pixels(oiio.FLOAT)
        layer = {name: pixels[:, :, index] for index, name in enumerate(names)}
        assert np.abs(layer["matte.A"] - matte).max() < 0.005
        assert np.array_equal(layer["plate.R"], frame.image[:, :, 0])
        solid = matte == 1
        if solid.any():  # the unblended face is what the composite shows in the matte's middle
            assert np.abs(layer["face.G"][solid] - layer["G"][solid]).mean() < 0.05
            assert np.abs(layer["G"] - layer["plate.G"])[solid].mean() > 0.005
    assert sorted(file.suffix for file in (tmp_path / "out").iterdir()) == [".c2pa"] * FRAMES + [".exr"] * FRAMES
    _check_with_oiiotool(tmp_path / "out" / "comp.1001.exr", tmp_path)


def _check_with_oiiotool(path: Path, folder: Path) -> None:
    """OpenImageIO's own command sees the layers, takes one out, and puts the face over the plate by its matte."""
    tool = str(Path(sys.executable).parent / "oiiotool")
    told = subprocess.run([tool, "--info", "-v", str(path)], capture_output=True, text=True, check=True).stdout
    layers = ("matte.A", *(f"{layer}.{c}" for layer in ("face", "plate") for c in "RGB"))
    listed = next(line for line in told.splitlines() if "channel list" in line)
    assert all(name in listed for name in ("R", "G", "B", "A", *layers)) and "256, 11 channel" in told
    matte, over = folder / "matte.tif", folder / "over.exr"
    subprocess.run([tool, str(path), "--ch", "matte.A", "-o", str(matte)], check=True, capture_output=True)
    alone, layer = oiio.ImageBuf(str(matte)), oiio.ImageBuf(str(path))
    names = list(layer.spec().channelnames)
    pixels = layer.get_pixels(oiio.FLOAT)
    assert np.abs(alone.get_pixels(oiio.FLOAT)[:, :, 0] - pixels[:, :, names.index("matte.A")]).max() < 1e-3
    take = [str(path), "--ch", "face.R,face.G,face.B", str(path), "--ch", "plate.R,plate.G,plate.B"]
    three = [str(path), "--ch", "matte.A,matte.A,matte.A"]
    subprocess.run([tool, *take, "--sub", *three, "--mul", *take[3:], "--add", "-o", str(over)], check=True)
    comp, mine = oiio.ImageBuf(str(over)).get_pixels(oiio.FLOAT), pixels[:, :, [names.index(c) for c in "RGB"]]
    alpha = pixels[:, :, names.index("matte.A")]
    assert np.abs(comp - mine)[alpha == 1].mean() < 0.05
    assert np.array_equal(comp[alpha == 0], mine[alpha == 0])


def test_a_linear_plate_gets_the_face_that_its_sdr_twin_gets(tmp_path, convert, linear, scenes) -> None:
    """The generator sees what a screen shows, so both composites look alike."""
    twin = store(tmp_path / "a.mkv", scenes[:1], "bgr0", tags=(0, 1, 1, 2))
    one = convert(twin, "b.mkv", codec="ffv1")
    other = convert(linear, "out", codec="exr", frames="1001")
    solid = next(read_mattes(Path(one["matte"]))) == 1
    a = next(open_clip(Path(one["output"])).frames(dtype=np.uint8)).image[solid]
    b = to_depth(next(open_clip(Path(other["output"])).frames()).image, np.uint8)[solid]
    assert np.abs(a.astype(int) - b).mean() < 4


def test_a_shot_list_and_frames_that_show_nothing(tmp_path, convert, scenes) -> None:
    plate = store(tmp_path / "a.mkv", [*scenes, np.full_like(scenes[0], 80)])
    edl = "001  AX  V  C  00:00:00:01 00:00:00:02 01:00:00:00 01:00:00:01\n* FROM CLIP NAME: a.mkv\n"
    (tmp_path / "cut.edl").write_text(edl)
    values = convert(plate, "b.mkv", codec="ffv1", shots=tmp_path / "cut.edl")
    assert_faithful(plate, values, 1)
    assert [matte.max() > 0 for matte in read_mattes(Path(values["matte"]))] == [False, True, False, False]
    with pytest.raises(BadInput, match="None of the frames listed") as caught:
        convert(plate, "b.mkv", codec="ffv1", frames="3")
    assert one_sentence(caught.value)
    with pytest.raises(BadInput, match="go beyond the plate"):
        convert(plate, "b.mkv", codec="ffv1", frames="3-9")
