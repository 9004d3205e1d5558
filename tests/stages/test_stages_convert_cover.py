"""What comes in front of the plate's face in a film stays in front of the new one. The people are AI-generated."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from photodouble.consent import add_record
from photodouble.faces import FaceSet, outline_matte
from photodouble.media import ClipWriter, open_clip, read_mattes
from photodouble.project import Project, init_project
from photodouble.stages import extract
from photodouble.stages.convert import ConvertConfig, run

FRAMES, FIRST, LAST = 64, 22, 42
RENDERED = (26, 32, 37)
GREEN = (70, 110, 60)


@dataclass(frozen=True)
class Scene:
    """A plate in which a microphone is held before the mouth from `FIRST` to `LAST`, and what is known of it."""

    project: Project
    plate: Path
    truth: dict[int, np.ndarray]
    faces: FaceSet


def microphone(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A round head before the mouth, on a rod from below: H x W uint8."""
    mask = np.zeros(shape, np.uint8)
    width = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    head = np.round(points[[13, 14], :2].mean(0)).astype(int)
    foot = np.round(head + width * np.array([-1.2, 2.5])).astype(int)
    cv2.circle(mask, head.tolist(), round(0.3 * width), 255, -1, cv2.LINE_AA)
    cv2.line(mask, head.tolist(), foot.tolist(), 255, round(0.2 * width), cv2.LINE_AA)
    return mask


@pytest.fixture(scope="module")
def scene(tmp_path_factory, make_plate, portraits) -> Scene:
    folder = tmp_path_factory.mktemp("covered")
    bare = make_plate(folder / "bare.mp4", portraits[0], FRAMES)
    project = init_project(folder / "project")
    for name in ("bare", "double", "ada"):
        add_record(project, name, "synthetic", "openpeople 0.1.2, AI-generated")
    list(extract.run(extract.ExtractConfig(project.root, "bare", [bare])))
    clip, faces = open_clip(bare), FaceSet.open(project.faces("bare"))
    rows = {int(faces.frame[row]): row for row in range(len(faces))}
    plate, truth = folder / "plate.mkv", {}
    with ClipWriter(plate, clip, "ffv1") as writer:
        for frame in clip.frames():
            if FIRST <= frame.index < LAST:
                row = rows[frame.index]
                mask = microphone(faces.landmarks(row, row + 1)[0], frame.image.shape[:2])
                truth[frame.index] = mask
                there = (mask[..., None] / 255) * (np.array(GREEN) - frame.image)
                writer.write(replace(frame, image=(frame.image + there).round().astype(np.uint8)))
            else:
                writer.write(frame)
    for name, source in (("double", plate), ("ada", portraits[1])):
        list(extract.run(extract.ExtractConfig(project.root, name, [source])))
    return Scene(project, plate, truth, faces)


def rendered(scene: Scene, folder: Path, covers: bool) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Picture and matte (0..1) of each frame in `RENDERED`."""
    root, output = folder / "project", folder / "film.mkv"
    shutil.copytree(scene.project.root, root)
    wanted = ",".join(str(index) for index in RENDERED)
    config = ConvertConfig(root, scene.plate, "double", "ada", output, codec="ffv1", frames=wanted, covers=covers)
    matte = list(run(config))[-1].values["matte"]
    pictures, mattes = (dict(enumerate(parts)) for parts in (_images(output), read_mattes(matte)))
    return {index: (pictures[index], mattes[index]) for index in RENDERED}


def _images(path: Path) -> list[np.ndarray]:
    return [frame.image for frame in open_clip(path).frames()]


def test_a_microphone_before_the_mouth_stays_in_front(scene, tmp_path):
    plate = _images(scene.plate)
    found = {covers: rendered(scene, tmp_path / str(covers), covers) for covers in (True, False)}
    rows = {int(scene.faces.frame[row]): row for row in range(len(scene.faces))}
    for index in RENDERED:
        face = outline_matte(scene.faces.landmarks(rows[index], rows[index] + 1)[0], plate[index].shape[:2], 0.1) > 0.9
        thing = cv2.erode(scene.truth[index], np.ones((5, 5), np.uint8)) == 255
        around = cv2.dilate(scene.truth[index], np.ones((25, 25), np.uint8)) > 0
        assert (thing & face).sum() > 100
        with_it, without_it = found[True][index], found[False][index]
        assert with_it[1][thing & face].mean() < 0.15
        assert without_it[1][thing & face].mean() > 0.9
        assert with_it[1][face & ~around].mean() > 0.95
        # It has its own colour still; painted over, it has not.
        kept, lost = (abs(each[0].astype(int) - plate[index])[thing & face].mean() for each in (with_it, without_it))
        assert kept < 6 and lost > 20
