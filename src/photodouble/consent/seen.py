"""How far this user has seen a history, so that its last entries cannot vanish unnoticed: a withdrawal, say.

A chain of hashes finds what was changed within it, not that its end was cut off. So the newest entry's digest is kept
in the user's settings, for each file by its place and its first entry.
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from photodouble.consent.record import ConsentRecord, digest
from photodouble.errors import BadInput
from photodouble.files import config_home, write_bytes


def remember(path: Path, records: Sequence[ConsentRecord], environment: Mapping[str, str] = os.environ) -> None:
    """Keep the newest entry's digest. Where the settings cannot be written, nothing is kept: a farm's machine, say."""
    note = _note(path, records, environment)
    newest = digest(records[-1])
    with contextlib.suppress(OSError, BadInput):
        if note.is_file() and note.read_text() == newest:
            return
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_bytes(note, newest.encode())


def was_cut(path: Path, records: Sequence[ConsentRecord], environment: Mapping[str, str] = os.environ) -> bool:
    """Whether an entry that was there is there no more."""
    try:
        known = _note(path, records, environment).read_text()
    except (OSError, ValueError):
        return False
    return known not in {digest(record) for record in records}


def _note(path: Path, records: Sequence[ConsentRecord], environment: Mapping[str, str]) -> Path:
    place = f"{path.resolve()}\n{digest(records[0])}".encode("utf-8", "surrogatepass")
    return config_home(environment) / "consent" / "seen" / hashlib.sha256(place).hexdigest()[:32]
