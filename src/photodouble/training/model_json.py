"""What is known of a model on disk, and which of its files are meant: read without PyTorch.

`checkpoint` tells how the files are written.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from photodouble.errors import BadInput

T = TypeVar("T")
FORMAT = 1
DESCRIPTION = "model.json"
WEIGHTS = "weights"
BEST = "best"
STATE = "training_state"
PREVIEW, WORST = "preview.png", "worst.png"
"""Pictures beside them: held-out faces, and the worst of them."""


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


def exists(folder: Path) -> bool:
    """Whether something that claims to be a model lies in `folder`: any of its files, whole or not."""
    return any((Path(folder) / name).exists() for name in (DESCRIPTION, *map(final_name, Meta("", {}).files())))


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
        if values.pop("sha256") != digest_of_values(values):
            raise ValueError
        if int(values.get("format", 0)) > FORMAT:
            raise BadInput(f"{path} was written by a later version of photodouble: update photodouble.")
        meta = Meta(**{key: value for key, value in values.items() if key in known})
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise damaged(path) from error
    return meta


def check(folder: Path) -> Meta:
    """Make sure that the model's files are whole, without loading them; returns what model.json holds.

    Raises:
        BadInput: a file is missing, cut off or altered; the sentence names it.
    """

    def look(meta: Meta) -> Meta:
        for name, digest in meta.files().items():
            if digest:
                find(Path(folder), name, digest)
        return meta

    return at_one_moment(folder, look)


def at_one_moment(folder: Path, read: Callable[[Meta], T]) -> T:
    """What `read` says of the model's files, given what model.json means; again if a save came in between.

    Files are looked for after model.json was read, and a training may save meanwhile: then they are not what it meant,
    or have other names.
    """
    meta = load_meta(folder)
    try:
        found = read(meta)
        if load_meta(folder) == meta:
            return found
    except (BadInput, FileNotFoundError):
        pass
    return read(load_meta(folder))


def weights_file(folder: Path, meta: Meta, best: bool = False) -> Path:
    """The file that holds the model's newest weights, or the `best` where there are some.

    Raises:
        BadInput: it is missing, cut off or altered.
    """
    name = BEST if best and meta.best else WEIGHTS
    return find(Path(folder), name, meta.files()[name])


def digest_of_values(values: dict[str, Any]) -> str:
    """SHA-256 of the values in one fixed spelling."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def final_name(name: str) -> str:
    """A file's name in a settled model."""
    return f"{name}.safetensors"


def next_name(name: str) -> str:
    """Its name until model.json means it."""
    return f"{name}.next.safetensors"


def find(folder: Path, name: str, digest: str) -> Path:
    """The file that has the digest: under its final name, or under its next name after a kill."""
    final, ahead = folder / final_name(name), folder / next_name(name)
    for path in (final, ahead):
        if path.is_file() and file_digest(path) == digest:
            return path
    if not final.is_file():
        raise BadInput(f"{final} is missing: put it back from a copy, or remove the folder {folder} and train again.")
    raise damaged(final)


def damaged(path: Path) -> BadInput:
    """What to say of a file that is not what was written."""
    return BadInput(
        f"{path} is cut off or was altered: put it back from a copy, "
        f"or remove the folder {path.parent} and train again."
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
