"""Pictures and folders of pictures through OpenImageIO."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own short name)

from photodouble.errors import BadInput
from photodouble.media.clip import Clip
from photodouble.media.colour import FULL, LINEAR, RGB_MATRIX, SRGB, alpha_to_depth, to_depth
from photodouble.media.frame import Colour, Frame
from photodouble.media.orientation import Orientation, of_exif
from photodouble.media.spaces import Space, of_name
from photodouble.media.viewing import eight_bit as viewed

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".exr", ".dpx", ".cin", ".bmp", ".tga", ".webp", ".hdr"}
SUFFIXES |= {".jp2", ".j2k", ".jxl", ".ppm", ".pgm", ".pnm", ".sgi", ".psd"}

_TYPES = {"uint8": oiio.UINT8, "uint16": oiio.UINT16, "float32": oiio.FLOAT}


@dataclass(frozen=True)
class Picture:
    """One picture as its file stores it, upright.

    Attributes:
        image: H x W x 3 RGB, uint8, uint16 or float32 (half is read as float32, exactly).
        alpha: H x W of the same type; None where the file has none.
        colour: what the file and the user say of its colours.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    colour: Colour


def open_folder(path: Path, rate: Fraction, space: Space = Space()) -> Clip:  # noqa: B008 (frozen)
    """See `open_clip`; other files in the folder are passed over."""
    files = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    if not files:
        raise BadInput(f"The folder {path} holds no pictures: give one with PNG, JPEG, TIFF or EXR files.")
    return open_pictures(path, sorted(files, key=natural), rate, space)


def natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that orders numbers in names by value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def open_pictures(path: Path, files: Sequence[Path], rate: Fraction, space: Space = Space()) -> Clip:  # noqa: B008
    """A clip of the pictures `files`, which must be of one size; `rate` counts where they do not say theirs."""
    spec = header(files[0])
    turned = _orientation(spec)
    size = turned.size(spec.full_width, spec.full_height)
    for file in files[1:]:
        other = header(file)
        found = _orientation(other).size(other.full_width, other.full_height)
        if found != size:
            sizes = f"{found[0]}x{found[1]} and not {size[0]}x{size[1]} like {files[0].name}"
            raise BadInput(f"{file} is {sizes}: put pictures of one size into the folder.")
    dtype = _dtype(spec)
    rate = _rate(spec) or rate
    return Clip(
        path=path,
        kind="pictures",
        width=size[0],
        height=size[1],
        time_base=1 / rate,
        rate=rate,
        bit_depth={"uint8": 8, "uint16": 16, "float32": 32}[dtype.name],
        colour=_colour(spec, dtype, space),
        estimated_frames=len(files),
        sample_aspect=_aspect(spec),
        space=space,
        has_alpha=spec.alpha_channel >= 0,
        orientation=turned,
        files=tuple(files),
    )


def frames(clip: Clip, start: int, stop: int | None, eight_bit: bool) -> Iterator[Frame]:
    """See `Clip.frames`."""
    for index, file in list(enumerate(clip.files))[start:stop]:
        found = read(file)
        image, alpha = found.image, found.alpha
        if image.shape[:2] != (clip.height, clip.width):
            raise BadInput(f"{file} has changed its size since it was opened: run the same command again.")
        if eight_bit:
            image, alpha = viewed(image, clip.colour), None
        else:
            depth = {8: np.uint8, 16: np.uint16, 32: np.float32}[clip.bit_depth]
            image, alpha = to_depth(image, depth), None if alpha is None else alpha_to_depth(alpha, depth)
        yield Frame(image, index, index, clip.time_base, 1, clip.colour, alpha)


def read_picture(path: Path) -> np.ndarray:
    """Read a picture upright: H x W x 3 RGB, uint8, uint16 or float32 (linear light); an alpha channel is left out.

    Raises:
        BadInput: it is missing, damaged or not a picture.
    """
    return read(path).image


def read_view(path: Path, space: Space = Space()) -> np.ndarray:  # noqa: B008 (frozen)
    """Read a picture upright as an ordinary screen shows it: H x W x 3 uint8 RGB.

    Raises:
        BadInput: as `read_picture`; or the colour space is unknown.
    """
    found = read(path, space)
    return viewed(found.image, found.colour)


def read(path: Path, space: Space = Space()) -> Picture:  # noqa: B008 (frozen)
    """Read all of a picture.

    Raises:
        BadInput: it is missing, damaged or not a picture.
    """
    path = Path(path)
    with _opened(path) as source:
        spec = source.spec()
        dtype = _dtype(spec)
        pixels = source.read_image(0, 0, 0, spec.nchannels, _TYPES[dtype.name])
        if pixels is None or source.has_error:
            raise _unreadable(path, source.geterror())
        pixels = np.asarray(pixels, dtype).reshape(spec.height, spec.width, -1)
        turned = _orientation(spec)
        image = np.ascontiguousarray(turned.apply(_display(pixels[:, :, _channels(spec)], spec)))
        alpha = None
        if spec.alpha_channel >= 0:
            alpha = np.ascontiguousarray(turned.apply(_display(pixels[:, :, [spec.alpha_channel] * 3], spec))[:, :, 0])
        return Picture(image, alpha, _colour(spec, dtype, space))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[oiio.ImageInput]:
    """An opened picture; whatever fails while it is in use is the picture's fault."""
    config = oiio.ImageSpec()
    # As stored: otherwise colours come multiplied by alpha.
    config.attribute("oiio:UnassociatedAlpha", 1)
    if not path.is_file():
        raise BadInput(f"There is no picture {path}: check the name.")
    source = None
    try:
        source = oiio.ImageInput.open(str(path), config)
        if source is None:
            raise _unreadable(path, oiio.geterror())
        yield source
    except (ValueError, RuntimeError, MemoryError) as error:  # names that are not UTF-8, absurd sizes
        raise _unreadable(path, str(error)) from error
    finally:
        if source is not None:
            source.close()


def _unreadable(path: Path, reason: str) -> BadInput:
    reason = " ".join(reason.split()).rstrip(".") or "unknown format"
    return BadInput(f"{path} is not a picture that can be read ({reason}): export it again as PNG, TIFF or EXR.")


def header(path: Path) -> oiio.ImageSpec:
    """What a picture's file says of it."""
    with _opened(path) as source:
        return oiio.ImageSpec(source.spec())


def _orientation(spec: oiio.ImageSpec) -> Orientation:
    return of_exif(spec.get_int_attribute("Orientation", 1))


def _colour(spec: oiio.ImageSpec, dtype: np.dtype, space: Space) -> Colour:
    colour = Colour(RGB_MATRIX, 1, LINEAR if dtype == np.float32 else SRGB, FULL)
    # 8 bits are made for a screen, whatever photo software calls its colours.
    name = "" if dtype == np.uint8 else spec.get_string_attribute("oiio:ColorSpace")
    return of_name(colour, space.name or name, space.config, asked=bool(space.name))


def _rate(spec: oiio.ImageSpec) -> Fraction | None:
    """Frames a second, where the header of an EXR or DPX says it."""
    exact = spec.getattribute("framesPerSecond")
    if isinstance(exact, tuple) and len(exact) == 2 and min(exact) > 0:
        return Fraction(int(exact[0]), int(exact[1]))
    told = spec.get_float_attribute("dpx:FrameRate", spec.get_float_attribute("dpx:TelevisionFrameRate", 0.0))
    return Fraction(told).limit_denominator(1001) if 0 < told < 1000 else None


def _aspect(spec: oiio.ImageSpec) -> Fraction:
    told = spec.get_float_attribute("PixelAspectRatio", 1.0)
    aspect = Fraction(told).limit_denominator(1000) if 0.01 < told < 100 else Fraction(1)
    return 1 / aspect if _orientation(spec).transpose else aspect


def _dtype(spec: oiio.ImageSpec) -> np.dtype:
    base = spec.format.basetype
    if base in (oiio.HALF, oiio.FLOAT, oiio.DOUBLE):
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if base in (oiio.UINT8, oiio.INT8) else np.uint16)


def _channels(spec: oiio.ImageSpec) -> list[int]:
    """Which channels are red, green and blue: by name, else the first three, else the first one thrice."""
    names = [name.upper() for name in spec.channelnames]
    if {"R", "G", "B"} <= set(names):
        return [names.index(name) for name in "RGB"]
    return [0, 1, 2] if spec.nchannels >= 3 else [0, 0, 0]


def _display(pixels: np.ndarray, spec: oiio.ImageSpec) -> np.ndarray:
    """The display window of an EXR whose data window is smaller or larger; black where there is no data."""
    if (spec.x, spec.y, spec.width, spec.height) == (spec.full_x, spec.full_y, spec.full_width, spec.full_height):
        return pixels
    shown = np.zeros((spec.full_height, spec.full_width, pixels.shape[2]), pixels.dtype)
    left, top = spec.x - spec.full_x, spec.y - spec.full_y
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + spec.width, spec.full_width), min(top + spec.height, spec.full_height)
    if x1 > x0 and y1 > y0:
        shown[y0:y1, x0:x1] = pixels[y0 - top : y1 - top, x0 - left : x1 - left]
    return shown
