import json
import resource
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import c2pa
import pytest

from photodouble.errors import BadInput, PhotodoubleError
from photodouble.provenance import Marking, finish, read_manifest, sidecar, sign, signer_for

Make = Callable[[str], Path]
SUFFIXES = [".mp4", ".mov", ".avi", ".png", ".tif", ".jpg", ".mkv", ".exr"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_bears_the_mark_and_loses_it_with_any_byte(
    make_file: Make, marking: Marking, tmp_path: Path, suffix: str
) -> None:
    source, output = make_file("in" + suffix), tmp_path / ("out" + suffix)
    before = source.read_bytes()
    sign(source, output, marking)
    assert source.read_bytes() == before
    found = read_manifest(output)
    assert (found.state, found.trusted) == ("valid", True)
    assert found.consent == marking.consent_digests
    assert (found.basis, found.model, found.title) == ("release", "c3" * 32, "shot")
    assert found.actions == ["c2pa.created", "c2pa.edited"]
    assert found.signer is not None and found.signer.startswith("photodouble local")
    data = bytearray(output.read_bytes())
    for offset in _picture_bytes(bytes(data), before):
        data[offset] ^= 0x10
        output.write_bytes(data)
        assert read_manifest(output).state == "tampered", offset
        data[offset] ^= 0x10
    output.write_bytes(data[:-1])
    assert read_manifest(output).state == "tampered"


def _picture_bytes(signed: bytes, source: bytes) -> list[int]:
    """Twelve offsets in the part of the signed file that came from the source as it was."""
    piece = source[len(source) // 2 : len(source) // 2 + 64]
    middle = signed.find(piece)
    assert middle >= 0
    reach = len(source) // 4
    return [middle - reach + index * reach // 6 for index in range(12)]


def test_the_manifest_says_what_was_done_in_the_words_of_the_standard(
    make_file: Make, marking: Marking, tmp_path: Path
) -> None:
    plate = make_file("plate.mp4")
    sign(make_file("in.mp4"), tmp_path / "out.mp4", replace(marking, plate=plate))
    with c2pa.Reader(tmp_path / "out.mp4") as reader:
        store = json.loads(reader.json())
    manifest = store["manifests"][store["active_manifest"]]
    opened, edited = manifest["assertions"][1]["data"]["actions"]
    assert opened["action"] == "c2pa.opened"
    assert edited["action"] == "c2pa.edited"
    assert edited["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    (parent,) = manifest["ingredients"]
    assert (parent["title"], parent["relationship"]) == ("plate.mp4", "parentOf")


def read(path: Path) -> dict:
    """The manifest store as c2pa's own reader sees it, without our code."""
    with c2pa.Reader(path) as reader:
        return json.loads(reader.json())


@pytest.mark.parametrize("plate", ["plate.mp4", "plate.png", "plate.exr"])
def test_a_signed_plate_keeps_its_own_manifest_in_the_outputs(
    make_file: Make, marking: Marking, tmp_path: Path, plate: str
) -> None:
    """Inside the plate or beside it: the chain leads back through the plate to whoever signed that one."""
    camera = replace(marking, title="of the plate", consent_digests=["dd" * 32])
    make_file("work/" + plate)
    sign(tmp_path / "work" / plate, tmp_path / plate, camera)
    sign(make_file("in.mp4"), tmp_path / "out.mp4", replace(marking, plate=tmp_path / plate))
    store = read(tmp_path / "out.mp4")
    active = store["manifests"][store["active_manifest"]]
    (parent,) = active["ingredients"]
    assert (parent["title"], parent["relationship"]) == (plate, "parentOf")
    assert store["manifests"][parent["active_manifest"]]["title"] == "of the plate"
    assert len(store["manifests"]) == 2
    found = read_manifest(tmp_path / "out.mp4")
    assert (found.state, found.trusted, found.consent) == ("valid", True, marking.consent_digests)
    assert found.made_of == [{"title": plate, "manifest": True}]


def test_the_manifest_is_bound_to_the_watermark(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    sign(make_file("in.png"), tmp_path / "out.png", replace(marking, watermark=0xABCD))
    store = read(tmp_path / "out.png")
    assertions = {item["label"]: item["data"] for item in store["manifests"][store["active_manifest"]]["assertions"]}
    assert assertions["c2pa.soft-binding"]["alg"] == "org.photodouble.watermark.1"
    assert assertions["c2pa.soft-binding"]["blocks"][0]["value"] == "00abcd"
    found = read_manifest(tmp_path / "out.png")
    assert (found.state, found.soft_binding) == ("valid", "00abcd")
    assert found.actions == ["c2pa.created", "c2pa.edited", "c2pa.watermarked.bound"]
    sign(make_file("in.png"), tmp_path / "none.png", marking)
    assert read_manifest(tmp_path / "none.png").soft_binding is None
    with pytest.raises(ValueError, match="24 bits"):
        replace(marking, watermark=1 << 24)


def test_a_manifest_that_declares_no_alteration_is_no_mark_of_one(
    make_file: Make, marking: Marking, tmp_path: Path
) -> None:
    """A camera's picture is valid and not altered; a copy that was made of a marked one stays marked."""
    signer = signer_for()

    def by_others(source: Path, target: Path, actions: list[dict], parent: Path | None = None) -> Path:
        definition = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]}
        own = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", signer.chain, signer.key, None))
        builder = c2pa.Builder(json.dumps(definition))
        if parent:
            with open(parent, "rb") as stream:
                builder.add_ingredient('{"relationship": "parentOf", "label": "p"}', "image/png", stream)
        with open(source, "rb") as reading, open(target, "w+b") as writing:
            builder.sign(own, "image/png", reading, writing)
        return target

    capture = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    shot = [{"action": "c2pa.created", "digitalSourceType": capture}]
    camera = read_manifest(by_others(make_file("in.png"), tmp_path / "camera.png", shot))
    assert (camera.state, camera.altered, camera.sources) == ("valid", False, ["digitalCapture"])
    sign(make_file("in.png"), tmp_path / "ours.png", marking)
    assert read_manifest(tmp_path / "ours.png").altered
    opened = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ["p"]}}]
    copy = by_others(make_file("in.png"), tmp_path / "copy.png", opened, tmp_path / "ours.png")
    assert (read_manifest(copy).state, read_manifest(copy).altered) == ("valid", True)


def test_the_film_still_plays_and_its_frames_are_untouched(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    source = make_file("in.mp4")
    sign(source, tmp_path / "out.mp4", marking)
    frames = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            frames.append([(frame.pts, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)])
    assert frames[0] == frames[1]
    assert len(frames[0]) == 8


@pytest.mark.parametrize("plate", ["plate.mkv", "plate.mp4", "folder", "gone.mp4"])
def test_any_plate_becomes_the_parent(make_file: Make, marking: Marking, tmp_path: Path, plate: str) -> None:
    (tmp_path / "folder").mkdir()
    path = make_file(plate) if plate.startswith("plate") else tmp_path / plate
    sign(make_file("in.png"), tmp_path / "out.png", replace(marking, plate=path))
    assert read_manifest(tmp_path / "out.png").actions == ["c2pa.opened", "c2pa.edited"]


def test_a_plate_with_a_broken_mark_does_not_break_the_outputs(
    make_file: Make, marking: Marking, tmp_path: Path
) -> None:
    plate = tmp_path / "plate.png"
    sign(make_file("in.png"), plate, marking)
    data = bytearray(plate.read_bytes())
    data[-30] ^= 1
    plate.write_bytes(data)
    assert read_manifest(plate).state == "tampered"
    sign(make_file("in.png"), tmp_path / "out.png", replace(marking, consent_digests=["dd" * 32], plate=plate))
    found = read_manifest(tmp_path / "out.png")
    assert (found.state, found.consent) == ("valid", ["dd" * 32])


def test_finish_publishes_and_removes_the_unsigned_file(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    unsigned = make_file("work.mp4")
    finish(unsigned, tmp_path / "out.mp4", marking)
    assert not unsigned.exists()
    assert read_manifest(tmp_path / "out.mp4").state == "valid"


def test_finish_signs_every_picture_of_a_folder(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    for name in ("1.png", "2.tif", "3.exr"):
        make_file("work/" + name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "of an earlier run.png").write_bytes(b"")
    finish(tmp_path / "work", tmp_path / "out", marking)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.png", "2.tif", "3.c2pa", "3.exr"]
    assert not (tmp_path / "work").exists()
    for name in ("1.png", "2.tif", "3.exr"):
        found = read_manifest(tmp_path / "out" / name)
        assert (found.state, found.title) == ("valid", name)
        assert found.picture == {"index": int(name[0]) - 1, "of": 3}


def test_in_place_is_allowed(make_file: Make, marking: Marking) -> None:
    path = make_file("still.png")
    finish(path, path, marking)
    assert read_manifest(path).state == "valid"


def test_what_cannot_be_written_leaves_nothing_under_its_name(
    make_file: Make, marking: Marking, tmp_path: Path
) -> None:
    unsigned = make_file("work.mkv")
    with pytest.raises(BadInput, match="does not exist"):
        finish(unsigned, tmp_path / "none" / "out.mkv", marking)
    signer = signer_for()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (unsigned.stat().st_size // 2, limits[1]))
    try:  # like a full disk: the system stops the writing half way
        with pytest.raises(BadInput, match="Cannot write"):
            finish(unsigned, tmp_path / "out.mkv", marking, signer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert unsigned.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "work.mkv"]


def test_a_damaged_source_is_not_published(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(make_file("in.mp4").read_bytes()[:-700])
    with pytest.raises(PhotodoubleError, match=r"broken\.mp4"):
        sign(broken, tmp_path / "out.mp4", marking)
    assert not (tmp_path / "out.mp4").exists()


def test_a_marking_without_consent_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="consent"):
        Marking("shot", "release", [])
    with pytest.raises(ValueError, match="basis"):
        Marking("shot", "whatever", ["a" * 64])


def test_neither_signing_nor_reading_asks_the_network(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    """A file whose manifest lies on a server that we listen at: nobody calls, with or without it as a plate."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        remote = tmp_path / "remote.png"
        signer = signer_for()
        own = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", signer.chain, signer.key, None))
        action = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
        builder = c2pa.Builder({"assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}]})
        builder.set_no_embed()
        builder.set_remote_url(f"http://127.0.0.1:{server.getsockname()[1]}/x.c2pa")
        with open(make_file("in.png"), "rb") as source, open(remote, "w+b") as target:
            builder.sign(own, "image/png", source, target)
        assert b"x.c2pa" in remote.read_bytes()
        assert read_manifest(remote).state == "absent"
        sign(make_file("in.png"), tmp_path / "out.png", replace(marking, plate=remote))
        with pytest.raises(TimeoutError):
            server.accept()


def test_sidecars_lie_beside_their_files(tmp_path: Path) -> None:
    assert sidecar(tmp_path / "a.b.mkv") == tmp_path / "a.b.c2pa"
