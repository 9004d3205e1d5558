"""A drawn face into its plate: colour, blend, matte. Frame in, frame and matte out."""

from photodouble.compositing.composite import Composited, composite, face_box
from photodouble.compositing.look import Look, measure_look
from photodouble.compositing.moment import ALONE, Moment
from photodouble.compositing.plan import Moments, plan_moments
from photodouble.compositing.settings import USUAL, Settings

__all__ = [
    "ALONE",
    "USUAL",
    "Composited",
    "Look",
    "Moment",
    "Moments",
    "Settings",
    "composite",
    "face_box",
    "measure_look",
    "plan_moments",
]
