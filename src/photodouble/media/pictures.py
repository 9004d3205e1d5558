"""Pictures and folders of pictures through OpenImageIO."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own short name)

from photodouble.errors import BadInput
from photodouble.files import atomic, explain
from photodouble.media.clip import Clip
from photodouble.media.colour import FULL, LINEAR, RGB_MATRIX, SRGB, to_depth
from photodouble.media.frame import Colour, Frame
from photodouble.media.orientation import Orientation, of_exif

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".exr", ".dpx", ".cin", ".bmp", ".tga", ".webp", ".hdr"}
SUFFIXES |= {".jp2", ".j2k", ".jxl", ".ppm", ".pgm", ".pnm", ".sgi", ".psd"}

_TYPES = {"uint8": oiio.UINT8, "uint16": oiio.UINT16, "float32": oiio.FLOAT}


def open_folder(path: Path, rate: Fraction) -> Clip:
    """See `open_clip`; other files in the folder are passed over."""
    files = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    if not files:
        raise BadInput(f"The folder {path} holds no pictures: give one with PNG, JPEG, TIFF or EXR files.")
    return open_pictures(path, sorted(files, key=natural), rate)


def natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that orders numbers in names by value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def open_pictures(path: Path, files: Sequence[Path], rate: Fraction) -> Clip:
    """A clip of the pictures `files`, which must be of one size."""
    spec = _header(files[0])
    turned = _orientation(spec)
    size = turned.size(spec.full_width, spec.full_height)
    for file in files[1:]:
        other = _header(file)
        found = _orientation(other).size(other.full_width, other.full_height)
        if found != size:
            sizes = f"{found[0]}x{found[1]} and not {size[0]}x{size[1]} like {files[0].name}"
            raise BadInput(f"{file} is {sizes}: put pictures of one size into the folder.")
    dtype = _dtype(spec)
    transfer = LINEAR if dtype == np.float32 else SRGB
    return Clip(
        path=path,
        kind="pictures",
        width=size[0],
        height=size[1],
        time_base=1 / rate,
        rate=rate,
        bit_depth={"uint8": 8, "uint16": 16, "float32": 32}[dtype.name],
        colour=Colour(RGB_MATRIX, 1, transfer, FULL),
        estimated_frames=len(files),
        has_alpha=spec.alpha_channel >= 0,
        orientation=turned,
        files=tuple(files),
    )


def frames(clip: Clip, start: int, stop: int | None, eight_bit: bool) -> Iterator[Frame]:
    """See `Clip.frames`."""
    for index, file in list(enumerate(clip.files))[start:stop]:
        image = read_picture(file)
        if image.shape[:2] != (clip.height, clip.width):
            raise BadInput(f"{file} has changed its size since it was opened: run the same command again.")
        depth = np.uint8 if eight_bit else {8: np.uint8, 16: np.uint16, 32: np.float32}[clip.bit_depth]
        yield Frame(to_depth(image, depth), index, index, clip.time_base, 1, clip.colour)


def read_picture(path: Path) -> np.ndarray:
    """Read a picture upright: H x W x 3 RGB, uint8, uint16 or float32 (linear light); an alpha channel is left out.

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
        pixels = np.asarray(pixels, dtype).reshape(spec.height, spec.width, -1)[:, :, _channels(spec)]
        return np.ascontiguousarray(_orientation(spec).apply(_display(pixels, spec)))


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


def _header(path: Path) -> oiio.ImageSpec:
    with _opened(path) as source:
        return oiio.ImageSpec(source.spec())


def _orientation(spec: oiio.ImageSpec) -> Orientation:
    return of_exif(spec.get_int_attribute("Orientation", 1))


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


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write a picture atomically: .png, .jpg, .tif or .exr.

    Args:
        image: H x W x 3 RGB or H x W, uint8, uint16 or float32. float32 is linear light: EXR and TIFF keep it, the
            others get the sRGB curve. JPEG holds 8 bits, PNG and TIFF 16, EXR only float32.

    Raises:
        BadInput: the folder is missing or read-only, the disk is full, or the suffix names no format to write.
    """
    path = Path(path)
    with atomic(path) as part:
        write_part(part, image, path)


def write_part(part: Path, image: np.ndarray, path: Path) -> None:
    """Write to `part` what will be `path`; for callers that make the writing atomic themselves."""
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        options = [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        data = _encoded(suffix, to_depth(image, np.uint8), options)
    elif suffix == ".png":
        deep = to_depth(image, np.uint16) if image.dtype == np.float32 else image
        data = _encoded(suffix, deep, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    elif suffix in (".tif", ".tiff"):
        return _write_openimageio(part, image, path)
    elif suffix == ".exr":
        return _write_openimageio(part, to_depth(image, np.float32), path)
    else:
        raise BadInput(f"Cannot write {path}: its suffix names no picture format, use .png, .tif, .jpg or .exr.")
    try:
        part.write_bytes(data)
    except OSError as error:
        raise explain(error, path) from error


def _encoded(suffix: str, image: np.ndarray, options: list[int]) -> bytes:
    # OpenCV encodes PNG and JPEG in memory; OpenImageIO's writers of these two say nothing of a full disk.
    swapped = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(suffix, swapped, options)[1].tobytes()


def _write_openimageio(part: Path, image: np.ndarray, path: Path) -> None:
    image = np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])
    height, width, channels = image.shape
    spec = oiio.ImageSpec(width, height, channels, _TYPES[image.dtype.name])
    spec.attribute("compression", "zip")
    target = oiio.ImageOutput.create(str(part))
    assert target is not None  # TIFF and EXR are always built in
    done = target.open(str(part), spec) and target.write_image(image)
    if not (target.close() and done):
        reason = " ".join(target.geterror().split()).rstrip(".").replace(str(part), path.name) or "unknown reason"
        raise BadInput(f"Cannot write {path} ({reason}): check the disk's free space and the folder's permissions.")
