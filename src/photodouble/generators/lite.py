"""`lite`'s swap: `mesh`'s picture, corrected by the network, at the plate's resolution."""

import cv2
import numpy as np
import torch
from torch import nn

from photodouble.faces import INNER, alignment, crop, transform
from photodouble.generators.mesh import MeshGenerator
from photodouble.generators.protocol import Drawn, PlateFace
from photodouble.generators.window import window
from photodouble.retarget import Wanted
from photodouble.retarget.drawing import drawing

SIZE = 128


class LiteGenerator:
    """The network's correction is added to the large picture that `mesh` drew, so its detail is kept."""

    name = "lite"
    model_digest: str | None
    batch = 8

    def __init__(self, module: nn.Module, identity: int, model_digest: str, wanted: Wanted) -> None:
        self._module, self._identity, self.model_digest = module, identity, model_digest
        self._mesh = MeshGenerator(wanted)

    @torch.inference_mode()
    def draw(self, faces: list[PlateFace]) -> list[Drawn]:
        """Draw some faces."""
        if not faces:
            return []
        drawn = self._mesh.draw(faces)
        mesh, lines, matrices = network_inputs(faces, drawn)
        device = next(self._module.parameters()).device
        given, guide = (torch.from_numpy(x).to(device).permute(0, 3, 1, 2).float() / 255 for x in (mesh, lines))
        picture, logits = self._module(given, guide, self._identity)
        change = ((picture.clamp(0, 1) - given) * 255).permute(0, 2, 3, 1).cpu().numpy()
        alpha = logits.sigmoid()[:, 0].cpu().numpy()
        return [
            _corrected(face, d, m, c, a) for face, d, m, c, a in zip(faces, drawn, matrices, change, alpha, strict=True)
        ]


def network_inputs(faces: list[PlateFace], drawn: list[Drawn]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """What the network is given of plate faces that `mesh` drew.

    Returns:
        The crops of `mesh`'s pictures (float32 0..255) and the landmarks' drawings (uint8), both n x 128 x 128 x 3, and
        for each face the (2, 3) matrix from pixels of its box to those of the crop.
    """
    matrices = [_inside(alignment(face.target, SIZE, INNER), face) for face in faces]
    mesh = np.stack([crop(d.picture, m, SIZE) for d, m in zip(drawn, matrices, strict=True)]).clip(0, 255)
    lines = np.stack([drawing(transform(_shifted(f), m), SIZE) for f, m in zip(faces, matrices, strict=True)])
    return mesh, lines, matrices


def _inside(matrix: np.ndarray, face: PlateFace) -> np.ndarray:
    """The alignment seen from the face's box instead of the plate."""
    result = matrix.astype(np.float64)
    result[:, 2] += result[:, :2] @ face.box[:2]
    return result


def _shifted(face: PlateFace) -> np.ndarray:
    return face.target - np.array([*face.box[:2], 0], np.float32)


def _corrected(face: PlateFace, drawn: Drawn, matrix: np.ndarray, change: np.ndarray, alpha: np.ndarray) -> Drawn:
    shape = drawn.picture.shape[:2]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(change, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    there = window(matrix, SIZE, shape)
    inner = cv2.warpAffine(alpha, matrix, shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    opacity = 1 - there * (1 - _sure(inner))
    return Drawn(drawn.picture + there[..., None] * large, drawn.landmarks, opacity)


def _sure(alpha: np.ndarray) -> np.ndarray:
    """A learned matte's middle values are its doubt about the edge, which the outline knows: only clear ones count."""
    return np.clip(alpha * 4, 0, 1).astype(np.float32)
