"""Memory that is freed and taken again for every frame stays with the process."""

import ctypes
import sys

TRIM, MAP = -1, -3
"""Numbers of M_TRIM_THRESHOLD and M_MMAP_THRESHOLD for mallopt(3) of the GNU C library."""

KEPT = 32 << 20
"""Bytes: blocks up to this size are kept, the largest that the library allows."""


def keep_memory() -> None:
    """Let the C library keep freed blocks for the next frame's arrays, for the whole process.

    Otherwise it gives each picture of more than 128 kB back to the system and gets another one, page by page and filled
    with zeros: a tenth of the time that a frame takes. Does nothing where there is no such library.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(MAP, KEPT)
    mallopt(TRIM, 1 << 30)
