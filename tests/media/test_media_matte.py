"""Mattes on disk."""

import time

import numpy as np
import pytest

from photodouble.errors import BadInput
from photodouble.media import MatteWriter, open_clip, read_mattes


def test_mattes_come_back_at_the_plates_times(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", size=(64, 48)))
    random = np.random.default_rng(0)
    mattes = [np.clip(random.normal(0.5, 0.5, (48, 64)), 0, 1).astype(np.float32) for _ in range(10)]
    with MatteWriter(tmp_path / "m.mkv", plate) as writer:
        for matte, frame in zip(mattes, plate.frames(), strict=True):
            writer.write(matte, frame)
    back = list(read_mattes(tmp_path / "m.mkv"))
    for matte, read in zip(mattes, back, strict=True):
        assert read.dtype == np.float32 and read.shape == matte.shape
        assert np.abs(read - matte).max() <= 1.001 / 255
        assert np.array_equal(read > 0, matte > 0)
    times = [frame.pts * frame.time_base for frame in open_clip(tmp_path / "m.mkv").frames()]
    assert times == [frame.pts * frame.time_base for frame in plate.frames()]


def test_the_faintest_matte_is_not_lost(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4", pts=range(1)))
    matte = np.zeros((48, 64), np.float32)
    matte[3, 4] = 1e-4
    with MatteWriter(tmp_path / "m.mkv", plate) as writer:
        writer.write(matte, next(plate.frames()))
    assert np.array_equal(next(read_mattes(tmp_path / "m.mkv")) > 0, matte > 0)


def test_nothing_remains_after_an_exception(record, tmp_path) -> None:
    plate = open_clip(record(tmp_path / "a.mp4"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadInput, match=r"frame 0 .* plate's size"), MatteWriter(tmp_path / "m.mkv", plate) as writer:
        writer.write(np.zeros((4, 4), np.float32), next(plate.frames()))
    with pytest.raises(BadInput, match=r"ends in \.mkv, \.mov or \.mp4"):
        MatteWriter(tmp_path / "m.avi", plate)
    with pytest.raises(BadInput, match="does not exist"), MatteWriter(tmp_path / "no" / "m.mkv", plate):
        pass
    assert sorted(tmp_path.iterdir()) == before


def test_writing_costs_little(record, tmp_path) -> None:
    """Cheap beside anything else that is done to a frame; the bound is wide for busy machines."""
    plate = open_clip(record(tmp_path / "a.mp4", pts=range(20), size=(512, 512)))
    frames = list(plate.frames())
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    matte = np.clip((0.6 - np.hypot(x, y)) * 8, 0, 1).astype(np.float32)
    with MatteWriter(tmp_path / "m.mkv", plate) as writer:
        start = time.process_time()
        for frame in frames:
            writer.write(matte, frame)
        spent = (time.process_time() - start) / len(frames)
    assert spent < 0.025
