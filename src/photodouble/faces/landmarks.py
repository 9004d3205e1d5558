"""478 landmarks and 52 blendshapes of one face, by MediaPipe's face landmarker v2 (Apache-2.0)."""

import contextlib
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from photodouble import weights
from photodouble.faces.alignment import crop, invert, transform
from photodouble.faces.roi import Roi
from photodouble.faces.topology import BLENDSHAPE_POINTS, BLENDSHAPES

__all__ = ["BLENDSHAPES", "Landmarker", "Landmarks", "Roi"]

SIDE = 256
"""Side of the model's input picture, pixels."""


@dataclass(frozen=True)
class Landmarks:
    """What the model says of one region.

    Attributes:
        points: (478, 3) float32, plate pixels; z in the scale of x, smaller is nearer.
        blendshapes: (52,) float32 in 0..1, in the order of `BLENDSHAPES`.
        presence: 0..1, how sure the model is that a face is there.
    """

    points: np.ndarray
    blendshapes: np.ndarray
    presence: float


class Landmarker:
    """The model. One instance serves one thread at a time."""

    def __init__(self, path: Path | None = None, threads: int = 1) -> None:
        """Load it from `path` (a `face_landmarker_v2.task`), by default fetched once through `photodouble.weights`."""
        with zipfile.ZipFile(path or weights.path("face_landmarker")) as task:
            self._mesh = _interpreter(task.read("face_landmarks_detector.tflite"), threads)
            self._expression = _interpreter(task.read("face_blendshapes.tflite"), 1)
        self._mesh_input = self._mesh.tensor(self._mesh.get_input_details()[0]["index"])
        outputs = {item["name"]: item["index"] for item in self._mesh.get_output_details()}
        self._points, self._presence = outputs["Identity"], outputs["Identity_1"]
        self._expression_input = self._expression.get_input_details()[0]["index"]
        self._expression_output = self._expression.get_output_details()[0]["index"]

    def __call__(self, image: np.ndarray, roi: Roi, blendshapes: bool = True) -> Landmarks:
        """Landmarks of the face inside `roi`.

        Args:
            image: H x W x 3 RGB uint8.
            roi: where to look; the face should fill about two thirds of it.
            blendshapes: compute them too, otherwise they are zeros.
        """
        matrix = roi.matrix(SIDE)
        picture = crop(image, matrix, SIDE, cv2.INTER_LINEAR)
        # Straight into the model's own memory; the view must be gone when the model runs.
        np.multiply(picture, np.float32(1 / 255), out=self._mesh_input()[0])
        self._mesh.invoke()
        raw = self._mesh.get_tensor(self._points).reshape(478, 3)
        logit = float(self._mesh.get_tensor(self._presence).reshape(()))
        points = transform(raw, invert(matrix))
        presence = float(1 / (1 + np.exp(-np.clip(logit, -60, 60))))
        return Landmarks(points, self.expression(points) if blendshapes else np.zeros(52, np.float32), presence)

    def expression(self, points: np.ndarray) -> np.ndarray:
        """Blendshapes (52,) float32 in 0..1 of landmarks (478, 2 or 3) in any pixels."""
        chosen = np.ascontiguousarray(points[BLENDSHAPE_POINTS, :2], np.float32)
        self._expression.set_tensor(self._expression_input, chosen[None])
        self._expression.invoke()
        return self._expression.get_tensor(self._expression_output).astype(np.float32).clip(0, 1)


def _interpreter(model: bytes, threads: int):  # type: ignore[no-untyped-def]
    with _quiet():
        from ai_edge_litert.interpreter import Interpreter

        made = Interpreter(model_content=model, num_threads=threads)
        made.allocate_tensors()
    return made


_ALONE = threading.Lock()
"""Of two threads that turn standard error away at a time, the second would keep the first one's nowhere for good."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what native libraries print while they load off standard error: it is not about the user's work."""
    with _ALONE:
        yield from _turned_away()


def _turned_away() -> Iterator[None]:
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
