"""Who a face is: SFace's vector of 128 numbers.

Model: SFace (Zhong, Deng, Hu, Zhao, Li, Wen 2021), OpenCV Zoo's `face_recognition_sface_2021dec_int8bq.onnx`,
Apache-2.0. Cosine of two vectors: same person 0.73 +- 0.11, different people 0.05 +- 0.10.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from photodouble import weights
from photodouble.faces.alignment import crop, eye_centres

SAME_PERSON = 0.363
"""Cosine from which two faces count as the same person's (OpenCV Zoo's figure for SFace)."""

SIDE = 112
FIVE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
"""Eyes, nose tip and mouth corners in the 112-pixel crop that ArcFace-like encoders expect (Deng et al. 2019)."""


class Embedder:
    """The encoder. One instance serves any number of threads."""

    def __init__(self, path: Path | None = None, threads: int = 1) -> None:
        """Load it from `path` (the ONNX file), by default fetched once through `photodouble.weights`."""
        self._session = _session(path or weights.path("sface"), threads)

    def __call__(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Embedding of one face.

        Args:
            image: H x W x 3 RGB uint8.
            landmarks: (478, 2 or 3) in pixels of `image`.

        Returns:
            (128,) float32 of length 1.
        """
        return self.batch([image], [landmarks])[0]

    def batch(self, images: list[np.ndarray], landmarks: list[np.ndarray]) -> np.ndarray:
        """Embeddings of several faces, one picture each: (n, 128) float32 of length 1."""
        if not images:
            return np.zeros((0, 128), np.float32)
        crops = [
            crop(image, five_point_matrix(points), SIDE, cv2.INTER_LINEAR)
            for image, points in zip(images, landmarks, strict=True)
        ]
        data = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
        found = self._session.run(None, {"data": data})[0]
        return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def five_point_matrix(landmarks: np.ndarray) -> np.ndarray:
    """(2, 3): the least-squares similarity from plate pixels to the encoder's crop (see `alignment.alignment`)."""
    points = np.asarray(landmarks, np.float64)[:, :2]
    five = np.stack([*eye_centres(points), points[1], points[61], points[291]])
    source, target = five[:, 0] + 1j * five[:, 1], FIVE[:, 0] + 1j * FIVE[:, 1]
    centred = source - source.mean()
    turn = (centred.conj() * (target - target.mean())).sum() / max((abs(centred) ** 2).sum(), 1e-12)
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


@lru_cache(2)
def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """The network, ready to run: unpacking it takes half a second, and every stage of a swap needs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = _plain(onnx.load(path))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its block-quantised weights unpacked once, and for any number of faces at a time.

    As published, it lists its weights as inputs, which ONNX Runtime then cannot fold: it unpacks them in each call.
    """
    graph = model.graph
    known = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    kept = []
    for node in graph.node:
        options = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        constant = all(name in known for name in node.input)
        if constant and node.op_type == "DequantizeLinear":
            known[node.output[0]] = _dequantize([known[name] for name in node.input], options)
        elif constant and node.op_type == "Reshape":
            known[node.output[0]] = known[node.input[0]].reshape(known[node.input[1]])
        elif node.op_type == "PRelu" and node.input[1] in known:
            kept += _leaky(node, known)
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    data = [item for item in graph.input if item.name == "data"]
    for field, items in (
        (graph.node, kept),
        (graph.initializer, [numpy_helper.from_array(np.array(known[k]), k) for k in known if k in used]),
        (graph.input, data),
    ):
        held = list(items)
        del field[:]
        field.extend(held)
    del graph.value_info[:]
    for item in (graph.input[0], graph.output[0]):
        item.type.tensor_type.shape.dim[0].dim_param = "faces"
    return model


def _leaky(node: onnx.NodeProto, known: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
    """PRelu as slope * x + (1 - slope) * max(x, 0): ONNX Runtime's own takes two fifths of the network's time."""
    (x, slope), y = node.input, node.output[0]
    known[f"{slope}_rest"] = 1 - known[slope]
    make = onnx.helper.make_node
    return [
        make("Relu", [x], [f"{y}_positive"]),
        make("Mul", [f"{y}_positive", f"{slope}_rest"], [f"{y}_rest"]),
        make("Mul", [x, slope], [f"{y}_leak"]),
        make("Add", [f"{y}_rest", f"{y}_leak"], [y]),
    ]


def _dequantize(inputs: list[np.ndarray], options: dict) -> np.ndarray:
    """ONNX's DequantizeLinear, by block or by channel: (x - zero point) * scale in float32."""
    values = inputs[0].astype(np.float32)
    axis = options.get("axis", 1)
    zero = inputs[2] if len(inputs) > 2 else np.zeros_like(inputs[1])
    spread = []
    for item in (inputs[1], zero):
        item = item.astype(np.float32)  # noqa: PLW2901
        if options.get("block_size", 0):
            item = np.repeat(item, options["block_size"], axis=axis)[tuple(slice(0, n) for n in values.shape)]  # noqa: PLW2901
        elif item.size > 1:
            item = item.reshape([-1 if i == axis else 1 for i in range(values.ndim)])  # noqa: PLW2901
        spread.append(item)
    return (values - spread[1]) * spread[0]
