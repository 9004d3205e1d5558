"""One face into one frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from photodouble.compositing.blend import band_mattes, blend, grown
from photodouble.compositing.detail import match_detail
from photodouble.compositing.grain import match_grain
from photodouble.compositing.light import match_light
from photodouble.compositing.look import Cells, Look, bands, bare_skin, enlarged, luma, measure_look, small_step
from photodouble.compositing.moment import ALONE, Moment
from photodouble.compositing.motion import motion_line, reach, smeared
from photodouble.compositing.settings import USUAL, Settings
from photodouble.faces.topology import OVAL
from photodouble.media import Colour
from photodouble.media.viewing import add_change, needs_view, to_display

AROUND = 8
"""Pixels around the matte that blurs and slopes look at."""

FAINT = 1e-30
"""A matte's value from which a pixel may change."""

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


@dataclass(frozen=True)
class Composited:
    """One finished frame.

    Attributes:
        image: the finished picture, of the plate's dtype.
        blended: h x w float32, the matte in `box`: 0 where no pixel was changed; outside of the box none was.
        face: h x w x 3 float32, 0..255 of the plate's view: the face as it went into the blend, in the plate's light,
            as far as the blend needs it.
        box: x0, y0, x1, y1 of `blended` and `face` in the picture.
    """

    image: np.ndarray
    blended: np.ndarray
    face: np.ndarray
    box: tuple[int, int, int, int]

    @property
    def matte(self) -> np.ndarray:
        """The matte of the whole picture, H x W float32."""
        x0, y0, x1, y1 = self.box
        matte = np.zeros(self.image.shape[:2], np.float32)
        matte[y0:y1, x0:x1] = self.blended
        return matte


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
    whole: bool = False,
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
        whole: hand on the face in all of its box, not only where the matte needs it.
    """
    at = 0, 0
    if not whole:
        needed = _needed(landmarks, box, settings, moment)
        x, y = needed[0] - box[0], needed[1] - box[1]
        part = np.s_[y : y + needed[3] - needed[1], x : x + needed[2] - needed[0]]
        at, box, face = (y, x), needed, face[part]
        cover = None if cover is None else cover[part]
        opacity = None if opacity is None else opacity[part]
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
    bare = bare_skin(inside, shown.shape)
    light = look.light if look else None
    face = match_light(face, shown, inside, mattes[0], light, cover, settings.colour, settings.edge, bare)
    if look is not None:
        skin = enlarged(bare, small_step(inside, shown.shape), shown.shape)
        face = _textured(face, shown, bare, skin, mattes[0], look, settings, moment, at, float(image.dtype == np.uint8))
    if settings.opacity != 1:
        mattes = [matte * np.float32(settings.opacity) for matte in mattes]
    change = blend(shown, face, mattes, width, settings)
    result = image.copy()
    if viewed:
        unit = np.float32(1 / 255)
        after = np.clip((shown + change) * unit, 0, 1)
        done = add_change(image[y0:y1, x0:x1], shown * unit, after, colour)
    else:
        done = _added(plate, shown, change, image.dtype)
    cv2.copyTo(done, cv2.inRange(mattes[0], FAINT, 2), result[y0:y1, x0:x1])
    return Composited(result, mattes[0], face, box)


def _needed(
    landmarks: np.ndarray, box: tuple[int, int, int, int], settings: Settings, moment: Moment
) -> tuple[int, int, int, int]:
    """The part of a face's box that its matte lies in, with what blurs need around it; never empty."""
    x0, y0, x1, y1 = box
    outline = grown(landmarks, settings.matte_grow)[list(OVAL), :2]
    margin = max(AROUND, reach(moment.motion))
    low, high = np.floor(outline.min(0)) - margin, np.ceil(outline.max(0)) + margin + 1
    left, top = np.clip(low, (x0, y0), (x1 - 1, y1 - 1)).astype(int).tolist()
    right, bottom = np.clip(high, (left + 1, top + 1), (x1, y1)).astype(int).tolist()
    return left, top, right, bottom


def _textured(
    face: np.ndarray,
    plate: np.ndarray,
    bare: np.ndarray,
    skin: np.ndarray,
    matte: np.ndarray,
    look: Look,
    settings: Settings,
    moment: Moment,
    at: tuple[int, int],
    rounded: float,
) -> np.ndarray:
    """The face with the plate's motion blur, detail and grain; `bare` is its `bare_skin`, `skin` that in full size."""
    grey = luma(face)
    line = motion_line(grey, luma(plate), matte, moment.motion) if reach(moment.motion) else None
    if line is not None:
        face, grey = smeared(face, line), smeared(grey, line)
    cells = Cells.of(grey, bare)
    sharp = match_detail(grey, cells.detail(grey), look.detail, settings.sharpness)
    fine = bands(sharp)
    own = cells.grain(fine)
    done = match_grain(sharp, fine, own, look.grain, moment.index, settings.grain, skin, at, rounded)
    textured = cv2.cvtColor(cv2.subtract(done, grey), cv2.COLOR_GRAY2RGB)
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
