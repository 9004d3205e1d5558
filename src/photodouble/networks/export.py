"""A network as ONNX: what everybody shares and one identity's decoder, and nothing of the other identities."""

import inspect
import io
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:  # networks can be trained and drawn with where neither is installed
    import onnx
    import onnxruntime

OPSET = 17
"""Of ONNX, 2022: old enough for most runtimes, new enough for a layer norm of its own."""

OUTPUTS = ("picture", "matte")


class Conversion(nn.Module):
    """The conversion path: pictures in as the network's `forward` names them, `picture` and maybe `matte` out.

    All are N x 3 (the matte N x 1) x size x size float32 in 0..1.
    """

    def __init__(self, module: nn.Module, identity: int) -> None:
        super().__init__()
        self.module, self.identity = module, identity
        self.size = int(module.size)  # type: ignore[arg-type]
        self.inputs = [key for key in inspect.signature(module.forward).parameters if key != "identity"]
        self.eval()

    def forward(self, *pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Draw a batch."""
        drawn = self.module(*pictures, identity=self.identity)
        picture, *logits = drawn if isinstance(drawn, tuple) else (drawn,)
        return picture.clamp(0, 1), *(value.sigmoid() for value in logits)


def noise(conversion: Conversion, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random pictures for each of its inputs."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 3, conversion.size, conversion.size)
    return {key: torch.rand(shape, generator=generator) for key in conversion.inputs}


@torch.no_grad()
def to_onnx(conversion: Conversion, input_names: Mapping[str, str], half: bool = False) -> "onnx.ModelProto":
    """Trace it, with any number of pictures at a time.

    PyTorch's older exporter: it is in every version that photodouble supports and needs no further package, where the
    newer one needs onnxscript.

    Args:
        conversion: on the processor.
        input_names: what ONNX shall call the inputs, by their names in `forward`.
        half: weights and arithmetic in half precision; inputs and outputs stay float32.
    """
    import onnx

    example = tuple(noise(conversion, 2).values())
    names_in = [input_names[key] for key in conversion.inputs]
    drawn = conversion(*example)
    names_out = list(OUTPUTS[: len(drawn)])
    settings: dict[str, Any] = {"dynamo": False, "opset_version": OPSET}
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is the older one
        torch.onnx.export(
            conversion,
            example,
            stream,  # type: ignore[arg-type]
            input_names=names_in,
            output_names=names_out,
            dynamic_axes={name: {0: "batch"} for name in names_in + names_out},
            **settings,
        )
    model = onnx.load_model_from_string(stream.getvalue())
    for entry, result in zip(model.graph.output, drawn, strict=True):  # the exporter loses sight of some sizes
        for dimension, length in zip(entry.type.tensor_type.shape.dim[1:], result.shape[1:], strict=True):
            dimension.dim_value = length
    if half:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = convert_float_to_float16(model, keep_io_types=True)
        sort_nodes(model.graph)
    onnx.checker.check_model(model)
    return model


def sort_nodes(graph: "onnx.GraphProto") -> None:
    """Put every node after those whose results it takes, as ONNX asks: the conversion to half precision does not."""
    import onnx

    known = {"", *(entry.name for entry in [*graph.input, *graph.initializer])}
    waiting, ordered = list(graph.node), []
    while waiting:
        ready = [known.issuperset(node.input) for node in waiting]
        ordered += [node for node, now in zip(waiting, ready, strict=True) if now]
        known.update(name for node in ordered for name in node.output)
        waiting = [node for node, now in zip(waiting, ready, strict=True) if not now]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


@torch.no_grad()
def difference(
    session: "onnxruntime.InferenceSession", conversion: Conversion, pictures: Mapping[str, torch.Tensor]
) -> float:
    """The largest difference between what ONNX Runtime makes of an exported network and PyTorch of the network itself.

    Args:
        session: with the exported one.
        conversion: what it should do.
        pictures: N x 3 x size x size float32 by the names of `forward`'s inputs.

    Returns:
        Of any value of any output; infinite where one is not a number.
    """
    names = [entry.name for entry in session.get_inputs()]
    given = [pictures[key] for key in conversion.inputs]
    found = session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})
    expected = conversion(*given)
    apart = [(torch.from_numpy(a) - b).abs().nan_to_num(nan=math.inf) for a, b in zip(found, expected, strict=True)]
    return max(float(value.max()) for value in apart)
