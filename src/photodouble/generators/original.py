"""The original network's swap: the plate's crop through the shared encoder and the wanted person's decoder."""

import cv2
import numpy as np
import torch
from torch import nn

from photodouble.faces import INNER, alignment, crop
from photodouble.generators.protocol import Drawn, PlateFace
from photodouble.generators.window import window

SIZE = 64


class OriginalGenerator:
    """Draws with a trained `original`; where its crop ends, so does its face."""

    name = "original"
    model_digest: str | None
    batch = 16

    def __init__(self, module: nn.Module, identity: int, model_digest: str) -> None:
        self._module, self._identity, self.model_digest = module, identity, model_digest

    @torch.inference_mode()
    def draw(self, faces: list[PlateFace]) -> list[Drawn]:
        """Draw some faces."""
        if not faces:
            return []
        matrices = [alignment(face.landmarks, SIZE, INNER) for face in faces]
        crops = np.stack([crop(face.image, m, SIZE) for face, m in zip(faces, matrices, strict=True)])
        device = next(self._module.parameters()).device
        pictures = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float() / 255
        drawn = self._module(pictures, self._identity).permute(0, 2, 3, 1).float().cpu().numpy() * 255
        return [self._place(face, m, picture) for face, m, picture in zip(faces, matrices, drawn, strict=True)]

    def _place(self, face: PlateFace, matrix: np.ndarray, picture: np.ndarray) -> Drawn:
        x0, y0, x1, y1 = face.box
        back = matrix.astype(np.float64)
        back[:, 2] += back[:, :2] @ (x0, y0)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        large = cv2.warpAffine(picture, back, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return Drawn(large, face.landmarks, window(back, SIZE, (y1 - y0, x1 - x0)))
