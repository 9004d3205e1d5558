from datetime import date
from pathlib import Path

import pytest

from photodouble.consent import digest, read_record
from photodouble.errors import BadInput
from photodouble.project import Project
from photodouble.stages import consent


def test_what_is_added_is_listed_with_its_digest(project: Project) -> None:
    added = consent.add(project.root, "eve", "release", "contract 12", scope="one film", expires=date(2030, 12, 31))
    assert added["digest"] == digest(read_record(project.consent("eve")))
    listed = {entry["name"]: entry for entry in consent.list_records(project.root, date(2030, 12, 31))["consent"]}
    assert list(listed) == ["ada", "double", "eve"]
    assert listed["eve"].items() >= {"holds": True, "expires": "2030-12-31", "scope": "one film"}.items()
    late = {entry["name"]: entry for entry in consent.list_records(project.root, date(2031, 1, 1))["consent"]}
    assert (late["ada"]["holds"], late["eve"]["holds"]) == (True, False)
    assert "expired on 2030-12-31" in late["eve"]["reason"]


def test_a_broken_record_is_listed_as_such(project: Project) -> None:
    project.consent("ada").write_text("basis = 1")
    ada = consent.list_records(project.root)["consent"][0]
    assert (ada["name"], ada["holds"]) == ("ada", False)
    assert str(project.consent("ada")) in ada["reason"]


def test_a_folder_that_is_no_project_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="photodouble init"):
        consent.add(tmp_path, "eve", "release", "contract")
    with pytest.raises(BadInput, match="photodouble init"):
        consent.list_records(tmp_path)
