"""Record consent and list what is recorded. Both are quick, so they are plain functions and report no progress."""

from datetime import date
from pathlib import Path
from typing import Any

from photodouble.consent import ConsentRecord, add_record, digest, read_record, require
from photodouble.errors import BadInput, Refused
from photodouble.project import Project, open_project


def add(
    project: Path,
    name: str,
    basis: str,
    reference: str,
    document: Path | None = None,
    *,
    scope: str = "",
    expires: date | None = None,
    recorded_by: str | None = None,
) -> dict[str, Any]:
    """Record consent for the identity `name` in the project folder; returns the record's entries and its digest.

    Raises:
        BadInput: the folder is no project, a value is not acceptable, or something cannot be read or written.
    """
    opened = open_project(project)
    record = add_record(opened, name, basis, reference, document, scope=scope, expires=expires, recorded_by=recorded_by)
    return _entry(record) | {"file": str(opened.consent(name))}


def list_records(project: Path, today: date | None = None) -> dict[str, Any]:
    """`consent`: every identity's record, its digest, whether it holds `today`, and why not.

    Raises:
        BadInput: the folder is no project.
    """
    opened = open_project(project)
    day = today or date.today()
    names = sorted(path.parent.name for path in opened.root.glob("identities/*/consent.toml"))
    return {"consent": [_state(opened, name, day) for name in names]}


def _state(project: Project, name: str, today: date) -> dict[str, Any]:
    try:
        entry = _entry(read_record(project.consent(name)))
        require(project, name, today)
    except BadInput as error:
        return {"name": name, "holds": False, "reason": str(error)}
    except Refused as error:
        return entry | {"holds": False, "reason": str(error)}
    return entry | {"holds": True, "reason": None}


def _entry(record: ConsentRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "basis": record.basis,
        "reference": record.reference,
        "scope": record.scope or None,
        "expires": record.expires.isoformat() if record.expires else None,
        "document": record.document,
        "document_sha256": record.document_sha256,
        "recorded_at": record.recorded_at,
        "recorded_by": record.recorded_by,
        "digest": digest(record),
    }
