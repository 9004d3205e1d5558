"""What the refiners change reaches the plate: in its place, in its size, without aliasing."""

import cv2
import numpy as np
import pytest
import torch

from photodouble import networks
from photodouble.compositing import face_box
from photodouble.faces import INNER, alignment, find_faces, transform
from photodouble.generators import MeshGenerator, PlateFace
from photodouble.generators.load import as_generator
from photodouble.generators.refined import BELIEVED, RefinedGenerator, believed
from photodouble.generators.window import window
from photodouble.media import read_picture
from photodouble.networks.refiner import Refiner
from photodouble.retarget import REGIONS
from photodouble.retarget.mesh import know


@pytest.fixture(scope="module")
def cast(portraits):
    """The wanted person, and their own face to be drawn: large, and a fifth of it."""
    image = np.ascontiguousarray(read_picture(portraits[0])[::4, ::4, :3])
    (face,) = find_faces(image)
    wanted = know(face.landmarks[None], face.blendshapes[None], np.zeros(1), lambda _: image)
    faces = []
    for factor in (1.0, 0.2):
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        points = ((face.landmarks + 0.5) * factor - 0.5).astype(np.float32)
        box = face_box(points, small.shape[:2])
        faces.append(PlateFace(small, points, points, dict.fromkeys(REGIONS, 0), box))
    return wanted, faces


class Painter(Refiner):
    """Adds what it is told to; sure of its matte everywhere."""

    def __init__(self, size: int, change: torch.Tensor) -> None:
        super().__init__(torch.nn.Linear(1, 1), [])
        self.size, self.architecture, self.change = size, "painter", change

    def forward(self, mesh, lines, identity):
        assert mesh.shape[1:] == lines.shape[1:] == (3, self.size, self.size)
        assert 0.1 < mesh.mean() < 0.9 and lines.max() > 0.9 and identity == 1
        return 0.5 * mesh + 0.25 + self.change, torch.full_like(mesh[:, :1], 9.0)


@pytest.mark.parametrize("size", [128, 256, 512])
def test_a_change_comes_to_its_place_in_any_size(cast, size):
    wanted, faces = cast
    generator = RefinedGenerator(Painter(size, torch.zeros(())), 1, "digest", wanted)
    assert generator.name == "painter" and generator.batch == max(1, 8 * 128**2 // size**2)
    for face in faces:
        (before,), (after,) = (g.draw([face]) for g in (MeshGenerator(wanted), generator))
        seen = window(_matrix(face, size), size, before.picture.shape[:2])
        inside = seen > 0.99
        assert 0.2 < inside.mean() < 1
        # half as much contrast, wherever the picture is smooth enough for the crop
        flat, part = cv2.GaussianBlur(before.picture, (0, 0), 3), _part(face, size, before.picture.shape[:2])
        wished = flat + part * (0.5 * flat + 0.25 * 255 - flat)
        error = abs(cv2.GaussianBlur(after.picture, (0, 0), 3) - wished)[inside]
        assert error.mean() < 1.5
        assert after.opacity is None  # the outline is the compositor's
        outside = seen == 0
        assert (after.picture == before.picture)[outside].all()


def _part(face: PlateFace, size: int, shape: tuple[int, int]) -> np.ndarray:
    """Which part of a change shall be made, h x w x 1, in the face's box."""
    matrix, inside = _matrix(face, size), face.target - np.array([*face.box[:2], 0])
    small, flags = believed(transform(inside, matrix), size), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(small, matrix, shape[::-1], flags=flags)[..., None]


def test_the_mouth_is_left_alone_and_the_eyes_are_changed_by_half(cast):
    _, faces = cast
    points = transform(faces[0].target, alignment(faces[0].target, 128, INNER))
    part = believed(points, 128)

    def at(*landmarks: int) -> float:
        x, y = points[list(landmarks), :2].mean(0).round().astype(int)
        return part[y, x]

    assert at(13, 14) == pytest.approx(0, abs=0.02)  # between the lips
    assert at(159, 145) == pytest.approx(0.3, abs=0.05) == at(386, 374)  # between the lids
    for skin in (205, 425, 4):  # cheeks, tip of the nose
        assert at(skin) == pytest.approx(BELIEVED, abs=1e-3)
    assert part.shape == (128, 128) and part.dtype == np.float32


def _matrix(face: PlateFace, size: int) -> np.ndarray:
    matrix = alignment(face.target, size, INNER).astype(np.float64)
    matrix[:, 2] += matrix[:, :2] @ face.box[:2]
    return matrix


@pytest.mark.parametrize("size", [128, 512])
def test_detail_finer_than_the_plate_is_averaged(cast, size):
    """A checkerboard in the crop's pixels is even grey on a face of a fifth of the size, not a pattern of its own."""
    wanted, (_, small) = cast
    board = 0.2 * (torch.arange(size)[:, None] + torch.arange(size)).remainder(2).mul(2).sub(1)
    (plain,), (drawn,) = (
        RefinedGenerator(Painter(size, change), 1, "", wanted).draw([small]) for change in (torch.zeros(()), board)
    )
    crop_per_plate = np.linalg.norm(_matrix(small, size)[0, :2])
    assert crop_per_plate > 2
    assert abs(drawn.picture - plain.picture).max() < 0.15 * 0.2 * 255


def test_every_refiner_is_drawn_with(cast):
    wanted, _ = cast
    small = {"width": 4}, {"widths": (4, 4, 4, 4, 4)}, {"widths": (4, 4, 4, 4, 4), "outer": 4}
    for name, settings in zip(("lite", "standard", "fine"), small, strict=True):
        generator = as_generator(networks.create(name, **settings), 0, "digest", wanted)
        assert isinstance(generator, RefinedGenerator) and generator.name == name
