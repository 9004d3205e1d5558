"""A drawn face into its plate: colour, blend, matte. Frame in, frame and matte out."""

from photodouble.compositing.colour import match_colour
from photodouble.compositing.composite import Composited, composite, face_box
from photodouble.compositing.settings import USUAL, Settings

__all__ = ["USUAL", "Composited", "Settings", "composite", "face_box", "match_colour"]
