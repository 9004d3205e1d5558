"""Writing a clip: pictures in, a file or a folder out, whole or not at all."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

import av
import numpy as np
from av.container import Flags, OutputContainer
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.files import atomic
from photodouble.media.clip import Clip
from photodouble.media.codecs import CODECS, choose, pixel_format
from photodouble.media.colour import FULL, RGB_MATRIX, coding
from photodouble.media.frame import Colour, Frame
from photodouble.media.pictures import write_part
from photodouble.media.planes import from_rgb
from photodouble.media.streams import OtherStreams, tags
from photodouble.media.video import opened, picture_stream


class ClipWriter:
    """A context manager that writes frames like those of a plate.

    The output has the plate's size, timestamps, colour tags, pixel aspect, sound, subtitles and chapters. MP4 and MOV
    hold timestamps exactly, Matroska in milliseconds; a plate that starts before 0 is moved to 0 with its sound. The
    output appears under its name when the `with` block ends well; after an exception nothing of it remains.

    Args:
        path: a .mp4, .mov or .mkv file, a picture file, or the name of a folder for pictures.
        like: the plate. Its colour tags are carried; RGB plates are encoded as BT.601 or BT.709 by size, and tagged.
        codec: a name in CODECS; None for the usual one of the suffix.
        copy_streams: whether sound, subtitles and chapters come along (not for a part of a clip).

    Attributes:
        codec: the name of the codec in use.
        left_out: one sentence for each stream of the plate that the container cannot hold.

    Raises:
        BadInput: the container does not hold the codec, the folder is missing or read-only, the disk is full,
            a frame is not of the plate's size, or frames are not in the order of time.
    """

    def __init__(self, path: Path, like: Clip, codec: str | None = None, copy_streams: bool = True):
        self.path, self.like = Path(path), like
        self.codec = choose(self.path, codec)
        self.left_out: list[str] = []
        self._copy_streams = copy_streams
        self._stack = contextlib.ExitStack()
        self._sink: _Sink
        self._last: int | None = None

    def __enter__(self) -> Self:
        if self.like.path.exists() and self.path.resolve() == self.like.path.resolve():
            raise BadInput(f"The output {self.path} is the plate itself: choose another name for the output.")
        try:
            part = self._stack.enter_context(atomic(self.path))
            if not CODECS[self.codec].encoder:
                self._sink = _PictureSink(part, self.path, self.like, self.codec)
            else:
                self._sink = self._stack.enter_context(VideoSink(part, self.like, self.codec, self._copy_streams))
                self.left_out = self._sink.left_out
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def write(self, frame: Frame) -> None:
        """Write the next frame: H x W x 3 of the plate's size, at its own pts."""
        height, width = frame.image.shape[:2]
        if (width, height) != (self.like.width, self.like.height):
            raise BadInput(
                f"Frame {frame.index} for {self.path} is {width}x{height} and not "
                f"{self.like.width}x{self.like.height} like {self.like.path}: give frames of the plate's size."
            )
        pts = round(frame.pts * frame.time_base / self.like.time_base)
        if self._last is not None and pts <= self._last:
            raise BadInput(f"Frame {frame.index} for {self.path} is not later than the one before it: write in order.")
        self._last = pts
        self._sink.write(frame.image, frame.index, pts, frame.duration)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._last is None:
            error = BadInput(f"Nothing was written to {self.path}: the plate {self.like.path} has no frames.")
            self._leave(error)
            raise error
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        """Finish or throw away; what FFmpeg says of the disk becomes one sentence."""
        try:
            self._stack.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except av.error.FFmpegError as fault:
            raise BadInput(f"Cannot write {self.path} ({fault.strerror}): try another codec or container.") from fault


class _Sink(Protocol):
    def write(self, image: np.ndarray, index: int, pts: int, duration: int) -> None: ...


class _PictureSink:
    """Pictures named like the plate's, or by the frame's index."""

    def __init__(self, part: Path, path: Path, like: Clip, codec: str):
        self._part, self._path, self._like = part, path, like
        self._suffix = CODECS[codec].suffixes[0]
        self._single = path.suffix.lower() in CODECS[codec].suffixes
        if self._single:
            return
        check_folder(path, like, codec)
        part.mkdir()

    def write(self, image: np.ndarray, index: int, pts: int, duration: int) -> None:
        if self._single:
            if self._part.exists():
                raise BadInput(f"{self._path} is one picture and cannot hold a clip: give a folder or a .mp4 file.")
            write_part(self._part, image, self._path)
            return
        name = picture_name(self._like, index, self._suffix)
        write_part(self._part / name, image, self._path / name)


def picture_name(like: Clip, index: int, suffix: str) -> str:
    """What the picture of frame `index` is called in a folder: like the plate's, or by its number."""
    return (like.files[index].stem if index < len(like.files) else f"{index:06d}") + suffix


def check_folder(path: Path, like: Clip, codec: str) -> None:
    """Make sure that a folder which pictures are about to replace holds nothing but an earlier run's.

    Raises:
        BadInput: it holds other files.
    """
    names = {file.stem for file in like.files}
    suffixes = (*CODECS[codec].suffixes, ".c2pa")
    for file in path.iterdir() if path.is_dir() else ():
        if file.suffix not in suffixes or not (file.stem in names or re.fullmatch(r"\d{6,}", file.stem)):
            raise BadInput(f"The folder {path} holds other files: choose a new folder for the pictures.")


class VideoSink(contextlib.AbstractContextManager["VideoSink"]):
    """An encoder and a container, and the plate's other streams beside them.

    Attributes:
        container, stream: what is written, and its stream of pictures.
        later: by how much of the plate's time base everything is moved; None until that is known.
        left_out: see ClipWriter.
    """

    def __init__(self, part: Path, like: Clip, codec: str, copy_streams: bool):
        self.left_out: list[str] = []
        self._like = like
        # Containers show nothing before 0: a plate that starts earlier (MPEG-TS may) is moved as a whole.
        self.later: int | None = None
        self._format = pixel_format(codec, like)
        with contextlib.ExitStack() as stack:
            self.container = stack.enter_context(contextlib.closing(open_output(part, like)))
            self.stream = video_stream(self.container, like, codec, self._format)
            self._colour = Colour(*stream_tags(self.stream))
            self._others: OtherStreams | None = None
            if like.kind == "video":
                source = stack.enter_context(opened(like.path))
                self.stream.metadata.update(tags(picture_stream(source, like.path).metadata))
                if copy_streams:
                    self._others = OtherStreams(source, self.container, like)
                    self.left_out = self._others.left_out
                    self.container.set_chapters(source.chapters())
            self.container.start_encoding()
            self._stack = stack.pop_all()

    def write(self, image: np.ndarray, index: int, pts: int, duration: int) -> None:
        """Encode and mux the next frame."""
        if self.later is None:
            self.later = max(-pts, 0)
        frame = from_rgb(image, self._format, self._colour)
        frame.pts, frame.time_base, frame.duration = pts + self.later, self._like.time_base, duration
        self.others_until(pts)
        self.container.mux(self.stream.encode(frame))

    def others_until(self, pts: int) -> None:
        """Copy what the other streams have up to a time of the pictures."""
        if self._others:
            self._others.copy_until(pts * self._like.time_base, (self.later or 0) * self._like.time_base)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                if self._others:
                    self._others.copy_until(None, (self.later or 0) * self._like.time_base)
                self.container.mux(self.stream.encode(None))
        except BaseException:
            # The first fault is what the user hears of; closing a container that failed fails again.
            with contextlib.suppress(av.error.FFmpegError):
                self._stack.close()
            raise
        if error is None:
            self._stack.close()
        else:
            with contextlib.suppress(av.error.FFmpegError):
                self._stack.close()


def open_output(part: Path, like: Clip) -> OutputContainer:
    """A container to write in which timestamps are kept as far as it can hold them, the same bytes every time."""
    # Sound often starts before 0 (encoder delay); by default Matroska would then move the pictures too.
    options = {"avoid_negative_ts": "disabled"}
    if part.suffix.lower() in (".mp4", ".mov", ".m4v"):
        ticks = like.time_base.denominator
        options |= {"movflags": "+faststart", "video_track_timescale": str(ticks)}
        # Where a track starts is stored in the movie's own unit, a millisecond unless told otherwise.
        options["movie_timescale"] = str(ticks * -(-10_000 // ticks))
    container = av.open(f"file:{part}", "w", container_options=options)
    # Without it Matroska gets random identifiers: the same frames shall give the same bytes.
    container.flags |= cast(int, Flags.bitexact.value)
    return container


def video_stream(container: OutputContainer, like: Clip, codec: str, format: str) -> VideoStream:
    """Add the stream of pictures, with its encoder set up, to a container."""
    entry = CODECS[codec]
    options = dict(entry.options)
    if codec == "prores":
        options["profile"] = "4444" if "444" in format else "hq"
    stream = container.add_stream(entry.encoder, rate=like.rate, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = like.width, like.height, format
    stream.time_base = context.time_base = like.time_base
    context.sample_aspect_ratio = like.sample_aspect
    if entry.tag and container.format.name != "matroska":
        context.codec_tag = entry.tag
    rgb = format in ("bgr0", "gbrp16le")
    colour = like.colour if rgb else coding(like.colour, like.width, like.height)
    if rgb:
        colour = replace(colour, matrix=RGB_MATRIX, range=FULL)
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    return stream


def stream_tags(stream: VideoStream) -> tuple[int, int, int, int]:
    """Matrix, primaries, transfer and range that a stream is tagged with."""
    context = stream.codec_context
    return context.colorspace, context.color_primaries, context.color_trc, context.color_range
