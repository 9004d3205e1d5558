"""One process or several that train the same network, each on its own device, through Lightning Fabric.

The first process, the leader, is the caller's own: it keeps time, judges, writes and speaks. The others do what it
says: before each thing that all must do together it sends an order, over a connection between the processes' CPUs, so
that no device waits for another except to exchange gradients. Hence nobody can disagree about when to stop or which
rate to use. An order is heard once all processes are there, so all have come through what was ordered before it: one
that failed is noticed there, and at most one step's exchange of gradients was begun without it.
"""

import contextlib
import logging
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import ClusterEnvironment
from lightning_fabric.strategies import DDPStrategy, SingleDeviceStrategy
from torch.multiprocessing import ProcessContext

from photodouble.errors import BadInput
from photodouble.files import write_bytes

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # no news of precision and processes in a terminal

MEETING, FAILED, REFUSED = "meeting", "failed", "refused"
SOON = 5.0  # seconds: so long it takes at most until a process that failed is gone
PATIENCE = timedelta(days=1)
"""How long the others wait for an order: a leader that is gone is noticed at once, a slow one may take its time."""


class Order(IntEnum):
    """What all processes do next."""

    STEP = 0
    READ = 1
    SAVE = 2
    REWIND = 3
    MEMORY = 4
    STOP = 5


@dataclass
class Team:
    """The processes that train together. `sent` is the leader's channel of orders, None for one process alone."""

    fabric: Fabric
    rank: int = 0
    size: int = 1
    channel: Any = field(default=None, repr=False)

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides and writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """This process's own."""
        return self.fabric.device

    def tell(self, order: Order, *values: float) -> None:
        """Send an order with at most three numbers; nothing happens in any process but the leader of several.

        Raises:
            RuntimeError: another process is gone.
        """
        if self.size > 1 and self.leads:
            self.gather(torch.tensor([float(order), *values, *[0.0] * (3 - len(values))], dtype=torch.float64))

    def hear(self) -> tuple[Order, list[float]]:
        """Wait for the leader's next order and its numbers."""
        line = self.gather(torch.zeros(4, dtype=torch.float64))[0]
        return Order(int(line[0])), line[1:].tolist()

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of all processes' `values`."""
        return values if self.size == 1 else self.fabric.all_reduce(values, reduce_op="mean")  # type: ignore[return-value]

    def gather(self, values: torch.Tensor) -> list[torch.Tensor]:
        """All processes' `values` (CPU tensors of one shape), in every process."""
        if self.size == 1:
            return [values]
        found = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(found, values, group=self.channel)
        return found

    def last_of(self, model: torch.nn.Module, last: bool) -> contextlib.AbstractContextManager[None]:
        """Exchange the gradients of `model` in this part of a step only where it is the last one."""
        if self.size == 1 or last:
            return contextlib.nullcontext()
        return self.fabric.no_backward_sync(model)  # type: ignore[return-value, arg-type]


def precision(device: torch.device, mixed: bool) -> str:
    """If `mixed`, bfloat16 where a GPU has it; float32 elsewhere. Weights, average and judging stay in float32."""
    fast = mixed and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if fast else "32-true"


def alone(device: torch.device | str = "cpu", mixed: bool = False) -> Team:
    """One process on one device; `mixed`: see `precision`."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    strategy = SingleDeviceStrategy(device)
    return Team(Fabric(accelerator=device.type, devices=1, strategy=strategy, precision=precision(device, mixed)))  # type: ignore[arg-type]


@contextlib.contextmanager
def gathered(
    device: torch.device | str, size: int, mixed: bool, work: Callable[..., None], *args: Any
) -> Iterator[Team]:
    """Yield the leader of `size` processes on as many devices of the kind of `device`; the others run `work`.

    They call `work(team, *args)`, which returns when it hears `Order.STOP`; the end of the context sends it. `work` and
    `args` are pickled on their way (within this machine's memory only); tensors in them are shared, not copied.

    Raises:
        BadInput: another process met bad input (its memory did not suffice, say), or was ended from outside.
        RuntimeError: another process failed, with its traceback.
    """
    if size == 1:
        yield alone(device, mixed)
        return
    kind = torch.device(device).type
    threads = max(1, torch.get_num_threads() // size) if kind == "cpu" else torch.get_num_threads()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        others = torch.multiprocessing.start_processes(
            _follow,
            (kind, size, mixed, folder, threads, work, args),
            size - 1,
            join=False,
            daemon=True,
            start_method="spawn",
        )
        try:
            team = _join(kind, 0, size, mixed, (folder / MEETING).as_uri())
            try:
                yield team
            except GeneratorExit:  # the caller has had enough
                _end(team, others)
                raise
            _end(team, others)
        except RuntimeError as error:  # maybe no more than that another process is gone
            cause = _cause(folder, others)
            if cause is None:
                raise
            raise cause from error
        finally:
            for process in others.processes:
                process.terminate()  # nobody waits for anything of those that are still there
                process.join()
            if dist.is_initialized() and kind == "cuda":  # an exchange with one that is gone may be under way
                dist.distributed_c10d._abort_process_group()
            elif dist.is_initialized():
                dist.destroy_process_group()


def _cause(folder: Path, others: ProcessContext) -> Exception | None:
    """Why another process is gone; None if none is."""
    limit = time.monotonic() + SOON
    for process in others.processes:
        process.join(max(0.0, limit - time.monotonic()))
    size = len(others.processes) + 1
    refused, failed = folder / REFUSED, folder / FAILED
    signals = {-process.exitcode for process in others.processes if process.exitcode and process.exitcode < 0}
    if refused.exists():
        return BadInput(refused.read_text(encoding="utf-8"))
    if signal.SIGKILL in signals or (signals and not failed.exists()):  # else others failed because of that
        return BadInput(
            f"One of the {size} processes that trained together was ended from outside (signal {max(signals)}), as "
            "happens where memory runs out: close other programs, or give a smaller --devices."
        )
    if failed.exists():
        return RuntimeError(f"One of the {size} processes failed. {failed.read_text(encoding='utf-8')}")
    return None


def _end(team: Team, others: ProcessContext) -> None:
    """Have all processes part: connections between GPUs are closed by all of them together."""
    team.tell(Order.STOP)
    dist.destroy_process_group()
    others.join()


def _join(kind: str, rank: int, size: int, mixed: bool, meeting: str) -> Team:
    """Meet the others and set Fabric up."""
    device = torch.device("cuda", rank) if kind == "cuda" else torch.device(kind)
    backend = "nccl" if kind == "cuda" else "gloo"
    own = device if kind == "cuda" else None
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=size, device_id=own)
    channel = dist.new_group(backend="gloo", timeout=PATIENCE)
    strategy = DDPStrategy(
        cluster_environment=_Local(rank, size),
        process_group_backend=backend,
        find_unused_parameters=True,  # a step need not use every decoder
    )
    fabric = Fabric(accelerator=kind, devices=size, strategy=strategy, precision=precision(device, mixed))  # type: ignore[arg-type]
    fabric.launch()
    return Team(fabric, rank, size, channel)


def _follow(
    index: int,
    kind: str,
    size: int,
    mixed: bool,
    folder: Path,
    threads: int,
    work: Callable[..., None],
    args: tuple[Any, ...],
) -> None:
    """What each of the other processes runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leader hears it and decides
    torch.set_num_threads(threads)
    try:
        work(_join(kind, index + 1, size, mixed, (folder / MEETING).as_uri()), *args)
    except BadInput as error:
        write_bytes(folder / REFUSED, str(error).encode())  # before the leader sees that this process is gone
        sys.exit(1)
    except Exception:
        if not (folder / FAILED).exists():  # others fail, too, because the first one did
            write_bytes(folder / FAILED, traceback.format_exc().encode())
        raise
    dist.destroy_process_group()


class _Local(ClusterEnvironment):
    """Processes of this machine that have met already."""

    creates_processes_externally = True
    main_address = "localhost"
    main_port = 0

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.size

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self.rank

    def node_rank(self) -> int:
        return 0
