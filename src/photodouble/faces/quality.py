"""How useful a crop is, before anything is learned from it."""

import cv2
import numpy as np

SIDE = 112


def sharpness(image: np.ndarray) -> float:
    """Variance of the Laplacian of a face crop.

    Args:
        image: S x S x 3 RGB or S x S grey, uint8; taken to 112 x 112 grey first so that figures compare across sizes.

    Returns:
        0 for a flat picture; above about 100 the face is sharp at this size.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if grey.shape != (SIDE, SIDE):
        grey = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def quality(sharp: float, eye_distance: float, pose: np.ndarray) -> float:
    """One figure for sorting: 1 is a sharp, large, frontal face.

    Args:
        sharp: from `sharpness`.
        eye_distance: between the eyes' centres, plate pixels.
        pose: yaw, pitch, roll in degrees; roll does not count, alignment undoes it.

    Returns:
        0..1: the product of sharpness (half at 100), size (half at 20 pixels) and pose (cosines of yaw and pitch).
    """
    facing = max(float(np.cos(np.radians(pose[0])) * np.cos(np.radians(pose[1]))), 0.0)
    return sharp / (sharp + 100) * eye_distance / (eye_distance + 20) * facing
