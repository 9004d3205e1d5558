"""The swap of `lite`, `standard` and `fine`: `mesh`'s picture, corrected by the network, at the plate's resolution."""

import cv2
import numpy as np
import torch
from torch import nn

from photodouble.faces import INNER, alignment, crop, transform
from photodouble.faces.alignment import invert, scale
from photodouble.faces.topology import LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from photodouble.generators.mesh import MeshGenerator, enlarged, eye_distance, reduced
from photodouble.generators.protocol import Drawn, PlateFace
from photodouble.generators.window import soft_edge
from photodouble.retarget import Wanted
from photodouble.retarget.drawing import drawing
from photodouble.retarget.mesh import region_mask

BATCH = 8 * 128 * 128
"""Pixels of crops drawn at once."""

BELIEVED, AT_EYES, AT_MOUTH = 0.6, 0.3, 0.0
"""Parts of a correction that are made on skin, at the eyes and at the mouth. It was learned on the person's own
performances, and another's are new to it: with all of it likeness, expression and steadiness of a swap are worse. At
the mouth no part of it helps: lips and teeth get hazy, and expressions are followed less (benchmarks/RESULTS.md)."""

GROW, SOFT = 0.08, 0.05
"""How far eyes and mouth reach around their outlines, and how softly: in parts of the distance of the eyes' corners."""

FINER = 2
"""A correction is enlarged so much before it is warped."""


class RefinedGenerator:
    """The network's correction is added to the large picture that `mesh` drew, so its detail is kept."""

    model_digest: str | None

    def __init__(self, module: nn.Module, identity: int, model_digest: str, wanted: Wanted) -> None:
        self._module, self._identity, self.model_digest = module, identity, model_digest
        self.name, self._size = str(module.architecture), int(module.size)  # type: ignore[arg-type]
        self.batch = max(1, BATCH // self._size**2)
        self._mesh = MeshGenerator(wanted)

    @torch.inference_mode()
    def draw(self, faces: list[PlateFace]) -> list[Drawn]:
        """Draw some faces."""
        if not faces:
            return []
        sizes = [self._mesh.reduction(face) for face in faces]
        small = [reduced(face, by) for face, by in zip(faces, sizes, strict=True)]
        drawn = [self._mesh.sketch(face) for face in small]
        mesh, lines, matrices = network_inputs(small, drawn, self._size)
        device = next(self._module.parameters()).device
        given, guide = (torch.from_numpy(x).to(device).permute(0, 3, 1, 2).float() / 255 for x in (mesh, lines))
        # Its matte is left: it has seen nothing but outlines, and the compositor's reaches beyond them.
        picture, _ = self._module(given, guide, self._identity)
        change = ((picture.clamp(0, 1) - given) * 255).permute(0, 2, 3, 1).cpu().numpy()
        parts = [believed(_in_crop(face, m), self._size) for face, m in zip(small, matrices, strict=True)]
        done = [_corrected(d, m, c * p[..., None]) for d, m, c, p in zip(drawn, matrices, change, parts, strict=True)]
        return [enlarged(d, face, by) for d, face, by in zip(done, faces, sizes, strict=True)]


def network_inputs(
    faces: list[PlateFace], drawn: list[Drawn], size: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """What a network of this `size` is given of plate faces that `mesh` drew.

    Returns:
        The crops of `mesh`'s pictures (float32 0..255) and the landmarks' drawings (uint8), both n x size x size x 3,
        and for each face the (2, 3) matrix from pixels of its box to those of the crop.
    """
    matrices = [_inside(alignment(face.target, size, INNER), face) for face in faces]
    mesh = np.stack([crop(d.picture, m, size) for d, m in zip(drawn, matrices, strict=True)]).clip(0, 255)
    lines = np.stack([drawing(_in_crop(f, m), size) for f, m in zip(faces, matrices, strict=True)])
    return mesh, lines, matrices


def believed(landmarks: np.ndarray, size: int) -> np.ndarray:
    """How much of a correction is made in each pixel of a crop of this `size`.

    Args:
        landmarks: (478, 2 or 3) in pixels of the crop.

    Returns:
        size x size float32, from `AT_MOUTH` to `BELIEVED`.
    """
    eyes = eye_distance(landmarks)
    part = np.full((size, size), BELIEVED, np.float32)
    for outlines, here in (((RIGHT_EYE, LEFT_EYE), AT_EYES), ((LIPS_OUTER,), AT_MOUTH)):
        mask = region_mask(landmarks, outlines, part.shape, GROW * eyes, SOFT * eyes)
        part += mask * (here - part)
    return part


def _inside(matrix: np.ndarray, face: PlateFace) -> np.ndarray:
    """The alignment seen from the face's box instead of the plate."""
    result = matrix.astype(np.float64)
    result[:, 2] += result[:, :2] @ face.box[:2]
    return result


def _in_crop(face: PlateFace, matrix: np.ndarray) -> np.ndarray:
    """The target's landmarks in the crop that `matrix` makes of the face's box."""
    return transform(face.target - np.array([*face.box[:2], 0], np.float32), matrix)


def _corrected(drawn: Drawn, matrix: np.ndarray, change: np.ndarray) -> Drawn:
    """The picture that `mesh` drew with the network's change, in place; `matrix` goes from its pixels to the crop's.

    The change is warped linearly: that is faster than a cubic warp, and enlarged by a cubic kernel before, it looks the
    same (61 dB).
    """
    change, matrix = _lessened(np.ascontiguousarray(change), matrix)
    size = FINER * len(change)
    fine = cv2.resize(change, (size, size), interpolation=cv2.INTER_CUBIC)
    fine *= soft_edge(size)[..., None]
    fine[[0, -1]] = fine[:, [0, -1]] = 0  # a linear kernel reaches a pixel further
    matrix = np.array(matrix, np.float64) * FINER
    matrix[:, 2] += (FINER - 1) / 2
    x0, y0, x1, y1 = _reached(matrix, size, drawn.picture.shape[:2])
    if x0 < x1 and y0 < y1:
        matrix[:, 2] += matrix[:, :2] @ (x0, y0)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        under = drawn.picture[y0:y1, x0:x1]
        under += cv2.warpAffine(fine, matrix, (x1 - x0, y1 - y0), flags=flags)
    return drawn


def _reached(matrix: np.ndarray, size: int, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 (far edges excluded) of the part of a picture of H, W in which a crop lies; may be empty."""
    corners = transform(np.array([[x, y] for x in (-1, size) for y in (-1, size)], np.float64), invert(matrix))
    low, high = np.floor(corners.min(0)), np.ceil(corners.max(0)) + 1
    x0, y0 = np.clip(low, 0, shape[::-1]).astype(int).tolist()
    x1, y1 = np.clip(high, 0, shape[::-1]).astype(int).tolist()
    return x0, y0, x1, y1


def _lessened(change: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture of a crop that is twice as large as on the plate, or more, as means of blocks: nothing aliases."""
    step = int(scale(matrix))
    size = len(change) // step if step else 0
    if step < 2 or not size:
        return change, matrix
    change = cv2.resize(change[: size * step, : size * step], (size, size), interpolation=cv2.INTER_AREA)
    # Pixel u of the smaller picture covers those of the crop from u * step on.
    moved = matrix - np.array([[0, 0, 1], [0, 0, 1]]) * (step - 1) / 2
    return change, moved / step
