"""Consent records: add, list, show, withdraw, verify. All are quick, so they are plain functions without progress."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from photodouble.consent import (
    ConsentRecord,
    Picture,
    add_record,
    digest,
    find,
    history,
    names,
    read_record,
    references,
    require,
    verify,
    withdraw,
)
from photodouble.consent.keys import SigningKey, fingerprint, own_public, signing_key, trust, trusted
from photodouble.errors import BadInput, Refused
from photodouble.project import Project, open_project

SHORTEST = 6
"""Digits of a digest that are enough to look it up by."""


def add(
    project: Path,
    name: str,
    basis: str,
    reference: str,
    document: Path | None = None,
    *,
    pictures: Sequence[Path] = (),
    recorded_by: str | None = None,
    key: Path | None = None,
    **terms: Any,
) -> dict[str, Any]:
    """Record consent for the identity `name` in the project folder; returns the record's entries and its digest.

    Args:
        pictures: files that show the person alone. key: PEM file of the signer; None: this user's own.
        terms: the others of `add_record`.

    Raises:
        BadInput: the folder is no project, a value is not acceptable, or something cannot be read or written.
        Refused: the records there were altered, or just this agreement was withdrawn.
    """
    opened = open_project(project)
    shown: tuple[Picture, ...] = ()
    if pictures:
        from photodouble.consent.binding import read_pictures  # loads the models

        shown = read_pictures(pictures)
    signer = _key(key)
    record = add_record(
        opened, name, basis, reference, document, pictures=shown, recorded_by=recorded_by, key=signer, **terms
    )
    return _entry(record) | {"file": str(opened.consent(name))}


def withdraw_record(
    project: Path,
    name: str,
    reason: str = "",
    *,
    document: Path | None = None,
    recorded_by: str | None = None,
    key: Path | None = None,
) -> dict[str, Any]:
    """Record that the identity's consent was withdrawn; returns that entry. One that is there already stays.

    Raises:
        BadInput: the folder is no project, there is nothing to withdraw, or something cannot be read or written.
        Refused: the records there were altered.
    """
    opened = open_project(project)
    record = withdraw(opened, name, reason, document=document, recorded_by=recorded_by, key=_key(key))
    return _entry(record) | {"file": str(opened.consent(name))}


def list_records(project: Path, today: date | None = None) -> dict[str, Any]:
    """`consent`: every identity's record, its digest, whether it holds `today`, and why not.

    Raises:
        BadInput: the folder is no project.
    """
    opened = open_project(project)
    day = today or date.today()
    return {"consent": [_state(opened, name, day) for name in names(opened)]}


def show(project: Path, what: str, today: date | None = None) -> dict[str, Any]:
    """The whole history of an identity, or the entry whose digest begins with `what`, as in an output's manifest.

    The result holds name, file, holds, reason, pictures (to which it is bound) and entries.

    Raises:
        BadInput: the folder is no project, or there is no such identity or entry, or several entries.
    """
    opened = open_project(project)
    if what in names(opened):
        name, shown = what, history(opened, what)
        everything = shown
    else:
        found = find(opened, what) if len(what) >= SHORTEST else []
        if not found:
            raise BadInput(
                f"There is neither an identity {what!r} nor a consent record whose digest begins so in {opened.root}: "
                f"give a name, or at least {SHORTEST} digits of a digest."
            )
        if len(found) > 1:
            raise BadInput(f"{len(found)} consent records have digests that begin with {what}: give more digits.")
        (record, everything), name = found[0], found[0][0].name
        shown = [record]
    state = _state(opened, name, today or date.today())
    return {
        "name": name,
        "file": str(opened.consent(name)),
        "holds": state["holds"],
        "reason": state["reason"],
        "pictures": [picture.file for picture in references(everything)],
        "entries": [_entry(record) for record in shown],
    }


def verify_records(project: Path, name: str | None = None, today: date | None = None) -> dict[str, Any]:
    """`verified`: of each identity (or of one) its entries, whether they are whole, every problem, and its signers.

    Raises:
        BadInput: the folder is no project, or there is no such identity.
    """
    opened = open_project(project)
    known = names(opened)
    if name is not None and name not in known:
        raise BadInput(
            f"There is no consent record of {name!r} in {opened.root}: 'photodouble consent list' shows all."
        )
    rows = []
    for one in [name] if name is not None else known:
        problems = verify(opened, one)
        state = _state(opened, one, today or date.today())
        entries = [] if state.get("broken") else history(opened, one)
        rows.append(
            {
                "name": one,
                "whole": not problems,
                "problems": problems,
                "entries": len(entries),
                "holds": state["holds"],
                "reason": state["reason"],
                "signed_by": signers([record.key for record in entries]),
            }
        )
    return {"verified": rows}


def keys(add_key: str | None = None, called: str = "") -> dict[str, Any]:
    """This user's key, made if need be, and those that are trusted here; `add_key` is listed first under `called`.

    Raises:
        BadInput: it is no key, or the settings cannot be read or written.
    """
    if add_key:
        trust(add_key, called)
    own = signing_key()
    listed = [{"key": key, "fingerprint": fingerprint(key), "name": name} for key, name in trusted().items()]
    return {"key": own.public, "fingerprint": fingerprint(own.public), "trusted": listed}


def signers(public: Sequence[str]) -> list[dict[str, str]]:
    """Each key once: its fingerprint, and who that is here: `own`, a listed name, or `unknown`."""
    listed, own = trusted(), own_public()
    return [
        {"fingerprint": fingerprint(key), "is": "own" if key == own else listed.get(key, "unknown")}
        for key in dict.fromkeys(public)
    ]


def _key(path: Path | None) -> SigningKey | None:
    return None if path is None else signing_key(path)


def _state(project: Project, name: str, today: date) -> dict[str, Any]:
    try:
        entry = _entry(read_record(project.consent(name)))
        require(project, name, today)
    except BadInput as error:
        return {"name": name, "holds": False, "reason": str(error), "broken": True}
    except Refused as error:
        return entry | {"holds": False, "reason": str(error)}
    return entry | {"holds": True, "reason": None}


def _entry(record: ConsentRecord) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": record.kind,
        "name": record.name,
        "basis": record.basis or None,
        "reference": record.reference or None,
        "scope": record.scope or None,
        "project": record.project or None,
        "territory": record.territory or None,
        "media": record.media or None,
        "valid_from": record.valid_from.isoformat() if record.valid_from else None,
        "expires": record.expires.isoformat() if record.expires else None,
        "document": record.document,
        "document_sha256": record.document_sha256,
        "pictures": [{"file": picture.file, "sha256": picture.sha256} for picture in record.pictures],
        "reason": record.reason or None,
        "of": record.of,
        "recorded_at": record.recorded_at,
        "recorded_by": record.recorded_by,
        "fingerprint": record.fingerprint,
        "digest": digest(record),
    }
    belongs = {"consent": ("of", "reason"), "binding": ("reason", *_TERMS), "withdrawal": _TERMS}[record.kind]
    return {key: value for key, value in values.items() if key not in belongs}


_TERMS = ("basis", "reference", "scope", "project", "territory", "media", "valid_from", "expires")
