"""Linear and HDR plates: what a screen shows of them, and changes taken back."""

import contextlib
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import OpenImageIO as oiio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_media_identity import TAGS, noisy
from test_media_time import copy

from photodouble.errors import BadInput
from photodouble.media import ClipWriter, Colour, Frame, Space, open_clip, read_view, write_picture
from photodouble.media.colour import LINEAR, SRGB
from photodouble.media.light import Light
from photodouble.media.planes import to_rgb
from photodouble.media.stored import luma_plane
from photodouble.media.transfer import HLG, PQ, from_linear, primaries_matrix, to_linear
from photodouble.media.viewing import add_change, eight_bit, from_display, light_of, needs_view, to_display
from photodouble.media.writer import encodable

LINEAR_709, ACES = Colour(0, 1, LINEAR, 2), Colour(0, 1, LINEAR, 2, "ACEScg")
KINDS = [LINEAR_709, Colour(0, 9, LINEAR, 2), Colour(9, 9, PQ, 1), Colour(9, 9, HLG, 1), ACES]
RANDOM = np.random.default_rng(2)


@pytest.mark.parametrize(
    ("transfer", "code", "light"),
    [
        (PQ, 0.580689, 1.0),  # BT.2408: 203 cd/m2 is 58 % of PQ
        (PQ, 0.508078, 100 / 203),  # ST 2084: 100 cd/m2
        (PQ, 1.0, 10_000 / 203),
        (HLG, 0.75, 1.0),  # BT.2408: 203 cd/m2 on a screen of 1000
        (HLG, 1.0, 1000 / 203),
        (SRGB, 0.5, 0.21404),
        (LINEAR, 7.0, 7.0),
    ],
)
def test_transfers_are_the_standards(transfer, code, light) -> None:
    assert float(to_linear(np.array(code), transfer)) == pytest.approx(light, rel=2e-3)
    assert float(from_linear(np.array(light), transfer)) == pytest.approx(code, rel=1e-3)


def test_primaries() -> None:
    """White stays white; BT.2087 gives this matrix from BT.709 to BT.2020."""
    matrix = primaries_matrix(9)
    assert matrix is not None and np.allclose(matrix @ [1, 1, 1], 1, atol=1e-6)
    assert np.allclose(np.linalg.inv(matrix)[0], [0.6274, 0.3293, 0.0433], atol=2e-4)


@pytest.mark.parametrize("colour", KINDS)
def test_the_view_can_be_taken_back(colour) -> None:
    shown = RANDOM.random((40, 40, 3)).astype(np.float32) * np.float32(0.97)
    plate = from_display(shown, colour)
    if colour.transfer in (PQ, HLG):
        plate = np.clip(plate, 0, 1)
        shown = to_display(np.rint(plate * 65535).astype(np.uint16), colour)
        again = to_display(np.rint(from_display(shown, colour) * 65535).astype(np.uint16), colour)
        assert np.abs(again - shown).mean() < 2e-3
    else:
        assert np.abs(to_display(plate.astype(np.float32), colour) - shown).max() < 2e-3


@given(st.floats(-1, 60, width=32), st.floats(0, 1, width=32), st.sampled_from([0, 4]))
def test_what_does_not_change_keeps_its_bits_and_brighter_stays_brighter(value, wanted, kind) -> None:
    colour = KINDS[kind]
    plate = np.full((1, 2, 3), value, np.float32)
    before = to_display(plate, colour)
    after = before.copy()
    after[0, 1] = wanted
    done = add_change(plate, before, after, colour)
    assert np.array_equal(done[0, 0], plate[0, 0])
    assert np.isfinite(done).all()


def test_values_up_to_fifty_stay_where_the_face_is_not_and_highlights_where_it_is() -> None:
    plate = (RANDOM.random((30, 30, 3)) * 50).astype(np.float32)
    before = to_display(plate, LINEAR_709)
    after = before.copy()
    after[:15] *= 0.98
    done = add_change(plate, before, after, LINEAR_709)
    assert np.array_equal(done[15:], plate[15:])
    assert np.allclose(to_display(done, LINEAR_709)[:15], after[:15], atol=2e-3)


def test_ordinary_pictures_have_no_view() -> None:
    plain = Colour(1, 1, 1, 1)
    image = RANDOM.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert not needs_view(plain) and eight_bit(image, plain) is image
    deep = image.astype(np.uint16) * 257
    assert np.array_equal(eight_bit(deep, plain), image)


@pytest.mark.parametrize("transfer", [SRGB, 1])
def test_floats_made_for_a_screen_get_no_curve(tmp_path, transfer) -> None:
    """Half is half, for detection, for what draws faces, and in a film; NaN is black."""
    values = np.array([0.5, 0.25, -1.0, 7.0, np.nan], np.float32)
    image = np.repeat(np.tile(values, (16, 4))[..., None], 3, axis=2)
    seen = [128, 64, 0, 255, 0]
    colour = Colour(0, 1, transfer, 2)
    assert np.array_equal(eight_bit(image, colour)[5, :5, 0], seen)
    coded = encodable(Frame(image, 0, 0, Fraction(1, 25), 1, colour), "yuv444p", Colour(1, 1, 1, 2))
    assert np.abs(luma_plane(coded)[0][5, :5] - np.array(seen, int)).max() <= 1
    file = tmp_path / "a.exr"
    spec = oiio.ImageSpec(20, 16, 3, "float")
    spec.attribute("oiio:ColorSpace", "sRGB" if transfer == SRGB else "")
    with contextlib.closing(oiio.ImageOutput.create(str(file))) as out:
        assert out.open(str(file), spec) and out.write_image(image)
    clip = open_clip(file, space=Space("" if transfer == SRGB else "rec709"))
    assert np.array_equal(next(clip.frames(dtype=np.uint8)).image[5, :5, 0], seen)
    picture = av.VideoFrame.from_ndarray(image, format="gbrpf32le")
    assert np.array_equal(to_rgb(picture, colour, eight_bit=True)[5, :5, 0], seen)


def test_a_film_of_light_says_that_it_is_made_for_a_screen(tmp_path) -> None:
    spec = oiio.ImageSpec(16, 16, 3, "float")
    with contextlib.closing(oiio.ImageOutput.create(str(tmp_path / "a.exr"))) as out:
        out.open(str(tmp_path / "a.exr"), spec)
        out.write_image(np.full((16, 16, 3), 0.3, np.float32))
    plate = open_clip(tmp_path / "a.exr", space=Space("lin_rec2020"))
    with ClipWriter(tmp_path / "b.mp4", plate) as writer:
        writer.write(next(plate.frames()))
    film = open_clip(tmp_path / "b.mp4")
    assert (film.colour.primaries, film.colour.transfer) == (1, SRGB)
    one, other = (next(clip.frames(dtype=np.uint8)).image for clip in (plate, film))
    assert np.abs(one.astype(int) - other).max() <= 2


def test_a_pq_video_is_seen_by_its_light(tmp_path) -> None:
    """Reference white (203 cd/m2) is light grey and not the mid grey of its code value."""
    code = round(64 + 876 * 0.580689)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 16, 16, "yuv420p10le"
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, 16, 1
        frame = av.VideoFrame(16, 16, "yuv420p10le")
        for plane, value in zip(frame.planes, (code, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
        frame.pts = 0
        container.mux([*video.encode(frame), *video.encode(None)])
    plate = open_clip(path)
    assert 235 < next(plate.frames(dtype=np.uint8)).image.mean() < 250
    assert abs(next(plate.frames()).image.mean() / 65535 - 0.5807) < 0.002
    # EXR holds its light: reference white is 1.0
    written = copy(plate, tmp_path / "out", codec="exr")
    assert abs(next(written.frames()).image.mean() - 1) < 0.01
    assert written.colour == Colour(0, 9, LINEAR, 2)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("tags", ["pq", "hlg"])
def test_hdr_says_what_it_is(tmp_path, codec, tags) -> None:
    plate = open_clip(noisy(tmp_path / "a.mkv", "yuv420p10le", TAGS[tags]))
    light = Light((34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450), (10_000_000, 50), (1000, 400))
    once = copy(replace(plate, light=light), tmp_path / "b.mp4", codec=codec)
    assert (once.light, once.colour, once.bit_depth) == (light, plate.colour, 10)
    again = copy(once, tmp_path / "c.mkv", codec=codec)
    assert again.light == light
    with ClipWriter(tmp_path / "d.mkv", once, "ffv1") as writer:
        writer.write(next(once.frames()))
    assert any("mastering display" in sentence for sentence in writer.left_out)


def exr(path, image, space: str = "", half: bool = False) -> None:
    spec = oiio.ImageSpec(image.shape[1], image.shape[0], 3, "half" if half else "float")
    if space:
        spec.attribute("oiio:ColorSpace", space)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(image) and output.close()


def test_a_sequence_says_its_colour_space(tmp_path) -> None:
    image = np.full((8, 8, 3), (0.3, 0.2, 0.1), np.float32)
    exr(tmp_path / "a.exr", image, "ACEScg")
    exr(tmp_path / "b.exr", image)
    aces, plain = open_clip(tmp_path / "a.exr"), open_clip(tmp_path / "b.exr")
    assert (aces.colour.space, plain.colour.space) == ("ACEScg", "")
    seen, other = (next(clip.frames(dtype=np.uint8)).image[0, 0].astype(int) for clip in (aces, plain))
    assert seen[0] > other[0] + 5 and seen[2] < other[2]  # AP1's red is redder
    told = open_clip(tmp_path / "b.exr", space=Space("ACEScg"))
    assert np.array_equal(next(told.frames(dtype=np.uint8)).image[0, 0], seen)
    assert np.array_equal(read_view(tmp_path / "b.exr", Space("ACEScg"))[0, 0], seen)
    log = open_clip(tmp_path / "b.exr", space=Space("ARRI LogC4"))
    assert next(log.frames(dtype=np.uint8)).image[0, 0, 0] != other[0]


CONFIG = """ocio_profile_version: 2
roles: {{scene_linear: house linear, default: house linear}}
file_rules: [!<Rule> {{name: Default, colorspace: default}}]
displays: {{}}
colorspaces:
  - !<ColorSpace> {{name: house linear}}
  - !<ColorSpace>
    name: house log
    to_scene_reference: !<ExponentTransform> {{value: [{power}, {power}, {power}, 1]}}
"""


def test_a_studios_config_explains_its_names(tmp_path) -> None:
    config = tmp_path / "config.ocio"
    config.write_text(CONFIG.format(power=2))
    write_picture(tmp_path / "a.tif", np.full((8, 8, 3), 32768, np.uint16))
    plate = open_clip(tmp_path / "a.tif", space=Space("house log", config))
    assert plate.colour.space == "house log"
    assert np.allclose(light_of(next(plate.frames()).image, plate.colour), 0.25, atol=1e-3)
    with pytest.raises(BadInput, match=r"no colour space 'nobody.s'.*config\.ocio"):
        open_clip(tmp_path / "a.tif", space=Space("nobody's", config))
    with pytest.raises(BadInput, match=r"no colour space 'nobody.s' in the built-in"):
        open_clip(tmp_path / "a.tif", space=Space("nobody's"))
    (tmp_path / "bad.ocio").write_text("not: a config")
    with pytest.raises(BadInput, match=r"bad\.ocio is no OpenColorIO config") as caught:
        open_clip(tmp_path / "a.tif", space=Space("x", tmp_path / "bad.ocio"))
    assert "\n" not in str(caught.value)


def test_a_config_is_needed_only_where_a_name_is_looked_up(record, tmp_path) -> None:
    gone = tmp_path / "gone.ocio"
    video = open_clip(record(tmp_path / "a.mp4"))
    assert open_clip(video.path, space=Space("", gone)).colour == video.colour
    write_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    assert open_clip(tmp_path / "a.png", space=Space("", gone)).colour.space == ""
    with pytest.raises(BadInput, match=r"no OpenColorIO config .*gone\.ocio"):
        open_clip(video.path, space=Space("ACEScg", gone))


@pytest.mark.parametrize("config", ["ocio://default", "ocio://studio-config-latest"])
def test_configs_inside_opencolorio_explain_names(tmp_path, config) -> None:
    image = np.full((8, 8, 3), (0.3, 0.2, 0.1), np.float32)
    exr(tmp_path / "a.exr", image)
    plate, plain = (open_clip(tmp_path / "a.exr", space=Space("ACEScg", given)) for given in (config, None))
    seen, expected = (next(clip.frames(dtype=np.uint8)).image for clip in (plate, plain))
    assert np.abs(seen.astype(int) - expected).max() <= 1
    with pytest.raises(BadInput, match="ocio://nonsense is no OpenColorIO config"):
        open_clip(tmp_path / "a.exr", space=Space("ACEScg", "ocio://nonsense"))
