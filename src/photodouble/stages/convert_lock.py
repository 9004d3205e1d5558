"""One process at a time on a render, and on what is known of a plate: two would remove each other's chunks."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from photodouble.errors import BadInput
from photodouble.files import explain, make_folder

LOCK = "lock"


@contextlib.contextmanager
def alone(folder: Path, output: Path) -> Iterator[None]:
    """Be the only process that renders `output`, whose render folder is `folder`; that is made if need be.

    The system gives the lock back when the process ends, however it ends. Windows, and disks that know no locks, have
    none.

    Raises:
        BadInput: another process renders it, or the folder cannot be written to.
    """
    with lock(folder) as taken:
        if not taken():
            raise BadInput(
                f"Another process is rendering {output} at this moment: wait until it has ended, or choose another "
                "name for the output."
            )
        yield


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[Callable[[], bool]]:
    """A folder's lock, which is made if need be: what is yielded tries to take it, and says whether it has it.

    Raises:
        BadInput: the folder cannot be written to.
    """
    make_folder(folder)
    # The file stays: a process that removed it could remove one that the next process holds already.
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise explain(error, folder / LOCK) from error
    with file:
        yield lambda: _locked(file)


def _locked(file: IO[str]) -> bool:
    """Lock a file without waiting; False if another holds it."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # some network disks refuse every lock
    return True
