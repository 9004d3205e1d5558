"""A few stills become faces that follow the plate."""

import numpy as np
import pytest

from photodouble import weights
from photodouble.faces import FaceSet, FaceSetWriter, Landmarker, Roi, find_faces
from photodouble.media import read_picture
from photodouble.training.pairs import draw_crops, few_or_many

JAW_OPEN = 25


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FaceSet]:
    """Sixteen expressions of each of two AI-generated people."""
    root = tmp_path_factory.mktemp("sets")
    for person in ("p001", "p002"):
        image = np.ascontiguousarray(read_picture(weights.path(f"person_{person}_emotions"))[..., :3])
        with FaceSetWriter(root / person, 256, ["sheet"]) as out:
            for face in find_faces(image):
                face.source = "sheet"
                out.add(face, image)
    return {person: FaceSet.open(root / person) for person in ("p001", "p002")}


def test_drawn_crops_open_their_mouths_with_the_plate(sets: dict[str, FaceSet]) -> None:
    plate = sets["p002"]
    crops, frame = draw_crops(sets["p001"], plate, 128)
    assert crops.shape == (len(plate), 128, 128, 3)
    assert crops.dtype == np.uint8
    assert (frame == plate.frame).all()
    landmarker = Landmarker()
    found = [landmarker(crop, Roi(64, 64, 150)).blendshapes[JAW_OPEN] for crop in crops]
    assert np.corrcoef(found, plate.blendshapes[:, JAW_OPEN])[0, 1] > 0.7


def test_few_pictures_are_joined_by_drawn_ones(sets: dict[str, FaceSet]) -> None:
    faces, plate = sets["p001"], sets["p002"]
    cache = few_or_many(faces, plate, 64, "ada")
    assert cache.crops.shape == (len(faces) + len(plate), 64, 64, 3)
