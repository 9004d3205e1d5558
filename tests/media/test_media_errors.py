"""Input that is no footage, or was: always one sentence of BadInput that names the file."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.media import open_clip, read_mattes, read_picture, write_picture

SUFFIXES = [
    "mp4",
    "mkv",
    "mov",
    "avi",
    "ts",
    "txt",
    "png",
    "jpg",
    "tif",
    "exr",
    "dpx",
    "bmp",
    "tga",
    "hdr",
    "webp",
    "gif",
    "h264",
]
SIGNATURES = {
    "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isommp41",
    "mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "mkv": b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska",
    "avi": b"RIFF\xff\0\0\0AVI LIST",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "tif": b"II*\0\x08\0\0\0",
    "exr": b"v/1\x01\x02\0\0\0",
    "gif": b"GIF89a",
}


def read_all(path) -> None:
    clip = open_clip(path)
    for frame in clip.frames(0, 5):
        assert frame.image.ndim == 3
    clip.count()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(SUFFIXES), st.booleans(), st.binary(max_size=600))
def test_random_bytes_are_bad_input_or_a_clip(tmp_path, suffix, signed, data) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes((SIGNATURES.get(suffix, b"") if signed else b"") + data)
    try:
        read_all(path)
    except BadInput as error:
        assert str(path) in str(error)
        assert str(error).endswith(".") and "\n" not in str(error)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["mp4", "mkv", "ts", "avi", "png", "tif", "exr", "jpg"]),
    st.floats(0, 1),
    st.binary(min_size=1, max_size=40),
)
def test_damaged_files_are_bad_input_or_a_clip(tmp_path, record, suffix, where, data) -> None:
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        if suffix in ("mp4", "mkv", "ts", "avi"):
            record(whole)
        else:
            write_picture(whole, np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8))
    content = bytearray(whole.read_bytes())
    at = int(where * (len(content) - 1))
    content[at : at + len(data)] = data
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    try:
        read_all(path)
    except BadInput as error:
        assert str(path) in str(error)


def test_a_missing_file(tmp_path) -> None:
    for read in (open_clip, read_picture, lambda path: list(read_mattes(path))):
        with pytest.raises(BadInput, match=r"gone\.mkv"):
            read(tmp_path / "gone.mkv")


def test_an_empty_file(tmp_path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(BadInput, match="is empty"):
        open_clip(tmp_path / "a.mp4")


def test_an_empty_folder(tmp_path) -> None:
    with pytest.raises(BadInput, match="holds no pictures"):
        open_clip(tmp_path)


def test_no_video(tmp_path) -> None:
    (tmp_path / "a.mp4").write_text("These are words, not footage. " * 40)
    with pytest.raises(BadInput, match="not a video"):
        open_clip(tmp_path / "a.mp4")


def test_sound_alone(tmp_path) -> None:
    import av

    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 44100
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    with pytest.raises(BadInput, match="only sound"):
        open_clip(tmp_path / "a.m4a")


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi"])
@pytest.mark.parametrize("index_first", [False, True])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.995])
def test_a_file_that_is_cut_off(record, tmp_path, suffix, index_first, part) -> None:
    options = {"movflags": "+faststart"} if index_first and suffix in ("mp4", "mov") else None
    whole = record(tmp_path / f"a.{suffix}", pts=range(40), sound=True, size=(128, 96), container_options=options)
    data = whole.read_bytes()
    assert open_clip(whole).count() == 40
    whole.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(BadInput, match="cut off"):
        open_clip(whole)


def test_damage_in_the_middle_names_the_frame_after_giving_those_before(record, tmp_path) -> None:
    path = record(tmp_path / "a.mp4", pts=range(40), size=(128, 96), container_options={"movflags": "+faststart"},
                  options={"g": "5", "crf": "5"})  # fmt: skip
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\xa5" * 2000
    path.write_bytes(data)
    seen = []
    with pytest.raises(BadInput, match=r"damaged after frame \d+ "):
        for frame in open_clip(path).frames():
            seen.append(frame.index)
    assert seen and seen == list(range(len(seen)))


def test_a_name_with_a_colon_is_a_file(record, tmp_path) -> None:
    path = record(tmp_path / "a.mp4").rename(tmp_path / "http:a%03d.mp4")
    assert open_clip(path).count() == 10


def test_playlists_reach_no_network(tmp_path) -> None:
    (tmp_path / "a.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(BadInput):
        open_clip(tmp_path / "a.m3u8")
