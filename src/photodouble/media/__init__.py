"""Clips in and out: frames with their timestamps and colours, and the streams beside them."""

from photodouble.media.clip import RATE, Clip, open_clip
from photodouble.media.codecs import CODECS
from photodouble.media.frame import Colour, Frame
from photodouble.media.matte import MatteWriter, read_mattes
from photodouble.media.picture_files import write_picture
from photodouble.media.picture_output import open_made
from photodouble.media.pictures import read_picture, read_view
from photodouble.media.shots import parse_frames, read_shots
from photodouble.media.spaces import Space
from photodouble.media.writer import ClipWriter

__all__ = [
    "CODECS",
    "RATE",
    "Clip",
    "ClipWriter",
    "Colour",
    "Frame",
    "MatteWriter",
    "Space",
    "open_clip",
    "open_made",
    "parse_frames",
    "read_mattes",
    "read_picture",
    "read_shots",
    "read_view",
    "write_picture",
]
