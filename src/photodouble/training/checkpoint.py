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

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.files import atomic, explain, fsync, write_json
from photodouble.training.model_json import (
    BEST,
    DESCRIPTION,
    STATE,
    WEIGHTS,
    Meta,
    at_one_moment,
    damaged,
    digest_of_values,
    file_digest,
    final_name,
    find,
    load_meta,
    next_name,
    weights_file,
)


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
    weights = _write(folder / next_name(WEIGHTS), tensors, {})
    if best is not None:
        same = best.keys() == tensors.keys() and all(torch.equal(best[key], tensors[key].cpu()) for key in best)
        if same:
            _link(folder / next_name(WEIGHTS), folder / next_name(BEST))
        meta = replace(
            meta, best=meta.best | {"weights": weights if same else _write(folder / next_name(BEST), best, {})}
        )
    training = _write(folder / next_name(STATE), state.tensors, state.values) if state else ""
    meta = replace(meta, weights=weights, training_state=training)
    values = asdict(meta)
    write_json(folder / DESCRIPTION, values | {"sha256": digest_of_values(values)})
    _settle(folder, meta)
    return meta


def load_model(folder: Path, device: torch.device | str = "cpu") -> Model:
    """Load a model for use: its best weights, or the newest where none were judged.

    The newest must be whole even if others are used: a folder with a damaged file is not the model that was trained.

    Raises:
        BadInput: a file is missing, cut off or altered; the sentence names it.
    """

    def read(meta: Meta) -> Model:
        weights_file(folder, meta)
        module = networks.create(meta.architecture, **meta.config)
        load_weights(folder, meta, module, best=True)
        return Model(module.to(device).eval(), meta)

    return at_one_moment(folder, read)


def load_weights(folder: Path, meta: Meta, module: nn.Module, best: bool = False) -> None:
    """Fill `module` with the model's newest weights, or with the `best` where there are some, in place."""
    path = weights_file(folder, meta, best)
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise damaged(path) from error


def load_state(folder: Path, meta: Meta) -> TrainingState:
    """Load what training needs to go on.

    Raises:
        BadInput: the model has no training state, or it is missing, cut off or altered.
    """
    if not meta.training_state:
        raise BadInput(f"The model in {folder} has no training state: it can be used, but not trained further.")
    path = find(Path(folder), STATE, meta.training_state)
    try:
        with safe_open(path, framework="pt") as file:
            values = json.loads(file.metadata()["values"])
        return TrainingState(load_file(path), values)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path) from error


def _write(path: Path, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> str:
    """Write a safetensors file, fsynced, and return its SHA-256."""
    whole = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with atomic(path) as part:
        try:
            save_file(whole, part, {"values": json.dumps(values)})
        except SafetensorError as error:  # it hides the operating system's error number in its text
            raise _as_oserror(error) from error
        return file_digest(part)


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
        ahead, final = folder / next_name(name), folder / final_name(name)
        if ahead.is_file() and digest and file_digest(ahead) == digest:
            os.replace(ahead, final)
        if not digest:
            final.unlink(missing_ok=True)
    fsync(folder)  # before anything else may take the next names
