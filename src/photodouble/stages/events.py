"""What a stage says while it works. Front ends draw these; tests read them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Started:
    """The stage begins; `plan` says what it will need (frames, disk bytes, seconds: whatever is known)."""

    stage: str
    plan: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """`done` of `total` `unit`s; total 0 where it is not known. `text` is a short status, like a held-out figure."""

    stage: str
    done: float
    total: float
    unit: str
    text: str = ""


@dataclass(frozen=True)
class Preview:
    """A picture worth looking at now."""

    stage: str
    path: Path


@dataclass(frozen=True)
class Warned:
    """One sentence that the user should know; the work goes on."""

    stage: str
    message: str


@dataclass(frozen=True)
class Result:
    """The last event of a stage: its machine-readable result."""

    stage: str
    values: dict[str, Any]


Event = Started | Progress | Preview | Warned | Result
