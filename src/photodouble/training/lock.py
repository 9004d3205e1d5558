"""One training at a time of each model."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.files import explain, make_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the model's folder, which is made if need be; nothing is written into it, and a kill lets go of it.

    File systems and platforms that know no such lock go without.

    Raises:
        BadInput: another training holds it, or it cannot be made.
    """
    make_folder(folder)
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise explain(error, folder) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise BadInput(
            f"The model {folder} is being trained already: wait until that ends, or use another project."
        ) from error
    except OSError:  # no locks here
        pass
    try:
        yield
    finally:
        os.close(descriptor)
