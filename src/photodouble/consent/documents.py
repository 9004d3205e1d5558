"""The agreement itself: a copy beside the record, under a name that begins with its SHA-256."""

import hashlib
import re
import shutil
from pathlib import Path

from photodouble.consent.record import ConsentRecord
from photodouble.errors import BadInput
from photodouble.files import atomic, explain
from photodouble.project import Project


def describe(document: Path) -> tuple[str, str]:
    """Name under which the document is kept, and its SHA-256.

    Raises:
        BadInput: it cannot be read.
    """
    sha256 = file_sha256(document)
    safe = re.sub(r"[^\w.-]", "_", document.name)[-80:]
    return f"{sha256[:12]}-{safe}", sha256


def keep(document: Path, target: Path, sha256: str) -> None:
    """Copy the document to `target`, whose folder is made if need be; one that is there already stays.

    Raises:
        BadInput: it cannot be read or written, or was changed since its hash was taken.
    """
    if target.is_file() and file_sha256(target) == sha256:
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, target) from error
    with atomic(target) as part:
        shutil.copyfile(document, part)
        if file_sha256(part) != sha256:
            raise BadInput(f"The document {document} was changed while it was recorded: record it again.")


def fault(project: Project, record: ConsentRecord) -> str | None:
    """What is wrong with the record's document, one sentence; None if it is what it was, or is kept elsewhere."""
    if record.document is None:
        return None
    path = project.identity(record.name) / "documents" / record.document
    if not path.is_file():
        return f"The document {path} of the consent record of {record.name!r} is missing: put it back."
    if file_sha256(path) != record.document_sha256:
        return (
            f"The document {path} is not the one that the consent record of {record.name!r} names (its SHA-256 "
            "differs): put the right one back, or record the new one with 'photodouble consent add'."
        )
    return None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"Cannot read the document {path}: {(error.strerror or str(error)).lower()}.") from error
