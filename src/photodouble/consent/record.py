"""One consent record: what it says, its digest, and what a well-formed one looks like.

A record is an index to a contract, not the contract. An identity's records, oldest first, are one file
(`history.py`): a statement of consent, pictures that bind it to a person, a withdrawal. Each is signed and holds the
digest of the one before.
"""

import base64
import binascii
import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from photodouble.errors import BadInput

BASES = {
    "release": "the person signed a release",
    "estate": "the person's heirs or estate signed",
    "synthetic": "the person does not exist",
    "research": "research or private evaluation, not for publication; every output carries a visible label",
}
CONSENT, BINDING, WITHDRAWAL = "consent", "binding", "withdrawal"
KINDS = (CONSENT, BINDING, WITHDRAWAL)
EMBEDDING = 128
LONGEST = 4000  # characters of a text; the contract itself is a document
MOST_PICTURES = 64
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")  # device names on Windows
_HEX64, _HEX128 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{128}")
_DATES = ("valid_from", "expires")
_HASHES = ("document_sha256", "of", "previous", "key", "fingerprint")


@dataclass(frozen=True)
class Picture:
    """A picture of the person.

    Attributes:
        file: its name. sha256: of the file, 64 lower-case hex digits.
        embedding: SFace's vector of the face in it (see `faces.embedding`): 128 little-endian float16 in base64.
    """

    file: str
    sha256: str
    embedding: str


@dataclass(frozen=True)
class ConsentRecord:
    """One entry of an identity's history.

    Attributes:
        kind: `consent`, `binding` (pictures that a consent without any was bound to) or `withdrawal`.
        name: the identity; also its folder's name in the project.
        recorded_at: when it was recorded, ISO 8601 with an offset. recorded_by: who did.
        basis: one of `BASES`. reference: where the agreement is found: contract number, letter, licence of a picture.
            Both belong to a consent, and are never empty there.
        scope, project, territory, media: what is allowed, in words; may be empty.
        valid_from, expires: the first and the last day on which it holds; None: at once, without end.
        document: file name of the agreement in `documents/` beside the record, None if no copy is kept.
        document_sha256: of that file, or of one that is kept elsewhere; None if there is none.
        pictures: of the person; a consent may have none, a binding has some.
        reason: of a withdrawal, in words; may be empty.
        of: of a binding and a withdrawal: digest of the consent that it is about.
        previous: digest of the entry before, None for the first.
        key, fingerprint: the signer's Ed25519 public key (64 hex digits) and its SHA-256.
        signature: by that key, 128 hex digits (`keys.SigningKey.sign`).
    """

    kind: str
    name: str
    recorded_at: str
    recorded_by: str = ""
    basis: str = ""
    reference: str = ""
    scope: str = ""
    project: str = ""
    territory: str = ""
    media: str = ""
    valid_from: date | None = None
    expires: date | None = None
    document: str | None = None
    document_sha256: str | None = None
    pictures: tuple[Picture, ...] = ()
    reason: str = ""
    of: str | None = None
    previous: str | None = None
    key: str = ""
    fingerprint: str = ""
    signature: str = ""


TEXTS = tuple(item.name for item in fields(ConsentRecord) if item.name not in (*_DATES, "pictures"))


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


def values_of(record: ConsentRecord) -> dict[str, Any]:
    """The record's entries without empty ones, in the order in which they are written."""
    found = {item.name: getattr(record, item.name) for item in fields(record)}
    found["pictures"] = [dict(vars(picture)) for picture in record.pictures]
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def canonical(record: ConsentRecord) -> bytes:
    """What is hashed and signed: the record but its signature, as JSON with sorted keys, no spaces, in UTF-8.

    Empty fields are left out, so that a field that a later version adds does not change the digest of an older record.
    """
    values = values_of(record)
    values.pop("signature", None)
    for key in _DATES:
        if key in values:
            values[key] = values[key].isoformat()
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def digest(record: ConsentRecord) -> str:
    """SHA-256 of the record's `canonical` bytes, 64 hex digits: what models and manifests name it by."""
    return hashlib.sha256(canonical(record)).hexdigest()


def encode_embedding(embedding: np.ndarray) -> str:
    """A vector (128,) of length 1 as text for `Picture.embedding`."""
    return base64.b64encode(np.asarray(embedding, "<f2").tobytes()).decode("ascii")


def decode_embedding(text: str) -> np.ndarray:
    """The vector (128,) float32 that `encode_embedding` wrote.

    Raises:
        ValueError: it is none, or its length is not about 1.
    """
    try:
        found = np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float32)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if found.shape != (EMBEDDING,) or not 0.98 < float(np.linalg.norm(found)) < 1.02:  # also: not a number
        raise ValueError("not a vector of length 1")
    return found


def malformed(path: Path, why: str) -> BadInput:
    """The sentence about a file of records that is none."""
    return BadInput(
        f"The consent record {path} is not valid, {why}: put a copy of it back, or move it away and record the consent "
        "again with 'photodouble consent add'."
    )


def from_values(values: Any, path: Path) -> ConsentRecord:
    """A record from the values of a TOML table.

    Raises:
        BadInput: they are not those of a whole, well-formed record; `path` is the file to name.
    """
    if not isinstance(values, dict):
        raise malformed(path, "an entry is not a table")
    unknown = sorted(set(values) - {*TEXTS, *_DATES, "pictures"})
    if unknown:
        raise malformed(path, f"it has the unknown entry {unknown[0][:80]!r}")
    texts = {key: values[key] for key in TEXTS if key in values}
    for key, value in texts.items():
        if not isinstance(value, str) or any(unicodedata.category(c) == "Cs" for c in value):
            raise malformed(path, f"{key} is not text")
        if len(value) > LONGEST:
            raise malformed(path, f"{key} is longer than {LONGEST} characters")
    days = {key: values.get(key) for key in _DATES}
    for key, day in days.items():
        if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
            raise malformed(path, f"{key} is not a date like 2030-12-31")
    found = values.get("pictures", [])
    if not isinstance(found, list) or len(found) > MOST_PICTURES:
        raise malformed(path, f"pictures are not a list of at most {MOST_PICTURES}")
    for key in ("kind", "name", "recorded_at", "recorded_by", "key", "fingerprint", "signature"):
        if not texts.get(key, "").strip():
            raise malformed(path, f"{key} is missing or empty")
    record = ConsentRecord(**texts, **days, pictures=tuple(_picture(item, path) for item in found))  # type: ignore[arg-type]
    _check(record, path)
    return record


def _picture(values: Any, path: Path) -> Picture:
    if not isinstance(values, dict) or set(values) != {"file", "sha256", "embedding"}:
        raise malformed(path, "a picture has not file, sha256 and embedding")
    if not all(isinstance(value, str) for value in values.values()) or not values["file"]:
        raise malformed(path, "a picture's entries are not text")
    if not _HEX64.fullmatch(values["sha256"]):
        raise malformed(path, "a picture's sha256 is not 64 hex digits")
    try:
        decode_embedding(values["embedding"])
    except ValueError as error:
        raise malformed(path, "a picture's embedding is not 128 numbers") from error
    return Picture(**values)


def _check(record: ConsentRecord, path: Path) -> None:
    try:
        check_name(record.name)
    except BadInput as error:
        raise malformed(path, "its name cannot be a folder's name") from error
    if record.kind not in KINDS:
        raise malformed(path, f"its kind {record.kind[:80]!r} is not one of {', '.join(KINDS)}")
    if record.kind == CONSENT:
        if not record.reference.strip():
            raise malformed(path, "reference is missing or empty")
        if record.basis not in BASES:
            raise malformed(path, f"its basis {record.basis[:80]!r} is not one of {', '.join(BASES)}")
    elif record.of is None:
        raise malformed(path, f"a {record.kind} does not say of which consent it is")
    if record.kind == BINDING and not record.pictures:
        raise malformed(path, "a binding has no pictures")
    if record.document is not None and record.document_sha256 is None:
        raise malformed(path, "document has no document_sha256")
    if record.document is not None and (
        record.document in ("", ".", "..") or re.search(r"[/\\\0]", record.document) or len(record.document) > 120
    ):
        raise malformed(path, "document is not a plain file name")
    for key in _HASHES:
        value = getattr(record, key)
        if value is not None and not _HEX64.fullmatch(value):
            raise malformed(path, f"{key} is not 64 hex digits")
    if not _HEX128.fullmatch(record.signature):
        raise malformed(path, "signature is not 128 hex digits")
    if record.valid_from and record.expires and record.expires < record.valid_from:
        raise malformed(path, "it expires before it begins")
    try:
        moment = datetime.fromisoformat(record.recorded_at)
    except ValueError as error:
        raise malformed(path, "recorded_at is not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise malformed(path, "recorded_at has no time zone")
