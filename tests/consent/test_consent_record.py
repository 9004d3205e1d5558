import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from photodouble.consent import ConsentRecord, Picture, digest
from photodouble.consent.history import Unsigned, dump, faults, parse, read_history
from photodouble.consent.keys import SigningKey, fingerprint, signing_key
from photodouble.consent.record import KINDS, canonical, decode_embedding, encode_embedding
from photodouble.errors import BadInput

PATH = Path("consent.toml")
RNG = np.random.default_rng(1)


def unit() -> str:
    vector = RNG.normal(size=128)
    return encode_embedding(vector / np.linalg.norm(vector))


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return signing_key()


def signed(record: ConsentRecord, key: SigningKey) -> ConsentRecord:
    record = replace(record, key=key.public, fingerprint=fingerprint(key.public))
    return replace(record, signature=key.sign(canonical(record)))


@pytest.fixture(scope="module")
def history(key: SigningKey) -> list[ConsentRecord]:
    """A consent, its binding, a second consent, a withdrawal."""
    stamp = {"recorded_at": "2026-08-01T12:30:00+00:00", "recorded_by": "Eva"}
    pictures = (Picture("a.jpg", "ab" * 32, unit()), Picture("b.jpg", "cd" * 32, unit()))
    first = signed(ConsentRecord("consent", "ada", **stamp, basis="release", reference="12"), key)
    second = signed(
        ConsentRecord("binding", "ada", **stamp, pictures=pictures, of=digest(first), previous=digest(first)), key
    )
    third = signed(
        ConsentRecord(
            "consent",
            "ada",
            **stamp,
            basis="estate",
            reference="a\n'b'",
            expires=date(2030, 1, 1),
            previous=digest(second),
        ),
        key,
    )
    last = signed(ConsentRecord("withdrawal", "ada", **stamp, of=digest(third), previous=digest(third)), key)
    return [first, second, third, last]


@pytest.fixture(scope="module")
def written(history: list[ConsentRecord]) -> bytes:
    return dump(history, PATH)


def test_a_history_comes_back_as_it_was_written_and_is_whole(history: list[ConsentRecord], written: bytes) -> None:
    assert parse(written, PATH) == history
    assert faults(history) == []
    assert {record.kind for record in history} == set(KINDS)


def test_the_digest_does_not_depend_on_how_the_file_is_laid_out(history: list[ConsentRecord], key: SigningKey) -> None:
    first = history[0]
    lines = dump([first], PATH).decode().splitlines()
    start = lines.index("[[entry]]") + 1
    laid_out = "\n\n".join([*lines[:start], *reversed([line for line in lines[start:] if line])])
    assert digest(parse(laid_out.encode(), PATH)[0]) == digest(first)
    # Outputs that are out in the world lead back to their records by it, so these bytes may never change.
    assert (
        canonical(first)
        == (
            f'{{"basis":"release","fingerprint":"{fingerprint(key.public)}","key":"{key.public}","kind":"consent",'
            '"name":"ada","recorded_at":"2026-08-01T12:30:00+00:00","recorded_by":"Eva","reference":"12"}'
        ).encode()
    )
    assert digest(first) == hashlib.sha256(canonical(first)).hexdigest()


def test_the_format_is_readable_toml_with_a_warning_not_to_edit_it(written: bytes) -> None:
    text = written.decode()
    assert text.startswith("# Consent records") and "never edit" in text
    assert text.count("[[entry]]") == 4 and 'reference = "12"' in text and "expires = 2030-01-01" in text


EDITS = [
    ("reference", "13"),
    ("basis", "research"),
    ("expires", date(2040, 1, 1)),
    ("recorded_by", "Eve"),
    ("scope", "everything"),
    ("territory", "the world"),
    ("recorded_at", "2027-08-01T12:30:00+00:00"),
    ("document_sha256", "00" * 32),
]


@pytest.mark.parametrize(("field", "value"), EDITS)
@pytest.mark.parametrize("index", [0, 2])
def test_an_edited_entry_is_found(history: list[ConsentRecord], index: int, field: str, value: object) -> None:
    edited = [*history]
    edited[index] = replace(edited[index], **{field: value})
    assert any(f"entry {index + 1}" in fault and "not what was signed" in fault for fault in faults(edited))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_deleted_entry_is_found(history: list[ConsentRecord], index: int) -> None:
    assert any("does not follow" in fault for fault in faults(history[:index] + history[index + 1 :]))


def test_moved_repeated_and_foreign_entries_are_found(history: list[ConsentRecord], key: SigningKey) -> None:
    first, second, third, last = history
    for wrong in ([third, first, second, last], [first, first, *history[1:]], [first, third], [third]):
        assert faults(wrong)
    other = signed(replace(second, name="ben"), key)
    assert any("of 'ben'" in fault for fault in faults([first, other]))
    unknown = signed(replace(last, of="ab" * 32), key)
    assert any("consent that is not there" in fault for fault in faults([first, second, third, unknown]))


def test_a_signature_of_another_key_or_over_other_bytes_is_found(
    history: list[ConsentRecord], key: SigningKey, tmp_path: Path
) -> None:
    other = signing_key(environment={"PHOTODOUBLE_HOME": str(tmp_path)})
    first = history[0]
    forged = replace(first, signature=other.sign(canonical(first)))
    assert faults([forged]) and not faults([first])
    posing = replace(signed(first, other), fingerprint=first.fingerprint)
    assert any("fingerprint" in fault for fault in faults([posing]))
    assert faults([replace(first, signature=key._private.sign(canonical(first)).hex())])  # without the context


def test_an_unsigned_record_of_an_earlier_version_says_how_to_record_again() -> None:
    old = b'version = 1\nname = "ada"\nbasis = "release"\nreference = "12"\nrecorded_at = "2026-08-01T12:30:00+00:00"\n'
    with pytest.raises(Unsigned, match=r"not signed: record the consent again with 'photodouble consent add'"):
        parse(old, PATH)


def test_embeddings_come_back() -> None:
    vector = RNG.normal(size=128)
    vector /= np.linalg.norm(vector)
    assert decode_embedding(encode_embedding(vector)) @ vector > 0.9999
    for bad in ("", "AAAA", "*", encode_embedding(vector * 2), encode_embedding(vector * np.nan)):
        with pytest.raises(ValueError):
            decode_embedding(bad)


def read(data: bytes) -> list[ConsentRecord] | None:
    """The entries, or None after checking that there is one sentence of bad input that names the file."""
    try:
        found = parse(data, PATH)
    except BadInput as error:
        text = str(error)
        assert "consent.toml" in text and text.endswith(".") and "\n" not in text
        return None
    assert found
    faults(found)
    return found


VALUES = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.booleans(),
    st.floats(),
    st.dates(),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["release", "2026-01-01T00:00Z", "ab" * 32, "cd" * 64]),
)
NAMES = sorted(ConsentRecord.__dataclass_fields__)


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "").replace('"', "") + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.dictionaries(st.sampled_from([*NAMES, "x"]), VALUES).map(
            lambda values: (
                "version = 2\n[[entry]]\n" + "\n".join(f"{k} = {_toml(v)}" for k, v in values.items())
            ).encode("utf-8", "replace")
        ),
    )
)
@example(b"version = 2\nentry = [1]")
@example(b"version = 2\nentry = 1")
@example(b"version = 2\n[[entry]]\npictures = [[]]")
@example(b"version = 2.0\n[[entry]]")
def test_whatever_is_in_the_file_is_records_or_one_sentence(data: bytes) -> None:
    read(data)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_never_passes_as_another_history(
    history: list[ConsentRecord], written: bytes, data: st.DataObject
) -> None:
    """Any bytes changed, cut out or put in: refused, found altered, or it still says the same (a comment, a space)."""
    at = data.draw(st.integers(0, len(written) - 1))
    cut = data.draw(st.integers(0, 40))
    put = data.draw(st.binary(max_size=8))
    found = read(written[:at] + put + written[at + cut :])
    if found is not None and not faults(found):
        assert found == history[: len(found)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=60), min_size=5, max_size=5), day=st.none() | st.dates())
def test_any_text_that_is_accepted_is_kept_letter_by_letter(
    key: SigningKey, texts: list[str], day: date | None
) -> None:
    reference, scope, territory, media, reason = texts
    try:
        record = signed(
            ConsentRecord(
                "consent", "ada", "2026-08-01T12:30:00+00:00", "Eva", "release",
                reference, scope, "", territory, media, None, day, reason=reason,
            ),
            key,
        )  # fmt: skip
        data = dump([record], PATH)
    except (BadInput, UnicodeEncodeError):
        assert not reference.strip() or any("\ud800" <= letter <= "\udfff" for letter in "".join(texts))
        return
    assert parse(data, PATH) == [record] and not faults([record])


@pytest.mark.parametrize("data", [b"x = " + b"[" * 5000, b"version = " + b"9" * 5000, b"#" * 4_000_001, b"\xff\xfe"])
def test_hostile_files_are_bad_input(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "consent.toml"
    path.write_bytes(data)
    with pytest.raises(BadInput):
        read_history(path)
    with pytest.raises(BadInput):
        read_history(tmp_path)
