"""Decoded frames as the file stores them: RGB is made of them only where and when it is needed.

A frame that is written in the format that it was read in keeps its samples: only those under a change are made anew.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from av import VideoFrame

from photodouble.media import planes
from photodouble.media.clip import Clip
from photodouble.media.colour import FULL, rgb_matrix, yuv_matrix
from photodouble.media.frame import Colour, Frame
from photodouble.media.orientation import Orientation
from photodouble.media.viewing import eight_bit as to_eight_bit
from photodouble.media.viewing import needs_view

Box = tuple[int, int, int, int]

ALIGNED = 4
"""Windows begin and end at multiples of this many pixels, or at the frame's edge: whole samples of chroma."""


@dataclass(frozen=True)
class Stored:
    """One decoded frame.

    Attributes:
        picture: FFmpeg's frame, not turned upright, its YUV in planes if the clip has a `stored_format`. It may still
            serve the decoder: read it, never write to it.
        clip: that it is of; `index` and `pts` as in Frame.
        centred: chroma lies between the luma samples.
    """

    picture: VideoFrame
    clip: Clip
    index: int
    pts: int
    centred: bool = False

    def image(self, eight_bit: bool = False) -> np.ndarray:
        """H x W x 3 RGB, upright: uint8 as an ordinary screen shows it, or the plate's own depth and values."""
        colour = self.clip.colour
        viewed = eight_bit and needs_view(colour)
        image = planes.to_rgb(self.picture, colour, eight_bit and not viewed, self.centred)
        image = self.clip.orientation.apply(image)
        return to_eight_bit(image, colour) if viewed else image

    def alpha(self) -> np.ndarray | None:
        """H x W alpha, upright: uint8 or uint16; None where the plate has none."""
        alpha = planes.alpha_of(self.picture) if self.clip.has_alpha else None
        return None if alpha is None else np.ascontiguousarray(self.clip.orientation.apply(alpha))

    def frame(self, eight_bit: bool = False) -> Frame:
        """The whole frame in RGB; with its alpha at the plate's own depth only."""
        clip, duration = self.clip, self.picture.duration or 0
        alpha = None if eight_bit else self.alpha()
        return Frame(self.image(eight_bit), self.index, self.pts, clip.time_base, duration, clip.colour, alpha)

    def fits(self, format: str) -> bool:
        """Whether its samples are, upright, those of `format` as `codecs.pixel_format` names it (but for alpha)."""
        return (
            self.picture.format.name.replace("yuvj", "yuv") in (format, format.replace("yuv", "yuva"))
            and planes.PLANAR.match(format) is not None
            and self.clip.orientation == Orientation()
            and (self.picture.width, self.picture.height) == (self.clip.width, self.clip.height)
            and not self.centred
        )

    def window(self, box: Box) -> tuple[np.ndarray, tuple[int, int]]:
        """RGB of a part of the frame that holds `box` (x0, y0, x1, y1) and a margin, and the part's x and y.

        Only for a frame that `fits`. What it shows is what `image` shows there, but for its outermost pixels.
        """
        width, height = self.clip.width, self.clip.height
        x0, y0 = (max(0, (n - ALIGNED) // ALIGNED * ALIGNED) for n in box[:2])
        x1, y1 = (
            min(-(-(n + ALIGNED) // ALIGNED) * ALIGNED, most) for n, most in zip(box[2:], (width, height), strict=True)
        )
        _, bits, (wide, high) = _layout(self.picture.format.name)
        dtype = np.uint8 if bits == 8 else np.uint16
        luma, *chroma = (planes.plane(self.picture, index, dtype) for index in range(3))
        size = (y1 - y0, x1 - x0)
        parts = [luma[y0:y1, x0:x1]]
        for plane in chroma:
            part = np.ascontiguousarray(plane[y0 // high : -(-y1 // high), x0 // wide : -(-x1 // wide)])
            parts.append(planes.upsample(part, (wide, high), size, False))
        colour = self._colour()
        white = 255 if bits == 8 else 65535
        return cv2.transform(cv2.merge(parts), yuv_matrix(colour, width, height, bits, white)), (x0, y0)

    def shown(self, box: Box | None = None) -> tuple[np.ndarray, tuple[int, int]]:
        """What an ordinary screen shows of a part of the frame that holds `box`, RGB uint8, and the part's x and y.

        It is all of the frame where no box is given, and where the plate is more than ordinary 8-bit YUV.
        """
        ordinary = self.clip.bit_depth == 8 and not needs_view(self.clip.colour) and self.fits(self.clip.stored_format)
        if box is None or not ordinary or box[0] >= box[2] or box[1] >= box[3]:
            return self.image(True), (0, 0)
        return self.window(box)

    def copied(self, format: str, tags: Colour) -> VideoFrame:
        """A copy of its samples in a `format` that it fits, which says nothing of how they were coded."""
        bits = _layout(format)[1]
        frame = VideoFrame(self.picture.width, self.picture.height, format)
        for index in range(len(frame.planes)):
            dtype = np.uint8 if bits == 8 else np.uint16
            planes.plane(frame, index, dtype)[:] = planes.plane(self.picture, index, dtype)
        frame.time_base, frame.pts, frame.duration = self.clip.time_base, self.pts, self.picture.duration or 0
        return planes.tagged(frame, tags)

    def changed(
        self, window: np.ndarray, at: tuple[int, int], where: np.ndarray, format: str, tags: Colour
    ) -> VideoFrame:
        """A copy with a part of the frame made anew.

        A sample of chroma that several pixels share is made anew only where all those that it reaches were changed:
        read again, no other pixel differs in any bit.

        Args:
            window: h x w x 3 RGB, as `window` gave it, with the change; `at`: its x and y.
            where: h x w, not 0 where it was changed.
            format, tags: as for `copied`.
        """
        frame = self.copied(format, tags)
        _, bits, (wide, high) = _layout(format)
        (x0, y0), inside = at, (where != 0).view(np.uint8)
        left, top, width, height = cv2.boundingRect(inside)
        if not width:
            return frame
        # The changed part, and around it, to multiples of ALIGNED, what its chroma is filtered with.
        (left, right), (top, bottom) = (
            (max(0, first // ALIGNED * ALIGNED - ALIGNED), (first + size) // ALIGNED * ALIGNED + 2 * ALIGNED)
            for first, size in ((left, width), (top, height))
        )
        inside, window = (part[top:bottom, left:right] for part in (inside, window))
        (x0, y0), (height, width) = (x0 + left, y0 + top), inside.shape
        white = float(np.iinfo(window.dtype).max)
        code = cv2.transform(window, rgb_matrix(self._colour(), self.clip.width, self.clip.height, bits, white))
        if bits > 8:
            code = np.minimum(code, (1 << bits) - 1)
        luma, *chroma = cv2.split(code)
        dtype = code.dtype.type
        cv2.copyTo(luma, inside, planes.plane(frame, 0, dtype)[y0 : y0 + height, x0 : x0 + width])
        reached = self._reached(inside, (x0, y0), (wide, high))
        for index, plane in enumerate(chroma, 1):
            part = planes.plane(frame, index, dtype)
            part = part[y0 // high : -(-(y0 + height) // high), x0 // wide : -(-(x0 + width) // wide)]
            cv2.copyTo(np.ascontiguousarray(planes.downsample(plane, (wide, high))), reached, part)
        return frame

    def _reached(self, inside: np.ndarray, at: tuple[int, int], steps: tuple[int, int]) -> np.ndarray:
        """For each chroma sample of a window whether all pixels that `planes.upsample` gives a part of it are inside.

        Beyond the window's edges nothing is inside, beyond the frame's there is nothing that could differ.
        """
        (x, y), (height, width), (wide, high) = at, inside.shape, steps
        inside = np.pad(inside, 2)
        inside[:2] |= y == 0
        inside[-2:] |= y + height == self.clip.height
        inside[:, :2] |= x == 0
        inside[:, -2:] |= x + width == self.clip.width
        if wide == 2:
            inside = cv2.erode(inside, np.ones((1, 3), np.uint8))
        if high == 2:
            inside = cv2.erode(inside, np.ones((4, 1), np.uint8), anchor=(0, 1))
        return np.ascontiguousarray(inside[2:-2:high, 2:-2:wide])

    @property
    def full_range(self) -> bool:
        """Whether black is 0 and white the largest value."""
        return self._colour().range == FULL

    def _colour(self) -> Colour:
        full = self.picture.format.name.startswith("yuvj")
        colour = self.clip.colour
        return Colour(colour.matrix, colour.primaries, colour.transfer, FULL) if full else colour


def luma_plane(frame: VideoFrame) -> tuple[np.ndarray, int]:
    """The first plane of a planar YUV frame, a view: H x W uint8 or uint16, and the bits of its values."""
    bits = _layout(frame.format.name)[1]
    return planes.plane(frame, 0, np.uint8 if bits == 8 else np.uint16), bits


def _layout(name: str) -> tuple[str, int, tuple[int, int]]:
    """Chroma ("420"), bits and chroma steps of a planar format."""
    match = planes.PLANAR.match(name)
    assert match
    return match[2], int(match[3] or 8), planes.CHROMA_STEPS[match[2]]
