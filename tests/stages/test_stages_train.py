"""Train, with real faces and tiny budgets: what a model says of itself, that it continues, and what is refused."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import cv2
import pytest
import torch

from photodouble import weights
from photodouble.consent import add_record, digest, require
from photodouble.errors import BadInput, Refused
from photodouble.stages import extract
from photodouble.stages.events import Preview, Progress, Result, Started, Warned
from photodouble.stages.train import PAIRS, TrainConfig, pair_counts, run
from photodouble.training.checkpoint import load_model
from photodouble.training.model_json import load_meta
from photodouble.training.recipes import RECIPES

IMAGES = 32
LITE = TrainConfig(Path("."), "double", "ada", "lite", images=IMAGES)


def bytes_of(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and not re.search(r"\. [A-Z]", text)


def result(events):
    *_, last = events
    assert isinstance(last, Result)
    return last.values


def warnings(events):
    return [event.message for event in events if isinstance(event, Warned)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, _cast, copy_project):
    """A project with a `lite` that saw 64 pictures, and the events of its training."""
    project = copy_project(_cast, tmp_path_factory.mktemp("trained") / "project")
    return project, list(run(replace(LITE, project=project.root)))


@pytest.fixture
def model(trained, tmp_path, copy_project):
    """A copy of the project, whose model may be damaged."""
    return copy_project(trained[0], tmp_path / "project")


def test_lite_trains_and_says_how_well(trained):
    _, events = trained
    values = result(events)
    assert isinstance(events[0], Started)
    assert values["images"] == IMAGES
    assert not values["resumed"]
    assert warnings(events) == [gap["says"] for gap in values["coverage"]["gaps"]][: len(warnings(events))]
    assert len(warnings(events)) <= 3
    assert 0 < values["ssim"] <= 1
    assert values["metrics"]["ssim"] == values["history"][-1]["metrics"]["ssim"]
    assert values["ssim"] == values["best"]["metrics"]["ssim"]  # of the weights that convert uses
    assert values["metrics"]["ssim_mesh"] > 0
    assert 0 < values["metrics"]["ssim_double"] <= 1
    assert values["metrics"]["swap_similarity_wanted"] == pytest.approx(
        values["metrics"]["swap_similarity_wanted_mesh"], abs=0.2
    )
    assert Path(values["preview"]).with_name("worst.png").read_bytes().startswith(b"\x89PNG")
    assert values["images_per_second"] == pytest.approx(IMAGES / values["trained_seconds"])
    assert values["stopped"].endswith(".")
    assert {event.unit for event in events if isinstance(event, Progress)} == {"pairs", "images"}
    assert Path(values["preview"]).read_bytes().startswith(b"\x89PNG")
    assert any(isinstance(event, Preview) and event.path == Path(values["preview"]) for event in events)


def test_a_model_names_people_consent_and_faces(trained):
    project, events = trained
    meta = load_model(project.model("lite")).meta
    assert meta.identities == ["ada", "double"]
    assert meta.consent == {name: digest(require(project, name, date.today())) for name in ("ada", "double")}
    assert {name: data["faces"] for name, data in meta.data.items()} == events[0].plan["faces"] == {
        "ada": 3,
        "double": 30,
    }  # fmt: skip


def test_more_budget_continues_and_the_same_changes_nothing(model):
    before = bytes_of(model.model("lite"))
    again = list(run(replace(LITE, project=model.root)))
    assert [text for text in warnings(again) if "Continuing" in text and f"{IMAGES} images" in text]
    assert result(again)["resumed"] and result(again)["images"] == IMAGES
    assert bytes_of(model.model("lite")) == before
    more = list(run(replace(LITE, project=model.root, images=2 * IMAGES)))
    assert [text for text in warnings(more) if "Continuing" in text]
    assert result(more)["images"] == 2 * IMAGES
    assert [row["images"] for row in result(more)["history"]][-1] == 2 * IMAGES
    assert load_model(model.model("lite")).meta.images == 2 * IMAGES
    assert bytes_of(model.model("lite"))["weights.safetensors"] != before["weights.safetensors"]


def test_original_trains(cast):
    try:
        values = result(run(TrainConfig(cast.root, "double", "ada", "original", images=1)))
        assert values["images"] == 32  # one step
        assert 0 < values["ssim"] < 1
        loaded = load_model(cast.model("original"))
        assert loaded.meta.architecture == "original"
        assert sum(value.numel() for value in loaded.module.parameters()) == 69_662_976 + 2 * 6_199_747
    finally:
        shutil.rmtree(cast.model("original"), ignore_errors=True)  # a gigabyte


def test_a_larger_model_trains_on_pairs_of_its_size(cast, monkeypatch):
    """The stage with a network of a few channels: the real one is for GPUs."""
    model = "standard"
    tiny = {"settings": {"widths": (4, 4, 4, 4, 4), "depth": 1}, "batch_size": 1, "others": 1}
    monkeypatch.setitem(RECIPES, model, {**RECIPES[model], **tiny})
    try:
        events = list(run(TrainConfig(cast.root, "double", "ada", model, images=2)))
        assert 0 < result(events)["ssim"] < 1
        assert torch.cuda.is_available() or [text for text in warnings(events) if "no CUDA device" in text]
        loaded = load_model(cast.model(model))
        assert (loaded.meta.architecture, loaded.meta.identities) == (model, ["ada", "double"])
        picture = cv2.imread(result(events)["preview"])
        assert picture.shape[0] == 3 * 256
    finally:
        shutil.rmtree(cast.model(model), ignore_errors=True)


def test_a_model_of_other_identities_is_left_alone(model):
    before = bytes_of(model.model("lite"))
    with pytest.raises(BadInput, match="is of ada and double, not of double and ada") as told:
        list(run(replace(LITE, project=model.root, source="ada", target="double")))
    assert one_sentence(told.value)
    assert bytes_of(model.model("lite")) == before


def test_a_model_of_another_person_of_the_same_name_is_left_alone(model):
    """`swap` calls everybody by the same two names."""
    other = [weights.path("person_p005_portrait")]
    add_record(model, "ada", "synthetic", "another agreement, of another person")  # else extract would refuse
    list(extract.run(extract.ExtractConfig(model.root, "ada", other)))
    before = bytes_of(model.model("lite"))
    with pytest.raises(BadInput, match="another person's faces than those of ada") as told:
        list(run(replace(LITE, project=model.root)))
    assert one_sentence(told.value)
    assert bytes_of(model.model("lite")) == before


def test_more_faces_of_the_same_person_continue(model):
    more = [weights.path("person_p002_character")]
    list(extract.run(extract.ExtractConfig(model.root, "ada", more)))
    before = load_meta(model.model("lite"))
    events = list(run(replace(LITE, project=model.root, images=IMAGES + 16)))
    values = result(events)
    assert values["resumed"] and values["images"] == IMAGES + 16
    (told,) = [text for text in warnings(events) if "judged anew" in text]
    assert told.startswith("The faces of ada are not those of before")
    after = load_meta(model.model("lite"))
    assert after.data["ada"] != before.data["ada"] and after.data["double"] == before.data["double"]
    again = list(run(replace(LITE, project=model.root, images=IMAGES + 32)))
    assert not [text for text in warnings(again) if "judged anew" in text]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def lie(path: Path) -> None:
    """Other values, still JSON."""
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"images": 1}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("weights.safetensors", cut),
        ("weights.safetensors", flip),
        ("weights.safetensors", Path.unlink),
        ("training_state.safetensors", cut),
        ("model.json", cut),
        ("model.json", lie),
        ("model.json", Path.unlink),
    ],
)
def test_a_damaged_model_is_told_and_never_overwritten(model, name, damage):
    folder = model.model("lite")
    damage(folder / name)
    before = bytes_of(folder)
    with pytest.raises(BadInput) as told:
        list(run(replace(LITE, project=model.root, images=2 * IMAGES)))
    assert one_sentence(told.value)
    assert name in str(told.value) and str(folder) in str(told.value)
    assert bytes_of(folder) == before


@pytest.mark.parametrize("name", ["ada", "double"])
def test_refused_without_consent(cast, name):
    cast.consent(name).unlink()
    with pytest.raises(Refused, match=f"consent add {name}") as told:
        list(run(replace(LITE, project=cast.root)))
    assert one_sentence(told.value)
    assert not cast.model("lite").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "huge"}, "no trainable model 'huge'"),
        ({"model": "mesh"}, "no trainable model 'mesh'"),
        ({"source": "ada"}, "both ada"),
    ],
)
def test_wrong_words_are_bad_input(cast, change, told):
    with pytest.raises(BadInput, match=told) as error:
        list(run(replace(LITE, project=cast.root, **change)))
    assert one_sentence(error.value)
    assert not (cast.root / "models").exists()


def test_an_identity_without_faces_is_bad_input(cast):
    shutil.rmtree(cast.faces("ada"))
    with pytest.raises(BadInput, match="ada") as told:
        list(run(replace(LITE, project=cast.root)))
    assert one_sentence(told.value)


def test_a_short_training_draws_few_pairs():
    assert pair_counts(replace(LITE, images=None)) == list(PAIRS)
    assert pair_counts(replace(LITE, images=None, minutes=5.0)) == list(PAIRS)
    assert pair_counts(replace(LITE, images=10)) == [10, 10]
    assert pair_counts(replace(LITE, images=None, minutes=0.05)) == [60, 20]
    assert pair_counts(replace(LITE, images=None, minutes=0.0)) == [1, 1]
    assert pair_counts(replace(LITE, images=None, model="standard")) == list(PAIRS)
    assert 400 < pair_counts(replace(LITE, images=None, model="fine"))[0] < 600  # as many as 1.5 GB hold


COMMAND = """
import sys
from photodouble.training import engine
from photodouble.training.task import Pace
engine.Pace = lambda: Pace(tick=0.05, evaluate=1e9, save=0.2, save_share=1)  # checkpoints as often as can be
from photodouble.cli import main
sys.exit(main())
"""


def test_killed_and_started_again_it_continues(cast):
    """SIGKILL once a checkpoint with some training is there."""
    folder = cast.model("lite")
    words = ["train", "--from", "double", "--to", "ada", "--images", "96", "--project", str(cast.root), "--json"]
    command = [sys.executable, "-c", COMMAND, *words]
    environment = os.environ | {"COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        limit = time.monotonic() + 200
        while not (done := images_of(folder)) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    done = images_of(folder)
    assert 0 < done < 96
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    told = " ".join(ended.stderr.split())
    assert f"warning: Continuing the training of {folder} from its last checkpoint: {done} images" in told
    values = json.loads(ended.stdout)
    assert values["resumed"] and values["images"] == 96
    assert load_model(folder).meta.images == 96


def images_of(folder: Path) -> int:
    """What model.json states; it is replaced in one step, so it is always whole."""
    try:
        return json.loads((folder / "model.json").read_text())["images"]
    except FileNotFoundError:
        return 0
