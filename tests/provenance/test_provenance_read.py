from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.provenance import Marking, read_manifest, sidecar, sign
from photodouble.provenance.claim import EMBEDS
from photodouble.provenance.read import TRACES

Make = Callable[[str], Path]


@pytest.mark.parametrize("suffix", [".mp4", ".png", ".tif", ".jpg", ".mkv"])
def test_no_mark_is_absent(make_file: Make, suffix: str) -> None:
    assert read_manifest(make_file("in" + suffix)).state == "absent"


def test_what_is_no_file_is_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.mp4"):
        with pytest.raises(BadInput, match="is not a file"):
            read_manifest(path)
    (tmp_path / "empty.mp4").touch()
    assert read_manifest(tmp_path / "empty.mp4").state == "absent"


@pytest.mark.parametrize("suffix", [".mp4", ".png", ".jpg", ".tif"])
def test_a_changed_manifest_is_broken_or_says_the_same(
    make_file: Make, marking: Marking, tmp_path: Path, suffix: str
) -> None:
    """Some bytes of a manifest store are packing and carry nothing; a change of any other must be seen."""
    path = tmp_path / ("out" + suffix)
    sign(make_file("in" + suffix), path, marking)
    signed, data = read_manifest(path), bytearray(path.read_bytes())
    start = data.find(b"jumdc2pa")
    assert start > 0
    offsets = range(start - 8, min(start + 3400, len(data)), 41)
    seen = 0
    for offset in offsets:
        data[offset] ^= 0x01
        path.write_bytes(data)
        found = read_manifest(path)
        data[offset] ^= 0x01
        assert found.state in ("tampered", "valid")
        if found.state == "valid":
            assert found == signed, offset
        seen += found.state == "tampered"
    assert seen > len(offsets) / 2


@pytest.mark.parametrize("suffix", [".mp4", ".png", ".jpg", ".tif"])
def test_a_manifest_in_ruins_is_tampered_not_absent(
    make_file: Make, marking: Marking, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / ("out" + suffix)
    sign(make_file("in" + suffix), path, marking)
    data = bytearray(path.read_bytes())
    start = data.find(b"jumdc2pa")
    for ruin in (slice(start - 40, start - 1), slice(start, start + 300), slice(start + 300, start + 1500)):
        broken = bytearray(data)
        broken[ruin] = bytes(len(broken[ruin]))
        path.write_bytes(broken)
        assert read_manifest(path).state == "tampered", ruin


def test_a_sidecar_must_be_the_files_own(make_file: Make, marking: Marking, tmp_path: Path) -> None:
    one, two = tmp_path / "one.mkv", tmp_path / "two.mkv"
    sign(make_file("in.mkv"), one, marking)
    sign(make_file("another.mkv"), two, marking)
    assert read_manifest(one).state == "valid"
    good = sidecar(one).read_bytes()
    for other in (sidecar(two).read_bytes(), b"", b"nonsense", good[:-100], good[:50]):
        sidecar(one).write_bytes(other)
        assert read_manifest(one).state == "tampered"
    sidecar(one).unlink()
    assert read_manifest(one).state == "absent"


def test_a_signer_from_elsewhere_is_valid_but_not_trusted(
    make_file: Make, marking: Marking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(make_file("in.png"), tmp_path / "out.png", marking)
    monkeypatch.setenv("PHOTODOUBLE_HOME", str(tmp_path / "another machine"))
    found = read_manifest(tmp_path / "out.png")
    assert (found.state, found.trusted) == ("valid", False)
    assert not (tmp_path / "another machine").exists()  # reading makes no certificate
    monkeypatch.setenv("PHOTODOUBLE_TRUST_ANCHORS", str(tmp_path / "home" / "signing" / "ca.pem"))
    assert read_manifest(tmp_path / "out.png").trusted


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".mp4", ".png", ".tif", ".jpg", ".avi", ".mkv", ""]),
    head=st.sampled_from([b"", b"\0\0\0\x18ftypmp42", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"RIFF"]),
    tail=st.binary(max_size=300),
    beside=st.none() | st.binary(max_size=100),
)
def test_arbitrary_bytes_never_crash(
    tmp_path: Path, suffix: str, head: bytes, tail: bytes, beside: bytes | None
) -> None:
    path = tmp_path / ("x" + suffix)
    path.write_bytes(head + tail)
    sidecar(path).unlink(missing_ok=True)
    if beside is not None:
        sidecar(path).write_bytes(beside)
    # Hypothesis finds these words in the source. In a file that embeds no manifest they mean nothing.
    traces = suffix in EMBEDS and any(trace in head + tail for trace in TRACES)
    assert read_manifest(path, b"").state == ("tampered" if beside is not None or traces else "absent")
