"""Clips in and out: frames with their timestamps and colours, and the streams beside them."""

from photodouble.media.clip import Clip, open_clip
from photodouble.media.codecs import CODECS
from photodouble.media.frame import Colour, Frame
from photodouble.media.matte import MatteWriter, read_mattes
from photodouble.media.picture_files import write_picture
from photodouble.media.pictures import read_picture, read_view
from photodouble.media.writer import ClipWriter

__all__ = [
    "CODECS",
    "Clip",
    "ClipWriter",
    "Colour",
    "Frame",
    "MatteWriter",
    "open_clip",
    "read_mattes",
    "read_picture",
    "read_view",
    "write_picture",
]
