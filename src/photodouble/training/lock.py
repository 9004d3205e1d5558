"""One training at a time of each model."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.files import lock, make_folder


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the model's folder, which is made if need be; a kill lets go of it.

    Raises:
        BadInput: another training holds it, or it cannot be made.
    """
    make_folder(folder)
    with lock(folder) as taken:
        if not taken(False):
            raise BadInput(
                f"The model {folder} is being trained already: wait until that ends, or use another project."
            )
        yield
