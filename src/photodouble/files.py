"""Files that are either whole or not there."""

import contextlib
import errno
import json
import os
import re
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from photodouble.errors import BadInput

NOT_ARRAYS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    BadZipFile,
    zlib.error,
)
"""What reading a damaged npz file raises."""


def config_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Folder of this user's photodouble settings: `PHOTODOUBLE_HOME`, or the platform's place for such."""
    if chosen := environment.get("PHOTODOUBLE_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(environment.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "photodouble"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "photodouble"
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "photodouble"


def explain(error: OSError, path: Path) -> BadInput:
    """Turn an operating system's refusal to write `path` into one sentence with a remedy."""
    if error.errno == errno.ENOSPC:
        return BadInput(f"The disk is full while writing {path}: free some space and run the same command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return BadInput(f"Cannot write {path}: the folder is read-only, choose another one.")
    if error.errno == errno.ENOENT:
        return BadInput(f"Cannot write {path}: the folder {path.parent} does not exist, create it first.")
    return BadInput(f"Cannot write {path}: {error.strerror or error}.")


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; on success fsync it and rename it to `path`.

    On any exception the temporary file (or folder) is removed and `path` is as it was.

    Raises:
        BadInput: the folder is missing or read-only, or the disk is full.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        yield part
        for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if file.is_file():
                fsync(file)
        if part.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(part, path)
        fsync(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):  # the first fault is what the user hears of
            remove(part)
        if isinstance(error, OSError) and error.errno is not None:
            raise explain(error, path) from error
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; one sentence if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[Callable[[bool], bool]]:
    """A folder's lock; nothing is written into the folder.

    What is yielded tries to take the lock (True: it waits for it) and says whether it has it. The system gives it back
    when the block or the process ends, however it ends. Windows, and disks that know no locks, have none.

    Raises:
        BadInput: the folder cannot be read.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY) if sys.platform != "win32" else -1
    except OSError as error:
        raise explain(error, folder) from error
    try:
        yield lambda wait: _taken(descriptor, wait)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _taken(descriptor: int, wait: bool) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # some network disks refuse every lock
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what killed processes have left of writing `path` or other files of its stem, beside it."""
    named = re.compile(re.escape(f".{path.stem}.") + r"(\d+)\.part(\.[^.]*)?$")
    for file in path.parent.iterdir():
        found = named.match(file.name)
        if found and not _runs(int(found[1])):
            remove(file)


def _runs(process: int) -> bool:
    """Whether another process of that number runs, which may still be writing; unknown on Windows, then it does not."""
    if process == os.getpid() or sys.platform == "win32":
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic(path) as part:
        part.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as readable JSON."""
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def fsync(path: Path) -> None:
    """Have a file's contents, or the names in a folder, outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
