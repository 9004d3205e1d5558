"""Consent records: who allowed what, on which basis, and the paper that says so.

A record is an index to a contract, not the contract: one small TOML file per identity, `identities/NAME/consent.toml`.
Its digest goes into the manifest of every output, so that an output leads back to the record.
"""

import hashlib
import json
import re
import shutil
import tomllib
import unicodedata
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import tomlkit

from photodouble.errors import BadInput, Refused
from photodouble.files import atomic, explain, write_bytes
from photodouble.project import Project

BASES = {
    "release": "the person signed a release",
    "estate": "the person's heirs or estate signed",
    "synthetic": "the person does not exist",
    "research": "research or private evaluation, not for publication; every output carries a visible label",
}
VERSION = 1
LARGEST = 65_536  # bytes; a record is about 500
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")  # device names on Windows
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True)
class ConsentRecord:
    """Who allowed what.

    Attributes:
        name: the identity; also its folder's name in the project.
        basis: one of `BASES`.
        reference: where the agreement is found: contract number, letter, licence of a picture. Never empty.
        recorded_at: when it was recorded, ISO 8601 with an offset.
        scope: what is allowed, in words; may be empty.
        expires: the last day on which it holds, None if it does not end.
        document: file name of the agreement in `documents/` beside the record, None if there is none.
        document_sha256: of that file, 64 lower-case hex digits.
        recorded_by: who recorded it, None if not told.
    """

    name: str
    basis: str
    reference: str
    recorded_at: str
    scope: str = ""
    expires: date | None = None
    document: str | None = None
    document_sha256: str | None = None
    recorded_by: str | None = None


def check_name(name: str) -> str:
    """Return `name` if it can be a folder's name on every system.

    Raises:
        BadInput: it is empty, hidden, too long, or has characters that a folder's name cannot have.
    """
    bad = (
        not name
        or len(name.encode("utf-8", "replace")) > 120
        or name != name.strip()
        or name[0] in ".-~"
        or name[-1] == "."
        or any(c in '/\\:*?"<>|' or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
        or _RESERVED.match(name)
    )
    if bad:
        raise BadInput(
            f"{name!r} cannot name an identity: use letters, digits, '-' and '_', not starting with a dot, "
            "at most 120 bytes."
        )
    return name


def digest(record: ConsentRecord) -> str:
    """SHA-256 (64 hex digits) of the record as canonical JSON: sorted keys, no spaces, UTF-8.

    Empty fields are left out, so that a field that a later version adds does not change the digest of an older record.
    """
    text = json.dumps(_plain(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_record(path: Path) -> ConsentRecord:
    """Read a record.

    Raises:
        BadInput: the file cannot be read or is not a whole, well-formed record.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise BadInput(f"Cannot read the consent record {path}: {_reason(error)}.") from error
    if len(data) > LARGEST:
        raise _malformed(path, f"it is larger than {LARGEST} bytes")
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also: numbers with too many digits, deep nesting
        raise _malformed(path, "it is not TOML") from error
    return _checked(values, path)


def add_record(
    project: Project,
    name: str,
    basis: str,
    reference: str,
    document: Path | None = None,
    *,
    scope: str = "",
    expires: date | None = None,
    recorded_by: str | None = None,
    now: datetime | None = None,
) -> ConsentRecord:
    """Write the record of the identity `name` and return it.

    The document is copied into `documents/` beside the record, under a name that begins with its digest. A different
    record that was there before is kept in `earlier/`; the same one again leaves everything as it is.

    Raises:
        BadInput: a value is not acceptable, the document cannot be read, or the project cannot be written.
    """
    check_name(name)
    path = project.consent(name)
    stamp = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    kept, sha256 = (None, None) if document is None else _describe(Path(document))
    record = ConsentRecord(
        name=name,
        basis=basis,
        reference=reference.strip(),
        recorded_at=stamp,
        scope=scope.strip(),
        expires=expires,
        document=kept,
        document_sha256=sha256,
        recorded_by=recorded_by,
    )
    _checked({"version": VERSION, **_plain(record, dates=True)}, path)
    if path.exists() and _same(path, record):
        record = read_record(path)
    else:
        _make_folder(path.parent)
        if path.exists():
            _keep_earlier(path)
        write_bytes(path, _toml(record).encode("utf-8"))
    if document is not None and kept is not None:
        _keep_document(Path(document), path.parent / "documents" / kept, record.document_sha256)
    return record


def require(project: Project, name: str, today: date) -> ConsentRecord:
    """The record that allows work with the identity `name` on the day `today`.

    Raises:
        Refused: there is none, it has expired, it is another person's, or its document is missing or altered.
        BadInput: the name or the record is malformed.
    """
    check_name(name)
    path = project.consent(name)
    add = f"photodouble consent add {name} --basis {'|'.join(BASES)} --reference TEXT --project {project.root}"
    if not path.is_file():
        raise Refused(f"There is no consent record for {name!r} in {project.root}: add one with '{add}'.")
    record = read_record(path)
    if record.name != name:
        raise Refused(f"The consent record {path} is of {record.name!r}, not of {name!r}: add one with '{add}'.")
    if record.expires is not None and today > record.expires:
        raise Refused(f"The consent of {name!r} expired on {record.expires.isoformat()}: add a new one with '{add}'.")
    if record.document is not None:
        document = path.parent / "documents" / record.document
        if not document.is_file():
            raise Refused(f"The document {document} of the consent record of {name!r} is missing: put it back.")
        if _sha256(document) != record.document_sha256:
            raise Refused(
                f"The document {document} is not the one that the consent record of {name!r} names "
                "(its SHA-256 differs): put the right one back, or record the new one with "
                "'photodouble consent add'."
            )
    return record


def records(project: Project) -> list[ConsentRecord]:
    """All records of the project, by name.

    Raises:
        BadInput: one of them is malformed.
    """
    return [read_record(path) for path in sorted(project.identity("x").parent.glob("*/consent.toml"))]


def earlier_records(project: Project, name: str) -> list[ConsentRecord]:
    """The records of the identity `name` that later ones replaced.

    Raises:
        BadInput: one of them is malformed.
    """
    return [read_record(path) for path in sorted((project.consent(name).parent / "earlier").glob("*.toml"))]


def _plain(record: ConsentRecord, dates: bool = False) -> dict[str, Any]:
    values = {key: value for key, value in asdict(record).items() if value not in (None, "")}
    if record.expires is not None and not dates:
        values["expires"] = record.expires.isoformat()
    return values


def _toml(record: ConsentRecord) -> str:
    document = tomlkit.document()
    document.add(tomlkit.comment("Consent record of a photodouble project: an index to the agreement."))
    document.add("version", tomlkit.item(VERSION))
    for key, value in _plain(record, dates=True).items():
        document.add(key, tomlkit.item(value))
    return tomlkit.dumps(document)


def _malformed(path: Path, why: str) -> BadInput:
    return BadInput(f"The consent record {path} is not valid, {why}: record it again with 'photodouble consent add'.")


def _checked(values: dict[str, Any], path: Path) -> ConsentRecord:
    """Turn the values of a TOML file into a record, or say what is wrong with them."""
    known = {"version", *ConsentRecord.__dataclass_fields__}
    unknown = sorted(set(values) - known)
    if unknown:
        raise _malformed(path, f"it has the unknown entry {unknown[0]!r}")
    if values.get("version") != VERSION or isinstance(values.get("version"), bool):
        raise _malformed(path, f"its version is not {VERSION}")
    texts = {key: value for key, value in values.items() if key not in ("version", "expires")}
    for key, value in texts.items():
        if not isinstance(value, str) or any(unicodedata.category(c) == "Cs" for c in value):
            raise _malformed(path, f"{key} is not text")
    for key in ("name", "basis", "reference", "recorded_at"):
        if not texts.get(key, "").strip():
            raise _malformed(path, f"{key} is missing or empty")
    expires = values.get("expires")
    if expires is not None and (not isinstance(expires, date) or isinstance(expires, datetime)):
        raise _malformed(path, "expires is not a date like 2030-12-31")
    record = ConsentRecord(expires=expires, **texts)
    try:
        check_name(record.name)
    except BadInput as error:
        raise _malformed(path, "its name cannot be a folder's name") from error
    if record.basis not in BASES:
        raise _malformed(path, f"its basis {record.basis!r} is not one of {', '.join(BASES)}")
    if (record.document is None) != (record.document_sha256 is None):
        raise _malformed(path, "document and document_sha256 belong together")
    if record.document is not None and (record.document in (".", "..") or re.search(r"[/\\\0]", record.document)):
        raise _malformed(path, "document is not a plain file name")
    if record.document_sha256 is not None and not _DIGEST.match(record.document_sha256):
        raise _malformed(path, "document_sha256 is not 64 hex digits")
    try:
        moment = datetime.fromisoformat(record.recorded_at)
    except ValueError as error:
        raise _malformed(path, "recorded_at is not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise _malformed(path, "recorded_at has no time zone")
    return record


def _same(path: Path, record: ConsentRecord) -> bool:
    try:
        there = read_record(path)
    except BadInput:
        return False
    return replace(there, recorded_at="", recorded_by=None) == replace(record, recorded_at="", recorded_by=None)


def _describe(document: Path) -> tuple[str, str]:
    """Name under which the document is kept, and its SHA-256."""
    sha256 = _sha256(document)
    safe = re.sub(r"[^\w.-]", "_", document.name)[-80:]
    return f"{sha256[:12]}-{safe}", sha256


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"Cannot read the document {path}: {_reason(error)}.") from error


def _keep_document(document: Path, target: Path, sha256: str | None) -> None:
    if target.is_file() and _sha256(target) == sha256:
        return
    _make_folder(target.parent)
    with atomic(target) as part:
        shutil.copyfile(document, part)


def _keep_earlier(path: Path) -> None:
    data = path.read_bytes()
    folder = path.parent / "earlier"
    _make_folder(folder)
    write_bytes(folder / f"consent-{hashlib.sha256(data).hexdigest()[:16]}.toml", data)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
