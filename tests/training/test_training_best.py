"""The best weights by held-out score are kept beside the newest, and are the ones that a model is used with."""

import hashlib
from pathlib import Path

import pytest
import torch
from toy import Toy

from photodouble import networks
from photodouble.errors import BadInput
from photodouble.training import checkpoint, model_json
from photodouble.training.checkpoint import TrainingState, load_model, save_model
from photodouble.training.engine import fit
from photodouble.training.model_json import Meta, load_meta
from photodouble.training.task import Budget, Pace, Saved, Stopped

OFTEN = Pace(tick=0, evaluate=0, save=0, evaluate_share=1e9, save_share=1e9)


class Peaks(Toy):
    """Its score rises until `peak` evaluations have been taken and falls from there on."""

    def __init__(self, peak: int) -> None:
        super().__init__()
        self.peak, self.count = peak, 0

    def evaluate(self, module: torch.nn.Module) -> dict[str, float]:
        self.count += 1
        return {"ssim": 0.5 - 0.01 * abs(self.count - self.peak)}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def newest(folder: Path) -> torch.nn.Module:
    meta = load_meta(folder)
    module = networks.create(meta.architecture, **meta.config)
    checkpoint.load_weights(folder, meta, module)
    return module


def test_a_model_is_used_with_the_weights_of_its_peak(tmp_path: Path) -> None:
    events = list(fit(Peaks(5), tmp_path / "long", Budget(images=48), seed=3, pace=OFTEN))
    last = events[-1]
    assert isinstance(last, Stopped) and last.best["images"] == 20 and last.best["score"] == 0.5
    assert last.best["metrics"] == {"ssim": 0.5} and last.metrics["ssim"] < 0.5
    meta = load_meta(tmp_path / "long")
    assert meta.best == last.best and meta.images == 48
    assert meta.best["weights"] == digest(tmp_path / "long" / "best.safetensors") != meta.weights
    assert not same(load_model(tmp_path / "long").module, newest(tmp_path / "long"))


def test_where_the_newest_is_the_best_both_are_one_file(tmp_path: Path) -> None:
    list(fit(Peaks(100), tmp_path / "m", Budget(images=20), seed=3, pace=OFTEN))
    best, weights = tmp_path / "m" / "best.safetensors", tmp_path / "m" / "weights.safetensors"
    assert best.samefile(weights)
    assert same(load_model(tmp_path / "m").module, newest(tmp_path / "m"))


def test_before_the_first_evaluation_the_newest_weights_are_used(tmp_path: Path) -> None:
    going = fit(Toy(), tmp_path / "m", Budget(images=20), seed=3)
    next(going), next(going)
    going.close()
    assert load_meta(tmp_path / "m").best == {} and not (tmp_path / "m" / "best.safetensors").exists()
    assert same(load_model(tmp_path / "m").module, newest(tmp_path / "m"))


def test_a_run_cut_after_its_peak_keeps_it_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    list(fit(Peaks(5), tmp_path / "whole", Budget(images=60), seed=3, pace=OFTEN))
    task = Peaks(5)
    going = fit(task, tmp_path / "cut", Budget(images=60), seed=3, pace=OFTEN)
    for event in going:
        if isinstance(event, Saved) and event.images == 32:
            break
    going.close()
    list(fit(task, tmp_path / "cut", Budget(images=60), seed=3, pace=OFTEN))
    for name in ("weights", "best"):
        assert digest(tmp_path / "cut" / f"{name}.safetensors") == digest(tmp_path / "whole" / f"{name}.safetensors")
    whole, cut = load_meta(tmp_path / "whole"), load_meta(tmp_path / "cut")
    assert whole.best["images"] == cut.best["images"] == 20 and whole.best["weights"] == cut.best["weights"]
    assert [row["score"] for row in whole.history] == [row["score"] for row in cut.history]


def test_the_best_is_kept_by_a_save_that_has_no_better(tmp_path: Path) -> None:
    module = networks.create("original", width=2)
    meta = Meta("original", networks.config_of(module))
    first = save_model(
        tmp_path / "m", module, meta, best=dict(module.state_dict())
    )  # the record's other entries are the run's
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with torch.no_grad():
        for value in module.parameters():
            value.add_(1)
    save_model(tmp_path / "m", module, Meta("original", meta.config, best=first.best), TrainingState({}, {}))
    assert all(torch.equal(value, before[key]) for key, value in load_model(tmp_path / "m").module.state_dict().items())
    save_model(tmp_path / "m", module, meta)
    assert not (tmp_path / "m" / "best.safetensors").exists()


def test_a_damaged_best_is_named(tmp_path: Path) -> None:
    list(fit(Peaks(2), tmp_path / "m", Budget(images=20), seed=3, pace=OFTEN))
    path = tmp_path / "m" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    for load in (load_model, model_json.check):
        with pytest.raises(BadInput, match=r"best\.safetensors"):
            load(tmp_path / "m")


def test_file_systems_without_second_names_get_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr("os.link", refuse)
    list(fit(Peaks(100), tmp_path / "m", Budget(images=20), seed=3, pace=OFTEN))
    best, weights = tmp_path / "m" / "best.safetensors", tmp_path / "m" / "weights.safetensors"
    assert not best.samefile(weights) and digest(best) == digest(weights)
