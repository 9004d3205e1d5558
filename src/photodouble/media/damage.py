"""Whether a video file is all there, told by what its container declares.

FFmpeg reads a file that is cut off as a shorter one; a render of it would silently lack its end.
"""

import re
from fractions import Fraction
from pathlib import Path

from av.video.stream import VideoStream

_SEGMENT = 0x18538067


def bytes_missing(path: Path, container: str) -> int:
    """How many bytes the file lacks, 0 where it is whole or its container does not tell (MPEG-TS, live recordings).

    Args:
        container: FFmpeg's names of the container, separated by commas.
    """
    size = path.stat().st_size
    names = container.split(",")
    if "mov" in names:
        end = _boxes_end(path)
    elif "matroska" in names:
        end = _matroska_end(path)
    elif "avi" in names:
        with path.open("rb") as file:
            end = 8 + int.from_bytes(file.read(8)[4:], "little")
    else:
        end = 0
    return max(end - size, 0)


def seconds_declared(stream: VideoStream) -> Fraction | None:
    """When the stream ends by the DURATION tag that Matroska's writers leave ("00:00:04.040000000")."""
    match = re.match(r"(\d+):(\d+):(\d+)\.(\d{1,9})", stream.metadata.get("DURATION", ""))
    if not match:
        return None
    hours, minutes, seconds = (int(part) for part in match.groups()[:3])
    return hours * 3600 + minutes * 60 + seconds + Fraction(int(match[4]), 10 ** len(match[4]))


def _boxes_end(path: Path) -> int:
    """Where the last box of an MP4 or MOV ends (ISO/IEC 14496-12, section 4.2: 4 bytes of size, 4 of type)."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:], "big")
            if len(head) < 8 or length < 8:  # 0: to the end of the file; else padding that is no box
                return 0
            at += length
    return at


def _matroska_end(path: Path) -> int:
    """Where the segment ends (RFC 8794, sections 4 to 6: an id and a size, both of variable length), 0 if unknown."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = 0
    while at < len(head):
        number, at = _varying(head, at, keep_marker=True)
        length, at = _varying(head, at, keep_marker=False)
        if number == _SEGMENT:
            return 0 if length < 0 else at + length
        if length < 0:
            return 0
        at += length
    return 0


def _varying(data: bytes, at: int, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length and where it ends; -1 for "unknown" (all ones) or the end of `data`."""
    if at >= len(data) or data[at] == 0:
        return -1, len(data)
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big")
    if keep_marker:
        return value, at + width
    ones = (1 << (7 * width)) - 1
    return (-1 if value & ones == ones else value & ones), at + width
