"""A model on disk: either the last whole one or the one before it, never a mixture.

    model.json                    what the model is, the SHA-256 of the two files beside it and of its own values
    weights.safetensors           the weights to use (their moving average where the task keeps one)
    training_state.safetensors    what training needs to go on: raw weights, optimizer, generator, counters

A save first writes `weights.next.safetensors` and `training_state.next.safetensors`, then replaces model.json (the one
moment at which the new model becomes the model), then gives the two files their names. A reader takes whichever file
has the digest that model.json states, so that a kill at any point leaves a model that loads. Nothing is pickled.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.files import atomic, explain, write_json

FORMAT = 1
DESCRIPTION = "model.json"
WEIGHTS = "weights"
STATE = "training_state"


@dataclass(frozen=True)
class Meta:
    """What model.json holds.

    Attributes:
        architecture, config: name of the network and all its settings: they rebuild it.
        identities: names in the order of the network's decoders.
        consent: digest of the consent record by identity.
        data: fingerprint of the training faces by identity.
        task: what it was trained for.
        images, seconds: pictures seen and time spent in training.
        metrics: the newest held-out figures; history: {"seconds", "images", "metrics"} of each evaluation.
        start: what the weights were before the first step: see `prior.Prior.record`; empty: random numbers.
        weights, training_state: SHA-256 of the files; training_state is empty where a model is not to be trained on.
    """

    architecture: str
    config: dict[str, Any]
    identities: list[str] = field(default_factory=list)
    consent: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    task: str = ""
    images: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    start: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    training_state: str = ""
    format: int = FORMAT


@dataclass(frozen=True)
class Model:
    """A network with its weights, in evaluation mode, and what is known about it."""

    module: nn.Module
    meta: Meta


@dataclass(frozen=True)
class TrainingState:
    """`tensors` by name and JSON-ready `values`."""

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]


def exists(folder: Path) -> bool:
    """Whether something that claims to be a model lies in `folder`: any of its files, whole or not."""
    return any((Path(folder) / name).exists() for name in (DESCRIPTION, *map(_final, (WEIGHTS, STATE))))


def save_model(folder: Path, module: nn.Module, meta: Meta, state: TrainingState | None = None) -> Meta:
    """Write the model; returns `meta` with the digests filled in.

    Raises:
        BadInput: the folder cannot be written or the disk is full; the model that was there is as it was.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    if (folder / DESCRIPTION).exists():
        _settle(
            folder, load_meta(folder)
        )  # a kill may have left the files that model.json means under their next names
    weights = _write(folder / _next(WEIGHTS), dict(module.state_dict()), {})
    training = _write(folder / _next(STATE), state.tensors, state.values) if state else ""
    meta = replace(meta, weights=weights, training_state=training)
    values = asdict(meta)
    write_json(folder / DESCRIPTION, values | {"sha256": _sum(values)})
    _settle(folder, meta)
    return meta


def load_meta(folder: Path) -> Meta:
    """Read model.json.

    Raises:
        BadInput: it is missing, damaged or of a later format.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise BadInput(f"There is no model in {folder} ({DESCRIPTION} is missing): train one first.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {entry.name for entry in fields(Meta)}
        if values.pop("sha256") != _sum(values):
            raise ValueError
        if int(values.get("format", 0)) > FORMAT:
            raise BadInput(f"{path} was written by a later version of photodouble: update photodouble.")
        meta = Meta(**{key: value for key, value in values.items() if key in known})
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise _damaged(path) from error
    return meta


def check(folder: Path) -> Meta:
    """Make sure that the model's files are whole, without loading them; returns what model.json holds.

    Raises:
        BadInput: a file is missing, cut off or altered; the sentence names it.
    """
    meta = load_meta(folder)
    for name, digest in ((WEIGHTS, meta.weights), (STATE, meta.training_state)):
        if digest:
            _find(Path(folder), name, digest)
    return meta


def load_model(folder: Path, device: torch.device | str = "cpu") -> Model:
    """Load a model for use.

    Raises:
        BadInput: a file is missing, cut off or altered; the sentence names it.
    """
    meta = load_meta(folder)
    module = networks.create(meta.architecture, **meta.config)
    load_weights(folder, meta, module)
    return Model(module.to(device).eval(), meta)


def load_weights(folder: Path, meta: Meta, module: nn.Module) -> None:
    """Fill `module` with the model's weights, in place."""
    path = weights_file(folder, meta)
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise _damaged(path) from error


def weights_file(folder: Path, meta: Meta) -> Path:
    """The file that holds the model's weights.

    Raises:
        BadInput: it is missing, cut off or altered.
    """
    return _find(Path(folder), WEIGHTS, meta.weights)


def load_state(folder: Path, meta: Meta) -> TrainingState:
    """Load what training needs to go on.

    Raises:
        BadInput: the model has no training state, or it is missing, cut off or altered.
    """
    if not meta.training_state:
        raise BadInput(f"The model in {folder} has no training state: it can be used, but not trained further.")
    path = _find(Path(folder), STATE, meta.training_state)
    try:
        with safe_open(path, framework="pt") as file:
            values = json.loads(file.metadata()["values"])
        return TrainingState(load_file(path), values)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def _sum(values: dict[str, Any]) -> str:
    """SHA-256 of the values in one fixed spelling."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _final(name: str) -> str:
    return f"{name}.safetensors"


def _next(name: str) -> str:
    return f"{name}.next.safetensors"


def _write(path: Path, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> str:
    """Write a safetensors file, fsynced, and return its SHA-256."""
    whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with atomic(path) as part:
        try:
            save_file(whole, part, {"values": json.dumps(values)})
        except SafetensorError as error:  # it hides the operating system's error number in its text
            raise _as_oserror(error) from error
        return _digest(part)


def _as_oserror(error: SafetensorError) -> OSError:
    text = str(error)
    number = text.rpartition("(os error ")[2].partition(")")[0] if "(os error " in text else ""
    return OSError(int(number), os.strerror(int(number))) if number.isdigit() else OSError(5, text)


def _settle(folder: Path, meta: Meta) -> None:
    """Give the files that model.json means their final names and remove what an older save left."""
    for name, digest in ((WEIGHTS, meta.weights), (STATE, meta.training_state)):
        ahead, final = folder / _next(name), folder / _final(name)
        if ahead.is_file() and digest and _digest(ahead) == digest:
            os.replace(ahead, final)
        if not digest:
            final.unlink(missing_ok=True)


def _find(folder: Path, name: str, digest: str) -> Path:
    """The file that has the digest: under its final name, or under its next name after a kill."""
    final, ahead = folder / _final(name), folder / _next(name)
    for path in (final, ahead):
        if path.is_file() and _digest(path) == digest:
            return path
    if not final.is_file():
        raise BadInput(f"{final} is missing: put it back from a copy, or remove the folder {folder} and train again.")
    raise _damaged(final)


def _damaged(path: Path) -> BadInput:
    return BadInput(
        f"{path} is cut off or was altered: put it back from a copy, "
        f"or remove the folder {path.parent} and train again."
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
