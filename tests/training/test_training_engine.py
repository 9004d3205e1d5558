"""The engine on a small real task: resume, kill, budgets, rewinding, plateau."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy import Toy

from photodouble.errors import BadInput
from photodouble.training import checkpoint, model_json
from photodouble.training.engine import fit
from photodouble.training.task import Began, Budget, Evaluated, Pace, Rewound, Saved, Schedule, Stopped, Ticked

OFTEN = Pace(tick=0, evaluate=0, save=0, evaluate_share=1e9, save_share=1e9)


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(folder: Path, images: int, task: Toy | None = None, pace: Pace = OFTEN) -> list:
    return list(fit(task or Toy(), folder, Budget(images=images), seed=3, pace=pace))


def test_training_lowers_the_loss_and_tells_so(tmp_path: Path) -> None:
    events = run(tmp_path / "m", 240, pace=Pace(tick=0.05, evaluate=0.2, save=60))
    assert isinstance(events[0], Began) and not events[0].resumed
    ticks = [event for event in events if isinstance(event, Ticked)]
    assert ticks[-1].losses["total"] < ticks[0].losses["total"]
    assert ticks[-1].progress == 1 and all(tick.images_per_second > 0 for tick in ticks)
    last = events[-1]
    assert isinstance(last, Stopped) and last.reason == "budget" and last.images == 240
    evaluated = [event for event in events if isinstance(event, Evaluated)]
    assert evaluated[-1].preview.is_file() and evaluated[-1].metrics == last.metrics
    meta = model_json.load_meta(tmp_path / "m")
    assert meta.images == 240 and meta.metrics == last.metrics and len(meta.history) == len(evaluated)


def test_a_run_cut_in_the_middle_ends_in_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path / "whole", 120, pace=Pace(tick=60, evaluate=60, save=60))
    going = fit(Toy(), tmp_path / "cut", Budget(images=120), seed=3, pace=OFTEN)
    for event in going:
        if isinstance(event, Saved) and event.images >= 52:
            break
    going.close()
    events = run(tmp_path / "cut", 120)
    assert events[0].resumed and events[0].images == 52
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")
    whole, cut = (
        checkpoint.load_state(tmp_path / name, model_json.load_meta(tmp_path / name)) for name in ("whole", "cut")
    )
    assert whole.tensors.keys() == cut.tensors.keys()
    assert any(key.endswith("exp_avg_sq") for key in cut.tensors)
    for key, value in whole.tensors.items():
        assert torch.equal(value, cut.tensors[key]), key


class Forgets(Toy):
    """Drops out half of its input by PyTorch's own random numbers, which no task is handed."""

    def losses(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return super().losses(module, {**batch, "input": torch.nn.functional.dropout(batch["input"])})


def test_dropout_goes_on_where_it_was(tmp_path: Path) -> None:
    torch.manual_seed(1)
    run(tmp_path / "whole", 32, Forgets())
    torch.manual_seed(2)
    before = torch.get_rng_state()
    going = fit(Forgets(), tmp_path / "third", Budget(images=32), seed=3, pace=OFTEN)
    for event in going:
        torch.rand(3)  # the caller's
        if isinstance(event, Saved) and event.images == 16:
            break
    going.close()
    assert not torch.equal(before, torch.get_rng_state())
    list(fit(Forgets(), tmp_path / "third", Budget(images=32), seed=3, pace=OFTEN))
    assert digest(tmp_path / "third") == digest(tmp_path / "whole")
    run(tmp_path / "plain", 32)
    assert digest(tmp_path / "plain") != digest(tmp_path / "whole")


def test_another_seed_gives_another_model(tmp_path: Path) -> None:
    for seed in (3, 4):
        list(fit(Toy(), tmp_path / str(seed), Budget(images=8), seed=seed))
    assert digest(tmp_path / "3") != digest(tmp_path / "4")


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run(tmp_path / "m", 8)
    assert torch.equal(before, torch.get_rng_state())


def test_killed_training_continues_from_its_last_checkpoint(tmp_path: Path) -> None:
    script, images = Path(__file__).with_name("toy.py"), 320
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "cut"), str(images), "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        saved = [int(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert saved[-1] < images
    assert checkpoint.load_model(tmp_path / "cut").meta.images >= saved[-1]
    going = fit(Toy(), tmp_path / "cut", Budget(images=images), seed=3)
    began = next(going)
    going.close()
    assert began.resumed and began.images >= saved[-1]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    run(tmp_path / "whole", images, pace=Pace(tick=1, evaluate=60, save=60))
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")


def test_a_budget_in_minutes_counts_over_runs(tmp_path: Path) -> None:
    budget = Budget(minutes=1.5 / 60)
    going = fit(Toy(), tmp_path / "m", budget, seed=3, pace=OFTEN)
    for event in going:
        if isinstance(event, Saved) and event.images >= 12:
            break
    going.close()
    events = list(fit(Toy(), tmp_path / "m", budget, seed=3))
    assert 1.5 <= events[-1].seconds < 6
    assert events[0].seconds > 0
    again = list(fit(Toy(), tmp_path / "m", budget, seed=3))
    assert [type(event) for event in again] == [Began, Stopped] and again[-1].images == events[-1].images


def test_a_loss_that_is_no_number_rewinds(tmp_path: Path) -> None:
    task = Toy(poison=range(10, 11))
    events = run(tmp_path / "m", 80, task)
    assert sum(isinstance(event, Rewound) for event in events) == 1
    assert events[-1].reason == "budget" and events[-1].images == 80
    state = checkpoint.load_state(tmp_path / "m", model_json.load_meta(tmp_path / "m"))
    assert state.values["counters"]["rate"] == 0.5
    assert all(value.isfinite().all() for value in checkpoint.load_model(tmp_path / "m").module.state_dict().values())


def test_a_loss_that_never_is_a_number_stops_with_the_last_good_model(tmp_path: Path) -> None:
    run(tmp_path / "m", 8)
    before = digest(tmp_path / "m")
    events = run(tmp_path / "m", 80, Toy(broken=True))
    assert events[-1].reason == "diverged" and events[-1].images == 8
    assert events[-1].message.endswith(".") and digest(tmp_path / "m") == before


def test_without_an_average_the_weights_are_the_trained_ones(tmp_path: Path) -> None:
    run(tmp_path / "m", 16, Toy(share=0))
    state = checkpoint.load_state(tmp_path / "m", model_json.load_meta(tmp_path / "m"))
    assert not any(key.startswith("module/") for key in state.tensors)
    assert run(tmp_path / "m", 24, Toy(share=0))[-1].images == 24


def test_a_plateau_ends_a_run_by_minutes_early(tmp_path: Path) -> None:
    class Flat(Toy):
        def evaluate(self, module: torch.nn.Module) -> dict[str, float]:
            return {"ssim": 0.5}

    ticks = iter(range(0, 1000000, 2))
    pace = Pace(tick=0, evaluate=0, save=60)
    budget = Budget(minutes=60)
    events = list(fit(Flat(), tmp_path / "m", budget, pace=pace, clock=lambda: float(next(ticks))))
    last = events[-1]
    assert last.reason == "plateau"
    assert 720 < last.seconds < 1800  # a fifth of the budget is the earliest
    assert "0.500 after" in last.message and "60 min would add about 0.0000" in last.message
    # the learning rate's tail was run before the end
    counters = checkpoint.load_state(tmp_path / "m", model_json.load_meta(tmp_path / "m")).values["counters"]
    assert 0.2 <= counters["tail"] < counters["end"] < 0.5
    lefts = [event.left for event in events if isinstance(event, Ticked)]
    assert 3000 < lefts[0] < 3600 and lefts[-1] < 60


def test_a_plateau_in_the_tail_ends_the_run_and_the_rate_goes_on_from_where_it_is(tmp_path: Path) -> None:
    class Late(Toy):
        def evaluate(self, module: torch.nn.Module) -> dict[str, float]:
            return {"ssim": 0.4 + min(self.calls, LAST) / 1000}

    LAST = 90  # of some 190 steps
    task = Late()
    task.schedule = Schedule(warm_up=0.02, tail=0.5)
    ticks, budget = iter(range(0, 1000000, 2)), Budget(minutes=60)
    clock = lambda: float(next(ticks))  # noqa: E731
    *_, last = fit(task, tmp_path / "m", budget, pace=Pace(tick=0, evaluate=0, save=60), clock=clock)
    assert last.reason == "plateau" and 1800 < last.seconds < 3500
    state = checkpoint.load_state(tmp_path / "m", model_json.load_meta(tmp_path / "m"))
    counters = state.values["counters"]
    told = float(re.search(r"after ([\d.]+) min", last.message)[1]) / 60
    assert task.schedule.late(told, counters["tail"], counters["end"]) == pytest.approx((told - 0.5) / 0.5, abs=0.03)
    assert counters["end"] < told + 0.2 * told * (1 - (told - 0.5) / 0.5) + 0.02


def test_the_time_left_is_that_of_the_budget_or_of_the_plateau(tmp_path: Path) -> None:
    ticks = [event for event in run(tmp_path / "m", 40) if isinstance(event, Ticked)]
    assert ticks[-1].left == 0 and all(tick.left >= 0 for tick in ticks)
    assert ticks[4].left == pytest.approx((40 - ticks[4].images) / ticks[4].images_per_second)


def test_a_damaged_model_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    run(tmp_path / "m", 8)
    path = tmp_path / "m" / "training_state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    before = contents(tmp_path / "m")
    with pytest.raises(BadInput, match=r"training_state\.safetensors"):
        run(tmp_path / "m", 16)
    assert contents(tmp_path / "m") == before


def test_a_model_that_is_being_trained_is_left_alone(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    going = fit(Toy(), tmp_path / "m", Budget(images=16), seed=3, pace=OFTEN)
    assert isinstance(next(going), Began)
    with pytest.raises(BadInput, match=r"^The model .+ is being trained already: .+\.$"):
        next(fit(Toy(), tmp_path / "m", Budget(images=16), seed=3))
    assert not (tmp_path / "m" / "model.json").exists()
    next(fit(Toy(), tmp_path / "other", Budget(images=16), seed=3))
    going.close()
    assert run(tmp_path / "m", 16)[-1].images == 16


def test_another_network_is_not_continued(tmp_path: Path) -> None:
    class Wider(Toy):
        def build(self) -> torch.nn.Module:
            from photodouble import networks

            return networks.create("original", width=4)

    run(tmp_path / "m", 8)
    with pytest.raises(BadInput, match="another network"):
        run(tmp_path / "m", 16, Wider())


def test_schedule() -> None:
    schedule = Schedule(warm_up=0.1, tail=0.5, floor=0.02)
    assert schedule.factor(0.05, 0.5, 1) == pytest.approx(0.5)
    assert schedule.factor(0.3, 0.5, 1) == 1
    assert schedule.factor(0.75, 0.5, 1) == pytest.approx(0.51)
    assert schedule.factor(1.0, 0.5, 1) == pytest.approx(0.02)
    assert Schedule().factor(1.0, 1.0, 1.0) == 1


def test_a_budget_needs_a_measure() -> None:
    assert Budget(minutes=2, images=100).progress(50, 30) == 0.5
    with pytest.raises(ValueError, match="minutes or images"):
        Budget().progress(1, 1)
