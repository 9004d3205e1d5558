"""Videos through FFmpeg (PyAV)."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.media import planes
from photodouble.media.clip import Clip
from photodouble.media.colour import FULL, RGB_MATRIX, UNSPECIFIED, guess
from photodouble.media.damage import bytes_missing, seconds_declared
from photodouble.media.frame import Colour, Frame
from photodouble.media.light import of_frame as light_of_frame
from photodouble.media.orientation import Orientation, of_frame
from photodouble.media.stored import Stored

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
# Their packets carry decoding times only; what FFmpeg makes of these for B-frames is no presentation time.
_NO_PTS = {"avi", "h264", "hevc", "m4v", "mpegvideo", "rawvideo"}
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
        missing = bytes_missing(path, container.format.name)
        if missing:
            raise BadInput(f"{path} is cut off ({missing} bytes of it are missing): copy it from its source again.")
        # One thread: the first frame is wanted soon, not many frames a second.
        stream.thread_type = "NONE"
        first = next(_decoded(container.demux(stream), path), None)
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
            stored_format="" if turned != Orientation() or _centred(stream) else planes.storable(first.format),
            light=light_of_frame(first),
        )


def _centred(stream: VideoStream) -> bool:
    return stream.codec_context.name in _CENTRED_CHROMA


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


def _decoded(packets: Iterable[Packet], path: Path, number: int = 0) -> Iterator[av.VideoFrame]:
    """Decode `packets`, whose first frame is the clip's `number`.

    A packet that fails before the first frame is skipped (a recording that starts between key frames); one that
    fails later ends the clip.
    """
    started = False
    try:
        for packet in packets:
            try:
                pictures = packet.decode()
            except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                if started:
                    raise
                continue
            for picture in pictures:
                started = True
                yield picture
                number += 1
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
        after = f"after frame {number - 1}" if number else "at its first frame"
        raise BadInput(f"{path} is damaged {after} ({_reason(error)}): copy it from its source again.") from error


def frames(clip: Clip, start: int, stop: int | None, eight_bit: bool) -> Iterator[Frame]:
    """See `Clip.frames`."""
    return (stored.frame(eight_bit) for stored in stored_frames(clip, start, stop))


def stored_frames(clip: Clip, start: int = 0, stop: int | None = None) -> Iterator[Stored]:
    """Frames `start` to `stop` of a clip of kind "video", as the file stores them; as `Clip.frames` else."""
    if stop is not None and stop <= start:
        return
    with opened(clip.path) as container:
        stream = picture_stream(container, clip.path)
        centred = _centred(stream)
        pictures, index = _decoded_from(container, stream, clip.path, start)
        stamps = _Stamps(clip, container.format.name)
        for picture in pictures:
            pts = stamps.next(picture)
            if index >= start:
                yield Stored(planes.planar(picture) if clip.stored_format else picture, clip, index, pts, centred)
            index += 1
            if stop is not None and index >= stop:
                return
        declared = seconds_declared(stream)
        if declared is not None and stamps.seconds < declared - 1:
            raise BadInput(
                f"{clip.path} is damaged after frame {index - 1} (its last {float(declared - stamps.seconds):.1f} s "
                "cannot be read): copy it from its source again."
            )


def _decoded_from(
    container: InputContainer, stream: VideoStream, path: Path, start: int
) -> tuple[Iterator[av.VideoFrame], int]:
    """Decode frame `start` and those after it, seeking where that is exact.

    Returns:
        The pictures, and the index of the first of them: `start`, or 0 where they are all decoded.
    """
    if not start or not _one_frame_each(container, stream):
        return _decoded(container.demux(stream), path), 0
    shown = sorted(time for time in _times(container, stream, path) if time is not None)
    if start < len(shown) and len(set(shown)) == len(shown):
        wanted = shown[start]
        # MOV looks for decoding times: the key frame that it finds can be shown later than what is wanted. Where
        # pictures are refreshed in parts (H.264's recovery points), a decoder shows nothing for some time after it.
        for seconds in (0, 2, 20):
            container.seek(max(wanted - round(seconds / (stream.time_base or 1)), shown[0]), stream=stream)
            packets = container.demux(stream)
            first = next((packet for packet in packets), None)
            if first is None or not first.is_keyframe or first.pts is None or first.pts > wanted:
                continue
            pictures = _decoded(itertools.chain([first], packets), path, start)
            picture = next((found for found in pictures if found.pts is not None and found.pts >= wanted), None)
            if picture is not None and picture.pts == wanted:
                return itertools.chain([picture], pictures), start
    container.seek(min(shown, default=0), stream=stream)
    return _decoded(container.demux(stream), path), 0


def _one_frame_each(container: InputContainer, stream: VideoStream) -> bool:
    """Whether every packet that is not discarded is one shown frame."""
    names = set(container.format.name.split(","))
    return bool(names & _FRAME_CONTAINERS) and stream.codec_context.name in _WHOLE_PACKETS


def _times(container: InputContainer, stream: VideoStream, path: Path) -> list[int | None]:
    """The pts of the packets that are shown, in the file's order, in `stream.time_base`."""
    times: list[int | None] = []
    key: int | None = None
    for packet in container.demux(stream):
        if packet.size:
            key = packet.pts if key is None and packet.is_keyframe else key
            if not packet.is_discard:
                times.append(packet.pts)
    if key is not None and all(time is None or time >= key for time in times):
        return times
    # Cut before an open GOP: the key frame's leading pictures refer to frames that are gone. MP4 discards them;
    # in Matroska, only the decoder knows which of them it can show. They come first, so its first picture tells.
    with opened(path) as again:
        leading = picture_stream(again, path)
        leading.thread_type = "NONE"
        first = next(_decoded(again.demux(leading), path), None)
    begin = None if first is None else first.pts
    return [time for time in times if time is None or begin is None or time >= begin]


class _Stamps:
    """Timestamps of decoded frames, repaired where the container has none of its own or repeats one."""

    def __init__(self, clip: Clip, container: str):
        self._step = max(round(1 / clip.rate / clip.time_base), 1)
        self._time_base = clip.time_base
        self._by_dts = container in _NO_PTS
        self._last: int | None = None

    @property
    def seconds(self) -> Fraction:
        """Time of the last frame."""
        return (self._last or 0) * self._time_base

    def next(self, picture: av.VideoFrame) -> int:
        pts = picture.dts if self._by_dts else picture.pts
        if pts is None:
            pts = 0 if self._last is None else self._last + self._step
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        self._last = pts
        return pts


def count(clip: Clip) -> int:
    """See `Clip.count`."""
    with opened(clip.path) as container:
        stream = picture_stream(container, clip.path)
        try:
            if _one_frame_each(container, stream) and not clip.interlaced:
                return len(_times(container, stream, clip.path))
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput(f"{clip.path} is damaged ({_reason(error)}): copy it from its source again.") from error
        return sum(1 for _ in _decoded(container.demux(stream), clip.path))
