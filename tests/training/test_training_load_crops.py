"""Crops for training come out of a FaceSet as if they had been cut out of the plate."""

from pathlib import Path

import cv2
import numpy as np

from photodouble.faces import INNER, Face, FaceSet, FaceSetWriter, alignment, crop
from photodouble.training.data import load_crops

COUNT = 30


def test_crops_are_those_of_the_plate(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = [cv2.resize(random.integers(0, 256, (9, 12, 3), np.uint8), (400, 300)) for _ in range(COUNT)]
    shape = random.normal(0, 1, (478, 3)).astype(np.float32)
    with FaceSetWriter(tmp_path / "faces", 256, ["clip.mp4"]) as out:
        wanted = []
        for frame, image in enumerate(images):
            turned = cv2.transform(shape[None, :, :2], cv2.getRotationMatrix2D((0, 0), frame - 15, 25))[0]
            landmarks = np.hstack([turned + np.array([200 + frame, 150]), shape[:, 2:]]).astype(np.float32)
            nothing = np.zeros(52, np.float32)
            box = np.array([150, 100, 250, 200], np.float32)
            out.add(Face(frame, box, 1.0, landmarks, nothing, nothing[:3], source="clip.mp4"), image)
            wanted.append(crop(image, alignment(landmarks, 64, INNER), 64))
    cache = load_crops(FaceSet.open(tmp_path / "faces"), 64)
    assert cache.crops.shape == (COUNT, 64, 64, 3)
    difference = np.abs(cache.crops.numpy().astype(int) - np.stack(wanted))
    inside = difference[:, 8:-8, 8:-8]
    assert inside.mean() < 3, inside.mean()
    assert difference[0].mean() < np.abs(cache.crops[0].numpy().astype(int) - wanted[1]).mean() / 4
