"""The swap of `lite`, `standard` and `fine`: `mesh`'s picture, corrected by the network, at the plate's resolution."""

import cv2
import numpy as np
import torch
from torch import nn

from photodouble.faces import INNER, alignment, crop, transform
from photodouble.faces.alignment import scale
from photodouble.generators.mesh import MeshGenerator, enlarged, reduced
from photodouble.generators.protocol import Drawn, PlateFace
from photodouble.generators.window import window
from photodouble.retarget import Wanted
from photodouble.retarget.drawing import drawing

BATCH = 8 * 128 * 128
"""Pixels of crops drawn at once."""


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
        picture, logits = self._module(given, guide, self._identity)
        change = ((picture.clamp(0, 1) - given) * 255).permute(0, 2, 3, 1).cpu().numpy()
        alpha = logits.sigmoid()[:, 0].cpu().numpy()
        done = [_corrected(d, m, c, a) for d, m, c, a in zip(drawn, matrices, change, alpha, strict=True)]
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
    lines = np.stack([drawing(transform(_shifted(f), m), size) for f, m in zip(faces, matrices, strict=True)])
    return mesh, lines, matrices


def _inside(matrix: np.ndarray, face: PlateFace) -> np.ndarray:
    """The alignment seen from the face's box instead of the plate."""
    result = matrix.astype(np.float64)
    result[:, 2] += result[:, :2] @ face.box[:2]
    return result


def _shifted(face: PlateFace) -> np.ndarray:
    return face.target - np.array([*face.box[:2], 0], np.float32)


def _corrected(drawn: Drawn, matrix: np.ndarray, change: np.ndarray, alpha: np.ndarray) -> Drawn:
    """The picture that `mesh` drew with the network's change; `matrix` goes from its pixels to the crop's."""
    height, width = drawn.picture.shape[:2]
    there = window(matrix, len(alpha), (height, width))
    x0, y0, wide, high = cv2.boundingRect((there > 0).view(np.uint8))
    opacity = np.ones((height, width), np.float32)
    if not wide:
        return Drawn(drawn.picture, drawn.landmarks, opacity)
    part = slice(y0, y0 + high), slice(x0, x0 + wide)
    there = np.ascontiguousarray(there[part])
    change, alpha, matrix = _lessened(change, alpha, matrix)
    matrix = np.array(matrix, np.float64)
    matrix[:, 2] += matrix[:, :2] @ (x0, y0)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(change, matrix, (wide, high), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inner = cv2.warpAffine(alpha, matrix, (wide, high), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    opacity[part] = 1 - there * (1 - _sure(inner))
    cv2.multiply(large, cv2.merge([there] * 3), dst=large)
    picture = drawn.picture.copy()
    picture[part] += large
    return Drawn(picture, drawn.landmarks, opacity)


def _lessened(change: np.ndarray, alpha: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures of a crop that is twice as large as on the plate, or more, as means of whole blocks: nothing aliases."""
    step = int(scale(matrix))
    size = len(alpha) // step if step else 0
    if step < 2 or not size:
        return change, alpha, matrix
    change, alpha = (
        cv2.resize(picture[: size * step, : size * step], (size, size), interpolation=cv2.INTER_AREA)
        for picture in (change, alpha)
    )
    # Pixel u of the smaller pictures covers those of the crop from u * step on.
    moved = matrix - np.array([[0, 0, 1], [0, 0, 1]]) * (step - 1) / 2
    return change, alpha, moved / step


def _sure(alpha: np.ndarray) -> np.ndarray:
    """A learned matte's middle values are its doubt about the edge, which the outline knows: only clear ones count."""
    return np.clip(alpha * 4, 0, 1).astype(np.float32)
