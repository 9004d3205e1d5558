"""Faces of AI-generated people, found once for all tests of this room."""

from collections.abc import Callable

import numpy as np
import pytest

from photodouble import weights
from photodouble.faces import Embedder, Face, Landmarker, Tracker, create_detector, find_faces
from photodouble.media import read_picture


@pytest.fixture(scope="session")
def parts() -> dict:
    """The loaded models, as keyword arguments of `Tracker`."""
    return {"detector": create_detector("yunet"), "landmarker": Landmarker(), "embedder": Embedder()}


@pytest.fixture(scope="session")
def find_all(parts: dict) -> Callable[[np.ndarray], list[Face]]:
    return lambda image: find_faces(image, lambda: Tracker(**parts))


@pytest.fixture(scope="session")
def find(find_all: Callable) -> Callable[[np.ndarray], Face]:
    """The one face of a picture."""

    def one(image: np.ndarray) -> Face:
        (face,) = find_all(image)
        return face

    return one


def _picture(name: str) -> np.ndarray:
    return np.ascontiguousarray(read_picture(weights.path(name))[..., :3])


@pytest.fixture(scope="session")
def picture() -> Callable[[str], np.ndarray]:
    """A picture of the registry, RGB uint8."""
    return _picture


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """P001, frontal, 512 x 512."""
    return np.ascontiguousarray(_picture("person_p001_portrait")[::4, ::4])


@pytest.fixture(scope="session")
def portrait_face(portrait: np.ndarray, find: Callable) -> Face:
    return find(portrait)


@pytest.fixture(scope="session")
def sheet() -> np.ndarray:
    """P001's 16 expressions in four rows."""
    return _picture("person_p001_emotions")
