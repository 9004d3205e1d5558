"""A training that goes on with another budget, or on other faces, does not keep what was concluded before."""

import shutil
from pathlib import Path

import pytest
import torch
from toy import Toy

from photodouble.training.checkpoint import load_model, load_state, save_model
from photodouble.training.engine import fit
from photodouble.training.model_json import load_meta
from photodouble.training.task import Budget, Pace, Saved, Stopped

PACE = Pace(tick=0, evaluate=0, save=60)


class Flat(Toy):
    def evaluate(self, module: torch.nn.Module) -> dict[str, float]:
        return {"ssim": 0.5}


class Rises(Toy):
    def evaluate(self, module: torch.nn.Module) -> dict[str, float]:
        return {"ssim": 0.5 + 0.003 * self.calls}


def run(folder: Path, budget: Budget, task: Toy | None = None, look: int = 2, **values) -> Stopped:
    """Train on a clock of which every look takes so many seconds."""
    ticks = iter(range(0, 1000000, look))
    *_, last = fit(task or Flat(), folder, budget, pace=PACE, clock=lambda: float(next(ticks)), **values)
    return last


def counters(folder: Path) -> dict:
    return load_state(folder, load_meta(folder)).values["counters"]


@pytest.fixture(scope="module")
def plateau(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Stopped]:
    """A model whose training by minutes ended early."""
    folder = tmp_path_factory.mktemp("plateau") / "m"
    last = run(folder, Budget(minutes=30))
    assert last.reason == "plateau" and last.seconds < 0.5 * 1800
    return folder, last


@pytest.fixture
def model(plateau: tuple[Path, Stopped], tmp_path: Path) -> tuple[Path, Stopped]:
    return Path(shutil.copytree(plateau[0], tmp_path / "m")), plateau[1]


def test_the_same_budget_keeps_its_end(model: tuple[Path, Stopped]) -> None:
    folder, before = model
    last = run(folder, Budget(minutes=30))
    assert (last.reason, last.message, last.images) == ("plateau", before.message, before.images)


def test_a_budget_by_images_never_ends_early(model: tuple[Path, Stopped]) -> None:
    folder, before = model
    images = before.images + 40
    last = run(folder, Budget(images=images))
    assert last.reason == "budget" and last.images == images
    assert counters(folder)["end"] == 1 and counters(folder)["why"] == ""


def test_a_longer_budget_is_judged_by_itself(model: tuple[Path, Stopped]) -> None:
    folder, _ = model
    last = run(folder, Budget(minutes=40), Rises(), look=8)
    assert last.reason == "budget" and last.seconds >= 2400


def test_a_rewind_does_not_bring_the_old_end_back(model: tuple[Path, Stopped]) -> None:
    folder, before = model
    last = run(folder, Budget(images=before.images + 40), Flat(poison=range(3, 4)))
    assert last.reason == "budget" and last.images == before.images + 40


def test_models_that_do_not_tell_their_budget_load(model: tuple[Path, Stopped]) -> None:
    folder, before = model
    meta = load_meta(folder)
    state = load_state(folder, meta)
    del state.values["counters"]["budget"]
    module = load_model(folder).module
    save_model(folder, module, meta, state, dict(module.state_dict()))
    last = run(folder, Budget(images=before.images + 8))
    assert last.reason == "budget" and last.images == before.images + 8


def test_the_same_budget_writes_no_checkpoint_before_its_first_step(tmp_path: Path) -> None:
    going = fit(Toy(), tmp_path / "m", Budget(images=40), seed=3, pace=Pace(0, 60, 0, save_share=1e9))
    for event in going:
        if isinstance(event, Saved) and event.images == 16:
            break
    going.close()
    events = list(fit(Toy(), tmp_path / "m", Budget(images=40), seed=3))
    assert min(event.images for event in events if isinstance(event, Saved)) > 16


class Harder(Toy):
    """Other held-out faces, on which all networks look worse."""

    def evaluate(self, module: torch.nn.Module) -> dict[str, float]:
        return {"ssim": super().evaluate(module)["ssim"] - 0.5}


def test_on_other_faces_the_best_weights_are_judged_anew(tmp_path: Path) -> None:
    folder, often = tmp_path / "m", Pace(0, 0, 0, evaluate_share=1e9, save_share=1e9)
    *_, first = fit(Toy(), folder, Budget(images=40), seed=3, pace=often)
    before = load_model(folder).meta
    going = fit(Harder(), folder, Budget(images=80), seed=3, pace=often, anew=True)
    for event in going:
        if isinstance(event, Saved):
            break
    going.close()
    told = load_model(folder).meta  # the same weights, and what they are worth now
    assert told.best["weights"] == before.best["weights"] and told.best["images"] == first.best["images"]
    assert told.best["score"] == pytest.approx(first.best["score"] - 0.5, abs=1e-6)
    *_, last = fit(Harder(), folder, Budget(images=80), seed=3, pace=often)
    assert last.best["images"] > 40 and load_model(folder).meta.best["weights"] != before.best["weights"]
    assert counters(folder)["since"] == len(before.history)


def test_figures_of_other_faces_have_no_say_in_the_end(model: tuple[Path, Stopped]) -> None:
    folder, before = model
    last = run(folder, Budget(minutes=30), Rises(), look=8, anew=True)
    assert last.reason == "budget" and last.images > before.images
