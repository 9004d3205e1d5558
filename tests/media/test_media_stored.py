"""Frames as the file stores them: a window in RGB is the frame's, and only what was changed is made anew."""

import numpy as np
import pytest

from photodouble.media import open_clip
from photodouble.media.colour import coding
from photodouble.media.planes import from_rgb, plane
from photodouble.media.video import stored_frames

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le"]


@pytest.fixture(params=FORMATS)
def stored(record, tmp_path, request):
    """A frame of noise."""
    random = np.random.default_rng(5)
    top = 1023 if "10" in request.param else 255
    path = record(tmp_path / "a.mkv", pts=range(2), size=(96, 80), format=request.param, codec="ffv1")
    frame = next(stored_frames(open_clip(path)))
    made = frame.copied(request.param, coding(frame.clip.colour, 96, 80))
    for index in range(3):
        samples = plane(made, index, np.uint16 if top > 255 else np.uint8)
        samples[:] = random.integers(top // 8, top - top // 8, samples.shape)
    return type(frame)(made, frame.clip, 0, 0)


def samples(frame, stored):
    deep = stored.clip.bit_depth > 8
    return [plane(frame, index, np.uint16 if deep else np.uint8) for index in range(3)]


@pytest.mark.parametrize("box", [(33, 21, 60, 50), (0, 0, 9, 9), (80, 70, 96, 80), (0, 0, 96, 80)])
def test_a_window_shows_what_the_frame_shows(stored, box) -> None:
    window, (x, y) = stored.window(box)
    x0, y0, x1, y1 = box
    whole = stored.image()
    assert window.dtype == whole.dtype
    assert np.array_equal(window[y0 - y : y1 - y, x0 - x : x1 - x], whole[y0:y1, x0:x1])


@pytest.mark.parametrize("box", [(33, 21, 60, 50), (5, 5, 5, 9), None])
def test_what_is_shown_of_a_part_is_what_is_shown_of_the_frame(stored, box) -> None:
    shown, (x, y) = stored.shown(box)
    whole = stored.image(True)
    assert shown.dtype == np.uint8
    if box != (33, 21, 60, 50) or stored.clip.bit_depth > 8:
        assert (x, y) == (0, 0) and np.array_equal(shown, whole)
        return
    x0, y0, x1, y1 = box
    assert shown.size < whole.size
    assert np.array_equal(shown[y0 - y : y1 - y, x0 - x : x1 - x], whole[y0:y1, x0:x1])


def test_only_what_was_changed_is_made_anew(stored) -> None:
    tags = coding(stored.clip.colour, 96, 80)
    window, (x, y) = stored.window((30, 20, 70, 60))
    where = np.zeros(window.shape[:2], np.uint8)
    where[12:30, 9:31] = 1
    window = window.copy()
    window[where > 0] = window[where > 0] // 2
    image = stored.image()
    image[y : y + where.shape[0], x : x + where.shape[1]][where > 0] = window[where > 0]
    expected = from_rgb(image, stored.picture.format.name, tags)
    found = stored.changed(window, (x, y), where, stored.picture.format.name, tags)
    changed = np.zeros((80, 96), bool)
    changed[y : y + where.shape[0], x : x + where.shape[1]] = where > 0
    planes = zip(samples(stored.picture, stored), samples(found, stored), samples(expected, stored), strict=True)
    for before, after, full in planes:
        high, wide = 80 // before.shape[0], 96 // before.shape[1]
        near = changed
        for axis, shifts in ((1, (-1, 1) if wide == 2 else ()), (0, (1, -1, -2) if high == 2 else ())):
            near = np.logical_and.reduce([near, *(np.roll(near, shift, axis) for shift in shifts)])
        near = near[::high, ::wide]
        assert np.array_equal(after[~near], before[~near])
        assert np.array_equal(after[near], full[near])
        assert (after[near] != before[near]).any()


def test_the_decoders_own_frame_is_never_written_to(stored) -> None:
    before = [part.copy() for part in samples(stored.picture, stored)]
    window, at = stored.window((0, 0, 96, 80))
    stored.changed(
        255 - window, at, np.ones((80, 96), np.uint8), stored.picture.format.name, coding(stored.clip.colour, 96, 80)
    )
    assert all(np.array_equal(a, b) for a, b in zip(before, samples(stored.picture, stored), strict=True))


def test_turned_frames_and_other_formats_do_not_fit(record, tmp_path) -> None:
    clip = open_clip(record(tmp_path / "a.mp4", format="yuv420p"))
    frame = next(stored_frames(clip))
    assert frame.fits("yuv420p")
    assert not frame.fits("yuv422p")
    assert not frame.fits("bgr0")
    turned = type(frame)(
        frame.picture, clip.__class__(**{**vars(clip), "width": clip.height, "height": clip.width}), 0, 0
    )
    assert not turned.fits("yuv420p")
