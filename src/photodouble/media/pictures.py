"""Pictures and folders of pictures through OpenImageIO."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own short name)

from photodouble.errors import BadInput
from photodouble.files import atomic
from photodouble.media.clip import Clip
from photodouble.media.colour import FULL, LINEAR, RGB_MATRIX, SRGB, to_depth
from photodouble.media.frame import Colour, Frame
from photodouble.media.orientation import Orientation, of_exif

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".exr", ".dpx", ".cin", ".bmp", ".tga", ".webp", ".hdr"}
SUFFIXES |= {".jp2", ".j2k", ".jxl", ".ppm", ".pgm", ".pnm", ".sgi", ".psd"}


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
    source = _opened(Path(path))
    try:
        spec = source.spec()
        dtype = _dtype(spec)
        pixels = source.read_image(0, 0, 0, spec.nchannels, dtype.name)
        if pixels is None or source.has_error:
            raise _unreadable(path, source.geterror())
    finally:
        source.close()
    pixels = np.asarray(pixels, dtype).reshape(spec.height, spec.width, -1)[:, :, _channels(spec)]
    return np.ascontiguousarray(_orientation(spec).apply(_display(pixels, spec)))


def _opened(path: Path) -> oiio.ImageInput:
    config = oiio.ImageSpec()
    # As stored: otherwise colours come multiplied by alpha.
    config.attribute("oiio:UnassociatedAlpha", 1)
    if not path.is_file():
        raise BadInput(f"There is no picture {path}: check the name.")
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise _unreadable(path, oiio.geterror())
    return source


def _unreadable(path: Path, reason: str) -> BadInput:
    reason = " ".join(reason.split()).rstrip(".") or "unknown format"
    return BadInput(f"{path} is not a picture that can be read ({reason}): export it again as PNG, TIFF or EXR.")


def _header(path: Path) -> oiio.ImageSpec:
    source = _opened(path)
    try:
        return oiio.ImageSpec(source.spec())
    finally:
        source.close()


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
    """Write a picture atomically, in the format of its suffix and as deep as that holds.

    Args:
        image: H x W x 3 RGB or H x W, uint8, uint16 or float32. float32 is linear light: kept by EXR and TIFF,
            given the sRGB curve for the other formats (which get 8 bits if JPEG, else 16).

    Raises:
        BadInput: the folder is missing or read-only, the disk is full, or the suffix names no picture format.
    """
    path = Path(path)
    with atomic(path) as part:
        write_part(part, image, path)


def write_part(part: Path, image: np.ndarray, path: Path) -> None:
    """Write to `part` what will be `path`; for callers that make the writing atomic themselves."""
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg", ".webp", ".bmp", ".tga"):
        image = to_depth(image, np.uint8)
    elif image.dtype == np.float32 and suffix not in (".exr", ".tif", ".tiff", ".hdr"):
        image = to_depth(image, np.uint16)
    elif suffix == ".exr":
        image = to_depth(image, np.float32)
    image = np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])
    height, width, channels = image.shape
    spec = oiio.ImageSpec(width, height, channels, image.dtype.name)
    compression = {".jpg": "jpeg:97", ".jpeg": "jpeg:97", ".exr": "zip", ".tif": "zip", ".tiff": "zip"}.get(suffix)
    if compression:
        spec.attribute("compression", compression)
    if suffix in (".jpg", ".jpeg"):
        spec.attribute("jpeg:subsampling", "4:4:4")
    if suffix == ".png":
        spec.attribute("png:compressionLevel", 3)
    target = oiio.ImageOutput.create(str(part))
    if target is None:
        raise BadInput(f"Cannot write {path}: its suffix names no picture format, use .png, .tif, .jpg or .exr.")
    if not part.parent.is_dir():
        raise BadInput(f"Cannot write {path}: the folder {path.parent} does not exist, create it first.")
    done = target.open(str(part), spec) and target.write_image(image)
    if not (target.close() and done):
        reason = " ".join(target.geterror().split()).rstrip(".") or "unknown reason"
        raise BadInput(f"Cannot write {path} ({reason}): check the disk's free space and the folder's permissions.")
