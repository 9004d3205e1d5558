"""The plate's other streams (sound, subtitles, chapters, titles), copied without being touched."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from photodouble.media.clip import Clip
from photodouble.media.video import picture_stream

# What a muxer sets itself, or what is no longer true of the new file.
_OWN_TAGS = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}


class OtherStreams:
    """Copies packets of `source` (the opened plate) to `output`, as far as the pictures have got.

    Attributes:
        left_out: a sentence for each stream that the output's container cannot hold.
    """

    def __init__(self, source: InputContainer, output: OutputContainer, like: Clip):
        self.left_out: list[str] = []
        self._output = output
        self._copies: dict[int, Stream] = {}
        pictures = picture_stream(source, like.path)
        for stream in source.streams:
            if stream.index == pictures.index:
                continue
            # The muxer makes a timecode track of the picture stream's `timecode` tag. FFmpeg gives that tag to every
            # track that refers to the timecode track, in QuickTime to sound too.
            if stream.type == "data" and "timecode" in stream.metadata:
                continue
            copy = self._add(stream)
            if copy is None:
                kind = "second video" if stream.type == "video" else stream.type
                name = stream.codec_context.name if stream.codec_context else stream.type
                self.left_out.append(
                    f"The {kind} stream {stream.index} ({name}) of {like.path} is left out: the output cannot hold it."
                )
            elif stream.type != "attachment":
                self._copies[stream.index] = copy
        output.metadata.update(tags(source.metadata))
        self._packets = self._demux(source)
        self._next = next(self._packets, None)

    def _add(self, stream: Stream) -> Stream | None:
        if stream.type in ("video", "data"):
            return None
        try:
            copy = self._output.add_stream_from_template(stream)
        except (ValueError, av.error.FFmpegError):
            return None
        copy.metadata.update(tags(stream.metadata))
        copy.disposition = stream.disposition
        return copy

    def _demux(self, source: InputContainer) -> Iterator[Packet]:
        if not self._copies:
            return
        for packet in source.demux([source.streams[index] for index in self._copies]):
            if packet.dts is not None and packet.size:
                yield packet

    def copy_until(self, time: Fraction | None, later: Fraction = Fraction(0)) -> None:
        """Mux the packets due at `time` (None: all that are left), `later` than the plate has them; seconds."""
        while self._next is not None:
            packet = self._next
            if time is not None and (packet.dts or 0) * packet.time_base > time:
                return
            shift = round(later / packet.time_base)
            if shift:
                packet.dts = (packet.dts or 0) + shift
                packet.pts = None if packet.pts is None else packet.pts + shift
            packet.stream = self._copies[packet.stream_index]
            self._output.mux(packet)
            self._next = next(self._packets, None)


def tags(metadata: dict[str, str]) -> dict[str, str]:
    """The tags that stay true in a new file."""
    return {key: value for key, value in metadata.items() if key.lower() not in _OWN_TAGS}
