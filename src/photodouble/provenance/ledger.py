"""Which file an identifier in a watermark belongs to: JSON lines that are only ever added to.

The project keeps one ledger and the user's settings folder another, which knows all of the user's projects. A line is
written twice: when an identifier is first given out, and, with the manifest's hash, when its file was published.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from photodouble.errors import BadInput
from photodouble.files import explain
from photodouble.provenance.watermark_code import BITS

LEDGER = "watermarks.jsonl"


@dataclass(frozen=True)
class LedgerEntry:
    """What is known of one identifier.

    Attributes:
        identifier: 24 bits.
        key: SHA-256 (hex) of what the marked work is made of; the same work gets the same identifier again.
        output: name of the published file; "" before it is published.
        manifest: SHA-256 (hex) of its manifest store, or of the file that holds it; "" before.
        when: ISO time, UTC.
    """

    identifier: int
    key: str
    output: str = ""
    manifest: str = ""
    when: str = ""


def ledgers(project: Path, home: Path) -> tuple[Path, Path]:
    """The ledgers of a project folder and of a user's settings folder."""
    return project / LEDGER, home / LEDGER


def payload_for(parts: Sequence[str], ledgers: Sequence[Path]) -> int:
    """The identifier (24 bits) of a piece of work, written down in the ledgers that do not have it yet.

    It begins as a hash of `parts`, so that a render that is resumed, here or on another machine, carries the same
    mark; where another work has that number in one of the ledgers, the next hash is taken.

    Args:
        parts: what tells this work from all others: the plate's name, consent digests, the model's digest, the output.
        ledgers: files, made if need be.

    Raises:
        BadInput: a ledger cannot be read or written.
    """
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    known = {path: read_ledger(path) for path in ledgers}
    given = {entry.identifier: entry.key for entries in known.values() for entry in entries}
    own = [entry.identifier for entries in known.values() for entry in entries if entry.key == key]
    if own:
        identifier = own[0]
    else:
        # Beyond some thousand works most first choices are taken; the whole range never is.
        for k in range(1 << BITS):
            identifier = int.from_bytes(hashlib.sha256(f"{key} {k}".encode()).digest()[:3], "big")
            if identifier not in given:
                break
    for path, entries in known.items():
        if not any(entry.key == key for entry in entries):
            add(path, LedgerEntry(identifier, key))
    return identifier


def publish(identifier: int, output: Path, manifest: str, ledgers: Sequence[Path]) -> None:
    """Write down which manifest (SHA-256, hex) an identifier leads to.

    Raises:
        BadInput: a ledger cannot be read or written, or none of them gave out this identifier.
    """
    key = next((entry.key for path in ledgers for entry in read_ledger(path) if entry.identifier == identifier), None)
    if key is None:
        raise BadInput(f"No ledger holds the identifier {identifier:06x}: convert the plate again.")
    for path in ledgers:
        add(path, LedgerEntry(identifier, key, output.name, manifest))


def manifest_digest(output: Path) -> str:
    """SHA-256 (hex) of what holds an output's manifest: its sidecar, or the file; of a folder, its first picture's."""
    if output.is_dir():
        pictures = sorted(file for file in output.iterdir() if file.suffix != ".c2pa" and file.name[0] != ".")
        output = pictures[0]
    beside = output.with_suffix(".c2pa")
    with open(beside if beside.is_file() else output, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def look_up(identifier: int, ledgers: Sequence[Path]) -> LedgerEntry | None:
    """The newest entry of an identifier in the ledgers that exist; one with a manifest goes first."""
    found = [entry for path in ledgers for entry in read_ledger(path) if entry.identifier == identifier]
    return max(found, key=lambda entry: (bool(entry.manifest), entry.when), default=None)


def read_ledger(path: Path) -> list[LedgerEntry]:
    """All entries of a ledger, the oldest first; none if there is no such file.

    A last line that a crash cut short is left out.

    Raises:
        BadInput: the file cannot be read, or holds something else.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise BadInput(
            f"Cannot read the ledger {path}: {getattr(error, 'strerror', None) or 'it is damaged'}."
        ) from error
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                entries.append(_entry(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines):  # a whole line ends with a line feed
                break
            raise BadInput(f"Line {number} of the ledger {path} is damaged: restore it from a copy.") from error
    return entries


def add(path: Path, entry: LedgerEntry) -> None:
    """Append an entry, in one write that is on the disk when this returns.

    Raises:
        BadInput: the ledger cannot be written.
    """
    entry = LedgerEntry(**(asdict(entry) | {"when": entry.when or datetime.now(UTC).isoformat(timespec="seconds")}))
    line = json.dumps(asdict(entry) | {"identifier": f"{entry.identifier:06x}"}, sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+") as file:
            file.seek(0, os.SEEK_END)
            if end := file.tell():
                file.seek(end - 1)
                if file.read(1) != b"\n":  # what a crash left of a line
                    _cut_last(file.fileno(), path)
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise explain(error, path) from error


def _cut_last(descriptor: int, path: Path) -> None:
    os.ftruncate(descriptor, path.read_bytes().rfind(b"\n") + 1)


def _entry(values: dict[str, str]) -> LedgerEntry:
    identifier = int(values["identifier"], 16)
    if not 0 <= identifier < 1 << BITS:
        raise ValueError("no identifier")
    return LedgerEntry(identifier, **{item.name: str(values[item.name]) for item in fields(LedgerEntry)[1:]})
