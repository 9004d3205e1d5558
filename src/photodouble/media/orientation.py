"""Which way up a picture is meant to be shown."""

from dataclasses import dataclass
from typing import Any, cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class Orientation:
    """Swap rows and columns, then mirror: what makes a stored picture upright."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The upright picture of a stored one (H x W x 3); no copy where nothing is to be done."""
        if self.transpose:
            image = cv2.transpose(image)
        if self.mirror_x or self.mirror_y:
            image = cv2.flip(image, -1 if self.mirror_x and self.mirror_y else int(self.mirror_x))
        return image

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Upright width and height of a stored picture."""
        return (height, width) if self.transpose else (width, height)


def of_frame(frame: av.VideoFrame) -> Orientation:
    """Orientation of a decoded frame, from its display matrix.

    The matrix (ISO/IEC 14496-12, section 8.5.2: rows a b u, c d v, x y w) sends a stored point (p, q) to
    (a p + c q, b p + d q). Angles between the quarter turns are read as the nearest one.
    """
    matrices = [data for data in frame.side_data if getattr(data, "type", None) is Type.DISPLAYMATRIX]
    if not matrices:
        return Orientation()
    values = np.frombuffer(bytes(cast(Any, matrices[0])), np.int32)
    a, b, c, d = (int(value) for value in values[[0, 1, 3, 4]])
    if max(abs(a), abs(d)) >= max(abs(b), abs(c)):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def of_exif(value: int) -> Orientation:
    """Orientation from the Exif (and TIFF) tag of that name, 1 to 8; anything else is upright."""
    table = {2: (False, True, False), 3: (False, True, True), 4: (False, False, True), 5: (True, False, False)}
    table |= {6: (True, True, False), 7: (True, True, True), 8: (True, False, True)}
    return Orientation(*table.get(value, (False, False, False)))
