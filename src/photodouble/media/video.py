"""Videos through FFmpeg (PyAV)."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.media import planes
from photodouble.media.clip import Clip
from photodouble.media.colour import FULL, RGB_MATRIX, UNSPECIFIED, guess
from photodouble.media.frame import Colour, Frame
from photodouble.media.orientation import of_frame

# Every packet of these is one shown frame, in containers that store frames and not a byte stream.
_WHOLE_PACKETS = {
    "h264",
    "hevc",
    "prores",
    "ffv1",
    "mjpeg",
    "dnxhd",
    "png",
    "rawvideo",
    "cfhd",
    "v210",
    "qtrle",
    "utvideo",
}
_FRAME_CONTAINERS = {"mov", "matroska"}
_CENTRED_CHROMA = {"mjpeg", "mpeg1video"}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """An open container; only files are ever read, whatever the file refers to.

    Raises:
        BadInput: FFmpeg cannot open it, or fails while it is being read.
    """
    try:
        # "file:" keeps a colon in a name from being read as a protocol; the whitelist keeps playlists off the network.
        container = av.open(f"file:{path}", container_options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except av.error.InvalidDataError as error:
        if path.suffix.lower() in (".mp4", ".mov", ".m4v") and _mentions(path, b"ftyp"):
            raise BadInput(f"{path} is cut off (its index is missing): copy it from its source again.") from error
        raise BadInput(
            f"{path} is not a video or picture that can be read: give a file that plays elsewhere."
        ) from error
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"Cannot open {path} ({_reason(error)}): give a video that plays elsewhere.") from error
    try:
        yield container
    finally:
        container.close()


def _mentions(path: Path, word: bytes) -> bool:
    with path.open("rb") as file:
        return word in file.read(64)


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream with the footage: the first one that is not a cover picture.

    Raises:
        BadInput: there is none, or nothing decodes it.
    """
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise BadInput(f"{path} has no pictures in it, only sound or text: give a video.")
    best = max(streams, key=lambda stream: bool(stream.disposition & av.stream.Disposition.default))
    if best.codec_context is None:
        raise BadInput(f"{path} is in a format that nothing here decodes: convert it, to ProRes or H.264 for example.")
    best.thread_type = "AUTO"
    return best


def open_video(path: Path) -> Clip:
    """Read the header and the first frame of a video.

    Raises:
        BadInput: it is not one, it is cut off, or it has no pictures.
    """
    with opened(path) as container:
        stream = picture_stream(container, path)
        # One thread: the first frame is wanted soon, not many frames a second.
        stream.thread_type = "NONE"
        first = next((frame for frame in _decoded(container, stream, path)), None)
        if first is None:
            raise BadInput(f"{path} holds no picture that can be decoded: copy it from its source again.")
        colour = _colour(first)
        turned = of_frame(first)
        width, height = turned.size(first.width, first.height)
        if colour.matrix == UNSPECIFIED and guess(first.width, first.height) != guess(width, height):
            colour = replace(colour, matrix=guess(first.width, first.height))
        rate = Fraction(stream.average_rate or stream.guessed_rate or stream.base_rate or 25)
        aspect = Fraction(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1) or Fraction(1)
        return Clip(
            path=path,
            kind="video",
            width=width,
            height=height,
            time_base=Fraction(stream.time_base or 1 / rate),
            rate=rate,
            bit_depth=max(planes.depth(first.format), 8),
            colour=colour,
            estimated_frames=stream.frames or _by_duration(container, stream, rate),
            sample_aspect=1 / aspect if turned.transpose else aspect,
            has_audio=bool(container.streams.audio),
            has_alpha=planes.has_alpha(first.format),
            chroma=planes.subsampling(first.format),
            interlaced=first.interlaced_frame,
            orientation=turned,
        )


def _colour(frame: av.VideoFrame) -> Colour:
    full = frame.format.name.startswith("yuvj")
    matrix = RGB_MATRIX if frame.format.is_rgb else int(frame.colorspace)
    # Matrix 0 on YUV data is a mislabelled file, not RGB.
    matrix = UNSPECIFIED if matrix == RGB_MATRIX and not frame.format.is_rgb else matrix
    return Colour(matrix, int(frame.color_primaries), int(frame.color_trc), FULL if full else int(frame.color_range))


def _by_duration(container: InputContainer, stream: VideoStream, rate: Fraction) -> int:
    seconds: Fraction | float = 0
    if stream.duration and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif container.duration:
        seconds = container.duration / 1_000_000
    return max(round(seconds * rate), 1)


def _decoded(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[av.VideoFrame]:
    """Decode from where the container stands.

    A packet that fails before the first frame is skipped (a recording that starts between key frames); one that
    fails later ends the clip.
    """
    number = 0
    try:
        for packet in container.demux(stream):
            try:
                pictures = packet.decode()
            except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                if number:
                    raise
                continue
            for picture in pictures:
                yield picture
                number += 1
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, BadInput):
            raise
        after = f"after frame {number - 1}" if number else "at its first frame"
        raise BadInput(
            f"{path} is damaged {after} ({_reason(error)}): copy it from its source again, or cut it there."
        ) from error


def frames(clip: Clip, start: int, stop: int | None, eight_bit: bool) -> Iterator[Frame]:
    """See `Clip.frames`."""
    if stop is not None and stop <= start:
        return
    with opened(clip.path) as container:
        stream = picture_stream(container, clip.path)
        centred = stream.codec_context.name in _CENTRED_CHROMA
        step = max(round(1 / clip.rate / clip.time_base), 1)
        last: int | None = None
        for index, picture in enumerate(_decoded(container, stream, clip.path)):
            # Broken files repeat timestamps or lack them; a frame then follows its forerunner by a usual step.
            pts = picture.pts if picture.pts is not None else picture.dts
            if pts is None:
                pts = 0 if last is None else last + step
            elif last is not None and pts <= last:
                pts = last + 1
            last = pts
            if index < start:
                continue
            image = clip.orientation.apply(planes.to_rgb(picture, clip.colour, eight_bit, centred))
            yield Frame(image, index, pts, clip.time_base, picture.duration or 0, clip.colour)
            if stop is not None and index + 1 >= stop:
                return


def count(clip: Clip) -> int:
    """See `Clip.count`."""
    with opened(clip.path) as container:
        stream = picture_stream(container, clip.path)
        names = set(container.format.name.split(","))
        if names & _FRAME_CONTAINERS and stream.codec_context.name in _WHOLE_PACKETS and not clip.interlaced:
            return sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)
        return sum(1 for _ in _decoded(container, stream, clip.path))
