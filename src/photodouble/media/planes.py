"""FFmpeg's frames as RGB arrays, and RGB arrays as FFmpeg's frames."""

import re
from typing import Any, cast

import cv2
import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat

from photodouble.media.colour import FULL, alpha_to_depth, rgb_matrix, to_depth, yuv_matrix
from photodouble.media.frame import Colour
from photodouble.media.viewing import eight_bit as to_eight_bit

PLANAR = re.compile(r"yuva?(j?)(420|422|444|440|411|410)p(?:(9|10|12|14|16)le)?$")
_PLANAR_RGB = re.compile(r"gbra?p(9|10|12|14|16)le$")
CHROMA_STEPS = {"420": (2, 2), "422": (2, 1), "444": (1, 1), "440": (1, 2), "411": (4, 1), "410": (4, 4)}


def depth(format: VideoFormat) -> int:
    """Bits of a component: 8 or fewer, up to 16, or 32 for float."""
    return max(component.bits for component in format.components)


def has_alpha(format: VideoFormat) -> bool:
    """Whether pictures of this format carry an alpha plane or component."""
    return any(component.is_alpha for component in format.components)


def subsampling(format: VideoFormat) -> str:
    """ "420", "422" or "444": the coarsest of these that keeps the chroma of `format`."""
    if format.is_rgb or len(format.components) < 3:
        return "444"
    wide, high = format.width // format.chroma_width(format.width), format.height // format.chroma_height(format.height)
    return "444" if wide < 2 else "422" if high < 2 else "420"


def to_rgb(frame: VideoFrame, colour: Colour, eight_bit: bool, centred: bool = False) -> np.ndarray:
    """H x W x 3 RGB of a decoded frame: uint8, or (deeper formats, unless `eight_bit`) uint16 or float32.

    Args:
        colour: the frame's matrix and range (a range of 0 reads as limited).
        centred: chroma lies between the luma samples (JPEG, MPEG-1) instead of on the left one.
    """
    name, bits = frame.format.name, depth(frame.format)
    if len(frame.format.components) < 3 and name not in ("pal8",) and not name.startswith("bayer"):
        return _grey(frame, colour, bits, eight_bit)
    if frame.format.is_rgb or name.startswith(("bayer", "xyz")) or name == "pal8":
        return _rgb(frame, colour, bits, eight_bit)
    return _yuv(planar(frame), colour, eight_bit, centred)


def planar(frame: VideoFrame) -> VideoFrame:
    """A YUV frame whose components lie in planes of their own: itself, or the same samples sorted so."""
    if PLANAR.match(frame.format.name):
        return frame
    bits = depth(frame.format)
    return frame.reformat(format=f"yuv{subsampling(frame.format)}p" + (f"{bits}le" if bits > 8 else ""))


def storable(format: VideoFormat) -> str:
    """The planar YUV format in which a frame of `format` can be stored sample by sample; "" for others."""
    if format.is_rgb or len(format.components) < 3 or format.name == "pal8" or format.name.startswith("bayer"):
        return ""
    bits = depth(format)
    name = format.name.replace("yuvj", "yuv")
    if not PLANAR.match(name):
        name = f"yuv{subsampling(format)}p" + (f"{bits}le" if bits > 8 else "")
    match = PLANAR.match(name)
    return name if match and match[2] in ("420", "422", "444") else ""


def alpha_of(frame: VideoFrame) -> np.ndarray | None:
    """H x W alpha of a decoded frame, uint8 or uint16 (65535 is opaque); None where it has none."""
    if not has_alpha(frame.format):
        return None
    bits = depth(frame.format)
    if len(frame.planes) == 4 and bits <= 16:
        alpha = plane(frame, 3, np.uint8 if bits == 8 else np.uint16)
    else:
        bits = 8 if bits <= 8 else 16
        alpha = frame.reformat(format="rgba" if bits == 8 else "rgba64le").to_ndarray()[:, :, 3]
    if bits in (8, 16):
        return np.array(alpha)
    return np.rint(alpha.astype(np.float32) * (65535 / ((1 << bits) - 1))).astype(np.uint16)


def plane(frame: VideoFrame, index: int, dtype: type) -> np.ndarray:
    """A view of one plane, H x W, without the padding at its rows' ends."""
    samples = frame.planes[index]
    pitch = samples.line_size // np.dtype(dtype).itemsize
    return np.ndarray((samples.height, pitch), dtype, buffer=cast(Any, samples))[:, : samples.width]


def _grey(frame: VideoFrame, colour: Colour, bits: int, eight_bit: bool) -> np.ndarray:
    if bits == 1 or len(frame.format.components) == 2:
        frame = frame.reformat(format="gray" if bits <= 8 else "gray16le")
        bits = 8 if bits <= 8 else 16
    if bits == 32:
        grey = cv2.merge([frame.to_ndarray()] * 3)
        return to_eight_bit(grey, colour) if eight_bit else grey
    luma = plane(frame, 0, np.uint8 if bits <= 8 else np.uint16)
    top = (1 << bits) - 1
    # A grey picture says nothing of its range as a rule, and then means the full one.
    low, high = (16 << (bits - 8), 235 << (bits - 8)) if colour.range == 1 else (0, top)
    white = 255 if bits <= 8 or eight_bit else 65535
    if (low, high, white) != (0, 255, 255):
        values = (luma.astype(np.float32) - low) * (white / (high - low))
        luma = np.clip(np.rint(values), 0, white).astype(np.uint8 if white == 255 else np.uint16)
    return cv2.merge([luma] * 3)


def _rgb(frame: VideoFrame, colour: Colour, bits: int, eight_bit: bool) -> np.ndarray:
    if bits <= 8:
        return frame.reformat(format="rgb24").to_ndarray()
    if bits == 32 or "f16" in frame.format.name:
        if frame.format.name != "gbrpf32le":
            frame = frame.reformat(format="gbrpf32le")
        return to_eight_bit(frame.to_ndarray(), colour) if eight_bit else frame.to_ndarray()
    parted = bool(_PLANAR_RGB.match(frame.format.name))
    if not parted and frame.format.name != "rgb48le":
        bits = 10 if bits == 10 else 16
        frame = frame.reformat(format=f"gbrp{bits}le")
        parted = True
    if parted:
        green, blue, red = (plane(frame, index, np.uint16) for index in range(3))
        image = cv2.merge([red, green, blue])
    else:
        image = frame.to_ndarray()
    if eight_bit:
        return cv2.convertScaleAbs(image, alpha=255 / ((1 << bits) - 1))
    return image if bits == 16 else (image.astype(np.float32) * (65535 / ((1 << bits) - 1)) + 0.5).astype(np.uint16)


def _yuv(frame: VideoFrame, colour: Colour, eight_bit: bool, centred: bool) -> np.ndarray:
    match = PLANAR.match(frame.format.name)
    assert match
    bits = int(match[3] or 8)
    if match[1]:
        colour = Colour(colour.matrix, colour.primaries, colour.transfer, FULL)
    planes = [plane(frame, index, np.uint8 if bits == 8 else np.uint16) for index in range(3)]
    steps, size = CHROMA_STEPS[match[2]], (frame.height, frame.width)
    planes = [planes[0], *(upsample(part, steps, size, centred) for part in planes[1:])]
    image = cv2.merge(planes)
    if bits == 8:
        return cv2.transform(image, yuv_matrix(colour, frame.width, frame.height, 8, 255))
    if eight_bit:
        return cv2.convertScaleAbs(cv2.transform(image, yuv_matrix(colour, frame.width, frame.height, bits, 255)))
    return cv2.transform(image, yuv_matrix(colour, frame.width, frame.height, bits, 65535))


def upsample(plane: np.ndarray, steps: tuple[int, int], size: tuple[int, int], centred: bool) -> np.ndarray:
    """Bring a chroma plane to the luma's size, linearly, by where its samples lie (H.273, figure 1)."""
    wide, high = steps
    height, width = size
    if high > 1:
        plane = cv2.resize(plane, (plane.shape[1], plane.shape[0] * high), interpolation=cv2.INTER_LINEAR)
    if wide == 2 and not centred:
        following = np.concatenate([plane[:, 1:], plane[:, -1:]], axis=1)
        pairs = cv2.merge([plane, cv2.addWeighted(plane, 0.5, following, 0.5, 0)])
        plane = pairs.reshape(plane.shape[0], -1)
    elif wide > 1:
        plane = cv2.resize(plane, (plane.shape[1] * wide, plane.shape[0]), interpolation=cv2.INTER_LINEAR)
    return plane[:height, :width]


def from_rgb(image: np.ndarray, format: str, colour: Colour, alpha: np.ndarray | None = None) -> VideoFrame:
    """An FFmpeg frame of `format` from H x W x 3 RGB (uint8, uint16, or float32 in linear light).

    Args:
        format: yuv420p, yuv422p, yuv444p and yuva... (8 to 16 bits), bgr0, bgra, gbrp..le and gbrap..le.
        colour: the matrix, range and tags that the frame gets; ignored by RGB formats.
        alpha: H x W of the image's type for formats that hold one; None: opaque.
    """
    match = PLANAR.match(format)
    deep = bool(match[3]) if match else format.endswith("le")
    if image.dtype == np.float32:
        image = to_depth(image, np.uint16 if deep else np.uint8)
    if not match:
        return tagged(_from_rgb_to_rgb(image, format, alpha), colour)
    height, width = image.shape[:2]
    bits, steps = int(match[3] or 8), CHROMA_STEPS[match[2]]
    white = float(np.iinfo(image.dtype).max)
    if image.dtype == np.uint8 and bits > 8:
        image = image.astype(np.uint16)
    code = cv2.transform(image, rgb_matrix(colour, width, height, bits, white))
    if bits == 8 and code.dtype == np.uint16:
        code = cv2.convertScaleAbs(code)
    elif bits > 8:
        code = np.minimum(code, (1 << bits) - 1)
    frame = VideoFrame(width, height, format)
    for index, samples in enumerate(cv2.split(code)):
        plane(frame, index, code.dtype.type)[:] = downsample(samples, steps) if index else samples
    if "yuva" in format:
        _fill_alpha(frame, 3, alpha, bits)
    return tagged(frame, colour)


def _from_rgb_to_rgb(image: np.ndarray, format: str, alpha: np.ndarray | None) -> VideoFrame:
    match = _PLANAR_RGB.match(format)
    image = np.ascontiguousarray(to_depth(image, np.uint16 if match else np.uint8))
    if match:
        bits, top = int(match[1]), (1 << int(match[1])) - 1
        frame = VideoFrame(image.shape[1], image.shape[0], format)
        for index, channel in enumerate((1, 2, 0)):
            values = image[:, :, channel]
            plane(frame, index, np.uint16)[:] = values if bits == 16 else np.rint(values * np.float32(top / 65535))
        if "gbrap" in format:
            _fill_alpha(frame, 3, alpha, bits)
        return frame
    if format == "bgra":
        opaque = np.full(image.shape[:2], 255, np.uint8) if alpha is None else alpha_to_depth(alpha, np.uint8)
        layers = cv2.merge([*cv2.split(image)[::-1], opaque])
        return VideoFrame.from_ndarray(cast(Any, layers), format=format)
    return VideoFrame.from_numpy_buffer(image, format="rgb24").reformat(format=format)


def _fill_alpha(frame: VideoFrame, index: int, alpha: np.ndarray | None, bits: int) -> None:
    top = (1 << bits) - 1
    code: np.ndarray | int = top
    if alpha is not None:
        code = np.rint(alpha_to_depth(alpha, np.float32) * top)
    plane(frame, index, np.uint8 if bits == 8 else np.uint16)[:] = code


def tagged(frame: VideoFrame, colour: Colour) -> VideoFrame:
    """The frame itself, with the matrix, range, primaries and transfer of `colour`."""
    # ProRes takes its tags from the frames, not from the encoder's context.
    frame.colorspace, frame.color_range = colour.matrix, colour.range
    frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
    return frame


def downsample(plane: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    """The reverse of `upsample` with chroma on the left luma sample; odd sizes are halved upwards."""
    wide, high = steps
    odd = (plane.shape[0] % high, plane.shape[1] % wide)
    if any(odd):
        plane = cv2.copyMakeBorder(plane, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE)
    if high == 2:
        plane = cv2.addWeighted(plane[::2], 0.5, plane[1::2], 0.5, 0)
    if wide == 2:
        kernel = np.array([[0.25, 0.5, 0.25]], np.float32)
        plane = cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REPLICATE)[:, ::2]
    return plane
