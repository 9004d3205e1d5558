import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photodouble.errors import BadInput
from photodouble.provenance import ledger
from photodouble.provenance.ledger import LedgerEntry, add, ledgers, look_up, payload_for, publish, read_ledger

PARTS = ["plate.mp4", "out.mp4", "", "ab" * 32]


@pytest.fixture
def books(tmp_path):
    return ledgers(tmp_path / "project", tmp_path / "home")


def test_an_identifier_leads_to_the_manifest_in_both_ledgers(books, tmp_path):
    identifier = payload_for(PARTS, books)
    assert look_up(identifier, books).manifest == ""
    publish(identifier, tmp_path / "out.mp4", "cd" * 32, books)
    for book in books:
        entry = look_up(identifier, [book])
        assert (entry.manifest, entry.output) == ("cd" * 32, "out.mp4")
        assert [item.manifest for item in read_ledger(book)] == ["", "cd" * 32]
    assert look_up(identifier ^ 1, books) is None


def test_the_same_work_gets_the_same_identifier_and_no_second_line(books, tmp_path):
    identifier = payload_for(PARTS, books)
    assert payload_for(PARTS, books) == identifier
    assert payload_for(PARTS, [tmp_path / "elsewhere.jsonl"]) == identifier
    assert payload_for([*PARTS, "more"], books) != identifier
    assert len(read_ledger(books[0])) == 2


def test_a_number_that_another_work_has_is_not_given_again(books, tmp_path):
    first = payload_for(PARTS, [tmp_path / "other.jsonl"])
    add(books[1], LedgerEntry(first, "the key of another work"))
    second = payload_for(PARTS, books)
    assert second != first
    assert payload_for(PARTS, books) == second


def test_what_a_crash_left_of_a_line_is_left_out_and_cut_off(books):
    identifier = payload_for(PARTS, books)
    with open(books[0], "ab") as file:
        file.write(b'{"identifier": "00')
    assert [entry.identifier for entry in read_ledger(books[0])] == [identifier]
    add(books[0], LedgerEntry(5, "k"))
    assert [entry.identifier for entry in read_ledger(books[0])] == [identifier, 5]
    assert all(json.loads(line) for line in books[0].read_text().splitlines())


@given(st.binary(max_size=40))
def test_a_damaged_line_is_told_in_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("ledger") / "watermarks.jsonl"
    path.write_bytes(data + b"\n")
    try:
        assert read_ledger(path) == []
    except BadInput as told:
        assert path.name in str(told)


def test_a_ledger_that_cannot_be_written_is_told(tmp_path):
    if os.geteuid() == 0:
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / "watermarks.jsonl"
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        path = tmp_path / "locked" / "watermarks.jsonl"
    with pytest.raises(BadInput, match="watermarks"):
        add(path, LedgerEntry(1, "k"))


def test_an_identifier_that_no_ledger_gave_out_is_not_published(books, tmp_path):
    with pytest.raises(BadInput, match="00002a"):
        publish(42, tmp_path / "out.mp4", "cd", books)


def test_the_manifests_digest_is_the_sidecars_where_there_is_one(tmp_path):
    (tmp_path / "out.mkv").write_bytes(b"film")
    alone = ledger.manifest_digest(tmp_path / "out.mkv")
    (tmp_path / "out.c2pa").write_bytes(b"manifest")
    assert ledger.manifest_digest(tmp_path / "out.mkv") != alone
    assert ledger.manifest_digest(tmp_path) == ledger.manifest_digest(tmp_path / "out.mkv")
