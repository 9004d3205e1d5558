"""How much memory a training step takes, how much there is, and how to tell that it did not suffice."""

import contextlib
import copy
from pathlib import Path

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from photodouble.training.task import Divisible, Task

MOMENTS = 2
"""Copies of the weights that Adam keeps."""

BACKWARD = 1.5
"""Peak of a step beside what the forward pass keeps, at most; on a CPU 1.2 (`original`) to 1.45 (`lite`)."""

SHARE = 0.9
"""Of the free memory, at most, by the estimate."""

MOST_PARTS = 64
SIGNS = ("out of memory", "allocate memory", "bad_alloc", "alloc_failed", "not enough memory")
"""What the messages say of the allocators of CUDA, PyTorch's CPU part, C++, cuDNN and cuBLAS, and Windows."""

GROUP = Path("/sys/fs/cgroup")


def out_of_memory(error: BaseException) -> bool:
    """Whether this is an allocator's refusal."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS))


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on the device, or in the machine (or this container) for a CPU; None where nobody tells."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        line = Path("/proc/meminfo").read_text().partition("MemAvailable:")[2]
        found.append(1024 * int(line.split()[0]))
    with contextlib.suppress(OSError, ValueError, KeyError):  # "max": no limit
        limit, used = (int((GROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        kept = dict(row.split() for row in (GROUP / "memory.stat").read_text().splitlines())
        found.append(limit - used + int(kept["inactive_file"]))  # cached files give way
    return max(0, min(found)) if found else None


def weight_bytes(module: nn.Module, average: bool) -> int:
    """Weights, their gradients, the optimizer's moments, the average, and the best weights while they wait to be saved.

    Exact for Adam but for the last, which lie in the machine's memory on a GPU, too.
    """
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    return size * (2 + MOMENTS + average + 1)


def activation_bytes(
    task: Task, batch: dict[str, torch.Tensor], precision: contextlib.AbstractContextManager[object] | None = None
) -> int | None:
    """What a forward pass keeps for the backward pass, and the batch itself.

    The pass is run on PyTorch's fake tensors, which have a shape and a device but no contents: it takes no memory and
    little time. None where the task's losses need real numbers.

    Args:
        task: whose losses are computed, for a network made by its `build`.
        batch: of it, on the device.
        precision: the context of the forward pass.
    """
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage  # alive, so that no other one gets the same number
        return tensor

    task = copy.copy(task)  # what `build` makes beside the network is to stay as it is
    try:
        device = next(iter(batch.values())).device
        kept_random = torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda")
        with kept_random, FakeTensorMode() as mode:
            with device:
                module = task.build()
            shapes: dict[str, torch.Tensor] = {key: mode.from_tensor(value) for key, value in batch.items()}
            hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
            with torch.compiler.set_stance("force_eager"), precision or contextlib.nullcontext(), hooks:
                task.losses(module.train(), shapes)
    except Exception:  # whatever a task does with numbers, without them it may fail in any way
        return None
    own = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    given = sum(value.numel() * value.element_size() for value in batch.values())
    return given + sum(storage.nbytes() for key, storage in kept.items() if key not in own)


def part_of(task: Task, parts: int) -> Task | None:
    """The task whose steps see one `parts`-th of the pictures; None where it cannot be divided so."""
    if parts == 1:
        return task
    return task.part(parts) if isinstance(task, Divisible) and parts <= MOST_PARTS else None


def fitting_parts(task: Task, fixed: int, activations: int, free: int) -> int:
    """In how many parts, one after the other, a step fits: 1, 2, 4 ... or the most that the task can be cut into."""
    parts = 1
    while fixed + activations / parts > SHARE * free and part_of(task, 2 * parts):
        parts *= 2
    return parts
