"""A project's consent records: adding to an identity's history, and asking whether work is allowed.

Nothing is ever taken out of a history: a new agreement, a binding to pictures and a withdrawal are new entries at its
end. It is written as a whole to a temporary name and renamed, so that after a crash the old or the new one is there.
"""

import contextlib
import getpass
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from photodouble.consent import documents, seen
from photodouble.consent.history import Unsigned, dump, faults, in_force, read_history
from photodouble.consent.keys import SigningKey, fingerprint, own_public, signing_key, trusted
from photodouble.consent.record import (
    BASES,
    BINDING,
    CONSENT,
    WITHDRAWAL,
    ConsentRecord,
    Picture,
    canonical,
    check_name,
    digest,
    from_values,
    values_of,
)
from photodouble.errors import BadInput, Refused
from photodouble.files import explain, lock, write_bytes
from photodouble.project import Project

_OF_THE_ENTRY = ("recorded_at", "recorded_by", "previous", "key", "fingerprint", "signature")


def add_record(
    project: Project,
    name: str,
    basis: str,
    reference: str,
    document: Path | None = None,
    *,
    scope: str = "",
    expires: date | None = None,
    valid_from: date | None = None,
    production: str = "",
    territory: str = "",
    media: str = "",
    document_sha256: str | None = None,
    pictures: Sequence[Picture] = (),
    recorded_by: str | None = None,
    key: SigningKey | None = None,
    now: datetime | None = None,
) -> ConsentRecord:
    """Record a consent of the identity `name`, signed, and return it.

    The document is copied into `documents/` beside the record; of one that is kept elsewhere, give `document_sha256`
    instead. The agreement that is in force already, stated again, changes nothing.

    Args:
        production: the record's `project`; the others as in `ConsentRecord`.
        recorded_by: None: the name under which this user is logged in.
        key: None: this user's own (`keys.signing_key`).

    Raises:
        BadInput: a value is not acceptable, the document cannot be read, or the project cannot be written.
        Refused: the records there were altered, or just this agreement was withdrawn.
    """
    check_name(name)
    kept: str | None = None
    if document is not None:
        kept, sha256 = documents.describe(Path(document))
        if document_sha256 not in (None, sha256):
            raise BadInput(f"The document {document} has another SHA-256 than the one given: give one of the two.")
        document_sha256 = sha256
    wanted = ConsentRecord(
        kind=CONSENT,
        name=name,
        recorded_at="",
        basis=basis,
        reference=reference.strip(),
        scope=scope.strip(),
        project=production.strip(),
        territory=territory.strip(),
        media=media.strip(),
        valid_from=valid_from,
        expires=expires,
        document=kept,
        document_sha256=document_sha256,
        pictures=tuple(pictures),
    )
    path = project.consent(name)
    _check_terms(wanted, path)
    with _appending(project, name) as there:
        withdrawn, withdrawal = _withdrawn(there)
        if withdrawal is not None and any(_same_terms(one, wanted) for one in withdrawn):
            raise Refused(
                f"The consent of {name!r} under {wanted.reference!r} was withdrawn on {withdrawal.recorded_at[:10]}: a "
                "new agreement needs a reference of its own."
            )
        consent, _ = in_force(there)
        known = consent is not None and _same_terms(consent, wanted)
        if document is not None and kept is not None and document_sha256 is not None:
            documents.keep(Path(document), path.parent / "documents" / kept, document_sha256)
        return consent if known and consent else _append(path, there, wanted, recorded_by, key, now)


def withdraw(
    project: Project,
    name: str,
    reason: str = "",
    *,
    document: Path | None = None,
    recorded_by: str | None = None,
    key: SigningKey | None = None,
    now: datetime | None = None,
) -> ConsentRecord:
    """Record that the identity's consent was withdrawn, signed, and return that entry: from now on nothing is allowed.

    Raises:
        BadInput: there is nothing to withdraw, the document cannot be read, or the project cannot be written.
        Refused: the records there were altered.
    """
    check_name(name)
    path = project.consent(name)
    if not path.is_file():
        raise BadInput(f"There is no consent record of {name!r} in {project.root}: there is nothing to withdraw.")
    with _appending(project, name) as there:
        consent, withdrawal = in_force(there)
        if consent is None:
            raise BadInput(f"{path} holds no signed consent: there is nothing to withdraw.")
        if withdrawal is not None:
            return withdrawal
        entry = ConsentRecord(WITHDRAWAL, name, "", reason=reason.strip(), of=digest(consent))
        if document is not None:
            kept, sha256 = documents.describe(Path(document))
            documents.keep(Path(document), path.parent / "documents" / kept, sha256)
            entry = replace(entry, document=kept, document_sha256=sha256)
        return _append(path, there, entry, recorded_by, key, now)


def bind(
    project: Project, name: str, pictures: Sequence[Picture], *, key: SigningKey | None = None
) -> ConsentRecord | None:
    """Bind the consent in force to pictures of the person if it has none; the new entry, None if it had some.

    Raises:
        BadInput: the project cannot be written; Refused: the records there were altered.
    """
    with _appending(project, name) as there:
        consent, _ = in_force(there)
        if consent is None or references(there):
            return None
        entry = ConsentRecord(BINDING, name, "", pictures=tuple(pictures), of=digest(consent))
        return _append(project.consent(name), there, entry, None, key, None)


def require(project: Project, name: str, today: date) -> ConsentRecord:
    """The consent that allows work with the identity `name` on the day `today`.

    Raises:
        Refused: there is none; it is not signed, was altered, is another person's or signed by somebody who is not
            trusted here; it was withdrawn, has expired or not begun; or its document is missing or altered.
        BadInput: the name or the record is malformed.
    """
    check_name(name)
    path = project.consent(name)
    add = f"photodouble consent add {name} --basis {'|'.join(BASES)} --reference TEXT --project {project.root}"
    if not path.is_file():
        raise Refused(f"There is no consent record for {name!r} in {project.root}: add one with '{add}'.")
    try:
        there = read_history(path)
    except Unsigned as error:
        raise Refused(str(error)) from error
    if there[0].name != name:
        raise Refused(f"The consent record {path} is of {there[0].name!r}, not of {name!r}: add one with '{add}'.")
    _check_whole(path, there)
    _check_signers(path, there)
    seen.remember(path, there)
    consent, withdrawal = in_force(there)
    if consent is None:
        raise Refused(f"{path} holds no consent: add one with '{add}'.")
    if withdrawal is not None:
        raise Refused(
            f"The consent of {name!r} was withdrawn on {withdrawal.recorded_at[:10]}: nothing more may be made; "
            f"a new agreement is recorded with '{add}'."
        )
    if consent.valid_from is not None and today < consent.valid_from:
        raise Refused(f"The consent of {name!r} holds from {consent.valid_from.isoformat()} on: wait until then.")
    if consent.expires is not None and today > consent.expires:
        raise Refused(f"The consent of {name!r} expired on {consent.expires.isoformat()}: add a new one with '{add}'.")
    if (fault := documents.fault(project, consent)) is not None:
        raise Refused(fault)
    return consent


def require_model(project: Project, model: Path, consents: Mapping[str, str], today: date) -> None:
    """Everybody whom a model was trained on must still consent, under a record of this project.

    Args:
        consents: name -> digest of the record under which the model was trained on them.

    Raises:
        Refused: somebody's consent does not hold, or the model was trained under records that are not here.
        BadInput: a record is malformed.
    """
    for name, known in consents.items():
        require(project, name, today)
        if known not in {digest(record) for record in history(project, name)}:
            raise Refused(
                f"The model {model} was trained under a consent record of {name!r} that {project.root} does not hold: "
                "name the project in which it was trained with --project, or move it away and train a new one."
            )


def require_known(project: Project, consents: Mapping[str, str], today: date) -> None:
    """Those of the consents (name -> digest) that are this project's must still hold; others are passed by.

    This is for what a model started from: a prior may be of people whose records are elsewhere.

    Raises:
        Refused: one of them does not hold; BadInput: a record is malformed.
    """
    wanted = set(consents.values())
    for name in names(project) if wanted else ():
        if wanted & {digest(record) for record in history(project, name)}:
            require(project, name, today)


def verify(project: Project, name: str) -> list[str]:
    """Everything that is wrong with an identity's records, one sentence each; empty if nothing is.

    Whether the consent holds today is another question: see `require`.
    """
    path = project.consent(name)
    try:
        there = read_history(path)
    except BadInput as error:
        return [str(error)]
    found = [f"{path}: {fault}." for fault in faults(there)]
    if there[0].name != name:
        found.append(f"{path} is of {there[0].name!r}, not of {name!r}.")
    if not found and seen.was_cut(path, there):
        found.append(f"{path} has lost entries that were there: put back a copy that has them.")
    listed = trusted()
    known = {*listed, own_public()}
    for key in dict.fromkeys(record.key for record in there) if listed else ():
        if key not in known:
            found.append(f"{path} is signed with the key {fingerprint(key)[:16]}, which is not trusted here.")
    for record in there:
        if (fault := documents.fault(project, record)) is not None:
            found.append(fault)
    return list(dict.fromkeys(found))


def history(project: Project, name: str) -> list[ConsentRecord]:
    """All entries of an identity, oldest first.

    Raises:
        BadInput: the file cannot be read or is malformed.
    """
    return read_history(project.consent(name))


def read_record(path: Path) -> ConsentRecord:
    """The latest consent in a file of records, whether it holds or not.

    Raises:
        BadInput: the file cannot be read, is malformed or holds none.
    """
    consent, _ = in_force(read_history(path))
    if consent is None:
        raise BadInput(f"{path} holds no consent: add one with 'photodouble consent add'.")
    return consent


def references(records: Sequence[ConsentRecord]) -> tuple[Picture, ...]:
    """The pictures to which the consent in force is bound: its own, and those of bindings after it."""
    consent, _ = in_force(records)
    if consent is None:
        return ()
    known = digest(consent)
    return consent.pictures + tuple(
        picture for record in records if record.kind == BINDING and record.of == known for picture in record.pictures
    )


def names(project: Project) -> list[str]:
    """Names of the identities that have a file of records, sorted."""
    return sorted(path.parent.name for path in project.root.glob("identities/*/consent.toml"))


def find(project: Project, prefix: str) -> list[tuple[ConsentRecord, list[ConsentRecord]]]:
    """The entries whose digest begins with `prefix`, each with its history; broken files are passed by."""
    found = []
    for name in names(project):
        with contextlib.suppress(BadInput):
            there = history(project, name)
            found += [(record, there) for record in there if digest(record).startswith(prefix.lower())]
    return found


@contextlib.contextmanager
def _appending(project: Project, name: str) -> Iterator[list[ConsentRecord]]:
    """The entries that are there, while no other process adds one; an unsigned file is put aside."""
    path = project.consent(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, path) from error
    with _alone(path.parent):
        there: list[ConsentRecord] = []
        if path.exists():
            try:
                there = read_history(path)
            except Unsigned:
                _put_aside(path)
            else:
                if there[0].name != name:
                    raise Refused(f"The consent record {path} is of {there[0].name!r}: move it to where it belongs.")
                _check_whole(path, there)
        yield there


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, once others have let go of it. Where there are no locks the last of two at once wins."""
    with lock(folder) as taken:
        taken(True)
        yield


def _append(
    path: Path,
    there: list[ConsentRecord],
    entry: ConsentRecord,
    recorded_by: str | None,
    key: SigningKey | None,
    now: datetime | None,
) -> ConsentRecord:
    key = key or signing_key()
    entry = replace(
        entry,
        recorded_at=(now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        recorded_by=(recorded_by or "").strip() or _user(),
        previous=digest(there[-1]) if there else None,
        key=key.public,
        fingerprint=fingerprint(key.public),
    )
    entry = replace(entry, signature=key.sign(_encoded(entry, path)))
    after = [*there, entry]
    write_bytes(path, dump(after, path))
    seen.remember(path, after)
    return entry


def _encoded(entry: ConsentRecord, path: Path) -> bytes:
    try:
        return canonical(entry)
    except UnicodeEncodeError as error:
        raise BadInput(f"Cannot write {path}: a text has characters that are none.") from error


def _check_terms(wanted: ConsentRecord, path: Path) -> None:
    """Find out what is wrong with the values before anything is written or a key is made."""
    blank = {"recorded_at": "2000-01-01T00:00:00+00:00", "recorded_by": "-", "signature": "0" * 128}
    values = values_of(wanted) | blank | {"key": "0" * 64, "fingerprint": "0" * 64}
    from_values(values, path)


def _same_terms(there: ConsentRecord, wanted: ConsentRecord) -> bool:
    """Whether it is the same agreement: pictures count only where some are given."""
    blank = dict.fromkeys(_OF_THE_ENTRY, "")
    files = [{picture.sha256 for picture in record.pictures} for record in (there, wanted)]
    same = replace(there, **blank, pictures=()) == replace(wanted, **blank, pictures=())  # type: ignore[arg-type]
    return same and (not files[1] or files[0] == files[1])


def _withdrawn(there: Sequence[ConsentRecord]) -> tuple[list[ConsentRecord], ConsentRecord | None]:
    """The consents before the last withdrawal, and that withdrawal."""
    last = max((number for number, record in enumerate(there) if record.kind == WITHDRAWAL), default=None)
    if last is None:
        return [], None
    return [record for record in there[:last] if record.kind == CONSENT], there[last]


def _check_whole(path: Path, there: Sequence[ConsentRecord]) -> None:
    found = faults(there)
    if found:
        raise Refused(f"The consent record {path} was altered: {found[0]}; put back a copy of it that is whole.")
    if seen.was_cut(path, there):
        raise Refused(f"The consent record {path} has lost entries that were there: put back a copy that has them.")


def _check_signers(path: Path, there: Sequence[ConsentRecord]) -> None:
    """Where keys are listed as trusted, no others count, but for withdrawals: those count whoever signs."""
    listed = trusted()
    known = {*listed, own_public()} if listed else set()
    for record in there if listed else ():
        if record.key not in known and record.kind != WITHDRAWAL:
            raise Refused(
                f"The consent record {path} is signed with the key {record.fingerprint[:16]}, which is not trusted "
                f"here: if it is a colleague's, list it with 'photodouble consent keys --trust {record.key}'."
            )


def _put_aside(path: Path) -> None:
    try:
        data = path.read_bytes()
        folder = path.parent / "earlier"
        folder.mkdir(exist_ok=True)
        write_bytes(folder / f"consent-{hashlib.sha256(data).hexdigest()[:16]}.toml", data)
    except OSError as error:
        raise explain(error, path) from error


def _user() -> str:
    try:
        return getpass.getuser() or "unknown"
    except (OSError, KeyError, ImportError):  # a user without a name, in a container
        return "unknown"
