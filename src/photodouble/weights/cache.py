"""Where fetched files lie, and which of the files that lie there are the right ones."""

import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from photodouble.weights.registry import Weight


def cache_dir() -> Path:
    """Folder of the fetched files: `PHOTODOUBLE_CACHE`, or the platform's cache folder of the user."""
    if chosen := os.environ.get("PHOTODOUBLE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "photodouble"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "photodouble"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "photodouble"


def find(weight: Weight) -> Path | None:
    """The file on this machine that has the weight's bytes, or None.

    The cache's own name is tried first, then every file of the right size in the cache folder and in
    `PHOTODOUBLE_WEIGHTS`, whatever its name: so a file got from its official publisher is accepted.
    """
    for path in _candidates(weight):
        try:
            state = path.stat()
            if state.st_size == weight.size and digest(path, state.st_mtime_ns) == weight.sha256:
                return path
        except OSError:
            continue
    return None


def _candidates(weight: Weight) -> Iterator[Path]:
    yield cache_dir() / weight.filename
    folders = [cache_dir()]
    if own := os.environ.get("PHOTODOUBLE_WEIGHTS"):
        folders.insert(0, Path(own))
    for folder in folders:
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


@functools.lru_cache(maxsize=512)
def digest(path: Path, mtime_ns: int) -> str:
    """SHA-256 of a file, remembered for this process as long as the file is not touched."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
