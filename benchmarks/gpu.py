"""How fast each network trains and draws on this machine's GPU, beside the matrix peak that it reaches.

    PYTHONPATH=src python benchmarks/gpu.py [--seconds 540] [--models standard fine] [--json FILE]
    PYTHONPATH=src python benchmarks/gpu.py --quick

Needs PyTorch, NumPy and safetensors only; the data are random numbers made on the device. A row is one network in one
precision, with its own recipe: drawing the batch, augmentation, losses, backward pass, optimizer and the average of the
weights count as training; drawing is the network alone. FLOP are counted by PyTorch while the first step runs (products
and convolutions only). Rows are printed as they are ready; compiled ones come last, each in a process of its own, so
that none can take the time of the others. `--quick` tries everything on small networks, on a CPU where there is no GPU.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from photodouble import networks
from photodouble.training.autoencode import Autoencode
from photodouble.training.data import crop_cache
from photodouble.training.pair_cache import PairCache
from photodouble.training.pair_losses import Weights
from photodouble.training.peak import matrix_peak
from photodouble.training.recipes import RECIPES, refine
from photodouble.training.refine import Refine
from photodouble.training.speed import PRECISIONS, Speed

MODELS = ("original", "lite", "standard", "fine")
DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
QUICK: dict[str, dict[str, Any]] = {
    "original": {"width": 4},
    "lite": {"settings": {"width": 4}},
    "standard": {"settings": {"widths": (4, 4, 4, 8, 8), "depth": 1}},
    "fine": {"settings": {"widths": (4, 4, 4, 8, 8), "depth": 1, "outer": 4}},
}
LARGER = 4
"""How much larger the batches of the rows are that show what a batch is worth."""

HEADS = ("model", "precision", "mode", "batch", "training", "drawing", "TFLOP/s", "of peak", "memory", "note")


@dataclass(frozen=True)
class Case:
    """One row to be measured: `mode` is empty or that of torch.compile; `late` adds the critic."""

    model: str
    precision: str
    mode: str = ""
    scale: int = 1
    late: bool = False


@dataclass
class Row:
    """What was measured: faces a second in training and drawing, FLOP/s in training, bytes at the most."""

    case: Case
    batch: int = 0
    training: float = 0.0
    drawing: float = 0.0
    flops: float = 0.0
    memory: int = 0
    note: str = ""


def cases(models: list[str], device: torch.device) -> list[Case]:
    """All rows, the ones that must not be missed first."""
    if device.type != "cuda":
        return [
            Case(model, "float32", late=late) for late in (False, True) for model in models if has_critic(model) >= late
        ]
    plain = [Case(model, precision) for precision in reversed(PRECISIONS) for model in models]
    more = [Case(model, "bf16", scale=LARGER) for model in models]
    critic = [Case(model, "bf16", late=True) for model in models if has_critic(model)]
    compiled = [Case(model, "bf16", mode) for mode in ("reduce-overhead", "default") for model in reversed(models)]
    return plain + critic + more + compiled


def has_critic(model: str) -> bool:
    """Whether the recipe has one late in training."""
    return bool(RECIPES.get(model, {}).get("weights", Weights()).critic)


def make_task(case: Case, device: torch.device, quick: bool) -> Refine | Autoencode:
    """The network's training on random pictures that lie on the device."""
    size, values = networks.size_of(case.model), dict(QUICK[case.model]) if quick else {}
    count = 4 if quick else 64
    generator = torch.Generator(device).manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randint(256, shape, dtype=torch.uint8, device=device, generator=generator)

    if case.model == "original":
        crops = crop_cache(np.zeros((count, size, size, 3), np.uint8), np.arange(count), np.zeros(count)).to(device)
        crops.crops.copy_(noise(count, size, size, 3))
        return Autoencode({"a": crops, "b": crops}, batch_size=2 if quick else 16 * case.scale, **values)
    recipe = {"batch_size": 12, "others": 4, **RECIPES[case.model]}
    sizes = {key: 1 if quick else recipe[key] * case.scale for key in ("batch_size", "others")}
    whole = (count, size, size)
    mesh, lines, target = noise(3, *whole, 3)
    pairs = PairCache(mesh, lines, target, noise(*whole), np.zeros(count, bool))
    return refine(case.model, {"a": pairs, "b": pairs}, speed=Speed(case.precision, case.mode), **sizes, **values)


def measure(case: Case, device: torch.device, quick: bool, seconds: float) -> Row:
    """Train for `seconds`, then draw for half as long."""
    speed = Speed(case.precision, case.mode)
    speed.prepare(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    task = make_task(case, device, quick)
    module = task.build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = [value.detach().clone() for value in module.parameters()]
    if isinstance(task, Refine):
        losses: Callable[..., dict[str, torch.Tensor]] = task.losses
        task.late = float(case.late)
        if task.helper is not None:
            task.helper.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        losses = speed.compiled(task.losses, device)
    optimizer = task.optimizer(module)
    generator = torch.Generator(device).manual_seed(0)

    def step() -> None:
        if case.mode:
            torch.compiler.cudagraph_mark_step_begin()
        batch = task.batch(generator, device)
        with contextlib.nullcontext() if isinstance(task, Refine) else speed.autocast(device):
            total = losses(module, batch)["total"]
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(module.parameters()), 0.001)

    flops = 0
    if not case.mode:
        with FlopCounterMode(display=False) as counter:
            step()
        flops = counter.get_total_flops()
    rate = repeat(step, device, seconds, 1 if quick else 5)
    row = Row(case, task.images_per_batch, rate * task.images_per_batch, flops=rate * flops)
    row.drawing = drawing_rate(module.eval(), speed, device, quick, seconds / 2)
    row.memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return row


@torch.inference_mode()
def drawing_rate(module: nn.Module, speed: Speed, device: torch.device, quick: bool, seconds: float) -> float:
    """Faces a second that the network draws."""
    count, size = 2 if quick else 16, int(module.size)  # type: ignore[arg-type]
    inputs = 1 if module.architecture == "original" else 2
    pictures = torch.rand(inputs, count, 3, size, size, device=device)
    draw = speed.compiled(module, device)

    def once() -> None:
        if speed.compile:
            torch.compiler.cudagraph_mark_step_begin()
        with speed.autocast(device):
            draw(*pictures, 0)

    return count * repeat(once, device, seconds, 1 if quick else 3)


def repeat(work: Callable[[], None], device: torch.device, seconds: float, warm_up: int) -> float:
    """How often a second `work` is done; the device is waited for at the beginning, the end, and after each tenth."""
    for _ in range(warm_up):
        work()
    wait(device)
    start, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start < seconds:
        for _ in range(10 if warm_up > 1 else 1):
            work()
            done += 1
        wait(device)
    return done / (time.perf_counter() - start)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def tried(case: Case, device: torch.device, quick: bool, seconds: float) -> Row:
    """The row, or why there is none."""
    try:
        return measure(case, device, quick, seconds)
    except torch.OutOfMemoryError:
        return Row(case, note="out of memory")
    except Exception as error:  # a row that fails must not take the others with it
        return Row(
            case, note=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:60]}" if str(error) else ""
        )
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()


def apart(case: Case, seconds: float, left: float) -> Row:
    """The row, measured in a process of its own that has `left` seconds."""
    command = [sys.executable, __file__, "--row", json.dumps(asdict(case)), "--each", str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=max(1.0, left), check=False)
    except subprocess.TimeoutExpired:
        return Row(case, note="no time left")
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            values = json.loads(line)
            return Row(case, **{key: value for key, value in values.items() if key != "case"})
    return Row(case, note=(done.stderr.strip().splitlines() or ["nothing was said"])[-1][:60])


def peaks(device: torch.device, quick: bool) -> dict[str, float]:
    """Best matrix product in each precision, FLOP/s."""
    found = {}
    for precision in PRECISIONS if device.type == "cuda" else PRECISIONS[:1]:
        Speed(precision).prepare(device)
        size = 256 if quick else 8192 if device.type == "cuda" else 1536
        found[precision] = matrix_peak(device, size, 0.05 if quick else 1.0, DTYPES[precision])
    return found


def cells(row: Row, peak: dict[str, float]) -> list[str]:
    """A line of the table."""
    case = row.case
    mode = " + ".join([case.mode or "eager", *(["critic"] if case.late else [])])
    if not row.training:
        return [case.model, case.precision, mode, *[""] * 6, row.note]
    share = f"{row.flops / peak[case.precision]:.0%}" if row.flops else ""
    memory = f"{row.memory / 2**30:.1f} GiB" if row.memory else ""
    rates = f"{row.training:.1f}", f"{row.drawing:.1f}", f"{row.flops / 1e12:.3g}" if row.flops else ""
    return [case.model, case.precision, mode, str(row.batch), *rates, share, memory, row.note]


def run(models: list[str], device: torch.device, quick: bool, seconds: float, each: float) -> Iterator[Row]:
    """Measure row after row until `seconds` are over; FLOP of compiled ones are those of the plain ones."""
    end, flops = time.monotonic() + seconds, dict[str, float]()
    for case in cases(models, device):
        left = end - time.monotonic()
        if left < 2 * each:
            row = Row(case, note="no time left")
        elif case.mode:
            row = apart(case, each, left)
            row.flops = row.training * flops.get(case.model, 0.0)
        else:
            row = tried(case, device, quick, each)
            if row.training and not case.late:
                flops[case.model] = row.flops / row.training
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--seconds", type=float, default=540.0, help="for everything")
    parser.add_argument("--each", type=float, default=3.0, help="seconds of training in each row")
    parser.add_argument("--quick", action="store_true", help="small networks, one step each: does it run at all?")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if options.row:
        print(json.dumps(asdict(tried(Case(**json.loads(options.row)), device, False, options.each))))
        return
    began, each = time.monotonic(), 0.0 if options.quick else options.each
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, PyTorch {torch.__version__}; training and drawing in faces a second\n")
    peak = peaks(device, options.quick)
    print("Matrix peak: " + ", ".join(f"{key} {value / 1e12:.3g} TFLOP/s" for key, value in peak.items()) + "\n")
    print("| " + " | ".join(HEADS) + " |\n" + "|---" * len(HEADS) + "|")
    rows = []
    for row in run(options.models, device, options.quick, options.seconds - 20, each):
        rows.append(row)
        print("| " + " | ".join(cells(row, peak)) + " |", flush=True)
        if options.json:
            values = {"device": name, "torch": torch.__version__, "peak": peak, "rows": [asdict(r) for r in rows]}
            options.json.write_text(json.dumps(values, indent=1))
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
