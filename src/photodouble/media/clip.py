"""A clip: footage or pictures that can be read, and what is known of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from photodouble.errors import BadInput
from photodouble.media.frame import Colour, Frame
from photodouble.media.light import Light
from photodouble.media.orientation import Orientation
from photodouble.media.spaces import Space, of_name


@dataclass(frozen=True)
class Clip:
    """What a file, a folder of pictures or a picture holds; nothing stays open between reads.

    Attributes:
        width, height: of the upright picture, in pixels.
        time_base: unit of the frames' pts, seconds; `rate`: frames a second, on average.
        bit_depth: 8, up to 16, or 32 for float; decides the frames' dtype (uint8, uint16, float32).
        estimated_frames: what the file's header says or its duration suggests; `count()` is exact.
        sample_aspect: width of a pixel over its height.
        chroma: "420", "422" or "444", how finely the file stores colour.
        orientation: what turns the stored pictures upright; the frames are upright already.
        interlaced: its fields are read woven together, as they are stored; nothing de-interlaces them.
        files: the pictures of a clip of kind "pictures", in their order.
        stored_format: the planar YUV format in which its samples can be written as they are; "" for none.
        space: what the user said of the colours; `colour` has taken it in.
        light: what a video's file says of the screen it was graded on and of its brightest pixels.
    """

    path: Path
    kind: Literal["video", "pictures"]
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    bit_depth: int
    colour: Colour
    estimated_frames: int
    sample_aspect: Fraction = Fraction(1)
    has_audio: bool = False
    has_alpha: bool = False
    chroma: str = "444"
    interlaced: bool = False
    orientation: Orientation = field(default_factory=Orientation)
    files: tuple[Path, ...] = ()
    stored_format: str = ""
    light: Light | None = None
    space: Space = field(default_factory=Space)

    def frames(self, start: int = 0, stop: int | None = None, dtype: DTypeLike | None = None) -> Iterator[Frame]:
        """Frames `start` to `stop` (excluded; None: to the end), decoded one after the other.

        Args:
            dtype: np.uint8 for 8-bit RGB whatever the clip's depth (cheaper), as an ordinary screen shows it: linear,
                PQ and HLG plates get a view; None for the clip's own depth and values.

        Raises:
            BadInput: the file is damaged (all frames before the damage are yielded first) or gone.
        """
        if dtype is not None and np.dtype(dtype) != np.uint8:
            raise ValueError("dtype is np.uint8 or None")
        from photodouble.media import pictures, video

        read = video.frames if self.kind == "video" else pictures.frames
        return read(self, max(start, 0), stop, dtype is not None)

    def count(self) -> int:
        """Exact number of frames: by demuxing where every packet is one shown frame, else by decoding.

        Raises:
            BadInput: the file is damaged or gone.
        """
        if self.kind == "pictures":
            return len(self.files)
        from photodouble.media import video

        return video.count(self)


RATE = Fraction(24)
"""Frames a second of pictures that do not say theirs."""


def open_clip(path: Path, rate: Fraction = RATE, space: Space | None = None) -> Clip:
    """Open a video, a folder of pictures (sorted naturally: 2 before 10), a numbered sequence or a single picture.

    A sequence is given as `name.####.exr` or `name.%04d.exr`, or, of film formats (EXR, DPX, Cineon), by its first
    file; no frame of it may be missing.

    Args:
        rate: frames a second of pictures, unless their files say it; a video has its own.
        space: the colour space, where the files do not say it or are wrong, and the config that explains it.

    Raises:
        BadInput: there is nothing at `path`, or nothing that can be read as pictures, or frames are missing, or the
            colour space is unknown.
    """
    path, space = Path(path), space or Space()
    from photodouble.media import pictures, sequence, video

    try:
        if path.is_dir():
            return pictures.open_folder(path, rate, space)
        if not path.is_file():
            if sequence.is_pattern(path):
                return pictures.open_pictures(path, sequence.of_pattern(path), rate, space)
            raise BadInput(f"There is no file or folder {path}: check the name.")
        if path.stat().st_size == 0:
            raise BadInput(f"{path} is empty: copy it from its source again.")
    except OSError as error:
        raise BadInput(f"Cannot read {path} ({error.strerror}): check its name and its permissions.") from error
    if path.suffix.lower() in pictures.SUFFIXES:
        return pictures.open_pictures(path, sequence.from_first(path), rate, space)
    clip = video.open_video(path)
    return replace(clip, space=space, colour=of_name(clip.colour, space.name, space.config, asked=True))
