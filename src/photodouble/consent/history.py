"""An identity's consent records as one TOML file, oldest first: reading, writing, and whether they were altered.

Each entry holds the digest of the one before and a signature under its own contents. So an entry that was edited,
removed, added or moved is found, but for the last ones being cut off, which the file alone cannot tell (`seen.py`).
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import tomlkit

from photodouble.consent.keys import fingerprint, is_signed
from photodouble.consent.record import (
    BINDING,
    CONSENT,
    WITHDRAWAL,
    ConsentRecord,
    canonical,
    digest,
    from_values,
    malformed,
    values_of,
)
from photodouble.errors import BadInput

VERSION = 2
LARGEST = 4_000_000  # bytes; a record is about 800, with each picture 450 more
MOST = 2000
HEAD = """\
# Consent records of a photodouble project, oldest first: an index to the agreements, not the agreements.
# Every entry is signed and holds the digest of the one before it: never edit this file, add to it with
# 'photodouble consent add' and 'withdraw', and check it with 'photodouble consent verify'.
"""


class Unsigned(BadInput):
    """A record of an earlier version of photodouble, which nobody signed."""


def read_history(path: Path) -> list[ConsentRecord]:
    """The entries of a file, at least one; their shape is checked, not yet their signatures (see `faults`).

    Raises:
        BadInput: the file cannot be read or is not whole and well-formed; `Unsigned` if it is an earlier version's.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise BadInput(f"Cannot read the consent record {path}: {why}.") from error
    return parse(data, path)


def parse(data: bytes, path: Path) -> list[ConsentRecord]:
    """`read_history` of bytes; `path` is the file to name."""
    if len(data) > LARGEST:
        raise malformed(path, f"it is larger than {LARGEST} bytes")
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also: numbers with too many digits, deep nesting
        raise malformed(path, "it is not TOML") from error
    version = values.get("version")
    if version == 1 and "entry" not in values:
        raise Unsigned(
            f"The consent record {path} is of an earlier version of photodouble and not signed: record the consent "
            "again with 'photodouble consent add', which keeps the old file in 'earlier'."
        )
    if version != VERSION or isinstance(version, bool | float):
        raise malformed(path, f"its version is not {VERSION}")
    entries = values.get("entry")
    if not isinstance(entries, list) or not entries or len(entries) > MOST or set(values) != {"version", "entry"}:
        raise malformed(path, "it is not a list of entries")
    return [from_values(entry, path) for entry in entries]


def dump(records: Sequence[ConsentRecord], path: Path) -> bytes:
    """The bytes of a file with these entries, which `parse` reads back as they are.

    Raises:
        BadInput: one of them is not well-formed.
    """
    document = tomlkit.document()
    document.add("version", tomlkit.item(VERSION))
    entries = tomlkit.aot()
    for record in records:
        table = tomlkit.table()
        values = values_of(record)
        pictures = values.pop("pictures", [])
        for key, value in values.items():
            table.add(key, tomlkit.item(value))
        if pictures:
            several = tomlkit.aot()
            for picture in pictures:
                several.append(tomlkit.item(picture))
            table.add("pictures", several)
        entries.append(table)
    document.add("entry", entries)
    data = (HEAD + tomlkit.dumps(document)).encode("utf-8", "surrogatepass")
    if parse(data, path) != list(records):
        raise malformed(path, "a text has characters that cannot be written")
    return data


def faults(records: Sequence[ConsentRecord]) -> list[str]:
    """What is wrong with the chain, one half sentence each; empty if every entry is as it was signed."""
    found = []
    known: dict[str, ConsentRecord] = {}
    before: str | None = None
    for number, record in enumerate(records, 1):
        entry = f"entry {number} ({record.kind} of {record.recorded_at})"
        if record.name != records[0].name:
            found.append(f"{entry} is of {record.name!r}, not of {records[0].name!r}")
        if record.previous != before:
            found.append(f"{entry} does not follow the entry before it")
        if record.fingerprint != fingerprint(record.key):
            found.append(f"{entry} has a fingerprint of another key")
        if not is_signed(record.key, record.signature, canonical(record)):
            found.append(f"{entry} is not what was signed")
        if record.kind in (BINDING, WITHDRAWAL) and getattr(known.get(record.of or ""), "kind", "") != CONSENT:
            found.append(f"{entry} is of a consent that is not there")
        before = digest(record)
        known[before] = record
    return found


def in_force(records: Sequence[ConsentRecord]) -> tuple[ConsentRecord | None, ConsentRecord | None]:
    """The latest consent, and the withdrawal after it if there is one."""
    consent: ConsentRecord | None = None
    withdrawal: ConsentRecord | None = None
    for record in records:
        if record.kind == CONSENT:
            consent, withdrawal = record, None
        elif record.kind == WITHDRAWAL and consent is not None:
            withdrawal = record
    return consent, withdrawal
