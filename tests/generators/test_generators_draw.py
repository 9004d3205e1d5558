"""What draws faces: the box that was asked for, in the plate's place, by `mesh` and by the original network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from photodouble import networks
from photodouble.compositing import face_box
from photodouble.errors import BadInput
from photodouble.faces import INNER, alignment, find_faces, invert, transform
from photodouble.generators import MESH, MeshGenerator, PlateFace, load_generator
from photodouble.generators.original import SIZE, OriginalGenerator
from photodouble.generators.window import window
from photodouble.media import read_picture
from photodouble.project import Project
from photodouble.retarget import REGIONS
from photodouble.retarget.mesh import know
from photodouble.training.checkpoint import save_model
from photodouble.training.model_json import Meta


@pytest.fixture(scope="module")
def portrait(portraits):
    image = np.ascontiguousarray(read_picture(portraits[0])[::4, ::4, :3])
    (face,) = find_faces(image)
    return image, face


@pytest.fixture(scope="module")
def wanted(portrait):
    image, face = portrait
    return know(face.landmarks[None], face.blendshapes[None], np.zeros(1), lambda _: image)


@pytest.fixture(scope="module")
def plate_face(portrait):
    image, face = portrait
    box = face_box(face.landmarks, image.shape[:2])
    return PlateFace(image, face.landmarks, face.landmarks, dict.fromkeys(REGIONS, 0), box)


def test_mesh_draws_a_person_onto_itself(wanted, plate_face):
    (drawn,) = MeshGenerator(wanted).draw([plate_face])
    x0, y0, x1, y1 = plate_face.box
    own = plate_face.image[y0:y1, x0:x1].astype(np.float32)
    assert drawn.picture.shape == own.shape
    assert drawn.picture.dtype == np.float32
    assert drawn.opacity is None
    middle = np.s_[60:-60, 40:-40]
    assert abs(drawn.picture - own)[middle].mean() < 1
    assert MeshGenerator(wanted).draw([]) == []


@pytest.mark.parametrize("size", [2.5, 3.7])
def test_a_face_larger_than_its_pictures_is_drawn_in_their_size_and_comes_back_to_its_place(wanted, plate_face, size):
    grow = np.array([size, size, size], np.float32)
    half = np.array([0.5, 0.5, 0])
    points = (plate_face.landmarks + half) * grow - half
    box = tuple(round(edge * size) + odd for edge, odd in zip(plate_face.box, (0, 1, 2, 3), strict=True))
    large = replace(plate_face, landmarks=points, target=points.astype(np.float32), box=box)
    generator = MeshGenerator(wanted)
    assert generator.reduction(large) == int(size / 1.2)
    (drawn,) = generator.draw([large])
    whole = generator.sketch(large).picture
    assert drawn.picture.shape == whole.shape == (box[3] - box[1], box[2] - box[0], 3)
    assert (drawn.landmarks == large.target).all()
    # A pixel's shift would make more than 2.
    assert abs(drawn.picture - whole)[120:-120, 80:-80].mean() < 0.9
    assert generator.reduction(plate_face) == 1


class Repeat(torch.nn.Module):
    """A network that gives back what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x, identity):
        return x * self.weight


def test_the_originals_picture_comes_back_to_its_place(plate_face):
    first, second = OriginalGenerator(Repeat(), 1, "digest").draw([plate_face] * 2)
    x0, y0, x1, y1 = plate_face.box
    own = plate_face.image[y0:y1, x0:x1].astype(np.float32)
    assert first.picture.shape == own.shape
    assert first.opacity is not None
    assert (first.picture == second.picture).all()
    inside = first.opacity > 0.99
    assert 0.2 < inside.mean() < 1
    # 64 pixels do not hold the portrait's detail, but half a crop pixel's shift would double this.
    assert abs(first.picture - own)[inside].mean() < 6


def test_the_window_is_one_inside_the_crop_and_fades_to_nothing(portrait):
    matrix = alignment(portrait[1].landmarks, SIZE, INNER)
    seen = window(matrix, SIZE, portrait[0].shape[:2])
    corners = transform(np.array([[0.0, 0.0], [SIZE - 1, 0], [SIZE - 1, SIZE - 1], [0, SIZE - 1]]), invert(matrix))
    x, y = corners.mean(0).round().astype(int)
    assert seen[y, x] == 1
    assert seen[0, 0] == 0
    assert 0 < ((seen > 0) & (seen < 1)).mean() < 0.2
    x, y = corners[0].round().astype(int)
    assert seen[y, x] < 0.1


def test_a_model_is_loaded_by_its_name_for_its_people(tmp_path, wanted, plate_face):
    project = Project(tmp_path)
    assert isinstance(load_generator(project, MESH, "ada", wanted), MeshGenerator)
    module = networks.create("original", width=4)
    meta = Meta("original", vars(module.config), ["double", "ada"])
    saved = save_model(project.model("m"), module, meta)
    generator = load_generator(project, "m", "ada", wanted)
    assert (generator.name, generator.model_digest) == ("original", saved.weights)
    (drawn,) = generator.draw([plate_face])
    assert np.isfinite(drawn.picture).all()
    with pytest.raises(BadInput, match=r"knows double, ada, not grace.*train"):
        load_generator(project, "m", "grace", wanted)
    with pytest.raises(BadInput):
        load_generator(project, "nobody", "ada", wanted)
