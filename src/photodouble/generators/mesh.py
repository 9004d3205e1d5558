"""`mesh`: the wanted person's own pictures, warped. Nothing is trained."""

import numpy as np

from photodouble.generators.protocol import Drawn, PlateFace
from photodouble.retarget import Wanted, render


class MeshGenerator:
    """Draws with `retarget.render`."""

    name = "mesh"
    model_digest: str | None = None
    batch = 1

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def draw(self, faces: list[PlateFace]) -> list[Drawn]:
        """Draw some faces."""
        return [self._one(face) for face in faces]

    def _one(self, face: PlateFace) -> Drawn:
        x0, y0, x1, y1 = face.box
        inside = face.target - np.array([x0, y0, 0], np.float32)
        picture = render(self._wanted, inside, face.choice, (y1 - y0, x1 - x0), (face.image, face.landmarks))
        return Drawn(picture, face.target)
