"""Pictures on disk: PNG and JPEG through OpenCV, what film needs through OpenImageIO."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 (its own short name)

from photodouble.errors import BadInput
from photodouble.files import atomic, explain
from photodouble.media.colour import alpha_to_depth, to_depth
from photodouble.media.pictures import header

_TYPES = {"uint8": "uint8", "uint16": "uint16", "float32": "float"}

# What a writer sets itself, or what is no longer true of the new file.
_OWN = {"DateTime", "Software", "Exif:ImageHistory", "Orientation", "oiio:subimages"}
_OWN |= {"oiio:RowsPerChunk", "oiio:UnassociatedAlpha", "openexr:lineOrder", "openexr:chunkCount", "name", "type"}
_OWN |= {"chunkCount", "version", "tiles", "view", "multiView", "textureformat", "wrapmodes", "colorInteropID"}
_FORMATS_OWN = {"compression", "chromaticities", "worldToCamera", "worldToNDC", "screenWindowCenter"}
_FORMATS_OWN |= {"screenWindowWidth", "ICCProfile"}

_LOSSLESS = {"none", "rle", "zip", "zips", "piz", "lzw"}
"""Others (dwaa, b44) would change what the face's change does not touch."""


@dataclass(frozen=True)
class Layers:
    """What an EXR holds beside the composite, each H x W (x 3) float32 of the plate's values.

    Attributes:
        matte: alpha of the face, 0..1.
        face: the drawn face, unblended; 0 outside its box.
        plate: the plate.
    """

    matte: np.ndarray
    face: np.ndarray | None = None
    plate: np.ndarray | None = None


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


def write_part(
    part: Path,
    image: np.ndarray,
    path: Path,
    alpha: np.ndarray | None = None,
    like: Path | None = None,
    layers: Layers | None = None,
    told: dict[str, Any] | None = None,
) -> None:
    """Write to `part` what will be `path`; for callers that make the writing atomic themselves.

    Args:
        alpha: H x W of the image's type; JPEG has none.
        like: the plate's picture, whose metadata and precision (half, 10 bits) TIFF, EXR and DPX take over.
        layers: for EXR.
        told: metadata for TIFF, EXR and DPX beside that of `like`.
    """
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        options = [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        data = _encoded(suffix, to_depth(image, np.uint8), options)
    elif suffix == ".png":
        deep = to_depth(image, np.uint16) if image.dtype == np.float32 else image
        alpha = None if alpha is None else alpha_to_depth(alpha, deep.dtype.type)
        data = _encoded(suffix, deep, [cv2.IMWRITE_PNG_COMPRESSION, 1], alpha)
    elif suffix in (".tif", ".tiff", ".dpx", ".exr"):
        if suffix == ".exr":
            image, alpha = to_depth(image, np.float32), None if alpha is None else alpha_to_depth(alpha, np.float32)
        elif suffix == ".dpx" and image.dtype == np.float32:
            image, alpha = to_depth(image, np.uint16), None if alpha is None else alpha_to_depth(alpha, np.uint16)
        return _write_openimageio(part, image, path, alpha, header(like) if like else None, layers, told or {})
    else:
        raise BadInput(f"Cannot write {path}: its suffix names no picture format, use .png, .tif, .dpx, .exr or .jpg.")
    try:
        part.write_bytes(data)
    except OSError as error:
        raise explain(error, path) from error


def _encoded(suffix: str, image: np.ndarray, options: list[int], alpha: np.ndarray | None = None) -> bytes:
    # OpenCV encodes PNG and JPEG in memory; OpenImageIO's writers of these two say nothing of a full disk.
    swapped = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    if alpha is not None:
        swapped = cv2.merge([*cv2.split(swapped), alpha])
    return cv2.imencode(suffix, swapped, options)[1].tobytes()


def _write_openimageio(
    part: Path,
    image: np.ndarray,
    path: Path,
    alpha: np.ndarray | None,
    like: oiio.ImageSpec | None,
    layers: Layers | None,
    told: dict[str, Any],
) -> None:
    suffix = path.suffix.lower()
    names, planes = _channels(image, alpha, layers)
    height, width = image.shape[:2]
    spec = oiio.ImageSpec(width, height, len(names), _precision(suffix, image, like))
    spec.channelnames = tuple(names)
    spec.alpha_channel = names.index("A") if "A" in names else -1
    if alpha is not None and suffix != ".exr":  # its colours are not multiplied by alpha, and shall not be
        spec.attribute("oiio:UnassociatedAlpha", int(like is None or _straight(like)))
    same = like is not None and _format(like) == suffix
    for known in like.extra_attribs if like is not None else []:
        if known.name not in _OWN and (same or _general(known.name)):
            spec.attribute(known.name, known.type, known.value)
    if suffix != ".dpx" and spec.get_string_attribute("compression") not in _LOSSLESS:
        spec.attribute("compression", "zip")
    if suffix == ".dpx" and not same:
        spec.attribute("oiio:BitsPerSample", 10 if image.dtype == np.uint8 else 16)
    for name, value in told.items():
        spec.attribute(name, value)
    target = oiio.ImageOutput.create(str(part))
    assert target is not None  # TIFF, DPX and EXR are always built in
    done = target.open(str(part), spec) and target.write_image(np.ascontiguousarray(planes))
    if not (target.close() and done):
        reason = " ".join(target.geterror().split()).rstrip(".").replace(str(part), path.name) or "unknown reason"
        raise BadInput(f"Cannot write {path} ({reason}): check the disk's free space and the folder's permissions.")


def _channels(image: np.ndarray, alpha: np.ndarray | None, layers: Layers | None) -> tuple[list[str], np.ndarray]:
    """Names of the channels and H x W x channels: the composite first, then the layers."""
    image = image if image.ndim == 3 else image[:, :, None]
    names = ["R", "G", "B"] if image.shape[2] == 3 else ["Y"]
    planes = [image]
    if layers is not None and alpha is None:
        alpha = np.ones(image.shape[:2], np.float32)
    if alpha is not None:
        names, planes = [*names, "A"], [image, alpha[:, :, None]]
    if layers is None:
        return names, np.concatenate(planes, axis=2) if len(planes) > 1 else image
    names.append("matte.A")
    planes.append(layers.matte[:, :, None])
    for name, layer in (("face", layers.face), ("plate", layers.plate)):
        if layer is not None:
            names += [f"{name}.{channel}" for channel in "RGB"]
            planes.append(layer)
    return names, np.concatenate([plane.astype(np.float32, copy=False) for plane in planes], axis=2)


def _general(name: str) -> bool:
    """Whether a piece of metadata means the same in another format."""
    return name.startswith("smpte:") or not (":" in name or name in _FORMATS_OWN)


def _precision(suffix: str, image: np.ndarray, like: oiio.ImageSpec | None) -> str:
    if suffix == ".exr":
        return "half" if like is not None and like.format.basetype == oiio.HALF else "float"
    return _TYPES[image.dtype.name]


def _straight(spec: oiio.ImageSpec) -> bool:
    """Whether a file's colours are not multiplied by its alpha."""
    return bool(spec.get_int_attribute("oiio:UnassociatedAlpha", 0))


def _format(spec: oiio.ImageSpec) -> str:
    names = {known.name.partition(":")[0] for known in spec.extra_attribs}
    return ".exr" if names & {"openexr", "screenWindowWidth"} else ".dpx" if "dpx" in names else ".tif"
