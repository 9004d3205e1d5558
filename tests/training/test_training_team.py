"""Two processes on CPUs learn what one process with the doubled batch learns."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor
from toy import Toy

from photodouble.errors import BadInput
from photodouble.training import run as running
from photodouble.training.checkpoint import load_model, load_state
from photodouble.training.engine import fit
from photodouble.training.model_json import load_meta
from photodouble.training.run import Run, follow
from photodouble.training.state import seed_of
from photodouble.training.task import Budget, Pace, Saved, Stopped, Ticked
from photodouble.training.team import Team, gathered

SEED = 3
BUDGET = Budget(images=96)
STEPS = Pace(tick=0, evaluate=0, save=60, evaluate_share=1e9)


class Doubled(Toy):
    """Draws in each step what the two processes draw, one after the other."""

    images_per_batch = 8

    def __init__(self) -> None:
        super().__init__()
        self.second: dict[torch.Generator, torch.Generator] = {}

    def batch(self, generator: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        second = self.second.setdefault(generator, torch.Generator().manual_seed(seed_of(SEED, 1)))
        both = [Toy().batch(source, device) for source in (generator, second)]
        return {key: torch.cat([batch[key] for batch in both]) for key in both[0]}


class Fails(Toy):
    """In every process but the first."""

    def losses(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if multiprocessing.parent_process() is not None:
            raise ValueError("the second process cannot go on")
        return super().losses(module, batch)


class Full(Toy):
    """In every process but the first there is no memory."""

    def losses(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if multiprocessing.parent_process() is not None and not isinstance(batch["input"], FakeTensor):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().losses(module, batch)


class Killed(Toy):
    """Every process but the first is ended in its third step."""

    def losses(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if multiprocessing.parent_process() is not None and self.calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().losses(module, batch)


def curve(events: list) -> np.ndarray:
    return np.array([event.losses["total"] for event in events if isinstance(event, Ticked)])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """A model that two processes trained, and what was said."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("team") / "two"
    return folder, list(fit(Toy(), folder, BUDGET, seed=SEED, pace=STEPS, devices=2))


def test_two_processes_have_the_curve_of_one_with_the_doubled_batch(tmp_path: Path, two: tuple[Path, list]) -> None:
    folder, two = two
    one = list(fit(Doubled(), tmp_path / "one", BUDGET, seed=SEED, pace=STEPS))
    assert [type(event) for event in one if not isinstance(event, Saved)] == [
        type(event) for event in two if not isinstance(event, Saved)
    ]
    assert len(curve(two)) == 12 and len(set(curve(two))) > 6
    np.testing.assert_allclose(curve(two), curve(one), rtol=1e-5)
    last = two[-1]
    assert isinstance(last, Stopped) and last.images == 96
    assert last.metrics["ssim"] == pytest.approx(one[-1].metrics["ssim"], abs=1e-4)
    modules = (load_model(path).module for path in (tmp_path / "one", folder))
    for a, b in zip(*(module.parameters() for module in modules), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert not torch.distributed.is_initialized()


def test_two_processes_cut_and_continued_end_in_the_same_bytes(tmp_path: Path, two: tuple[Path, list]) -> None:
    whole, cut = two[0], tmp_path / "cut"
    pace = Pace(tick=0, evaluate=60, save=0, save_share=1e9)
    going = fit(Toy(), cut, BUDGET, seed=SEED, pace=pace, devices=2)
    for event in going:
        if isinstance(event, Saved) and event.images == 24:
            break
    going.close()
    assert not multiprocessing.active_children()
    events = list(fit(Toy(), cut, BUDGET, seed=SEED, pace=pace, devices=2))
    assert events[0].resumed and events[0].images == 24
    states = [load_state(folder, load_meta(folder)) for folder in (whole, cut)]
    assert states[0].tensors.keys() == states[1].tensors.keys() and "generator/1" in states[0].tensors
    assert all(torch.equal(states[0].tensors[key], value) for key, value in states[1].tensors.items())
    assert load_meta(whole).weights == load_meta(cut).weights


def test_a_process_that_fails_ends_the_training_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the second process cannot go on"):
        list(fit(Fails(), tmp_path / "m", Budget(images=64), seed=SEED, pace=STEPS, devices=2))
    assert not multiprocessing.active_children() and not torch.distributed.is_initialized()
    assert load_meta(tmp_path / "m").images == 0


def test_a_process_without_memory_ends_the_training_with_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^The memory of cpu does not suffice to train on 4 pictures at once: .+\.$"):
        list(fit(Full(), tmp_path / "m", Budget(images=64), seed=SEED, pace=STEPS, devices=2))
    assert not multiprocessing.active_children() and not torch.distributed.is_initialized()


def scarce(team: Team) -> None:
    """Another process, in which less memory is free than in the first."""
    running.free_memory = lambda device: 1000
    follow(team, Killed(), SEED, None, Path("nothing"))


def test_the_least_memory_counts_and_a_killed_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "free_memory", lambda device: 5000)
    with (
        pytest.raises(BadInput, match=r"^One of the 2 processes .+ from outside \(signal 9\), .+\.$"),
        gathered("cpu", 2, True, scarce) as team,
    ):
        team.fabric.barrier()
        run = Run(Killed(), SEED, team=team)
        assert run.least_free() == 1000
        for _ in range(4):
            run.step(1.0)
    assert run.counters.steps == 2
    assert not multiprocessing.active_children() and not torch.distributed.is_initialized()


def test_seeds_of_processes_differ() -> None:
    assert seed_of(7, 0) == 7
    assert len({seed_of(seed, rank, images) for seed in (0, 1) for rank in range(4) for images in (0, 8)}) == 16
