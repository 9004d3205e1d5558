"""Mattes on disk: grey FFV1 at the plate's timestamps."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.files import atomic
from photodouble.media.clip import Clip, open_clip
from photodouble.media.colour import FULL
from photodouble.media.frame import Frame
from photodouble.media.writer import open_output


class MatteWriter:
    """A context manager that writes one matte for each frame of a plate, losslessly at 8 bits, atomically.

    Whatever is not exactly 0 stays above 0, so that a reader knows which pixels may have been changed.

    Args:
        path: a .mkv file (or .mov).
        like: the plate; its size and time base are the matte's.

    Raises:
        BadInput: as ClipWriter.
    """

    def __init__(self, path: Path, like: Clip):
        self.path, self.like = Path(path), like
        if self.path.suffix.lower() not in (".mkv", ".mov"):
            raise BadInput(f"Cannot write the matte {self.path}: give it a name that ends in .mkv or .mov.")
        self._later: int | None = None  # as ClipWriter: nothing is shown before 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            part = self._stack.enter_context(atomic(self.path))
            self._container = self._stack.enter_context(contextlib.closing(open_output(part, self.like)))
            self._stream = matte_stream(self._container, self.like)
            self._container.start_encoding()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def write(self, matte: np.ndarray, frame: Frame) -> None:
        """Write `matte` (H x W float32, 0..1) at the time of `frame`."""
        if matte.shape != (self.like.height, self.like.width):
            raise BadInput(f"The matte of frame {frame.index} for {self.path} is not of the plate's size.")
        grey = av.VideoFrame.from_numpy_buffer(matte_code(matte), format="gray")
        pts = round(frame.pts * frame.time_base / self.like.time_base)
        if self._later is None:
            self._later = max(-pts, 0)
        grey.pts = pts + self._later
        grey.time_base, grey.duration = self.like.time_base, frame.duration
        self._container.mux(self._stream.encode(grey))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._container.mux(self._stream.encode(None))
            except BaseException as fault:
                self._leave(fault)
                raise
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        self._stack.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


def matte_stream(container: OutputContainer, like: Clip) -> VideoStream:
    """Add a stream of mattes, with its encoder set up, to a container."""
    stream = container.add_stream("ffv1", rate=like.rate, options={"level": "3", "slicecrc": "1"})
    stream.width, stream.height, stream.pix_fmt = like.width, like.height, "gray"
    stream.time_base = stream.codec_context.time_base = like.time_base
    stream.codec_context.sample_aspect_ratio = like.sample_aspect
    stream.color_range = FULL
    return stream


def matte_code(matte: np.ndarray) -> np.ndarray:
    """A matte (float32, 0..1) as uint8; whatever is not exactly 0 stays above 0."""
    code = cv2.convertScaleAbs(matte, alpha=255)
    faint = (code == 0) & (matte > 0)
    if faint.any():
        code[faint] = 1
    return code


def read_mattes(path: Path) -> Iterator[np.ndarray]:
    """Yield the mattes of a file, H x W float32 0..1, in the order of time.

    Raises:
        BadInput: it is missing, damaged or not a video.
    """
    for frame in open_clip(path).frames(dtype=np.uint8):
        yield frame.image[:, :, 0].astype(np.float32) / 255
