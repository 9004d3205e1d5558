"""Which way a head is turned."""

import numpy as np

RIGID = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 129, 98, 97, 2, 326, 327, 358, 117, 346, 10, 151, 9, 127, 356)
"""Landmarks on bone or close to it: eye corners, nose, cheekbones, forehead, temples."""

CANONICAL = np.array(
    [
        *((-4.446, 2.664, 3.173), (-1.856, 2.585, 3.758), (1.856, 2.585, 3.758), (4.446, 2.664, 3.173)),
        *((0.0, 3.271, 5.236), (0.0, 2.473, 5.789), (0.0, 1.728, 6.317), (0.0, 1.059, 6.775), (0.0, 0.366, 7.243)),
        *((0.0, -0.463, 7.587), (-1.786, -0.978, 4.85), (-1.406, -1.714, 5.241), (-0.597, -2.014, 5.866)),
        *((0.0, -2.089, 6.058), (0.597, -2.014, 5.866), (1.406, -1.714, 5.241), (1.786, -0.978, 4.85)),
        *((-5.259, 0.946, 2.974), (5.259, 0.946, 2.974), (0.0, 8.262, 4.482), (0.0, 6.545, 5.027)),
        *((0.0, 4.886, 5.385), (-7.743, 2.365, -2.005), (7.743, 2.365, -2.005)),
    ],
    np.float64,
) * (1, -1, -1)
"""The same points of MediaPipe's canonical face (Apache-2.0), in cm, turned to x right, y down, z away."""


def pose(landmarks: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll of a head.

    Args:
        landmarks: (478, 3) or (n, 478, 3), z in the scale of x.

    Returns:
        (3,) or (n, 3) float32 degrees: yaw > 0 looks to the picture's right, pitch > 0 up, roll > 0 is clockwise
        in the picture. The rotation is the least-squares one (Kabsch 1976) from the canonical face, taken apart
        as yaw, then pitch, then roll about the line of sight.
    """
    points = np.asarray(landmarks, np.float64)[..., RIGID, :]
    points = points - points.mean(-2, keepdims=True)
    model = CANONICAL - CANONICAL.mean(0)
    u, _, vt = np.linalg.svd(np.swapaxes(points, -1, -2) @ model)
    handed = np.sign(np.linalg.det(u @ vt))
    u = u.copy()
    u[..., :, 2] *= handed[..., None]
    rotation = u @ vt
    forward = -rotation[..., :, 2]
    yaw = np.arctan2(forward[..., 0], -forward[..., 2])
    pitch = np.arcsin(np.clip(-forward[..., 1], -1, 1))
    # What is left of the rotation's x axis once yaw and pitch are undone turns in the picture's plane.
    x = rotation[..., :, 0]
    across = x[..., 0] * np.cos(yaw) + x[..., 2] * np.sin(yaw)
    depth = x[..., 2] * np.cos(yaw) - x[..., 0] * np.sin(yaw)
    down = x[..., 1] * np.cos(pitch) - depth * np.sin(pitch)
    roll = np.arctan2(down, across)
    return np.degrees(np.stack([yaw, pitch, roll], -1)).astype(np.float32)
