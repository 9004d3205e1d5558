"""The pieces of a clip or of its mattes as one file; nothing is encoded again."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.files import atomic
from photodouble.media.clip import Clip
from photodouble.media.codecs import pixel_format
from photodouble.media.matte import matte_stream
from photodouble.media.pieces import PieceWriter, join, known, moved
from photodouble.media.writer import VideoSink, open_output, video_stream


def clip_pieces(path: Path, like: Clip, suffix: str, codec: str) -> PieceWriter:
    """A writer of one piece of a clip that will be joined into a file of this suffix."""

    def make(container: OutputContainer) -> VideoStream:
        return video_stream(container, like, codec, pixel_format(codec, like))

    return PieceWriter(path, like, suffix, make)


def matte_pieces(path: Path, like: Clip) -> PieceWriter:
    """A writer of one piece of the mattes."""
    return PieceWriter(path, like, ".mkv", lambda container: matte_stream(container, like))


def join_clip(pieces: Sequence[Path], path: Path, like: Clip, codec: str, copy_streams: bool = True) -> list[str]:
    """Join pieces of `clip_pieces` into a file, atomically, with the plate's other streams as ClipWriter has it.

    Returns:
        One sentence for each stream of the plate that the container cannot hold.

    Raises:
        BadInput: a piece is missing or damaged, the pieces are empty, or the file cannot be written.
    """
    tables = [known(path) for path in pieces]
    if not any(table.pts for table in tables):
        raise BadInput(f"Nothing was written to {path}: the plate {like.path} has no frames.")
    with _told(path), atomic(path) as part, VideoSink(part, like, codec, copy_streams) as sink:
        sink.later = moved(tables)
        for packet in join(pieces, like, sink.stream):
            assert packet.dts is not None
            sink.others_until(packet.dts - sink.later)
            sink.container.mux(packet)
    return sink.left_out


def join_mattes(pieces: Sequence[Path], path: Path, like: Clip) -> None:
    """Join pieces of `matte_pieces` into a .mkv or .mov file, atomically.

    Raises:
        BadInput: a piece is missing or damaged, or the file cannot be written.
    """
    with _told(path), atomic(path) as part, contextlib.closing(open_output(part, like)) as container:
        stream = matte_stream(container, like)
        container.start_encoding()
        for packet in join(pieces, like, stream):
            container.mux(packet)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What FFmpeg says of the disk becomes one sentence."""
    try:
        yield
    except av.error.FFmpegError as fault:
        raise BadInput(f"Cannot write {path} ({fault.strerror}): try another codec or container.") from fault
