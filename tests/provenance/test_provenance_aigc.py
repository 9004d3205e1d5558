"""The metadata field AIGC: in the file, read back by others, and nothing else changed by it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.provenance import Marking, find_field, make_field, read_manifest, sidecar, sign
from photodouble.provenance.aigc import FIELDS, HOLDS

Make = Callable[[str], Path]
SUFFIXES = [".mp4", ".mov", ".mkv", ".png", ".jpg"]


def test_the_field_has_the_seven_texts_of_the_standard() -> None:
    field = json.loads(make_field("91110000MA01", "shot.mp4", "ab" * 32))
    assert tuple(field) == FIELDS
    assert all(isinstance(value, str) for value in field.values())
    assert field["Label"] == "1"
    assert field["ContentProducer"] == field["ContentPropagator"] == "91110000MA01"
    assert field["ProduceID"] == field["PropagateID"]
    assert make_field("a", "one") != make_field("a", "two")
    for producer in ("", "two words", 'quo"te', "back\\slash", "工"):
        with pytest.raises(BadInput, match="cannot stand"):
            make_field(producer)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_signed_file_holds_the_field_and_its_frames_are_untouched(
    make_file: Make, marking: Marking, tmp_path: Path, suffix: str
) -> None:
    source, output = make_file("in" + suffix), tmp_path / ("out" + suffix)
    text = make_field("studio-12", "out")
    sign(source, output, replace(marking, field=text))
    assert suffix in HOLDS
    assert read_manifest(output).state == "valid"
    assert find_field(output) == json.loads(text)
    assert find_field(source) is None
    if suffix in (".mp4", ".mov", ".mkv"):
        films = []
        for path in (source, output):
            with av.open(str(path)) as film:
                key = film.metadata.get("AIGC")
                films.append([(frame.pts, frame.to_ndarray().tobytes()) for frame in film.decode(video=0)])
        assert json.loads(key) == json.loads(text)  # FFmpeg reads it as any other tag
        assert films[0] == films[1] and len(films[0]) == 8
    else:
        assert (cv2.imread(str(source)) == cv2.imread(str(output))).all()
    left = {path.name for path in tmp_path.iterdir()} - {"home", source.name, output.name, sidecar(output).name}
    assert not left


def test_a_plate_with_its_own_tags_and_moov_first_keeps_them(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    source, tagged = make_file("in.mp4"), tmp_path / "tagged.mp4"
    with av.open(str(source)) as film, av.open(str(tagged), "w", container_options={"movflags": "+faststart"}) as copy:
        stream = copy.add_stream_from_template(film.streams.video[0])
        copy.metadata["title"] = "a title"
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    data = tagged.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    sign(tagged, tmp_path / "out.mp4", replace(marking, field=make_field("x")))
    with av.open(str(tagged)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert (after.metadata["title"], json.loads(after.metadata["AIGC"])["Label"]) == ("a title", "1")
        one, other = ([f.to_ndarray().tobytes() for f in film.decode(video=0)] for film in (before, after))
        assert one == other and len(one) == 8


def test_a_format_without_a_place_for_it_is_signed_without(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    sign(make_file("in.tif"), tmp_path / "out.tif", replace(marking, field=make_field("x")))
    assert read_manifest(tmp_path / "out.tif").state == "valid"
    assert find_field(tmp_path / "out.tif") is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(SUFFIXES),
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1\0\x20Exif\0\0", b"\0\0\0\x18ftypmp42"]),
    tail=st.binary(max_size=200),
)
def test_reading_arbitrary_bytes_never_crashes(tmp_path: Path, suffix: str, head: bytes, tail: bytes) -> None:
    path = tmp_path / ("x" + suffix)
    path.write_bytes(head + tail)
    assert find_field(path) is None
