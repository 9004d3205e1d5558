"""One face into one frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from photodouble.compositing.blend import band_mattes, blend
from photodouble.compositing.detail import match_detail
from photodouble.compositing.grain import match_grain
from photodouble.compositing.light import match_light
from photodouble.compositing.look import Cells, Look, bands, bare_skin, luma, measure_look
from photodouble.compositing.moment import ALONE, Moment
from photodouble.compositing.motion import match_motion
from photodouble.compositing.settings import USUAL, Settings
from photodouble.faces.topology import OVAL
from photodouble.media import Colour
from photodouble.media.viewing import add_change, needs_view, to_display

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


@dataclass(frozen=True)
class Composited:
    """One finished frame.

    Attributes:
        image: the finished picture, of the plate's dtype.
        matte: H x W float32: 0 where no pixel was changed.
        face: h x w x 3 float32, 0..255 of the plate's view: the face as it went into the blend, in the plate's light.
        box: x0, y0, x1, y1 of `face` in the picture.
    """

    image: np.ndarray
    matte: np.ndarray
    face: np.ndarray
    box: tuple[int, int, int, int]


def face_box(landmarks: np.ndarray, shape: tuple[int, int], margin: float = 0.12) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 (far edges excluded) of the outline with a margin, inside a picture of H, W; may be empty."""
    outline = np.asarray(landmarks)[list(OVAL), :2]
    low, high = outline.min(0), outline.max(0)
    pad = (high - low) * margin
    x0, y0 = np.clip(np.floor(low - pad), 0, (shape[1], shape[0])).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(high + pad) + 1, 0, (shape[1], shape[0])).astype(int).tolist()
    return x0, y0, x1, y1


def composite(
    image: np.ndarray,
    face: np.ndarray,
    landmarks: np.ndarray,
    box: tuple[int, int, int, int],
    cover: np.ndarray | None = None,
    opacity: np.ndarray | None = None,
    settings: Settings = USUAL,
    colour: Colour = Colour(),  # noqa: B008 (frozen)
    moment: Moment = ALONE,
) -> Composited:
    """Blend a drawn face into the plate. The result depends on nothing but the arguments.

    The face is worked on in 0..255 and reaches the plate as a difference: pixels outside the matte are the plate's own
    bits, whatever their type, and a float plate's values above white stay. A linear, PQ or HLG plate is worked on as a
    screen shows it.

    Args:
        image: the plate's frame, H x W x 3 uint8, uint16 or float32 (1.0 is white).
        face: the drawn face for `box`, h x w x 3 float32 RGB 0..255.
        landmarks: (478, 3) that the face was drawn on, plate pixels.
        box: x0, y0, x1, y1.
        cover: h x w float32, 1 where something is in front of the face.
        opacity: h x w float32 0..1, multiplies the matte.
        settings: of the compositor.
        colour: what the plate's values mean.
        moment: what the shot says about this frame.
    """
    x0, y0, x1, y1 = box
    white = WHITE.get(image.dtype, 1.0)
    viewed = needs_view(colour)
    if viewed:
        plate = shown = to_display(image[y0:y1, x0:x1], colour) * np.float32(255)
    else:
        plate = image[y0:y1, x0:x1].astype(np.float32)
        if white != 255:
            plate *= np.float32(255 / white)
        shown = np.clip(plate, 0, 255) if image.dtype == np.float32 else plate
    inside = landmarks - np.array([x0, y0, 0], np.float32)
    mattes = band_mattes(inside, shown.shape[:2], cover, settings)
    if opacity is not None:
        mattes = [matte * opacity for matte in mattes]
    width = float(np.ptp(landmarks[list(OVAL), 0]))
    look = moment.look or measure_look(shown, inside, cover)
    bare = bare_skin(inside, shown.shape[:2])
    light = look.light if look else None
    face = match_light(face, shown, inside, mattes[0], light, cover, settings.colour, settings.edge, bare)
    if look is not None:
        face = _textured(face, shown, bare, mattes[0], look, settings, moment)
    if settings.opacity != 1:
        mattes = [matte * np.float32(settings.opacity) for matte in mattes]
    change = blend(shown, face, mattes, width, settings)
    support = np.maximum.reduce(mattes)
    matte = np.zeros(image.shape[:2], np.float32)
    matte[y0:y1, x0:x1] = support
    result = image.copy()
    if viewed:
        unit = np.float32(1 / 255)
        after = np.clip((shown + change) * unit, 0, 1)
        done = add_change(image[y0:y1, x0:x1], shown * unit, after, colour)
    else:
        done = _added(plate, shown, change, image.dtype)
    cv2.copyTo(done, cv2.inRange(support, 1e-30, 2), result[y0:y1, x0:x1])
    return Composited(result, matte, face, box)


def _textured(
    face: np.ndarray,
    plate: np.ndarray,
    bare: np.ndarray,
    matte: np.ndarray,
    look: Look,
    settings: Settings,
    moment: Moment,
) -> np.ndarray:
    """The face with the plate's motion blur, detail and grain; `bare` is its `bare_skin`."""
    face = match_motion(face, plate, matte, moment.motion)
    grey = luma(face)
    cells = Cells.of(grey, bare)
    sharp = match_detail(grey, cells.detail(grey), look.detail, settings.sharpness)
    fine = bands(sharp)
    done = match_grain(sharp, fine, cells.grain(fine), look.grain, moment.index, settings.grain)
    textured = cv2.merge([done - grey] * 3)
    textured += face
    return np.clip(textured, 0, 255, out=textured)


def _added(plate: np.ndarray, shown: np.ndarray, change: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """`shown` with the change, both in 0..255, in the plate's own type; what `plate` has beyond white stays."""
    if dtype == np.float32:
        change += shown
        np.clip(change, 0, 255, out=change)
        change += plate - shown
        return change * np.float32(1 / 255)
    scale, depth = (1, cv2.CV_8U) if dtype == np.uint8 else (65535 / 255, cv2.CV_16U)
    return cv2.addWeighted(shown, scale, change, scale, 0, dtype=depth)  # rounds, and stops at black and white
