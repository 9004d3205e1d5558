"""Pictures for the report: frames out of clips, cut and packed into the page itself."""

import base64
from collections.abc import Iterable

import cv2
import numpy as np

from photodouble.media import Clip
from photodouble.media.video import stored_frames


def grab(clip: Clip, indices: Iterable[int]) -> dict[int, np.ndarray]:
    """The frames with these indices as RGB uint8, in one pass up to the last; those the clip lacks are left out."""
    wanted = set(indices)
    if not wanted:
        return {}
    start, stop = min(wanted), max(wanted) + 1
    if clip.kind == "video":  # RGB is made of the wanted ones only
        return {shot.index: shot.image(True) for shot in stored_frames(clip, start, stop) if shot.index in wanted}
    shots = clip.frames(start, stop, dtype=np.uint8)
    return {frame.index: frame.image for frame in shots if frame.index in wanted}


def face_box(box: np.ndarray, width: int, height: int, size: float) -> tuple[int, int, int, int]:
    """Square around a face's box (x0, y0, x1, y1), `size` times its longer side, moved and shrunk into the picture."""
    if not np.isfinite(box).all():
        return 0, 0, width, height
    side = int(min(size * max(box[2] - box[0], box[3] - box[1], 8), width, height))
    x = int(np.clip((box[0] + box[2] - side) / 2, 0, width - side))
    y = int(np.clip((box[1] + box[3] - side) / 2, 0, height - side))
    return x, y, x + side, y + side


def data_uri(image: np.ndarray, longest: int, quality: int = 82) -> str:
    """RGB uint8 picture, at most `longest` pixels on its longer side, as a JPEG data URI."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("the picture cannot be packed as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
