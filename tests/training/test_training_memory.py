"""Memory: told before, and a step that does not fit is taken in parts instead of ending the training."""

import copy
import warnings
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor
from toy import Toy

from photodouble.errors import BadInput
from photodouble.training import memory
from photodouble.training import run as running
from photodouble.training.checkpoint import load_state
from photodouble.training.engine import fit
from photodouble.training.memory import activation_bytes, fitting_parts, free_memory, out_of_memory
from photodouble.training.model_json import load_meta
from photodouble.training.run import Run
from photodouble.training.task import About, Average, Began, Budget, Divided, Pace, Schedule, Stopped

CPU_ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "68719476736 bytes. Error code 12 (Cannot allocate memory)"
)


class Small(Toy):
    """Runs out of memory where more than `most` pictures are computed at once."""

    images_per_batch = 8

    def __init__(self, most: int, error: Exception | None = None) -> None:
        super().__init__()
        self.most, self.error = most, error or torch.OutOfMemoryError("CUDA out of memory.")

    def losses(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if len(batch["input"]) > self.most and not isinstance(batch["input"], FakeTensor):
            raise self.error
        return super().losses(module, batch)


class Linear:
    """One layer with known sizes; its loss is a mean, so that parts must add up to the whole."""

    name, images_per_batch, schedule, average = "linear", 8, Schedule(), Average(share=0)

    def __init__(self) -> None:
        self.data = torch.rand(64, 16, generator=torch.Generator().manual_seed(1))

    def build(self) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))

    def optimizer(self, module: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), 0.1)

    def batch(self, generator: torch.Generator, device: torch.device) -> dict[str, torch.Tensor]:
        pick = torch.randint(len(self.data), (self.images_per_batch,), generator=generator)
        return {"x": self.data[pick]}

    def losses(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"total": (module(batch["x"]) - batch["x"].sum(1, keepdim=True)).square().mean()}

    def part(self, parts: int) -> "Linear | None":
        part = copy.copy(self)
        part.images_per_batch = self.images_per_batch // parts
        return part if part.images_per_batch * parts == self.images_per_batch else None


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(CPU_ALLOCATOR)])
def test_a_step_that_does_not_fit_is_taken_in_parts(tmp_path: Path, error: Exception) -> None:
    events = list(fit(Small(2, error), tmp_path / "m", Budget(images=64), seed=3, pace=Pace(0, 60, 60)))
    told = [event for event in events if isinstance(event, Divided)]
    assert [event.parts for event in told] == [4] and "4 parts" in told[0].message
    last = events[-1]
    assert isinstance(last, Stopped) and last.reason == "budget" and last.images == 64
    meta = load_meta(tmp_path / "m")
    assert load_state(tmp_path / "m", meta).values["counters"]["parts"] == 4
    assert load_state(tmp_path / "m", meta).values["counters"]["steps"] == 8
    # going on, it knows
    more = list(fit(Small(2, error), tmp_path / "m", Budget(images=80), seed=3))
    assert more[0].parts == 4 and not [event for event in more if isinstance(event, Divided)]


def test_the_real_allocators_refusal_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_what_never_fits_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"does not suffice to train on 1 pictures at once: .+\.$"):
        list(fit(Small(0), tmp_path / "m", Budget(images=64)))
    assert load_meta(tmp_path / "m").images == 0  # what was there before the step still is


def test_other_errors_are_not_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="of another kind"):
        list(fit(Small(2, RuntimeError("of another kind")), tmp_path / "m", Budget(images=64)))


def test_parts_leave_the_gradient_of_the_whole() -> None:
    task = Linear()
    whole, parts = Run(task, 5), Run(task, 5)
    parts.counters.parts = 4
    for run in (whole, parts):
        run.step(1.0)
    for a, b in zip(whole.module.parameters(), parts.module.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert whole.counters.images == parts.counters.images == 8


def test_the_estimate_counts_what_the_forward_pass_keeps() -> None:
    task = Linear()
    batch = task.batch(torch.Generator().manual_seed(0), torch.device("cpu"))
    given, hidden, error = 8 * 16 * 4, 8 * 32 * 4, 8 * 4
    assert activation_bytes(task, batch) == given * 2 + hidden + error  # the batch, its copy in `x`, tanh, the square


def test_the_estimate_grows_with_the_batch_and_touches_nothing() -> None:
    task, larger = Toy(), Toy()
    larger.images_per_batch = 8
    sizes = [
        activation_bytes(t, t.batch(torch.Generator().manual_seed(0), torch.device("cpu"))) for t in (task, larger)
    ]
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.02)

    class Reads(Toy):
        def losses(self, module: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"total": super().losses(module, batch)["total"] * float(batch["input"].mean())}

    assert activation_bytes(Reads(), task.batch(torch.Generator().manual_seed(0), torch.device("cpu"))) is None


def test_parts_stay_in_a_rewind_and_are_asked_anew_in_another_run(tmp_path: Path) -> None:
    run = Run(Small(8), 3)
    run.counters.parts = 2  # by the estimate
    run.save(tmp_path / "m", About())
    run.rewind(tmp_path / "m")
    assert run.counters.parts == 2 and run.counters.rewinds == 1
    run.load(tmp_path / "m")
    assert run.counters.parts == 1


def test_random_numbers_of_other_gpus_are_let_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """To keep those of all GPUs is slow, and PyTorch warns of it where there are several."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = Run(Toy(), 3)
        assert activation_bytes(run.task, run.task.batch(torch.Generator(), torch.device("cpu")))


def test_parts_by_the_estimate() -> None:
    task = Small(8)
    assert fitting_parts(task, 100, 900, 1200) == 1
    assert fitting_parts(task, 100, 1600, 1000) == 2
    assert fitting_parts(task, 100, 1600, 300) == 8  # there are no smaller ones
    assert fitting_parts(object(), 100, 1600, 300) == 1  # type: ignore[arg-type]


def test_a_run_begins_in_as_many_parts_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Small(8)
    first = next(fit(task, tmp_path / "a", Budget(images=8)))
    assert isinstance(first, Began) and first.parts == 1 and first.memory
    kept = round(memory.BACKWARD * activation_bytes(task, task.batch(torch.Generator(), torch.device("cpu"))))
    tight = round((first.memory - kept // 2) / memory.SHARE)
    monkeypatch.setattr(running, "free_memory", lambda device: tight)
    events = list(fit(task, tmp_path / "b", Budget(images=16)))
    assert events[0].parts == 2 and events[0].memory < first.memory
    assert [event.parts for event in events if isinstance(event, Divided)] == [2] and events[-1].images == 16
    with monkeypatch.context() as other:
        other.setattr(running, "free_memory", lambda device: 100 * tight)
        assert next(fit(task, tmp_path / "b", Budget(images=24))).parts == 1  # who held the memory is gone
    monkeypatch.setattr(running, "free_memory", lambda device: 1000)
    with pytest.raises(BadInput, match=r"takes 0\.0 GB of memory"):
        list(fit(task, tmp_path / "c", Budget(images=16)))


def test_free_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_memory(torch.device("cpu"))
    if Path("/proc/meminfo").exists():
        assert free is not None and 1e7 < free < 1e14
        for name, text in {
            "max": "4000000\n",
            "current": "3000000\n",
            "stat": "anon 1\ninactive_file 500000\n",
        }.items():
            (tmp_path / f"memory.{name}").write_text(text)
        monkeypatch.setattr(memory, "GROUP", tmp_path)
        assert free_memory(torch.device("cpu")) == 1500000
        (tmp_path / "memory.max").write_text("max\n")
        assert free_memory(torch.device("cpu")) > 1e7
