import io

import av
import cv2
import numpy as np
import pytest

from photodouble.media import open_clip
from photodouble.provenance.watermark_embed import embed
from photodouble.provenance.watermark_read import false_alarms, read_frames, read_watermark

IDENTIFIER = 0x0B5E55
FRAMES = 100


@pytest.fixture(scope="module")
def shot(portraits):
    """100 frames of 320 x 240: a person who hardly moves before a still wall, which is the hardest for a mark."""
    portrait = cv2.cvtColor(cv2.imread(str(portraits[1])), cv2.COLOR_BGR2RGB)
    wall = cv2.resize(portrait, (344, 264), interpolation=cv2.INTER_AREA)
    head = wall[60:200, 110:230]
    frames = []
    for index in range(FRAMES):
        image = wall[12:252, 12:332].copy()
        y, x = 48 + round(2 * np.sin(index / 7)), 98 + round(3 * np.sin(index / 11))
        image[y : y + 140, x : x + 120] = head
        frames.append(image)
    return frames


@pytest.fixture(scope="module")
def marked(shot):
    return [embed(image, index, IDENTIFIER) for index, image in enumerate(shot)]


def encoded(frames, crf=26):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width = (side // 2 * 2 for side in frames[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        for image in frames:
            even = np.ascontiguousarray(image[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def through(frames, crf=26):
    with av.open(io.BytesIO(encoded(frames, crf))) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def resized(frames, x, y):
    height, width = frames[0].shape[:2]
    size = round(width * x), round(height * y)
    return [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in frames]


def turned(frames):
    height, width = frames[0].shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 2, 1)
    return [cv2.warpAffine(image, matrix, (width, height)) for image in frames]


ATTACKS = {
    "encoded": lambda frames: frames,
    "encoded twice": through,
    "half the size": lambda frames: resized(frames, 0.5, 0.5),
    "squeezed": lambda frames: resized(frames, 0.9, 1.0),
    "cropped": lambda frames: [image[7:-7, 10:-10] for image in frames],
    "cropped on one side": lambda frames: [image[:, 40:] for image in frames],
    "turned": turned,
    "graded": lambda frames: [cv2.convertScaleAbs(image, alpha=0.8, beta=20) for image in frames],
    "its beginning gone": lambda frames: frames[21:],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_mark_is_read_after(marked, attack):
    found = read_frames(through(ATTACKS[attack](marked)))
    assert found.detected
    assert found.identifier == IDENTIFIER
    assert found.confidence > 0.999


@pytest.mark.parametrize("attack", ["encoded", "cropped"])
def test_nothing_is_found_where_nothing_is(shot, attack):
    found = read_frames(through(ATTACKS[attack](shot)))
    assert not found.detected
    assert found.identifier is None
    assert found.confidence < 0.01
    assert found.strength < 9
    assert found.frames == FRAMES / 2


def test_where_a_picture_was_cut_out_is_told(marked):
    placing = read_frames([image[7:-7, 10:-10] for image in marked]).placing
    assert placing is not None
    assert (placing.wide, placing.high) == pytest.approx((300 / 320, 226 / 240), abs=0.008)
    assert (placing.x, placing.y, placing.angle) == pytest.approx((0, 0, 0), abs=0.3)


def test_one_jpeg_is_enough(marked, tmp_path):
    path = tmp_path / "frame.jpg"
    cv2.imwrite(str(path), marked[10][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    found = read_watermark(open_clip(path))
    assert (found.detected, found.identifier, found.frames) == (True, IDENTIFIER, 1)


def test_a_file(marked, tmp_path):
    path = tmp_path / "film.mkv"
    path.write_bytes(encoded(marked))
    assert read_watermark(open_clip(path)).identifier == IDENTIFIER


def test_another_identifier_is_another_mark(shot):
    frames = [embed(image, index, 0xFFFFFF) for index, image in enumerate(shot)]
    assert read_frames(frames).identifier == 0xFFFFFF


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (20, 500), (64, 64)])
def test_pictures_in_which_nothing_can_be(size):
    found = read_frames([np.random.default_rng(3).integers(0, 255, (*size, 3), np.uint8)])
    assert not found.detected
    assert read_frames([np.zeros((*size, 3), np.uint8)]).detected is False


def test_without_frames_nothing_is_found():
    assert read_frames([]).frames == 0


def test_how_many_false_marks_are_to_be_expected():
    """Normal tail at 8: 1.24e-15 on both sides (Abramowitz and Stegun, 26.2)."""
    assert false_alarms(8, 100) == pytest.approx(100 * 2**24 * 1.244e-15, rel=0.01)
