"""Whose face is it? Footage, face sets and models against the consent records of a project."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import cv2
import pytest

from photodouble import weights
from photodouble.consent import add_record, digest, history, read_record, references, withdraw
from photodouble.consent.binding import LIMIT, bound, check_likeness, read_pictures
from photodouble.errors import BadInput, Refused
from photodouble.faces import FaceSet
from photodouble.media import open_clip
from photodouble.project import Project, init_project
from photodouble.provenance import read_manifest
from photodouble.stages import consent, recognise
from photodouble.stages.convert import ConvertConfig
from photodouble.stages.convert import run as convert
from photodouble.stages.events import Progress, Warned
from photodouble.stages.extract import ExtractConfig, extract_faces
from photodouble.stages.extract import run as extract
from photodouble.stages.train import TrainConfig
from photodouble.stages.train import run as train


def one_sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    return text


def refused(steps, *, after: type = Progress) -> str:
    """The sentence with which a stage refuses; nothing of the kind `after` (its work) may have come before."""
    with pytest.raises(Refused) as error:
        for event in steps:
            assert not isinstance(event, after)
    return one_sentence(error)


def sheet(project: Project, name: str):
    return cv2.imread(str(project.identity(name) / "mismatch.png"))


def test_the_first_extraction_binds_the_record_and_says_so(cast: Project) -> None:
    for name, faces in (("double", 30), ("ada", 3)):
        records = history(cast, name)
        assert [record.kind for record in records] == ["consent", "binding"]
        pictures = references(records)
        assert 3 <= len(pictures) <= 8
        crops = cast.faces(name) / "crops"
        assert all((crops / picture.file).is_file() for picture in pictures)
        person = bound(cast, name)
        assert person is not None and not person.given
        own = FaceSet.open(cast.faces(name))
        assert len(own) == faces and person.alike(own.embedding).min() > 0.5
    ada, double = bound(cast, "ada"), bound(cast, "double")
    assert ada and double and float(ada.alike(double.reference)[0]) < LIMIT


def test_it_is_said_in_a_warning_once(project: Project, stills: list[Path]) -> None:
    config = ExtractConfig(project.root, "ada", stills)
    told = [[event.message for event in extract(config) if isinstance(event, Warned)] for _ in range(2)]
    assert any("from now on it is bound to the face found in" in message for message in told[0])
    assert not any("bound" in message for message in told[1])


def test_wrong_footage_is_refused_before_it_is_read_and_shown(cast: Project, small_plate: Path) -> None:
    """Three frames' looks, not thirty: no chunk of it is made."""
    before = sorted(cast.faces("ada").rglob("*"))
    text = refused(extract(ExtractConfig(cast.root, "ada", [small_plate])))
    assert str(small_plate) in text and "consent record of 'ada'" in text and "similarity 0." in text
    assert str(cast.identity("ada") / "mismatch.png") in text
    assert sheet(cast, "ada").std() > 20
    assert sorted(cast.faces("ada").rglob("*")) == before
    assert not cast.identity("ada").joinpath(".faces.work").exists()


def test_a_reference_of_somebody_else_is_refused(cast: Project, stills: list[Path], portraits: list[Path]) -> None:
    text = refused(extract(ExtractConfig(cast.root, "ada", stills[:2], reference=portraits[0])))
    assert str(portraits[0]) in text


def test_the_person_is_found_among_others_by_the_record(
    tmp_path: Path, stills: list[Path], portraits: list[Path]
) -> None:
    """Two pictures of a stranger come first and are larger; the record's pictures decide."""
    made = init_project(tmp_path / "film")
    add_record(made, "ada", "synthetic", "openpeople", pictures=read_pictures(stills[:1]))
    sources = [portraits[0], weights.path("person_p001_selfie"), *stills[1:]]
    events = list(extract(ExtractConfig(made.root, "ada", sources)))
    assert (events[-1].values["faces"], events[-1].values["others"]) == (2, 2)
    person = bound(made, "ada")
    assert person and person.given
    assert person.alike(FaceSet.open(made.faces("ada")).embedding).min() >= LIMIT


def test_where_looks_do_not_suffice_the_whole_extraction_refuses(
    cast: Project, small_plate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognise, "LOOKS", 0)  # as if no face had been seen in any of the frames looked at
    monkeypatch.setattr(recognise, "_spread", lambda clips: iter(()))
    person = bound(cast, "ada")
    assert person is not None
    folder = cast.root / "faces"
    text = refused(extract_faces(folder, [small_plate], person=person), after=Warned)
    assert str(small_plate) in text
    assert sheet(cast, "ada").std() > 20 and not folder.exists() and not list(cast.root.glob(".faces*"))


def test_a_picture_for_a_record_shows_one_person(stills: list[Path], portraits: list[Path], tmp_path: Path) -> None:
    assert [picture.file for picture in read_pictures(stills[:2])] == [path.name for path in stills[:2]]
    with pytest.raises(BadInput, match="different people"):
        read_pictures([stills[0], portraits[0]])
    heads = [cv2.imread(str(path))[::3, ::3] for path in (stills[0], portraits[0])]
    height = min(len(head) for head in heads)
    cv2.imwrite(str(tmp_path / "two.png"), cv2.hconcat([head[:height] for head in heads]))
    with pytest.raises(BadInput, match=r"two\.png shows several people") as told:
        read_pictures([tmp_path / "two.png"])
    one_sentence(told)
    cv2.imwrite(str(tmp_path / "none.png"), heads[0][:40, :40])
    with pytest.raises(BadInput, match="No face was found"):
        read_pictures([tmp_path / "none.png"])


@pytest.fixture
def strangers(cast: Project) -> Project:
    """A project in which the faces of `ada` were replaced by those of `double`."""
    shutil.rmtree(cast.faces("ada"))
    shutil.copytree(cast.faces("double"), cast.faces("ada"))
    return cast


def test_a_set_of_somebody_elses_faces_is_not_trained_on(strangers: Project) -> None:
    text = refused(train(TrainConfig(strangers.root, "double", "ada", images=8)))
    assert "30 of the 30 faces" in text and str(strangers.faces("ada") / "crops") in text
    assert sheet(strangers, "ada").shape[1] >= 640 and not strangers.model("lite").exists()


def test_nor_drawn_from(strangers: Project, small_plate: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    assert "30 of the 30 faces" in refused(convert(ConvertConfig(strangers.root, small_plate, "double", "ada", output)))
    assert not output.exists()


def test_a_plate_of_somebody_else_is_refused_before_it_is_read(
    cast: Project, make_plate: Callable[..., Path], portraits: list[Path], tmp_path: Path
) -> None:
    plate = make_plate(tmp_path / "other.mp4", portraits[2], frames=4, sound=False)
    text = refused(convert(ConvertConfig(cast.root, plate, "double", "ada", tmp_path / "out.mp4")))
    assert "consent record of 'double'" in text and "other.mp4" in text
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("name", ["ada", "double"])
def test_after_a_withdrawal_nothing_goes_on(cast: Project, small_plate: Path, tmp_path: Path, name: str) -> None:
    withdraw(cast, name)
    output = tmp_path / "out.mp4"
    for steps in (
        extract(ExtractConfig(cast.root, name, [small_plate])),
        train(TrainConfig(cast.root, "double", "ada", images=8)),
        convert(ConvertConfig(cast.root, small_plate, "double", "ada", output)),
    ):
        assert f"The consent of '{name}' was withdrawn" in refused(steps)
    assert not output.exists()


def test_a_model_of_another_person_is_refused(cast: Project) -> None:
    ada, double = bound(cast, "ada"), bound(cast, "double")
    assert ada and double
    check_likeness(ada, ada.reference.tolist(), Path("lite"))
    with pytest.raises(Refused, match="draws another person") as told:
        check_likeness(ada, double.reference.tolist(), Path("lite"))
    one_sentence(told)


def test_an_outputs_manifest_leads_back_to_the_record(cast: Project, small_plate: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    list(convert(ConvertConfig(cast.root, small_plate, "double", "ada", output)))
    assert open_clip(output).estimated_frames == 30
    named = read_manifest(output).consent
    assert named == [digest(read_record(cast.consent(name))) for name in ("ada", "double")]
    for name, known in zip(("ada", "double"), named, strict=True):
        found = consent.show(cast.root, known[:8])
        assert (found["name"], found["holds"]) == (name, True)
        assert [entry["digest"] for entry in found["entries"]] == [known]
    add_record(cast, "ada", "release", "a later contract", expires=date(2090, 1, 1))
    assert consent.show(cast.root, named[0])["entries"][0]["digest"] == named[0]
