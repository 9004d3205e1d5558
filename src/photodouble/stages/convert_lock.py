"""One process at a time on a render: two would remove each other's chunks."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.files import lock, make_folder


@contextlib.contextmanager
def alone(folder: Path, output: Path) -> Iterator[None]:
    """Be the only process that renders `output`, whose render folder is `folder`; that is made if need be.

    Raises:
        BadInput: another process renders it, or the folder cannot be written to.
    """
    make_folder(folder)
    with lock(folder) as taken:
        if not taken(False):
            raise BadInput(
                f"Another process is rendering {output} at this moment: wait until it has ended, or choose another "
                "name for the output."
            )
        yield
