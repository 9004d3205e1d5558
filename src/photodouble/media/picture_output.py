"""Rendered pictures: their names, the folders they go into, and how a frame becomes one."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from photodouble.errors import BadInput
from photodouble.media.clip import Clip, open_clip
from photodouble.media.codecs import holds_alpha
from photodouble.media.frame import Frame
from photodouble.media.picture_files import Layers, write_part
from photodouble.media.sequence import frame_numbers, number_of, numbered
from photodouble.media.spaces import Space
from photodouble.media.transfer import LINEAR_NAMES
from photodouble.media.viewing import light_of, to_screen_light


def picture_name(like: Clip, index: int, suffix: str, names: Path | None = None) -> str:
    """What the picture of frame `index` is called in a folder.

    Args:
        like: the plate: its pictures' names and numbers are taken over; a video's frames count from 0.
        suffix: of the picture. names: the pattern of the pictures' names (`name.####.exr`), if there is one.
    """
    if names is None:
        return (like.files[index].stem if index < len(like.files) else f"{index:06d}") + suffix
    numbers = frame_numbers(like.files)
    return numbered(names, numbers[index] if index < len(numbers) else index).name


def check_folder(path: Path, like: Clip, suffixes: Sequence[str], names: Path | None = None) -> None:
    """Make sure that a folder which pictures are about to replace holds nothing but an earlier run's.

    Args:
        path: the folder; there may be none yet. like: the plate.
        suffixes: that the pictures may have. names: the pattern of their names, if there is one.

    Raises:
        BadInput: it holds other files, or the plate's own.
    """
    if any(file.resolve().parent == path.resolve() for file in like.files):
        raise BadInput(f"The folder {path} holds the plate itself: choose another folder for the pictures.")
    stems = {file.stem for file in like.files}
    suffixes = (*suffixes, ".c2pa")
    for file in path.iterdir() if path.is_dir() else ():
        if names is not None:
            number, here = number_of(file), file.with_suffix(names.suffix).name
            own = number is not None and here == numbered(names, number).name and file.suffix in (names.suffix, ".c2pa")
        else:
            own = file.suffix in suffixes and (file.stem in stems or re.fullmatch(r"\d{6,}", file.stem) is not None)
        if not own:
            raise BadInput(f"The folder {path} holds other files: choose a new folder for the pictures.")


def write_frame(part: Path, path: Path, frame: Frame, like: Clip, layers: Layers | None = None) -> None:
    """Write to `part` what will be the picture `path`, with the alpha and the metadata of the plate's picture.

    EXR holds linear light; other formats than TIFF get what a screen shows of float pictures.

    Args:
        layers: for EXR; their face and plate are in the plate's values, like the frame.
    """
    image, colour = frame.image, like.colour
    told: dict[str, str] = {}
    floats = image.dtype == np.float32
    if path.suffix.lower() != ".exr":
        layers = None
        if floats and path.suffix.lower() not in (".tif", ".tiff"):
            image = to_screen_light(image, colour)
    elif not floats:
        image = light_of(image, colour)
        told = {"oiio:ColorSpace": LINEAR_NAMES.get(1 if colour.space else colour.primaries, LINEAR_NAMES[1])}
        if layers is not None:
            face, plate = (layer if layer is None else light_of(layer, colour) for layer in (layers.face, layers.plate))
            layers = replace(layers, face=face, plate=plate)
    own = like.files[frame.index] if frame.index < len(like.files) else None
    write_part(part, image, path, frame.alpha, own, layers, told)


def open_made(path: Path, like: Clip) -> Clip:
    """Open what was written of the plate `like`, with the colour space given for it if it has the plate's own values.

    It has others, and says which, where a plate of integers became EXR, and where a plate of floats became a film or
    pictures of integers.

    Raises:
        BadInput: as `open_clip`.
    """
    made = open_clip(path)
    suffix = (made.files[0] if made.files else made.path).suffix.lower()
    own = suffix in (".tif", ".tiff") or (like.bit_depth == 32) == (suffix == ".exr")
    return open_clip(path, space=like.space) if own and like.space != Space() else made


def left_out(like: Clip, codec: str, format: str = "") -> list[str]:
    """A sentence if the plate's alpha channel is not written; `format`: FFmpeg's pixel format, of a video."""
    if not like.has_alpha or holds_alpha(codec, format):
        return []
    return [f"The alpha channel of {like.path} is left out: {codec} cannot hold it."]
