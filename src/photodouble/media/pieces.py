"""Pieces of a video: runs of frames that are encoded on their own, and joined later without being encoded again.

A piece begins with a key frame and refers to nothing outside of it. Its file holds the encoder's packets one after
the other, then their timestamps and a digest, so that a file that is cut off or damaged is known for what it is.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from av import Packet, VideoFrame
from av.container import OutputContainer
from av.video.stream import VideoStream

from photodouble.errors import BadInput
from photodouble.files import atomic
from photodouble.media.clip import Clip
from photodouble.media.writer import open_output

MAGIC = b"photodouble piece\n"
TAIL = 8
"""Bytes at a piece's end that tell how long its table is."""

StreamMaker = Callable[[OutputContainer], VideoStream]
"""Adds the stream that frames are encoded for to a container."""


@dataclass(frozen=True)
class Packets:
    """What a piece holds.

    Attributes:
        pts, duration: of each packet, in the order of decoding, in the plate's time base.
        key: whether it can be decoded alone; size: its bytes.
        extradata: the encoder's header, hexadecimal. codec: FFmpeg's name of the encoder.
        digest: SHA-256 of all packets, hexadecimal.
        lead: by how much of the time base the encoder wants the first packet decoded before it is shown.
    """

    pts: list[int]
    duration: list[int]
    key: list[bool]
    size: list[int]
    extradata: str
    codec: str
    digest: str
    lead: int = 0


class PieceWriter:
    """A context manager that encodes frames into a piece; the file appears when the `with` block ends well.

    Args:
        path: of the piece; `like`: the plate.
        suffix: of the file that the piece will be joined into: its container decides how the encoder is set up.
        make: adds the stream.

    Raises:
        BadInput: the folder is missing or read-only, or the disk is full.
    """

    def __init__(self, path: Path, like: Clip, suffix: str, make: StreamMaker):
        self.path, self._like, self._suffix, self._make = path, like, suffix, make
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            part = self._stack.enter_context(atomic(self.path))
            self._file: BinaryIO = self._stack.enter_context(part.open("wb"))
            # Nothing is written to this container: a stream's encoder is set up for the container that it is in.
            container = open_output(part.with_suffix(self._suffix), self._like)
            self._stack.enter_context(contextlib.closing(container))
            self._stream = self._make(container)
            self._file.write(MAGIC)
        except BaseException as error:
            self._stack.__exit__(type(error), error, error.__traceback__)
            raise
        self._hash = hashlib.sha256()
        self._durations: dict[int, int] = {}
        self._table: list[tuple[int, int, bool, int]] = []
        self._lead = 0
        return self

    def write(self, frame: VideoFrame) -> None:
        """Encode the next frame; its pts and duration are in its time base, the plate's."""
        pts = frame.pts or 0
        self._durations[pts] = frame.duration or 0
        self._keep(self._stream.encode(frame))

    def _keep(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            data = bytes(packet)
            pts = round((packet.pts or 0) * packet.time_base / self._like.time_base)
            self._file.write(data)
            self._hash.update(data)
            if not self._table and packet.dts is not None:
                self._lead = pts - round(packet.dts * packet.time_base / self._like.time_base)
            self._table.append((pts, self._durations.pop(pts, 0), packet.is_keyframe, len(data)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._keep(self._stream.encode(None) if self._table or self._durations else [])
                self._file.write(_encoded(self._packets()))
                self._file.flush()
        except BaseException as fault:
            self._stack.__exit__(type(fault), fault, fault.__traceback__)
            raise
        self._stack.__exit__(kind, error, error.__traceback__ if error else None)

    def _packets(self) -> Packets:
        pts, duration, key, size = (
            (list(column) for column in zip(*self._table, strict=True)) if self._table else [[]] * 4
        )
        context = self._stream.codec_context
        extradata = bytes(context.extradata or b"").hex() if self._table else ""
        # A piece with fewer frames than x265 reorders has undefined decoding times; none needs more than its own span.
        lead = min(max(self._lead, 0), max(pts) - min(pts)) if pts else 0
        return Packets(pts, duration, key, size, extradata, context.name, self._hash.hexdigest(), lead)


def _encoded(packets: Packets) -> bytes:
    table = json.dumps(asdict(packets)).encode()
    return table + len(table).to_bytes(TAIL, "little")


def read_table(path: Path) -> Packets | None:
    """What the piece at `path` says of itself; None if it is not there, cut off or something else."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(end - TAIL)
            length = int.from_bytes(file.read(TAIL), "little")
            if length > end:
                return None
            file.seek(end - TAIL - length)
            packets = Packets(**json.loads(file.read(length)))
            return packets if len(MAGIC) + sum(packets.size) + length + TAIL == end else None
    except (OSError, ValueError, TypeError):
        return None


def whole(path: Path) -> Packets | None:
    """As `read_table`, but None too if the packets are not those that were written: reads the whole file."""
    packets = read_table(path)
    if packets is None:
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        left = sum(packets.size)
        while left:
            data = file.read(min(left, 1 << 20))
            if not data:
                return None
            digest.update(data)
            left -= len(data)
    return packets if digest.hexdigest() == packets.digest else None


def join(pieces: Sequence[Path], like: Clip, stream: VideoStream) -> Iterator[Packet]:
    """The packets of pieces, in their order, for a stream whose encoder is set up like theirs.

    Decoding times are made anew for the whole: each piece's own would overlap with its neighbours'. Nothing is shown
    before 0: pieces that begin earlier are moved as a whole.

    Raises:
        BadInput: a piece is missing or damaged, or was made by another encoder.
    """
    tables = [known(path) for path in pieces]
    shown = np.array([pts for table in tables for pts in table.pts], np.int64)
    held = max((int(np.searchsorted(np.sort(t.pts), t.pts[0] + t.lead)) for t in tables if t.pts), default=0)
    decoded = iter(decoding_times(shown, held).tolist())
    later = moved(tables)
    own = (bytes(stream.codec_context.extradata or b"").hex(), stream.codec_context.name)
    for path, table in zip(pieces, tables, strict=True):
        if table.pts and (table.extradata, table.codec) != own:
            raise BadInput(f"{path} is of another encoder: delete the folder {path.parent} and run the command again.")
        with path.open("rb") as file:
            file.seek(len(MAGIC))
            for pts, duration, key, size in zip(table.pts, table.duration, table.key, table.size, strict=True):
                packet = Packet(file.read(size))
                packet.pts, packet.dts = pts + later, next(decoded) + later
                packet.duration, packet.time_base, packet.is_keyframe = duration, like.time_base, key
                packet.stream = stream
                yield packet


def known(path: Path) -> Packets:
    """As `read_table`.

    Raises:
        BadInput: the piece is missing or damaged.
    """
    table = read_table(path)
    if table is None:
        raise BadInput(f"{path} is missing or damaged: run the same command again.")
    return table


def moved(tables: Sequence[Packets]) -> int:
    """By how much of the plate's time base frames are moved so that none is shown before 0."""
    return max(-min((pts for table in tables for pts in table.pts), default=0), 0)


def decoding_times(shown: np.ndarray, held: int = 0) -> np.ndarray:
    """Decoding times of packets from their presentation times (n,), in the order of decoding.

    Packet i is decoded when picture i - d is shown; the first d packets come as much earlier as picture d comes after
    picture 0, as encoders have it.

    Args:
        held: d, pictures that a decoder holds back, as the encoder says; more where the order asks for more.
    """
    if not len(shown):
        return shown
    times = np.sort(shown)
    rank = np.searchsorted(times, shown)
    delay = min(max(int((np.arange(len(shown)) - rank).max()), held), len(shown) - 1)
    result = np.empty_like(times)
    result[delay:] = times[: len(times) - delay]
    result[:delay] = times[:delay] - (times[delay] - times[0])
    return result
