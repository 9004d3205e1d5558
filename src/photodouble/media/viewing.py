"""Plates that are made for no ordinary screen, as a detector or a network can see them, and their changes back.

Networks know pictures made for a screen: sRGB, 0..1. A linear, PQ or HLG plate gets such a view; a face is drawn in
the view, and what it changes there is added to the untouched plate.
"""

import cv2
import numpy as np

from photodouble.media import spaces
from photodouble.media.colour import LINEAR, SRGB, to_depth
from photodouble.media.frame import Colour, Frame
from photodouble.media.transfer import HLG, PQ, from_linear, linear_table, primaries_matrix, to_linear

KNEE = 0.8
"""Linear light up to which the view is the light itself; what is brighter is compressed towards 1."""

PEAK = 64.0
"""Linear light that the view still tells from brighter light."""


def needs_view(colour: Colour) -> bool:
    """Whether pictures of this colour look wrong on an ordinary screen as they are."""
    return bool(colour.space) or colour.transfer in (LINEAR, PQ, HLG)


def to_display(image: np.ndarray, colour: Colour) -> np.ndarray:
    """What an sRGB screen shows of a picture.

    Light above `KNEE` is rolled off channel by channel (Reinhard et al. 2002, equation 3, from the knee on), so that
    highlights keep their drawing and `from_display` can undo it.

    Args:
        image: H x W x 3 uint8, uint16 or float32, as the plate stores it.

    Returns:
        H x W x 3 float32, 0..1.
    """
    white = np.iinfo(image.dtype).max if image.dtype != np.float32 else 1
    if not needs_view(colour):
        shown = np.nan_to_num(image) if image.dtype == np.float32 else image.astype(np.float32) * np.float32(1 / white)
        return np.clip(shown, 0, 1)
    if colour.space:
        light = spaces.to_linear_709(image.astype(np.float32) * np.float32(1 / white), colour)
    else:
        if image.dtype == np.float32:
            light = to_linear(image, colour.transfer)
        else:
            light = linear_table(colour.transfer)[to_depth(image, np.uint16)]
        matrix = primaries_matrix(colour.primaries)
        if matrix is not None:
            light = cv2.transform(light, matrix.astype(np.float32))
    light = np.clip(np.nan_to_num(light), 0, PEAK)
    above = np.maximum(light - np.float32(KNEE), 0) * np.float32(1 / (1 - KNEE))
    rolled = np.minimum(light, np.float32(KNEE)) + np.float32(1 - KNEE) * (above / (1 + above))
    return from_linear(rolled, SRGB)


def from_display(shown: np.ndarray, colour: Colour) -> np.ndarray:
    """What a plate of this colour stores for what the screen shows, float32 with 1.0 as the peak of integers."""
    if not needs_view(colour):
        return shown
    rolled = np.minimum(to_linear(shown, SRGB), _rolled_peak())
    part = np.maximum(rolled - np.float32(KNEE), 0) * np.float32(1 / (1 - KNEE))
    light = np.minimum(rolled, np.float32(KNEE)) + np.float32(1 - KNEE) * (part / (1 - part))
    if colour.space:
        return spaces.from_linear_709(light, colour)
    matrix = primaries_matrix(colour.primaries)
    if matrix is not None:
        light = cv2.transform(light, np.linalg.inv(matrix).astype(np.float32))
    return from_linear(light, colour.transfer)


def _rolled_peak() -> float:
    above = (PEAK - KNEE) / (1 - KNEE)
    return KNEE + (1 - KNEE) * above / (1 + above)


def light_of(image: np.ndarray, colour: Colour) -> np.ndarray:
    """What an EXR stores of an integer plate: float32 linear light with the plate's primaries.

    Args:
        image: H x W x 3 uint8 or uint16; or float32 where 1.0 stands for the integers' peak.
    """
    if image.dtype == np.float32:
        return spaces.to_linear_709(image, colour) if colour.space else to_linear(image, colour.transfer)
    if colour.space:
        return spaces.to_linear_709(image * np.float32(1 / np.iinfo(image.dtype).max), colour)
    return linear_table(colour.transfer)[to_depth(image, np.uint16)]


def to_screen_light(image: np.ndarray, colour: Colour) -> np.ndarray:
    """Linear light with BT.709's primaries, float32, of a float plate whose output holds no more than a screen shows.

    It is not rolled off: white stays white, and what is brighter is cut off where it is written.
    """
    if colour.space:
        return spaces.to_linear_709(image, colour)
    light, matrix = to_linear(image, colour.transfer), primaries_matrix(colour.primaries)
    return light if matrix is None else cv2.transform(light, matrix.astype(np.float32))


def add_change(image: np.ndarray, before: np.ndarray, after: np.ndarray, colour: Colour) -> np.ndarray:
    """Add to a plate what was changed in its view.

    Args:
        image: H x W x 3, as the plate stores it.
        before: its `to_display`; after: the same with the change, float32 0..1.

    Returns:
        Of the image's type. What the view cannot show (light beyond `PEAK`, colours outside BT.709) is kept, since
        only the difference of the two views is added; where they are equal the image's own bits stay.
    """
    change = from_display(after, colour) - from_display(before, colour)
    if image.dtype == np.float32:
        done = image + change
    else:
        white = np.iinfo(image.dtype).max
        done = np.clip(np.rint(image + change * np.float32(white)), 0, white).astype(image.dtype)
    same = (after == before).all(axis=2)
    done[same] = image[same]
    return done


def eight_bit(image: np.ndarray, colour: Colour) -> np.ndarray:
    """A picture as uint8 for a screen: H x W x 3; itself where it is that already.

    Floats need not be light: those that are made for a screen are scaled, without a curve.
    """
    if image.dtype == np.float32 or needs_view(colour):
        return np.rint(to_display(image, colour) * np.float32(255)).astype(np.uint8)
    return to_depth(image, np.uint8)


def whole_face(face: np.ndarray, box: tuple[int, int, int, int], frame: Frame) -> np.ndarray:
    """A drawn face as a layer of its plate.

    Args:
        face: h x w x 3 float32, 0..255 of the plate's view, for `box` (x0, y0, x1, y1).
        frame: the plate's.

    Returns:
        H x W x 3 float32 in the plate's values, 1.0 for the peak of integers; 0 outside the box.
    """
    x0, y0, x1, y1 = box
    layer = np.zeros(frame.image.shape, np.float32)
    layer[y0:y1, x0:x1] = from_display(np.clip(face * np.float32(1 / 255), 0, 1), frame.colour)
    return layer
