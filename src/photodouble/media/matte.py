"""Mattes on disk: grey FFV1 at the plate's timestamps, or pictures with its frame numbers."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.files import atomic
from photodouble.media.clip import Clip, open_clip
from photodouble.media.colour import FULL, LIMITED
from photodouble.media.frame import Frame
from photodouble.media.picture_files import write_part
from photodouble.media.picture_output import check_folder
from photodouble.media.pictures import read
from photodouble.media.sequence import frame_numbers, numbered, output_names
from photodouble.media.writer import open_output

VIDEOS = (".mkv", ".mov", ".mp4", ".m4v")
PICTURES = (".png", ".tif", ".tiff", ".exr")


def check_name(path: Path) -> None:
    """Whether a matte can be written under this name.

    Raises:
        BadInput: its suffix names no format that holds a matte.
    """
    if path.suffix.lower() not in (*VIDEOS, *PICTURES, ""):
        raise BadInput(
            f"Cannot write the matte {path}: give it a name that ends in .mkv, .mov or .mp4, in .png, .tif or .exr "
            "(with #### for the frame's number), or the name of a folder."
        )


def check_place(path: Path, like: Clip) -> None:
    """Whether the mattes of the plate `like` can be written to `path`, and nothing else is lost by it.

    Raises:
        BadInput: a folder that they would replace holds other files, or it is one picture and the plate a clip.
    """
    folder, names = output_names(path)
    if names is None and path.suffix:
        if path.suffix.lower() in PICTURES and len(like.files) != 1:
            raise BadInput(f"{path} is one picture and cannot hold a clip: write #### for the number in it.")
        return
    check_folder(folder, like, (names.suffix if names else ".png",), names)


class MatteWriter:
    """A context manager that writes one matte for each frame of a plate, atomically.

    Matroska and MOV hold it losslessly at 8 bits (FFV1), MP4 nearly so (H.264, which every player shows); PNG and TIFF
    have 16 bits, EXR floats. But for MP4, whatever is not exactly 0 stays above 0, so that a reader knows which pixels
    may have been changed.

    Args:
        path: a .mkv, .mov or .mp4 file; or `folder/name.####.png` (.tif, .exr), the name of a folder (PNG), or of one
            picture.
        like: the plate; its size, time base and frame numbers are the matte's.

    Raises:
        BadInput: as ClipWriter.
    """

    def __init__(self, path: Path, like: Clip):
        check_name(Path(path))
        self.path, self._names = output_names(Path(path))
        self.like = like
        self._stack = contextlib.ExitStack()
        self._sink: _Sink

    def __enter__(self) -> Self:
        try:
            part = self._stack.enter_context(atomic(self.path))
            if self._names is None and self.path.suffix.lower() in VIDEOS:
                self._sink = self._stack.enter_context(_VideoSink(part, self.like))
            else:
                self._sink = _PictureSink(part, self.path, self._names, self.like)
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def write(self, matte: np.ndarray, frame: Frame) -> None:
        """Write `matte` (H x W float32, 0..1) at the time of `frame`."""
        if matte.shape != (self.like.height, self.like.width):
            raise BadInput(f"The matte of frame {frame.index} for {self.path} is not of the plate's size.")
        self._sink.write(matte, frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        self._stack.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


class _Sink(Protocol):
    def write(self, matte: np.ndarray, frame: Frame) -> None: ...


class _VideoSink(contextlib.AbstractContextManager["_VideoSink"]):
    def __init__(self, part: Path, like: Clip):
        self._like = like
        self._later: int | None = None  # as ClipWriter: nothing is shown before 0
        self._lossless = part.suffix.lower() in (".mkv", ".mov")
        with contextlib.ExitStack() as stack:
            self._container = stack.enter_context(contextlib.closing(open_output(part, like)))
            stream = matte_stream(self._container, like) if self._lossless else _shown_stream(self._container, like)
            self._stream = stream
            self._container.start_encoding()
            self._stack = stack.pop_all()

    def write(self, matte: np.ndarray, frame: Frame) -> None:
        grey = av.VideoFrame.from_numpy_buffer(matte_code(matte), format="gray")
        if not self._lossless:
            grey.color_range = FULL
            grey = grey.reformat(format=self._stream.pix_fmt, src_color_range="JPEG", dst_color_range="MPEG")
        pts = round(frame.pts * frame.time_base / self._like.time_base)
        if self._later is None:
            self._later = max(-pts, 0)
        grey.pts = pts + self._later
        grey.time_base, grey.duration = self._like.time_base, frame.duration
        self._container.mux(self._stream.encode(grey))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._stack.close()


class _PictureSink:
    def __init__(self, part: Path, path: Path, names: Path | None, like: Clip):
        self._part, self._path, self._names, self._like = part, path, names, like
        self._numbers = frame_numbers(like.files)
        self._single = names is None and path.suffix != ""
        if not self._single:
            part.mkdir()

    def write(self, matte: np.ndarray, frame: Frame) -> None:
        index = frame.index
        if self._single:
            if self._part.exists():
                raise BadInput(f"{self._path} is one picture and cannot hold a clip: write #### for the number in it.")
            name = ""
        elif self._names is not None:
            name = numbered(self._names, self._numbers[index] if index < len(self._numbers) else index).name
        else:
            stem = self._like.files[index].stem if index < len(self._like.files) else f"{index:06d}"
            name = f"{stem}.png"
        target = self._path / name
        if target.suffix.lower() == ".exr":
            write_part(self._part / name, matte, target)
        else:
            write_part(self._part / name, _deep_code(matte), target)


def matte_stream(container: OutputContainer, like: Clip) -> VideoStream:
    """Add a stream of mattes, with its encoder set up, to a container."""
    return _stream(container, like, "ffv1", {"level": "3", "slicecrc": "1"}, "gray", FULL)


def _shown_stream(container: OutputContainer, like: Clip) -> VideoStream:
    # MP4's players know little but 4:2:0, which wants even sizes.
    even = not (like.width % 2 or like.height % 2)
    return _stream(container, like, "libx264", {"crf": "6"}, "yuv420p" if even else "yuv444p", LIMITED)


def _stream(
    container: OutputContainer, like: Clip, codec: str, options: dict[str, str], format: str, range: int
) -> VideoStream:
    stream = container.add_stream(codec, rate=like.rate, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = like.width, like.height, format
    stream.time_base = stream.codec_context.time_base = like.time_base
    stream.codec_context.sample_aspect_ratio = like.sample_aspect
    stream.color_range = range
    return stream


def matte_code(matte: np.ndarray) -> np.ndarray:
    """A matte (float32, 0..1) as uint8; whatever is not exactly 0 stays above 0."""
    return _above(cv2.convertScaleAbs(matte, alpha=255), matte)


def _deep_code(matte: np.ndarray) -> np.ndarray:
    """The same as uint16."""
    return _above(np.rint(np.clip(matte, 0, 1) * np.float32(65535)).astype(np.uint16), matte)


def _above(code: np.ndarray, matte: np.ndarray) -> np.ndarray:
    faint = (code == 0) & (matte > 0)
    if faint.any():
        code[faint] = 1
    return code


def copy_mattes(source: Path, target: Path, like: Clip) -> None:
    """Write the mattes of `source`, one for each frame of the plate `like`, in the format of the name `target`.

    Raises:
        BadInput: as `MatteWriter` and `read_mattes`.
    """
    with MatteWriter(target, like) as writer:
        for matte, frame in zip(read_mattes(source), open_clip(source).frames(dtype=np.uint8), strict=True):
            writer.write(matte, frame)


def read_mattes(path: Path) -> Iterator[np.ndarray]:
    """Yield the mattes of a video, a folder or a sequence, H x W float32 0..1, in the order of time.

    Raises:
        BadInput: it is missing, damaged or not a video.
    """
    clip = open_clip(path)
    if clip.kind == "pictures":
        for file in clip.files:
            image = read(file).image[:, :, 0]
            white = 1 if image.dtype == np.float32 else np.iinfo(image.dtype).max
            yield image.astype(np.float32) / np.float32(white)
        return
    for frame in clip.frames(dtype=np.uint8):
        yield frame.image[:, :, 0].astype(np.float32) / 255
