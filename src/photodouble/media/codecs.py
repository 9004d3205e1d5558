"""The formats that clips are written in."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import av

from photodouble.errors import BadInput
from photodouble.media.clip import Clip
from photodouble.media.pictures import SUFFIXES


@dataclass(frozen=True)
class Codec:
    """One format: FFmpeg's encoder with its options and containers, or (no encoder) a folder of pictures.

    `exact`: it keeps every bit that it is given.
    """

    encoder: str
    suffixes: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    tag: str = ""
    exact: bool = False


# What x264 and x265 write depends on the number of their threads: a fixed one gives the same bytes everywhere.
CODECS: dict[str, Codec] = {
    "h264": Codec("libx264", (".mp4", ".mov", ".mkv", ".m4v"), {"preset": "medium", "crf": "16", "threads": "4"}),
    # hvc1: Apple's players open no hev1.
    "hevc": Codec(
        "libx265",
        (".mp4", ".mov", ".mkv"),
        {"preset": "fast", "crf": "18", "threads": "2", "x265-params": "log-level=error"},
        "hvc1",
    ),
    # FFmpeg's encoder takes 10 bits, whatever the profile.
    "prores": Codec("prores_ks", (".mov", ".mkv"), {"vendor": "apl0"}),
    "prores4444": Codec("prores_ks", (".mov", ".mkv"), {"vendor": "apl0"}),
    "ffv1": Codec("ffv1", (".mkv",), {"level": "3", "slicecrc": "1"}, exact=True),
    "png": Codec("", (".png",), exact=True),
    "tiff": Codec("", (".tif", ".tiff"), exact=True),
    "jpeg": Codec("", (".jpg", ".jpeg")),
    "exr": Codec("", (".exr",), exact=True),
    "dpx": Codec("", (".dpx",), exact=True),
}


def choose(path: Path, codec: str | None) -> str:
    """The codec's name for an output; None asks for the usual one of the path's suffix.

    Raises:
        BadInput: there is no such codec, or the container cannot hold it.
    """
    suffix = path.suffix.lower()
    if codec is None:
        if suffix in CODECS["h264"].suffixes:
            return "h264"
        for name, entry in CODECS.items():
            if not entry.encoder and suffix in entry.suffixes:
                return name
        if not suffix:
            return "png"
        raise BadInput(f"Cannot write {path}: use .mp4, .mov or .mkv, or a folder's name without a dot for pictures.")
    if codec not in CODECS:
        raise BadInput(f"Cannot write {path}: there is no codec {codec!r}, choose one of {', '.join(CODECS)}.")
    entry = CODECS[codec]
    if entry.encoder and suffix not in entry.suffixes:
        raise BadInput(f"Cannot write {path}: {codec} goes into {' or '.join(entry.suffixes)} files.")
    if not entry.encoder and suffix in (SUFFIXES | set(CODECS["h264"].suffixes)) - set(entry.suffixes):
        raise BadInput(f"Cannot write {path}: {codec} pictures go into a folder or a {entry.suffixes[0]} file.")
    return codec


def pixel_format(codec: str, like: Clip) -> str:
    """FFmpeg's pixel format that keeps what the plate has, in its exact size."""
    deep = like.bit_depth > 8
    # RGB footage says nothing of subsampling; 4:2:0 is what plays everywhere.
    chroma = like.chroma if like.colour.matrix else "420"
    if codec == "ffv1":
        if like.stored_format in _ffv1_formats():
            return like.stored_format
        if not deep:
            return "bgra" if like.has_alpha else "bgr0"
        exact = like.bit_depth in (10, 12, 16) and like.kind == "video" and not like.colour.matrix
        return f"gbr{'a' if like.has_alpha else ''}p{like.bit_depth if exact else 16}le"
    if codec in ("prores", "prores4444"):
        full = like.chroma == "444" and (like.kind == "video" or deep)
        if like.has_alpha:
            return "yuva444p10le"
        return "yuv444p10le" if full or codec == "prores4444" else "yuv422p10le"
    # Halved planes of an odd size cannot be cropped back to it in H.264 and HEVC (their crop unit is 2 there).
    if (like.width % 2 and chroma != "444") or (like.height % 2 and chroma == "420"):
        chroma = "444"
    return f"yuv{chroma}p" + ("10le" if deep else "")


def holds_alpha(codec: str, format: str) -> bool:
    """Whether pictures written so have an alpha channel; `format` is FFmpeg's, of a video."""
    if not CODECS[codec].encoder:
        return codec != "jpeg"
    return format == "bgra" or format.startswith(("yuva", "gbrap"))


@lru_cache(1)
def _ffv1_formats() -> frozenset[str]:
    return frozenset(format.name for format in av.codec.Codec("ffv1", "w").video_formats or ())
