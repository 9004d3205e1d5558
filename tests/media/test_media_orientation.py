"""Pictures come out upright, once."""

from fractions import Fraction

import numpy as np
import pytest

from photodouble.media import ClipWriter, open_clip
from photodouble.media.orientation import of_exif


def corners(image: np.ndarray) -> list[int]:
    """Brightness at top left, top right, bottom left, bottom right."""
    return [int(image[y, x].mean()) for y in (4, -5) for x in (4, -5)]


@pytest.fixture
def stored() -> np.ndarray:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = 40, 90, 150, 210
    return image


# Degrees counter-clockwise, as FFmpeg's av_display_rotation_set takes them, to where the corners go.
TURNS = {
    (0, False): [40, 90, 150, 210],
    (90, False): [90, 210, 40, 150],
    (180, False): [210, 150, 90, 40],
    (-90, False): [150, 40, 210, 90],
    (0, True): [90, 40, 210, 150],
}


@pytest.mark.parametrize("turn", TURNS)
def test_the_display_matrix_is_applied_once(tmp_path, record, stored, turn) -> None:
    plain = tmp_path / "plain.mp4"
    record(plain, pts=range(3), rotation=turn[0], mirror=turn[1], aspect=Fraction(4, 3), format="yuv444p",
           fill=lambda _: (0, 0, 0))  # fmt: skip
    # The same container again with the picture above in it.
    import av

    with av.open(str(plain), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "5"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv444p"
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        video.set_display_rotation(turn[0], hflip=turn[1])
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format="yuv444p")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    plate = open_clip(plain)
    upright = list(plate.frames())
    turned = turn[0] in (90, -90)
    assert upright[0].image.shape[:2] == (plate.height, plate.width) == ((64, 48) if turned else (48, 64))
    assert plate.sample_aspect == (Fraction(3, 4) if turned else Fraction(4, 3))
    assert np.allclose(corners(upright[0].image), TURNS[turn], atol=3)
    with ClipWriter(tmp_path / "b.mp4", plate) as writer:
        for frame in upright:
            writer.write(frame)
    written = open_clip(tmp_path / "b.mp4")
    assert (written.width, written.height, written.sample_aspect) == (plate.width, plate.height, plate.sample_aspect)
    assert np.allclose(corners(next(written.frames()).image), TURNS[turn], atol=4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, [40, 90, 150, 210]),
        (2, [90, 40, 210, 150]),
        (3, [210, 150, 90, 40]),
        (4, [150, 210, 40, 90]),
        (5, [40, 150, 90, 210]),
        (6, [150, 40, 210, 90]),
        (7, [210, 90, 150, 40]),
        (8, [90, 210, 40, 150]),
        (77, [40, 90, 150, 210]),
    ],
)
def test_exif_orientation(stored, value, expected) -> None:
    turned = of_exif(value)
    image = turned.apply(stored)
    assert corners(image) == expected
    assert turned.size(64, 48) == (image.shape[1], image.shape[0])
