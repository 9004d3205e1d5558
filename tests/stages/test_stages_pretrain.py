"""Pretrain and what builds on it, with real faces and tiny budgets: a prior, a model that starts from it, one more."""

import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch

from photodouble import networks, weights
from photodouble.consent import add_record, digest, require
from photodouble.errors import BadInput, Refused
from photodouble.faces import Face, FaceSet, FaceSetWriter
from photodouble.faces.pose import CANONICAL
from photodouble.project import Project
from photodouble.stages import pretrain, train
from photodouble.stages.events import Result, Warned
from photodouble.stages.pretrain import PretrainConfig, _owner, split_people
from photodouble.stages.train import TrainConfig
from photodouble.training import run as running
from photodouble.training.checkpoint import load_model
from photodouble.training.model_json import load_meta

IMAGES = 36  # whole batches


def result(events):
    *_, last = events
    assert isinstance(last, Result)
    return last.values


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and not re.search(r"\. [A-Z]", text)


@pytest.fixture(scope="module")
def made(_cast, tmp_path_factory):
    """A prior of the two people of a project, and the events of its making."""
    output = tmp_path_factory.mktemp("pretrain") / "prior"
    faces = [_cast.identity("double"), _cast.faces("ada")]
    config = PretrainConfig(faces, output, output.parent / "unused", images=IMAGES, pairs=24)
    return config, list(pretrain.run(config))


def test_a_prior_is_one_decoder_and_everybodys_consent(made, _cast):
    config, events = made
    values = result(events)
    assert values["people"] == 2 and values["images"] == IMAGES and values["metrics"]["ssim"] > 0
    meta = load_model(config.output).meta
    assert meta.identities == ["everybody"] and meta.config["identities"] == 1
    assert meta.consent == {name: digest(require(_cast, name, date.today())) for name in ("double", "ada")}
    assert {name: row["faces"] for name, row in meta.data.items()} == {"double": 30, "ada": 3}
    assert not config.project.exists()  # nothing had to be extracted


def test_more_budget_continues_a_prior_and_other_faces_do_not(made, tmp_path):
    config, _ = made
    output = tmp_path / "prior"
    shutil.copytree(config.output, output)
    again = list(pretrain.run(replace(config, output=output, images=2 * IMAGES)))
    assert result(again)["resumed"] and result(again)["images"] == 2 * IMAGES
    assert [event.message for event in again if isinstance(event, Warned) and f"{IMAGES} images" in event.message]
    with pytest.raises(BadInput, match="begun on other faces") as told:
        list(pretrain.run(replace(config, output=output, faces=config.faces[:1])))
    assert one_sentence(told.value)


def test_short_memory_is_told(made, tmp_path, monkeypatch):
    size = sum(p.numel() * p.element_size() for p in networks.create("lite", identities=1).parameters())
    monkeypatch.setattr(running, "free_memory", lambda device: 4 * size + 1000)  # no more than optimizer and gradients
    events = list(pretrain.run(replace(made[0], output=tmp_path / "prior", images=12)))
    assert [event.message for event in events if isinstance(event, Warned) and "Memory is short" in event.message]


def test_a_model_starts_from_the_prior(made, cast):
    config, _ = made
    base = TrainConfig(cast.root, "double", "ada", images=1, init=str(config.output))
    assert result(train.run(base))["init"] == str(config.output)
    meta = load_meta(cast.model("lite"))
    prior = load_model(config.output)
    assert meta.start["consent"] == prior.meta.consent and meta.start["weights"] == prior.meta.used
    state, known = load_model(cast.model("lite")).module.state_dict(), prior.module.state_dict()
    for name, shared in (("encoder.stem.1.0.weight",) * 2, ("decoders.1.mix0.0.weight", "decoders.0.mix0.0.weight")):
        torch.testing.assert_close(state[name], known[shared], atol=2e-3, rtol=0)  # one step from it
    more = list(train.run(replace(base, images=17, init="none")))
    assert result(more)["resumed"] and result(more)["init"] == str(config.output)
    assert [event.message for event in more if isinstance(event, Warned) and "--init" in event.message]
    assert load_meta(cast.model("lite")).start == meta.start


def test_a_prior_is_not_trained_over_and_a_model_is_no_prior(made, cast):
    config, _ = made
    shutil.copytree(config.output, cast.model("lite"))
    with pytest.raises(BadInput, match="is of everybody"):
        list(train.run(TrainConfig(cast.root, "double", "ada", images=1)))
    shutil.rmtree(cast.model("lite"))
    list(train.run(TrainConfig(cast.root, "double", "ada", images=1)))
    with pytest.raises(BadInput, match="is no prior") as told:
        list(pretrain.run(replace(config, output=cast.model("lite"))))
    assert one_sentence(told.value)
    with pytest.raises(BadInput, match="There is no model in"):
        shutil.rmtree(cast.model("lite"))
        list(train.run(TrainConfig(cast.root, "double", "ada", images=1, init=str(cast.root / "nothing"))))


def test_one_more_identity_needs_consent_and_leaves_the_others(cast):
    base = TrainConfig(cast.root, "double", "ada", images=1)
    list(train.run(base))
    before = load_model(cast.model("lite"))
    shutil.copytree(cast.faces("ada"), cast.faces("ben"))
    third = replace(base, target="ben", add=True)
    with pytest.raises(Refused, match="consent add ben") as told:
        list(train.run(third))
    assert one_sentence(told.value)
    add_record(cast, "ben", "synthetic", "openpeople 0.1.2, AI-generated")
    with pytest.raises(BadInput, match="not of ben and double"):
        list(train.run(replace(third, add=False)))
    values = result(train.run(third))
    assert values["identities"] == ["ada", "double", "ben"] and values["images"] == 12
    after = load_model(cast.model("lite"))
    assert set(after.meta.consent) == set(after.meta.data) == {"ada", "double", "ben"}
    state = after.module.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.module.state_dict().items())
    more = result(train.run(replace(third, images=24)))
    assert more["resumed"] and more["images"] == 24
    with pytest.raises(BadInput, match="already") as told:
        list(train.run(replace(base, add=True)))
    assert one_sentence(told.value)


def test_a_mixed_folder_is_told_apart_and_needs_a_basis(tmp_path):
    folder = tmp_path / "crowd"
    folder.mkdir()
    for name in ("p001_portrait", "p001_selfie", "p002_portrait", "p002_selfie", "p008_portrait"):
        shutil.copy(weights.path(f"person_{name}"), folder / f"{name}.jpg")
    config = PretrainConfig([folder], tmp_path / "prior", tmp_path / "kept", images=16, pairs=4)
    with pytest.raises(Refused, match="--basis") as told:
        list(pretrain.run(config))
    assert one_sentence(told.value) and not config.project.exists()
    stated = replace(config, basis="synthetic", reference="openpeople 0.1.2, AI-generated")
    events = list(pretrain.run(stated))
    values = result(events)
    assert values["people"] == 2 and values["faces"] == 4
    assert [event.message for event in events if isinstance(event, Warned) and "1 of 5 faces" in event.message]
    assert len(FaceSet.open(config.project / "identities" / "crowd" / "faces")) == 5
    assert list(load_meta(config.output).consent) == ["crowd"]


def test_a_face_set_may_lie_near_the_root(_cast):
    assert _owner(_cast.faces("ada")) == Project(_cast.root.resolve())
    assert all(_owner(Path(path)) is None for path in ("/", "/data", "/faces", "/faces/ada", "/ada/faces"))


def test_faces_of_one_clip_or_sheet_draw_one_another_only(tmp_path):
    """Nine faces in a sheet and two single pictures of one person, one picture and three frames of two others."""
    rows = [("sheet", 0, number, 0) for number in range(9)] + [("a", 0, 9, 0), ("b", 0, 10, 0), ("c", 0, 11, 1)]
    rows += [("clip", frame, 12, 2) for frame in range(3)]
    points = CANONICAL.astype(np.float32)
    points = np.concatenate([points, np.zeros((478 - len(points), 3), np.float32)])
    with FaceSetWriter(tmp_path / "faces", 64) as out:
        for source, frame, track, person in rows:
            box, look = np.zeros(4, np.float32), np.zeros(52, np.float32)
            face = Face(frame, box, 1.0, points, look, box[:3], track=track, person=person, source=source)
            out.add(face, None)
    (groups,) = split_people(FaceSet.open(tmp_path / "faces"))
    assert sorted(map(len, groups)) == [2, 9]
    assert all((part.person == 0).all() for part in groups)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"faces": []}, "nothing to pretrain on"),
        ({"faces": [Path("nowhere.mp4")]}, "There is no file or folder nowhere.mp4"),
        ({"model": "original"}, "no model 'original' that can be pretrained"),
    ],
)
def test_wrong_words_are_bad_input(made, tmp_path, change, told):
    config = replace(made[0], output=tmp_path / "prior", **change)
    with pytest.raises(BadInput, match=told) as error:
        list(pretrain.run(config))
    assert one_sentence(error.value)
    assert not config.output.exists()
