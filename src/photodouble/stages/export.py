"""Export: one identity's conversion path of a trained model as an ONNX file that carries its consent terms.

The file is run beside PyTorch before it gets its name.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError

from photodouble import __version__
from photodouble.consent import BASES, ConsentRecord, digest, require
from photodouble.errors import BadInput, PhotodoubleError
from photodouble.faces import INNER, FaceSet
from photodouble.files import atomic
from photodouble.networks.export import OPSET, Conversion, difference, noise, to_onnx
from photodouble.project import Project, open_project
from photodouble.retarget import know_faces
from photodouble.retarget.examples import free_of
from photodouble.retarget.pairs import make_pairs
from photodouble.stages.events import Event, Progress, Result, Started, Warned
from photodouble.stages.recognise import check_model
from photodouble.training import checkpoint, model_json
from photodouble.training.model_json import Meta
from photodouble.training.pairs import split_faces

STAGE = "export"

TOLERANCE = 1e-4
"""What the file may differ from PyTorch, of values in 0..1."""

HALF_TOLERANCE = 1 / 255
"""The same where the file calculates in half precision and PyTorch does not: one step of 8 bits."""

CROPS = 4
"""The identity's faces that the file is compared on."""

MARK = "photodouble."
"""What our entries in the file's metadata begin with."""

INPUTS = {
    "x": ("crop", "the face to be replaced"),
    "mesh": ("mesh", "what the generator 'mesh' draws of the identity in that face's pose and expression"),
    "lines": (
        "lines",
        "drawing of the target landmarks: lips, eyes, and brows, nose and outline as its three channels",
    ),
}
"""By the names of the networks' inputs: what they are called in the file, and what they are."""

MEANING = {
    "picture": "RGB, the identity's face",
    "matte": "opacity of the face as the model sees it; values between 0 and 1 are its doubt about the edge",
}


@dataclass(frozen=True)
class ExportConfig:
    """What to export.

    Attributes:
        project: the project's folder, which holds the consent record.
        model: name of a model of the project, or a model's folder.
        identity: whose face the file shall draw (`--to`).
        output: the ONNX file.
        half: weights and arithmetic in half precision; inputs and outputs stay float32.
    """

    project: Path
    model: str
    identity: str
    output: Path
    half: bool = False


def run(config: ExportConfig) -> Iterator[Event]:
    """Write the file.

    The result holds output, model (folder), architecture, identity, precision, opset, inputs, outputs, consent (digest
    of the record), bytes, seconds, and of the comparison with PyTorch: difference (the largest), tolerance and crops
    (how many face crops were compared beside random pictures).

    Raises:
        Refused: consent is missing, does not hold today, or is not the one under which the model was trained.
        BadInput: the model does not load or does not know the identity, or the output cannot be written.
        PhotodoubleError: the file does not do what the model does.
    """
    began = time.monotonic()
    project = open_project(config.project)
    record = require(project, config.identity, date.today())
    check_output(config.output)
    folder = find_model(project, config.model)
    meta = model_json.load_meta(folder)
    check_identity(project, folder, meta, record)
    loaded = checkpoint.load_model(folder)
    conversion = Conversion(loaded.module, meta.identities.index(config.identity))
    size = sum(value.numel() for value in loaded.module.parameters()) * (2 if config.half else 4)
    yield Started(STAGE, {"model": str(folder), "disk_bytes": size})
    trials = [noise(conversion, count, seed=count) for count in (1, 2)]
    crops = face_crops(project.faces(config.identity), conversion)
    if crops:
        trials.append(crops)
    else:
        yield Warned(
            STAGE, f"The project has no faces of {config.identity}: the file is compared on random pictures only."
        )
    limit = HALF_TOLERANCE if config.half else TOLERANCE
    with atomic(config.output) as part:
        model = to_onnx(conversion, {key: name for key, (name, _) in INPUTS.items()}, config.half)
        describe(model, meta, record, conversion, "float16" if config.half else "float32")
        part.write_bytes(model.SerializeToString())
        session = open_session(part)
        apart = 0.0
        for done, pictures in enumerate(trials):
            yield Progress(STAGE, done, len(trials), "comparisons", "with PyTorch")
            apart = max(apart, difference(session, conversion, pictures))
        if not apart < limit:
            raise PhotodoubleError(
                f"The ONNX file of {folder} differs from PyTorch by {apart:.2g}, more than {limit:.2g}, and was not "
                f"kept: {'export without --half' if config.half else 'please report this'}."
            )
    yield Progress(STAGE, len(trials), len(trials), "comparisons", f"largest difference {apart:.2g}")
    yield Result(
        STAGE,
        {
            "output": str(config.output),
            "model": str(folder),
            "architecture": meta.architecture,
            "identity": config.identity,
            "precision": "float16" if config.half else "float32",
            "opset": OPSET,
            "inputs": [entry.name for entry in model.graph.input],
            "outputs": [entry.name for entry in model.graph.output],
            "consent": digest(record),
            "bytes": config.output.stat().st_size,
            "difference": apart,
            "tolerance": limit,
            "crops": len(next(iter(crops.values()))) if crops else 0,
            "seconds": time.monotonic() - began,
        },
    )


def check_output(output: Path) -> None:
    """Find out before the long work whether the file may have this name.

    Raises:
        BadInput: it does not end in .onnx, or something is there that no export wrote.
    """
    if output.suffix.lower() != ".onnx":
        raise BadInput(f"Cannot export to {output}: give it a name that ends in .onnx.")
    if output.exists() and not _ours(output):
        raise BadInput(f"{output} is there already and no export of photodouble: choose another name.")


def _ours(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        known = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError):
        return False
    return any(entry.key == f"{MARK}version" for entry in known.metadata_props)


def find_model(project: Project, model: str) -> Path:
    """The folder of a model of the project, or `model` itself where there is none of that name."""
    if model == "mesh":
        raise BadInput("The model mesh is not trained, so there is nothing to export: name a trained one.")
    named = project.model(model)
    return Path(model) if not model_json.exists(named) and model_json.exists(Path(model)) else named


def check_identity(project: Project, folder: Path, meta: Meta, record: ConsentRecord) -> None:
    """The model must draw the person of the record, and everybody it learned from must still consent.

    A model's folder may be of another project, where the same name is another person.

    Raises:
        BadInput: the model does not know the identity; Refused: see `recognise.check_model`.
    """
    if record.name not in meta.identities:
        raise BadInput(
            f"The model {folder} knows {', '.join(meta.identities) or 'nobody'}, not {record.name}: name one of them."
        )
    check_model(project, folder, meta, record.name)


def face_crops(folder: Path, conversion: Conversion) -> dict[str, torch.Tensor]:
    """Inputs made of an identity's faces, held-out ones where there are some: empty where there are no faces."""
    if not (folder / "faces.parquet").is_file():
        return {}
    faces = FaceSet.open(folder)
    if not len(faces):
        return {}
    person, rows = know_faces(faces)
    split = split_faces(faces, rows)
    some = split.held_out if len(split.held_out) else split.train
    chosen = some[np.linspace(0, len(some) - 1, min(CROPS, len(some))).round().astype(int)]
    allowed = np.isin(np.arange(len(rows)), split.train)
    pairs = make_pairs(person, chosen, free_of(faces, rows), conversion.size, 0, allowed)
    mesh, lines, target, _ = (np.stack(column) for column in zip(*pairs, strict=True))
    made = {"x": target, "mesh": mesh, "lines": lines}
    return {
        key: torch.from_numpy(made[key]).permute(0, 3, 1, 2).float().div(255).contiguous() for key in conversion.inputs
    }


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """An ONNX file in ONNX Runtime on the processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def describe(model: onnx.ModelProto, meta: Meta, record: ConsentRecord, conversion: Conversion, precision: str) -> None:
    """Write into the file what it is and on what terms it may be used."""
    model.producer_name, model.producer_version = "photodouble", __version__
    model.doc_string = f"Draws the face of {record.name}; see the entries {MARK}* of the metadata for layout and terms."
    meanings = dict(INPUTS.values()) | MEANING
    layout = {
        key: [
            {
                "name": entry.name,
                "shape": ["batch", *(size.dim_value for size in entry.type.tensor_type.shape.dim[1:])],
                "type": "float32",
                "range": [0, 1],
                "meaning": meanings[entry.name],
            }
            for entry in entries
        ]
        for key, entries in (("inputs", model.graph.input), ("outputs", model.graph.output))
    }
    values = {
        "version": __version__,
        "architecture": meta.architecture,
        "config": json.dumps(meta.config, sort_keys=True),
        "weights": meta.used,
        "precision": precision,
        "identity": record.name,
        "consent": digest(record),
        "consent.basis": record.basis,
        "consent.scope": record.scope or "not stated",
        "consent.expires": record.expires.isoformat() if record.expires else "does not end",
        "trained_under": json.dumps(sorted(set(meta.consent.values()))),
        "inputs": json.dumps(layout["inputs"]),
        "outputs": json.dumps(layout["outputs"]),
        "alignment": alignment_words(conversion.size),
        "terms": terms(record),
    }
    onnx.helper.set_model_props(
        model, {f"{MARK}{key}": value for key, value in values.items()} | {"model_license": terms(record)}
    )


def alignment_words(size: int) -> str:
    """How a face lies in the pictures."""
    return (
        f"RGB, channels first, rows from the top; the face upright, as in photodouble's layout INNER: of a frontal one "
        f"the eyes' centres are {INNER.eye_distance * size:.1f} pixels apart and {INNER.eye_y * size:.1f} pixels below "
        f"the top of {size}, their middle in the centre column."
    )


def terms(record: ConsentRecord) -> str:
    """The terms of use, one sentence."""
    return (
        f"This model draws the face of {record.name} (basis {record.basis}: {BASES[record.basis]}): use it only under "
        "the consent named here, within its scope, until it expires or is withdrawn; mark every picture made with it "
        "as made with AI, in metadata and where it is shown; and hand these terms on with every copy."
    )
