"""A model on disk: either the last whole one or the one before it, never a mixture.

    model.json                    what the model is, the SHA-256 of the files beside it and of its own values
    best.safetensors              the weights to use: those whose held-out score was the best
    weights.safetensors           the newest weights (their moving average where the task keeps one)
    training_state.safetensors    what training needs to go on: raw weights, optimizer, generator, counters

A save first writes each file under its next name (`weights.next.safetensors`), then replaces model.json (the one
moment at which the new model becomes the model), then gives the files their names. A reader takes whichever file has
the digest that model.json states, so that a kill or a power cut at any point leaves a model that loads. What stays as
it was is not written again, and where the newest weights are the best both names belong to one file, if the file system
can do that. Nothing is pickled.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.files import atomic, explain, fsync, write_json

FORMAT = 1
DESCRIPTION = "model.json"
WEIGHTS = "weights"
BEST = "best"
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
        metrics: the newest held-out figures; history: {"seconds", "images", "metrics", "score"} of each evaluation.
        best: {"images", "seconds", "metrics", "score", "weights"} of the best ones; "weights" is their file's SHA-256.
            Empty before the first evaluation.
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
    best: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    training_state: str = ""
    format: int = FORMAT

    def files(self) -> dict[str, str]:
        """SHA-256 of each file by its name without suffix; empty where there is to be none."""
        return {WEIGHTS: self.weights, BEST: str(self.best.get("weights", "")), STATE: self.training_state}

    @property
    def used(self) -> str:
        """SHA-256 of the weights to use: the best ones, or the newest where none were judged."""
        return str(self.best.get("weights") or self.weights)


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

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with `prefix`, without it."""
        return {key[len(prefix) :]: value for key, value in self.tensors.items() if key.startswith(prefix)}


def exists(folder: Path) -> bool:
    """Whether something that claims to be a model lies in `folder`: any of its files, whole or not."""
    return any((Path(folder) / name).exists() for name in (DESCRIPTION, *map(_final, Meta("", {}).files())))


def save_model(
    folder: Path,
    module: nn.Module,
    meta: Meta,
    state: TrainingState | None = None,
    best: dict[str, torch.Tensor] | None = None,
) -> Meta:
    """Write the model; returns `meta` with the digests filled in.

    `best`: the weights that `meta.best` is about; None: they lie in the folder already (or `meta.best` is empty).

    Raises:
        BadInput: the folder cannot be written or the disk is full; the model that was there is as it was.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            fsync(folder.parent)
    except OSError as error:
        raise explain(error, folder) from error
    if (folder / DESCRIPTION).exists():  # a kill may have left the files that it means under their next names
        _settle(folder, load_meta(folder))
    tensors = dict(module.state_dict())
    weights = _write(folder / _next(WEIGHTS), tensors, {})
    if best is not None:
        same = best.keys() == tensors.keys() and all(torch.equal(best[key], tensors[key].cpu()) for key in best)
        if same:
            _link(folder / _next(WEIGHTS), folder / _next(BEST))
        meta = replace(meta, best=meta.best | {"weights": weights if same else _write(folder / _next(BEST), best, {})})
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
    for name, digest in meta.files().items():
        if digest:
            _find(Path(folder), name, digest)
    return meta


def load_model(folder: Path, device: torch.device | str = "cpu") -> Model:
    """Load a model for use: its best weights, or the newest where none were judged.

    The newest must be whole even if others are used: a folder with a damaged file is not the model that was trained.

    Raises:
        BadInput: a file is missing, cut off or altered; the sentence names it.
    """
    meta = load_meta(folder)
    weights_file(folder, meta)
    module = networks.create(meta.architecture, **meta.config)
    load_weights(folder, meta, module, best=True)
    return Model(module.to(device).eval(), meta)


def load_weights(folder: Path, meta: Meta, module: nn.Module, best: bool = False) -> None:
    """Fill `module` with the model's newest weights, or with the `best` where there are some, in place."""
    path = weights_file(folder, meta, best)
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise _damaged(path) from error


def weights_file(folder: Path, meta: Meta, best: bool = False) -> Path:
    """The file that holds the model's newest weights, or the `best` where there are some.

    Raises:
        BadInput: it is missing, cut off or altered.
    """
    name = BEST if best and meta.best else WEIGHTS
    return _find(Path(folder), name, meta.files()[name])


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


def _link(path: Path, other: Path) -> None:
    """Give a file a second name, or copy it where the file system knows no such thing."""
    with atomic(other) as part:
        try:
            os.link(path, part)
        except OSError:
            shutil.copyfile(path, part)


def _settle(folder: Path, meta: Meta) -> None:
    """Give the files that model.json means their final names and remove what an older save left."""
    for name, digest in meta.files().items():
        ahead, final = folder / _next(name), folder / _final(name)
        if ahead.is_file() and digest and _digest(ahead) == digest:
            os.replace(ahead, final)
        if not digest:
            final.unlink(missing_ok=True)
    fsync(folder)  # before anything else may take the next names


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
