"""What is known about one face in one frame."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Face:
    """A face. All coordinates are plate pixels: x to the right, y down, pixel centres at integers.

    Attributes:
        frame: index of the frame in its clip; `source` names the clip, `pts` is the frame's time stamp.
        box: x0, y0, x1, y1, float32.
        score: the detector's (or while tracking the landmarker's) confidence, 0..1.
        landmarks: 478 x 3 float32; z in the scale of x, smaller is nearer. 468 mesh points and 2 x 5 iris points.
        blendshapes: 52 float32 in 0..1, in the order of `photodouble.faces.landmarks.BLENDSHAPES`.
        pose: yaw, pitch, roll in degrees, float32; yaw > 0: the face looks to the picture's right,
            pitch > 0: up, roll > 0: clockwise in the picture.
        embedding: 128 float32 of length 1 (SFace), all zeros where it was not computed.
        sharpness: variance of the Laplacian of the 112-pixel grey crop; larger is sharper.
        quality: 0..1, from sharpness, size and pose.
        track: number of the track (the same face over consecutive frames).
        person: number of the person in the clip, 0 the one seen most and largest; -1 where unknown.
    """

    frame: int
    box: np.ndarray
    score: float
    landmarks: np.ndarray
    blendshapes: np.ndarray
    pose: np.ndarray
    embedding: np.ndarray = field(default_factory=lambda: np.zeros(128, np.float32))
    sharpness: float = 0.0
    quality: float = 0.0
    track: int = 0
    person: int = -1
    source: str = ""
    pts: int = 0
