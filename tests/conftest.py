"""Fixtures that several rooms' tests share: pictures of people who do not exist, a small real plate, a project."""

import os
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import settings

from photodouble import weights
from photodouble.consent import add_record
from photodouble.project import Project, init_project

# Before anything is signed, and for child processes too: no certificate is made in the user's own settings.
os.environ["PHOTODOUBLE_HOME"] = tempfile.mkdtemp(prefix="photodouble-home-")

settings.register_profile("photodouble", deadline=None)  # a busy machine is no failure
settings.load_profile("photodouble")

PEOPLE = ("p001", "p002", "p004")
RATE = 24
SOUND = 48_000  # samples a second


@pytest.fixture(scope="session")
def portraits() -> list[Path]:
    """Frontal studio portraits of three AI-generated people, JPEG; fetched through pip once per machine."""
    return [weights.path(f"person_{person}_portrait") for person in PEOPLE]


@pytest.fixture(scope="session")
def small_plate(tmp_path_factory: pytest.TempPathFactory, portraits: list[Path]) -> Path:
    """H.264 MP4, 320x240, 30 frames at 24 a second: the first portrait moves, rolls and grows; AAC sound."""
    return render_plate(tmp_path_factory.mktemp("plate") / "plate.mp4", portraits[0])


@pytest.fixture(scope="session")
def make_plate() -> Callable[..., Path]:
    """`render_plate`, for a plate with other frames, sizes, timestamps or another person."""
    return render_plate


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A new project in which the identities `double` and `ada` have consent records of basis `synthetic`."""
    made = init_project(tmp_path / "project")
    for name in ("double", "ada"):
        add_record(made, name, "synthetic", "openpeople 0.1.2, AI-generated")
    return made


def render_plate(
    path: Path,
    portrait: Path,
    frames: int = 30,
    width: int = 320,
    height: int = 240,
    sound: bool = True,
    pts: list[int] | None = None,
) -> Path:
    """Write a clip of `portrait` in motion over a background, tagged BT.709, and return `path`.

    Args:
        path: where to write; the suffix decides the container.
        portrait: picture with one face in its upper half.
        frames, width, height: of the clip; width and height even.
        sound: whether to add a tone as AAC.
        pts: presentation times in 1/24 s, as many as frames and increasing: a variable frame rate.
    """
    picture = cv2.imread(str(portrait))
    picture = picture[: round(0.75 * picture.shape[0])]
    times = pts if pts is not None else list(range(frames))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, RATE)
        video.codec_context.color_range = 1
        video.codec_context.colorspace = video.codec_context.color_primaries = video.codec_context.color_trc = 1
        audio = container.add_stream("aac", rate=SOUND, layout="mono") if sound else None
        for index, time in enumerate(times[:frames]):
            image = _scene(picture, index / max(frames - 1, 1), width, height)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
                format="yuv420p", dst_colorspace="ITU709"
            )
            frame.pts, frame.time_base = time, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            for packet in _tone(audio, round((times[frames - 1] + 1) / RATE * SOUND)):
                container.mux(packet)
    return path


def _scene(picture: np.ndarray, phase: float, width: int, height: int) -> np.ndarray:
    """The portrait at one moment, `phase` 0..1, over a gradient: BGR uint8."""
    background = np.linspace((90, 70, 60), (140, 150, 120), width).astype(np.uint8)
    canvas = np.repeat(background[None], height, axis=0)
    scale = (0.95 + 0.2 * phase) * height / picture.shape[0]
    roll = 8 * np.sin(2 * np.pi * phase)
    matrix = cv2.getRotationMatrix2D((picture.shape[1] / 2, picture.shape[0] / 2), roll, scale)
    matrix[:, 2] += (width / 2 - picture.shape[1] / 2, height / 2 - picture.shape[0] / 2)
    matrix[0, 2] += 0.08 * width * np.sin(3 * np.pi * phase)
    cv2.warpAffine(
        picture, matrix, (width, height), dst=canvas, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT
    )
    return canvas


def _tone(stream: av.AudioStream, samples: int) -> list[av.Packet]:
    """A quiet 440 Hz tone of `samples` samples, encoded."""
    wave = 0.1 * np.sin(2 * np.pi * 440 * np.arange(samples) / SOUND)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND, 0, Fraction(1, SOUND)
    return [*stream.encode(frame), *stream.encode()]
