import multiprocessing
import os
import stat
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from photodouble.consent import (
    Picture,
    add_record,
    bind,
    digest,
    find,
    history,
    names,
    read_record,
    references,
    require,
    require_known,
    require_model,
    verify,
    withdraw,
)
from photodouble.consent.history import dump
from photodouble.consent.keys import fingerprint, own_public, signing_key, trust, trusted
from photodouble.consent.record import encode_embedding
from photodouble.errors import BadInput, Refused
from photodouble.project import Project, init_project

TODAY = date(2026, 8, 2)
NOW = datetime(2026, 8, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of a user with settings of their own."""
    monkeypatch.setenv("PHOTODOUBLE_HOME", str(tmp_path / "home"))
    return init_project(tmp_path / "film")


@pytest.fixture
def pictures() -> tuple[Picture, ...]:
    return (Picture("a.jpg", "ab" * 32, encode_embedding(np.eye(128)[0])),)


def one_sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    return text


def test_a_record_says_who_what_where_when_and_by_whom(project: Project) -> None:
    written = add_record(
        project, "zoë", "release", 'contract "12/a"\nannex 3', scope="one film", production="The Film",
        territory="EU", media="cinema", valid_from=date(2026, 8, 1), expires=date(2030, 1, 1), recorded_by="Eva",
        now=NOW,
    )  # fmt: skip
    assert (written.recorded_at, written.recorded_by) == ("2026-08-01T12:30:00+00:00", "Eva")
    assert written.fingerprint == fingerprint(written.key) and written.key == own_public()
    assert read_record(project.consent("zoë")) == require(project, "zoë", TODAY) == written
    assert names(project) == ["zoë"] and verify(project, "zoë") == []
    assert add_record(project, "anna", "release", "form").recorded_by


def test_require_says_how_to_add_a_record(project: Project) -> None:
    with pytest.raises(Refused, match=r"photodouble consent add anna --basis .* --reference .* --project .*film") as e:
        require(project, "anna", TODAY)
    one_sentence(e)


def test_a_record_holds_from_its_first_day_through_its_last(project: Project) -> None:
    add_record(project, "anna", "estate", "letter", valid_from=TODAY, expires=TODAY, now=NOW)
    require(project, "anna", TODAY)
    with pytest.raises(Refused, match="expired on 2026-08-02") as late:
        require(project, "anna", date(2026, 8, 3))
    with pytest.raises(Refused, match="holds from 2026-08-02 on") as early:
        require(project, "anna", date(2026, 8, 1))
    one_sentence(late)
    one_sentence(early)
    with pytest.raises(BadInput, match="expires before it begins"):
        add_record(project, "berta", "estate", "letter", valid_from=TODAY, expires=date(2026, 8, 1))


def test_a_document_must_stay_what_it_was(project: Project, tmp_path: Path) -> None:
    paper = tmp_path / "release form.pdf"
    paper.write_bytes(b"I agree.")
    record = add_record(project, "anna", "release", "form", document=paper, now=NOW)
    paper.unlink()  # the project keeps its own copy
    require(project, "anna", TODAY)
    kept = project.identity("anna") / "documents" / str(record.document)
    kept.write_bytes(b"I agree!")
    with pytest.raises(Refused, match="SHA-256 differs") as changed:
        require(project, "anna", TODAY)
    one_sentence(changed)
    assert "SHA-256 differs" in verify(project, "anna")[0]
    kept.unlink()
    with pytest.raises(Refused, match="is missing") as gone:
        require(project, "anna", TODAY)
    one_sentence(gone)
    assert "is missing" in verify(project, "anna")[0]


def test_a_document_that_is_kept_elsewhere_is_known_by_its_hash(project: Project, tmp_path: Path) -> None:
    record = add_record(project, "anna", "release", "DMS 4711", document_sha256="ab" * 32)
    assert (record.document, record.document_sha256) == (None, "ab" * 32)
    require(project, "anna", TODAY)
    with pytest.raises(BadInput, match="not 64 hex digits"):
        add_record(project, "berta", "release", "DMS 4712", document_sha256="AB")
    (tmp_path / "paper").write_bytes(b"I agree.")
    with pytest.raises(BadInput, match="another SHA-256"):
        add_record(project, "berta", "release", "DMS", tmp_path / "paper", document_sha256="ab" * 32)


def test_another_identitys_record_is_refused(project: Project) -> None:
    add_record(project, "anna", "release", "form", now=NOW)
    project.identity("berta").mkdir(parents=True)
    project.consent("berta").write_bytes(project.consent("anna").read_bytes())
    with pytest.raises(Refused, match="of 'anna', not of 'berta'"):
        require(project, "berta", TODAY)
    with pytest.raises(Refused, match="of 'anna'"):
        add_record(project, "berta", "release", "form")
    assert verify(project, "berta")


def test_an_unsigned_record_is_refused_and_put_aside_by_a_new_one(project: Project) -> None:
    old = b'version = 1\nname = "anna"\nbasis = "release"\nreference = "f"\nrecorded_at = "2026-08-01T12:30:00+00:00"\n'
    project.identity("anna").mkdir(parents=True)
    project.consent("anna").write_bytes(old)
    with pytest.raises(Refused, match="not signed: record the consent again with 'photodouble consent add'") as told:
        require(project, "anna", TODAY)
    one_sentence(told)
    add_record(project, "anna", "release", "f")
    require(project, "anna", TODAY)
    assert [path.read_bytes() for path in (project.identity("anna") / "earlier").iterdir()] == [old]


def test_the_same_again_changes_nothing_and_another_is_a_new_entry(
    project: Project, pictures: tuple[Picture, ...]
) -> None:
    first = add_record(project, "anna", "research", "paper", pictures=pictures, now=NOW)
    before = project.consent("anna").read_bytes()
    assert add_record(project, "anna", "research", "paper", recorded_by="other") == first
    assert project.consent("anna").read_bytes() == before
    second = add_record(project, "anna", "release", "form", now=NOW)
    assert (second.previous, require(project, "anna", TODAY)) == (digest(first), second)
    assert history(project, "anna") == [first, second]
    assert project.consent("anna").read_bytes().startswith(before.rstrip())  # nothing before it was touched


def test_a_withdrawal_is_a_signed_entry_that_stops_everything(project: Project, tmp_path: Path) -> None:
    record = add_record(project, "anna", "release", "form", now=NOW)
    letter = tmp_path / "letter.txt"
    letter.write_text("No more.")
    entry = withdraw(project, "anna", "letter of today", document=letter, now=NOW)
    assert (entry.kind, entry.of, entry.previous) == ("withdrawal", digest(record), digest(record))
    with pytest.raises(Refused, match="withdrawn on 2026-08-01") as told:
        require(project, "anna", TODAY)
    one_sentence(told)
    assert withdraw(project, "anna") == entry and verify(project, "anna") == []
    with pytest.raises(Refused, match="was withdrawn on 2026-08-01: a new agreement needs a reference of its own"):
        add_record(project, "anna", "release", "form")
    new = add_record(project, "anna", "release", "form of 2027")
    assert require(project, "anna", TODAY) == new
    with pytest.raises(Refused, match="needs a reference of its own"):  # the withdrawn one stays withdrawn
        add_record(project, "anna", "release", "form")
    with pytest.raises(BadInput, match="nothing to withdraw"):
        withdraw(project, "berta")


def test_an_altered_record_is_refused_by_everything_and_never_added_to(project: Project) -> None:
    add_record(project, "anna", "release", "form", expires=date(2020, 1, 1))
    path = project.consent("anna")
    path.write_text(path.read_text().replace("2020-01-01", "2040-01-01"))
    before = path.read_bytes()
    for work in (
        lambda: require(project, "anna", TODAY),
        lambda: add_record(project, "anna", "release", "another"),
        lambda: withdraw(project, "anna"),
    ):
        with pytest.raises(Refused, match=r"was altered: entry 1 .* is not what was signed") as told:
            work()
        one_sentence(told)
    assert path.read_bytes() == before
    assert "not what was signed" in verify(project, "anna")[0]


def test_cutting_the_end_off_is_found_where_it_was_seen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    add_record(project, "anna", "release", "form")
    path = project.consent("anna")
    before = path.read_bytes()
    withdraw(project, "anna")
    path.write_bytes(before)  # a chain of hashes alone cannot tell
    with pytest.raises(Refused, match="has lost entries that were there") as told:
        require(project, "anna", TODAY)
    one_sentence(told)
    assert "lost entries" in verify(project, "anna")[0]
    with pytest.raises(Refused, match="lost entries"):
        add_record(project, "anna", "release", "form 2")


def test_settings_that_cannot_be_written_do_not_stop_the_use_of_a_record(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_record(project, "anna", "release", "form")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PHOTODOUBLE_HOME", str(tmp_path / "file" / "below"))
    require(project, "anna", TODAY)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".anna", "a/b", "a\\b", "a\0", " anna", "nul", "x" * 121, "a\n", "\ud800"]
)
def test_a_name_that_is_no_folder_is_bad_input(project: Project, name: str) -> None:
    for work in (lambda: add_record(project, name, "release", "form"), lambda: require(project, name, TODAY)):
        with pytest.raises(BadInput, match="cannot name an identity"):
            work()


def test_bad_values_leave_no_record(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="basis 'yes' is not one of"):
        add_record(project, "anna", "yes", "form")
    with pytest.raises(BadInput, match="reference is missing or empty"):
        add_record(project, "anna", "release", "  ")
    with pytest.raises(BadInput, match="scope is not text"):
        add_record(project, "anna", "release", "form", scope="\ud800")
    with pytest.raises(BadInput, match=r"Cannot read the document .*none\.pdf"):
        add_record(project, "anna", "release", "form", document=tmp_path / "none.pdf")
    assert not project.consent("anna").exists()


def test_a_record_is_bound_once(project: Project, pictures: tuple[Picture, ...]) -> None:
    record = add_record(project, "anna", "release", "form")
    assert references(history(project, "anna")) == ()
    entry = bind(project, "anna", pictures)
    assert entry is not None and (entry.kind, entry.of) == ("binding", digest(record))
    assert bind(project, "anna", (*pictures, *pictures)) is None
    assert references(history(project, "anna")) == pictures
    assert require(project, "anna", TODAY) == record and verify(project, "anna") == []
    add_record(project, "anna", "release", "another")
    assert references(history(project, "anna")) == ()  # each agreement is bound to its own


def test_a_digest_is_looked_up_by_its_beginning(project: Project, pictures: tuple[Picture, ...]) -> None:
    first = add_record(project, "anna", "release", "form")
    bind(project, "anna", pictures)
    other = add_record(project, "berta", "estate", "letter")
    project.consent("berta").with_name("broken.toml").write_text("")
    assert [entry for entry, _ in find(project, digest(first)[:10])] == [first]
    assert [entry for entry, _ in find(project, digest(other).upper())] == [other]
    assert find(project, "f" * 64) == []
    assert len(find(project, "")) == 3


def test_a_model_needs_the_consent_of_everybody_that_it_learned_from(project: Project, tmp_path: Path) -> None:
    consents = {name: digest(add_record(project, name, "release", "form")) for name in ("anna", "berta")}
    require_model(project, tmp_path, consents, TODAY)
    add_record(project, "anna", "release", "a longer one")  # the model was trained under the one before
    require_model(project, tmp_path, consents, TODAY)
    with pytest.raises(Refused, match="does not hold") as unknown:
        require_model(project, tmp_path, consents | {"anna": "ab" * 32}, TODAY)
    one_sentence(unknown)
    require_known(project, consents | {"stranger": "ab" * 32}, TODAY)
    withdraw(project, "berta")
    for work in (require_model, lambda project, _, *rest: require_known(project, *rest)):
        with pytest.raises(Refused, match="'berta' was withdrawn"):
            work(project, tmp_path, consents, TODAY)


def test_the_users_key_is_made_once_and_kept_from_others(project: Project, tmp_path: Path) -> None:
    assert own_public() is None
    first = add_record(project, "anna", "release", "form").key
    assert add_record(project, "berta", "release", "form").key == first == own_public()
    path = tmp_path / "home" / "consent" / "key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not list(path.parent.glob("*.part"))
    path.write_text("no key")
    with pytest.raises(BadInput, match=r"key\.pem is not an unencrypted private key"):
        add_record(project, "carla", "release", "form")


def pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_a_key_can_be_given_and_must_be_ed25519(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "legal.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    (tmp_path / "curve.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    given = signing_key(tmp_path / "legal.pem")
    assert add_record(project, "anna", "release", "form", key=given).key == given.public != own_public()
    monkeypatch.setenv("PHOTODOUBLE_CONSENT_KEY", str(tmp_path / "legal.pem"))
    assert add_record(project, "berta", "release", "form").key == given.public == own_public()
    for name, told in (("curve.pem", "another kind"), ("none.pem", "Cannot read the consent key")):
        with pytest.raises(BadInput, match=told):
            signing_key(tmp_path / name)


def test_where_keys_are_listed_no_others_count_but_for_withdrawals(project: Project, tmp_path: Path) -> None:
    (tmp_path / "stranger.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    (tmp_path / "legal.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    stranger, legal = signing_key(tmp_path / "stranger.pem"), signing_key(tmp_path / "legal.pem")
    add_record(project, "anna", "release", "form", key=stranger)
    add_record(project, "berta", "release", "form", key=legal)
    add_record(project, "carla", "release", "form")
    withdraw(project, "carla", key=stranger)
    require(project, "anna", TODAY)  # nobody is listed yet
    assert trust(legal.public, "Eva, legal") == legal.public and trusted() == {legal.public: "Eva, legal"}
    require(project, "berta", TODAY)
    with pytest.raises(Refused, match=r"not trusted here.*consent keys --trust") as told:
        require(project, "anna", TODAY)
    one_sentence(told)
    assert "not trusted here" in verify(project, "anna")[0]
    with pytest.raises(Refused, match="withdrawn"):
        require(project, "carla", TODAY)
    trust(stranger.public, "Jo")
    require(project, "anna", TODAY)
    with pytest.raises(BadInput, match="no public key"):
        trust(str(tmp_path / "legal.pem"), "a private key")
    (tmp_path / "home" / "consent" / "trusted.toml").write_text("keys = 1")
    with pytest.raises(BadInput, match="list of trusted keys"):
        require(project, "anna", TODAY)


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_crash_while_adding_leaves_the_old_history_or_the_new(
    project: Project, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    add_record(project, "anna", "release", "form")
    before = project.consent("anna").read_bytes()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(os, failing, crash)
        with pytest.raises(KeyboardInterrupt):
            add_record(project, "anna", "release", "another")
    assert project.consent("anna").read_bytes() == before
    second = add_record(project, "anna", "release", "another")
    assert require(project, "anna", TODAY) == second and verify(project, "anna") == []


def _add_many(root: Path) -> None:
    for number in range(10_000):
        _add(root, number)


def test_a_kill_at_any_moment_leaves_a_whole_history(project: Project) -> None:
    for wait in (0.2, 0.3):
        process = multiprocessing.get_context("fork").Process(target=_add_many, args=(project.root,))
        process.start()
        while process.is_alive() and not project.consent("anna").is_file():
            process.join(0.01)
        process.join(wait)
        process.kill()
        process.join()
        assert history(project, "anna") and verify(project, "anna") == []
    add_record(project, "anna", "release", "after it")
    assert require(project, "anna", TODAY).reference == "after it"


def _add(root: Path, number: int) -> None:
    add_record(Project(root), "anna", "release", f"form {number}")


def test_several_processes_add_at_once_and_none_is_lost(project: Project) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.starmap(_add, [(project.root, number) for number in range(8)])
    found = history(project, "anna")
    assert {record.reference for record in found} == {f"form {number}" for number in range(8)}
    assert verify(project, "anna") == []
    assert dump(found, project.consent("anna")) == project.consent("anna").read_bytes()
