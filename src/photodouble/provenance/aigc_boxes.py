"""One text into the metadata of a finished file, byte for byte: samples, times and everything else stay as they are.

Formats: ISO 14496-12 and Apple's QuickTime metadata (MP4, MOV), RFC 9559 (Matroska), PNG 1.2, JPEG with EXIF 2.3.
"""

import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MP4 = (".mp4", ".m4v", ".mov")
MATROSKA = (".mkv",)
_HOLDERS = (b"trak", b"mdia", b"minf", b"stbl")
_EXIF = b"Exif\0\0"
_COMMENT = 0x9286
_ASCII = b"ASCII\0\0\0"
_UNKNOWN_SIZE = 0x01FFFFFFFFFFFFFF


def into_mp4(source: Path, target: Path, name: str, text: str) -> None:
    """A copy with the key `name` in moov/udta/meta; where sound and pictures move, their offsets are told so.

    Raises:
        ValueError: there is no `moov`, or its boxes do not fit together.
    """
    with open(source, "rb") as reading, open(target, "wb") as writing:
        found = next(((at, size) for at, size, kind in _boxes_of(reading) if kind == b"moov"), None)
        if found is None:
            raise ValueError("no moov box")
        at, size = found
        reading.seek(at)
        moov = reading.read(size)
        grown = _with_meta(moov[8:], _meta(name, text))
        delta = 8 + len(grown) - size
        grown = _moved(grown, at + size, delta)
        reading.seek(0)
        _copy(reading, writing, at)
        writing.write(_box(b"moov", grown))
        reading.seek(at + size)
        shutil.copyfileobj(reading, writing, 1 << 20)


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def _meta(name: str, text: str) -> bytes:
    key, value = name.encode(), text.encode()
    handler = _box(b"hdlr", bytes(8) + b"mdta" + bytes(13))
    keys = _box(b"keys", struct.pack(">II", 0, 1) + _box(b"mdta", key))
    data = _box(b"data", struct.pack(">II", 1, 0) + value)  # 1: UTF-8
    return _box(b"meta", bytes(4) + handler + keys + _box(b"ilst", _box(struct.pack(">I", 1), data)))


def _with_meta(moov: bytes, meta: bytes) -> bytes:
    """The contents of `moov` with `meta` in its `udta`, which is made if need be."""
    for at, size, kind in _boxes_in(moov):
        if kind == b"udta":
            inner = moov[at + 8 : at + size]
            inner = inner[:-4] if inner[-4:] == bytes(4) and not _whole(inner) else inner  # QuickTime may end it by 0
            return moov[:at] + _box(b"udta", inner + meta) + moov[at + size :]
    return moov + _box(b"udta", meta)


def _whole(data: bytes) -> bool:
    try:
        return sum(size for _, size, _ in _boxes_in(data)) == len(data)
    except ValueError:
        return False


def _moved(data: bytes, after: int, delta: int) -> bytes:
    """`data` (boxes) with all offsets to samples behind the file's byte `after` moved by `delta`."""
    parts = []
    for at, size, kind in _boxes_in(data):
        inner = data[at + 8 : at + size]
        if kind in _HOLDERS:
            inner = _moved(inner, after, delta)
        elif kind in (b"stco", b"co64"):
            form = ">I" if kind == b"stco" else ">Q"
            offsets = [offset for (offset,) in struct.iter_unpack(form, inner[8:])]
            moved = [offset + delta if offset >= after else offset for offset in offsets]
            if kind == b"stco" and max(moved, default=0) >= 1 << 32:
                raise ValueError("samples lie beyond 4 GiB")
            inner = inner[:8] + b"".join(struct.pack(form, offset) for offset in moved)
        parts.append(_box(kind, inner))
    return b"".join(parts)


def _boxes_in(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size = int(struct.unpack_from(">I", data, at)[0])
        if size < 8 or at + size > len(data):
            raise ValueError("boxes do not fit together")
        yield at, size, data[at + 4 : at + 8]
        at += size


def _boxes_of(stream: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Offset, size and kind of the boxes at a file's top."""
    at, end = 0, stream.seek(0, 2)
    while at + 8 <= end:
        stream.seek(at)
        size, kind = struct.unpack(">I4s", stream.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", stream.read(8))
        size = size or end - at
        if size < 8:
            raise ValueError("boxes do not fit together")
        yield at, size, kind
        at += size


def _copy(reading: BinaryIO, writing: BinaryIO, length: int) -> None:
    while length > 0 and (piece := reading.read(min(length, 1 << 20))):
        writing.write(piece)
        length -= len(piece)


def into_matroska(source: Path, target: Path, name: str, text: str) -> None:
    """A copy with one more `Tags` element at its end, and an entry for it in the `SeekHead` if there is room.

    Raises:
        ValueError: it is not Matroska, or other than FFmpeg writes it.
    """
    simple = _element(0x67C8, _element(0x45A3, name.encode()) + _element(0x4487, text.encode()))
    tags = _element(0x1254C367, _element(0x7373, _element(0x63C0, b"") + simple))
    with open(source, "rb") as reading:
        head = reading.read(1 << 16)
    end = source.stat().st_size
    at = _skip(head, 0, 0x1A45DFA3)
    identity, size, start = _read_element(head, at)
    if identity != 0x18538067 or start - at != 12:
        raise ValueError("not Matroska")
    shutil.copyfile(source, target)
    with open(target, "r+b") as file:
        if size != _UNKNOWN_SIZE & ((1 << 56) - 1):
            if start + size != end:
                raise ValueError("Matroska of another layout")
            file.seek(at + 4)
            file.write(struct.pack(">Q", (1 << 56) | (size + len(tags))))
        seek = _with_seek(head, start, end - start)
        if seek is not None:
            file.seek(start)
            file.write(seek)
        file.seek(end)
        file.write(tags)


def _with_seek(head: bytes, start: int, position: int) -> bytes | None:
    """The `SeekHead` at `start` and the `Void` behind it, with an entry for `Tags`; None if there is no such pair."""
    identity, size, inside = _read_element(head, start)
    if identity != 0x114D9B74:
        return None
    void, empty, behind = _read_element(head, inside + size)
    entry = _element(
        0x4DBB, _element(0x53AB, struct.pack(">I", 0x1254C367)) + _element(0x53AC, struct.pack(">Q", position))
    )
    grown = _element(identity, head[inside : inside + size] + entry)
    left = behind + empty - start - len(grown)
    if void != 0xEC or left < 9:
        return None
    return grown + b"\xec" + struct.pack(">Q", (1 << 56) | (left - 9)) + bytes(left - 9)


def _element(identity: int, data: bytes) -> bytes:
    wide = (identity.bit_length() + 7) // 8
    return identity.to_bytes(wide, "big") + struct.pack(">I", 0x10000000 | len(data)) + data


def _read_element(data: bytes, at: int) -> tuple[int, int, int]:
    """Identity and size of the element at `at`, and where its contents begin."""
    if at >= len(data) or not data[at]:
        raise ValueError("not Matroska")
    wide = 9 - data[at].bit_length()
    first = at + wide
    if first >= len(data) or not data[first]:
        raise ValueError("not Matroska")
    long = 9 - data[first].bit_length()
    size = int.from_bytes(data[first : first + long], "big") & ((1 << (7 * long)) - 1)
    return int.from_bytes(data[at:first], "big"), size, first + long


def _skip(data: bytes, at: int, identity: int) -> int:
    found, size, inside = _read_element(data, at)
    if found != identity:
        raise ValueError("not Matroska")
    return inside + size


def into_png(data: bytes, name: str, text: str) -> bytes:
    """PNG bytes with a tEXt chunk behind the header."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not PNG")
    content = name.encode("latin-1") + b"\0" + text.encode("latin-1")
    chunk = struct.pack(">I", len(content)) + b"tEXt" + content
    return data[:33] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + data[33:]


def from_png(data: bytes, name: str) -> str | None:
    """The text of PNG bytes under `name`."""
    at, key = 8, name.encode("latin-1") + b"\0"
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"tEXt" and data[at + 8 : at + 8 + len(key)] == key:
            return data[at + 8 + len(key) : at + 8 + size].decode("latin-1")
        at += 12 + size
    return None


def into_jpeg(data: bytes, comment: str) -> bytes:
    """JPEG bytes with an EXIF block that holds nothing but the UserComment, behind the JFIF header."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("not JPEG")
    value = _ASCII + comment.encode("ascii")
    first = struct.pack(">HHHII", 1, 0x8769, 4, 1, 26) + bytes(4)  # one entry: where the EXIF entries lie
    second = struct.pack(">HHHII", 1, _COMMENT, 7, len(value), 44) + bytes(4)
    segment = _EXIF + b"MM\0*" + struct.pack(">I", 8) + first + second + value
    at = 2
    if data[2:4] == b"\xff\xe0":
        at = 4 + int(struct.unpack_from(">H", data, 4)[0])
    return data[:at] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[at:]


def from_jpeg(data: bytes) -> str | None:
    """The UserComment of JPEG bytes, whoever wrote it, as long as it is ASCII."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = int(struct.unpack_from(">H", data, at + 2)[0])
        segment = data[at + 4 : at + 2 + size]
        if data[at + 1] == 0xE1 and segment[:6] == _EXIF:
            mark = segment.find(_ASCII + b"{")
            if mark >= 0:
                return segment[mark + len(_ASCII) :].rstrip(b"\0 ").decode("ascii", "replace")
        at += 2 + size
    return None
