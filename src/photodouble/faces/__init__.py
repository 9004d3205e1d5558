"""Faces: finding, measuring, following and keeping them."""

from photodouble.faces import hog as _hog  # noqa: F401  # registers the detector
from photodouble.faces.alignment import FACE, INNER, Layout, alignment, crop, eye_centres, invert, transform
from photodouble.faces.detect import Detection, Detector, create_detector, register
from photodouble.faces.embedding import SAME_PERSON, Embedder
from photodouble.faces.face import Face
from photodouble.faces.faceset import FaceSet, FaceSetWriter
from photodouble.faces.landmarks import Landmarker, Landmarks, Roi
from photodouble.faces.matte import outline_matte, outline_mattes
from photodouble.faces.pose import pose
from photodouble.faces.quality import quality, sharpness
from photodouble.faces.topology import BLENDSHAPES
from photodouble.faces.track import Tracker, find_faces

__all__ = [
    "BLENDSHAPES",
    "FACE",
    "INNER",
    "SAME_PERSON",
    "Detection",
    "Detector",
    "Embedder",
    "Face",
    "FaceSet",
    "FaceSetWriter",
    "Landmarker",
    "Landmarks",
    "Layout",
    "Roi",
    "Tracker",
    "alignment",
    "create_detector",
    "crop",
    "eye_centres",
    "find_faces",
    "invert",
    "outline_matte",
    "outline_mattes",
    "pose",
    "quality",
    "register",
    "sharpness",
    "transform",
]
