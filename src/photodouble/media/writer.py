"""Writing a clip: pictures in, a file or a folder out, whole or not at all."""

import contextlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

import av
import numpy as np
from av import Packet
from av.container import Flags, OutputContainer
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.files import atomic
from photodouble.media.clip import Clip
from photodouble.media.codecs import CODECS, choose, pixel_format
from photodouble.media.colour import FULL, RGB_MATRIX, SRGB, coding
from photodouble.media.frame import Colour, Frame
from photodouble.media.light import options as light_options
from photodouble.media.picture_output import check_folder, left_out, picture_name, write_frame
from photodouble.media.planes import PLANAR, from_rgb
from photodouble.media.sequence import output_names
from photodouble.media.streams import OtherStreams, tags
from photodouble.media.video import opened, picture_stream
from photodouble.media.viewing import needs_view, to_screen_light


class ClipWriter:
    """A context manager that writes frames like those of a plate.

    The output has the plate's size, timestamps, colour tags, pixel aspect, sound, subtitles and chapters. MP4 and MOV
    hold timestamps exactly, Matroska in milliseconds; a plate that starts before 0 is moved to 0 with its sound. The
    output appears under its name when the `with` block ends well; after an exception nothing of it remains.

    Pictures have the plate's frame numbers, and EXR, DPX and TIFF its metadata. EXR holds linear light.

    Args:
        path: a .mp4, .mov or .mkv file, a picture file, or the name of a folder for pictures, or its name with that of
            the pictures (`folder/name.####.exr`).
        like: the plate. Its colour tags are carried; RGB plates are encoded as BT.601 or BT.709 by size, and tagged.
        codec: a name in CODECS; None for the usual one of the suffix.
        copy_streams: whether sound, subtitles and chapters come along (not for a part of a clip).

    Attributes:
        codec: the name of the codec in use.
        left_out: one sentence for each stream of the plate that the container cannot hold, for its alpha channel and
            for its HDR metadata likewise.

    Raises:
        BadInput: the container does not hold the codec, the folder is missing or read-only, the disk is full,
            a frame is not of the plate's size, or frames are not in the order of time.
    """

    def __init__(self, path: Path, like: Clip, codec: str | None = None, copy_streams: bool = True):
        self.codec = choose(Path(path), codec)
        self.path, self._names = output_names(Path(path))
        self.like = like
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
                self._sink = _PictureSink(part, self.path, self.like, self.codec, self._names)
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
        self._sink.write(frame, pts)

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
    left_out: list[str]

    def write(self, frame: Frame, pts: int) -> None: ...


class _PictureSink:
    """Pictures named like the plate's, or by a pattern and the frame's number."""

    def __init__(self, part: Path, path: Path, like: Clip, codec: str, names: Path | None):
        self._part, self._path, self._like, self._names = part, path, like, names
        self._suffix = CODECS[codec].suffixes[0]
        self._single = names is None and path.suffix.lower() in CODECS[codec].suffixes
        self.left_out = left_out(like, codec)
        if self._single:
            return
        check_folder(path, like, CODECS[codec].suffixes, names)
        part.mkdir()

    def write(self, frame: Frame, pts: int) -> None:
        if self._single:
            if self._part.exists():
                raise BadInput(f"{self._path} is one picture and cannot hold a clip: give a folder or a .mp4 file.")
            write_frame(self._part, self._path, frame, self._like)
            return
        name = picture_name(self._like, frame.index, self._suffix, self._names)
        write_frame(self._part / name, self._path / name, frame, self._like)


class VideoSink(contextlib.AbstractContextManager["VideoSink"]):
    """An encoder and a container, and the plate's other streams beside them.

    Attributes:
        container, stream: what is written, and its stream of pictures.
        later: by how much of the plate's time base everything is moved; None until that is known.
        left_out: see ClipWriter.
    """

    def __init__(self, part: Path, like: Clip, codec: str, copy_streams: bool):
        self._like = like
        # Containers show nothing before 0: a plate that starts earlier (MPEG-TS may) is moved as a whole.
        self.later: int | None = None
        self._format = pixel_format(codec, like)
        self.left_out = left_out(like, codec, self._format)
        if like.light and not light_options(CODECS[codec].encoder, like.light):
            self.left_out.append(
                f"What {like.path} says of its mastering display and brightness is left out: {codec} files cannot be "
                "given it here, only h264's and hevc's."
            )
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
                    self.left_out += self._others.left_out
                    self.container.set_chapters(source.chapters())
            self.container.start_encoding()
            self._begun = False
            self._stack = stack.pop_all()

    def write(self, frame: Frame, pts: int) -> None:
        """Encode and mux the next frame."""
        if self.later is None:
            self.later = max(-pts, 0)
        made = encodable(frame, self._format, self._colour)
        made.pts, made.time_base, made.duration = pts + self.later, self._like.time_base, frame.duration
        self.others_until(pts)
        self._mux(self.stream.encode(made))

    def _mux(self, packets: list[Packet]) -> None:
        self._begun = self._begun or bool(packets)
        self.container.mux(packets)

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
                last = self.stream.encode(None)
                undefined = not self._begun and self.stream.codec_context.name == "libx265"
                self._mux(decodable(last) if undefined else last)
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


def decodable(packets: list[Packet]) -> list[Packet]:
    """All packets of a stream, with decoding times made from their order: changed in place, and returned.

    x265 leaves them undefined in a clip that has fewer frames than it reorders.
    """
    shown = [packet.pts for packet in packets if packet.pts is not None]
    if len(shown) == len(packets):
        early = max((later - pts for later, pts in zip(sorted(shown), shown, strict=True)), default=0)
        for packet, pts in zip(packets, sorted(shown), strict=True):
            packet.dts = pts - early
    return packets


def encodable(frame: Frame, format: str, colour: Colour) -> av.VideoFrame:
    """A frame in RGB as an encoder takes it: of FFmpeg's pixel format `format`, tagged with `colour`; without a time.

    Float pictures, be they light or made for a screen already, are seen as one shows them.
    """
    image = frame.image
    if image.dtype == np.float32:
        image = to_screen_light(image, frame.colour)
    return from_rgb(image, format, colour, frame.alpha)


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
    if entry.encoder == "prores_ks":
        options["profile"] = "4444" if "444" in format else "hq"
        options |= {"alpha_bits": "16"} if "yuva" in format else {}
    if like.light:
        for name, value in light_options(entry.encoder, like.light).items():
            options[name] = ":".join(filter(None, (options.get(name), value)))
    stream = container.add_stream(entry.encoder, rate=like.rate, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = like.width, like.height, format
    stream.time_base = context.time_base = like.time_base
    context.sample_aspect_ratio = like.sample_aspect
    if entry.tag and container.format.name != "matroska":
        context.codec_tag = entry.tag
    colour = output_colour(like, format)
    context.colorspace, context.color_range = colour.matrix, colour.range
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    return stream


def output_colour(like: Clip, format: str) -> Colour:
    """What a film of the plate `like` in FFmpeg's pixel format `format` is tagged with."""
    colour = like.colour
    if like.bit_depth == 32 and needs_view(colour):  # `encodable` makes it what a screen shows
        colour = replace(colour, primaries=1, transfer=SRGB)
    if not PLANAR.match(format):
        return replace(colour, matrix=RGB_MATRIX, range=FULL)
    return coding(colour, like.width, like.height)


def stream_tags(stream: VideoStream) -> tuple[int, int, int, int]:
    """Matrix, primaries, transfer and range that a stream is tagged with."""
    context = stream.codec_context
    return context.colorspace, context.color_primaries, context.color_trc, context.color_range
