"""Small synthetic plates, written with PyAV alone so that the readers are tested against another writer."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture(scope="session")
def record() -> Callable[..., Path]:
    return _record


def picture(index: int, width: int, height: int) -> np.ndarray:
    """Smooth, and different for each index: what a codec keeps."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 17 + index / 3), np.cos(y / 13 - index / 4), np.sin((x + y) / 23 + index / 5)]
    return np.stack([np.rint(128 + 100 * wave) for wave in waves], axis=-1).astype(np.uint8)


def _record(
    path: Path,
    pts: Sequence[int] = range(10),
    time_base: Fraction = Fraction(1, 25),
    size: tuple[int, int] = (64, 48),
    format: str = "yuv420p",
    codec: str = "libx264",
    tags: tuple[int, int, int, int] = (2, 2, 2, 0),
    aspect: Fraction = Fraction(1),
    rotation: float | None = None,
    mirror: bool = False,
    sound: bool = False,
    options: dict[str, str] | None = None,
    fill: Callable[[int], Sequence[int]] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip; `tags` are matrix, primaries, transfer, range; `fill(index)` gives constant code values."""
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        video = container.add_stream(codec, rate=25, options=options or {})
        context = video.codec_context
        video.width, video.height, video.pix_fmt = *size, format
        video.time_base = context.time_base = time_base
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = tags
        context.sample_aspect_ratio = aspect
        if rotation is not None:
            video.set_display_rotation(rotation, hflip=mirror)
        audio = container.add_stream("aac", rate=44100, layout="mono") if sound else None
        container.start_encoding()
        for index, time in enumerate(pts):
            if fill:
                frame = av.VideoFrame(*size, format)
                for plane, value in zip(frame.planes, fill(index), strict=True):
                    dtype = np.uint16 if format.endswith("le") else np.uint8
                    plane.update(np.full(plane.buffer_size // dtype().itemsize, value, dtype).tobytes())
            else:
                frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24").reformat(format=format)
            frame.pts, frame.time_base = time, time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio:
            for block in range(round(40 * len(pts) / 10)):
                wave = np.sin(np.arange(1024 * block, 1024 * (block + 1)) / 20, dtype=np.float32)[None] / 4
                samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 44100, block * 1024, Fraction(1, 44100)
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path
