from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from photodouble.provenance import Marking
from photodouble.provenance.settings import VARIABLES


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's settings folder of its own for every test, and no studio's certificate."""
    for name in (*VARIABLES.values(), "PHOTODOUBLE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHOTODOUBLE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def marking() -> Marking:
    return Marking("shot", "release", ["a1" * 32, "b2" * 32], model_digest="c3" * 32)


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[[str], Path]:
    """A small unmarked file of any suffix: a clip, a picture, or (.exr) just bytes with the right beginning."""

    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(len(name))
        if path.suffix in (".png", ".tif", ".jpg"):
            depth = np.uint16 if path.suffix == ".tif" else np.uint8
            assert cv2.imwrite(str(path), generator.integers(0, np.iinfo(depth).max, (24, 32, 3), depth))
        elif path.suffix == ".exr":
            path.write_bytes(b"v/1\x01" + generator.bytes(2000))
        else:
            with av.open(str(path), "w") as container:
                stream = container.add_stream("mpeg4", rate=24)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                for _ in range(8):
                    image = generator.integers(0, 255, (48, 64, 3), np.uint8)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                container.mux(stream.encode())
        return path

    return make
