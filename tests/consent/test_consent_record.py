import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photodouble.consent import add_record, digest, read_record, records, require
from photodouble.errors import BadInput, Refused
from photodouble.project import Project, init_project

TODAY = date(2026, 8, 2)
NOW = datetime(2026, 8, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return init_project(tmp_path / "film")


def test_a_record_comes_back_as_it_was_written(project: Project) -> None:
    written = add_record(project, "zoë", "release", 'contract "12/a"\nannex 3', scope="one film", now=NOW)
    assert written.recorded_at == "2026-08-01T12:30:00+00:00"
    assert read_record(project.consent("zoë")) == written
    assert require(project, "zoë", TODAY) == written
    assert records(project) == [written]


def test_require_says_how_to_add_a_record(project: Project) -> None:
    with pytest.raises(Refused, match=r"photodouble consent add anna --basis .* --reference .* --project .*film"):
        require(project, "anna", TODAY)


def test_a_record_holds_through_its_last_day_and_then_expires(project: Project) -> None:
    add_record(project, "anna", "estate", "letter", expires=TODAY, now=NOW)
    require(project, "anna", TODAY)
    with pytest.raises(Refused, match="expired on 2026-08-02"):
        require(project, "anna", date(2026, 8, 3))


def test_a_document_must_stay_what_it_was(project: Project, tmp_path: Path) -> None:
    paper = tmp_path / "release form.pdf"
    paper.write_bytes(b"I agree.")
    record = add_record(project, "anna", "release", "form", document=paper, now=NOW)
    paper.unlink()  # the project keeps its own copy
    require(project, "anna", TODAY)
    kept = project.identity("anna") / "documents" / str(record.document)
    kept.write_bytes(b"I agree!")
    with pytest.raises(Refused, match="SHA-256 differs"):
        require(project, "anna", TODAY)
    kept.unlink()
    with pytest.raises(Refused, match="is missing"):
        require(project, "anna", TODAY)


def test_another_identitys_record_is_refused(project: Project) -> None:
    add_record(project, "anna", "release", "form", now=NOW)
    project.identity("berta").mkdir(parents=True)
    project.consent("berta").write_bytes(project.consent("anna").read_bytes())
    with pytest.raises(Refused, match="of 'anna', not of 'berta'"):
        require(project, "berta", TODAY)


def test_the_same_record_again_changes_nothing_and_another_keeps_the_earlier_one(project: Project) -> None:
    first = add_record(project, "anna", "research", "paper", now=NOW)
    assert add_record(project, "anna", "research", "paper", now=datetime(2027, 1, 1, tzinfo=UTC)) == first
    before = project.consent("anna").read_bytes()
    second = add_record(project, "anna", "release", "form", now=NOW)
    assert digest(second) != digest(first)
    assert [path.read_bytes() for path in (project.identity("anna") / "earlier").iterdir()] == [before]


def test_the_digest_does_not_depend_on_how_the_file_is_laid_out(project: Project) -> None:
    record = add_record(project, "anna", "release", "form", expires=TODAY, now=NOW)
    path = project.consent("anna")
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    path.write_text("\n\n".join(reversed(lines)) + "\n")
    assert digest(read_record(path)) == digest(record)
    # Outputs that are out in the world lead back to their records by it, so these bytes may never change.
    canonical = (
        b'{"basis":"release","expires":"2026-08-02","name":"anna",'
        b'"recorded_at":"2026-08-01T12:30:00+00:00","reference":"form"}'
    )
    assert digest(record) == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".anna", "a/b", "a\\b", "a\0", " anna", "nul", "x" * 121, "a\n", "\ud800"]
)
def test_a_name_that_is_no_folder_is_bad_input(project: Project, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name an identity"):
        add_record(project, name, "release", "form")
    with pytest.raises(BadInput):
        require(project, name, TODAY)


def test_bad_values_leave_no_record(project: Project, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="basis 'yes' is not one of"):
        add_record(project, "anna", "yes", "form")
    with pytest.raises(BadInput, match="reference is missing or empty"):
        add_record(project, "anna", "release", "  ")
    with pytest.raises(BadInput, match=r"Cannot read the document .*none\.pdf"):
        add_record(project, "anna", "release", "form", document=tmp_path / "none.pdf")
    assert not project.consent("anna").exists()


VALUES = st.one_of(
    st.text(max_size=20), st.integers(), st.booleans(), st.dates(), st.sampled_from(["release", "2026-01-01T00:00Z"])
)
KEYS = st.sampled_from(
    ["version", "name", "basis", "reference", "recorded_at", "scope", "expires", "document", "document_sha256", "x"]
)


def _line(key: str, value: object) -> str:
    text = str(value).lower() if not isinstance(value, str) else '"' + value.replace("\\", "").replace('"', "") + '"'
    return f"{key} = {text}"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(lambda t: t.encode("utf-8", "surrogatepass")),
        st.dictionaries(KEYS, VALUES).map(
            lambda d: "\n".join(_line(*item) for item in d.items()).encode("utf-8", "replace")
        ),
    )
)
def test_whatever_is_in_the_file_only_bad_input_is_raised(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "consent.toml"
    path.write_bytes(data)
    try:
        record = read_record(path)
    except BadInput as error:
        assert str(path) in str(error)
    else:
        assert record.reference.strip()


@pytest.mark.parametrize("data", [b"x = " + b"[" * 5000, b"version = " + b"9" * 5000, b"a" * 70_000, b"\xff\xfe"])
def test_hostile_files_are_bad_input(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "consent.toml"
    path.write_bytes(data)
    with pytest.raises(BadInput):
        read_record(path)
    with pytest.raises(BadInput):
        read_record(tmp_path)
