"""Draws what a stage says: a live line in a terminal, plain lines everywhere else."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from photodouble.cli.text import TIMES, clean, duration, number, plan, size
from photodouble.stages.events import Event, Preview, Progress, Result, Started, Warned

PLAIN_INTERVAL = 10.0  # seconds between two progress lines where there is no terminal
WINDOW = 30.0  # seconds of the past that the rate is taken from


class Phase:
    """One run of progress events of the same stage and unit, and how fast it goes."""

    def __init__(self, first: Progress, now: float) -> None:
        self.last = first
        self.begun = now
        self.first = first.done
        self.seen: deque[tuple[float, float]] = deque([(now, first.done)])

    def continues(self, event: Progress) -> bool:
        """Whether `event` belongs to this phase: same stage and unit, and it does not go back."""
        return (event.stage, event.unit) == (self.last.stage, self.last.unit) and event.done >= self.last.done

    def update(self, event: Progress, now: float) -> None:
        """Take in the next event."""
        self.last = event if event.text else Progress(event.stage, event.done, event.total, event.unit, self.last.text)
        self.seen.append((now, event.done))
        while len(self.seen) > 2 and now - self.seen[1][0] > WINDOW:
            self.seen.popleft()

    @property
    def rate(self) -> float:
        """Units a second over the last `WINDOW` seconds; 0 while unknown."""
        (start, before), (end, after) = self.seen[0], self.seen[-1]
        return (after - before) / (end - start) if end > start else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds left at this rate, None while unknown."""
        missing = self.last.total - self.last.done
        return missing / self.rate if self.rate > 0 and self.last.total > 0 and missing >= 0 else None

    def position(self) -> str:
        """Where it is: `120/472 frames`, `2 min 10 s of 5 min 00 s`."""
        event = self.last
        if event.unit in TIMES:
            return f"{duration(event.done)} of {duration(event.total)}" if event.total else duration(event.done)
        if event.unit == "bytes":
            return f"{size(event.done)} of {size(event.total)}" if event.total else size(event.done)
        done = f"{event.done:,.0f}"
        return clean(f"{done}/{event.total:,.0f} {event.unit}" if event.total else f"{done} {event.unit}")

    def speed(self) -> str:
        """How fast: `34.1/s`; empty where the unit is time itself or the rate is unknown."""
        if self.rate <= 0 or self.last.unit in TIMES:
            return ""
        return f"{size(self.rate)}/s" if self.last.unit == "bytes" else f"{number(self.rate)}/s"

    def left(self) -> str:
        """How long still, like `10 s left`."""
        return "" if self.remaining is None else f"{duration(round(self.remaining))} left"

    def finished(self, now: float, whole: bool = True) -> str:
        """The line that stays when the phase is over, `whole` or not."""
        if not whole:
            return f"stopped at {self.position()}"
        line = self.position() if self.last.unit in TIMES else f"{self.position()} in {duration(now - self.begun)}"
        return f"{line}; {clean(self.last.text)}" if self.last.text else line


class Drawing:
    """Draws events one by one; `console` decides by itself whether it is a terminal."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock
        self.phase: Phase | None = None
        self.preview: str = ""
        self.last_line = clock()
        self.live: Live | None = None

    def __enter__(self) -> "Drawing":
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self.live = Live(self, console=self.console, refresh_per_second=8, transient=True)
            self.live.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.close_phase(whole=error is None)
        if self.live is not None:
            self.live.stop()
            self.live = None

    def __rich__(self) -> RenderableType:
        """The live part: bar, position, rate and time left, and the stage's own words under it."""
        phase = self.phase  # the live line is drawn by another thread: read it once
        if phase is None:
            return Text("")
        event = phase.last
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        for _ in range(3):
            row.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=event.total or None, completed=event.done, pulse=not event.total)
        row.add_row(
            Text(clean(event.stage), style="bold cyan"),
            bar,
            Text(phase.position()),
            Text(phase.speed(), style="dim"),
            Text(phase.left(), style="dim"),
        )
        if not event.text:
            return row
        return Group(row, Text(f"  {clean(event.text)}", style="dim", no_wrap=True, overflow="ellipsis"))

    def draw(self, event: Event) -> None:
        """Draw one event."""
        if isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Started):
            self.close_phase()
            self.line(event.stage, plan(event.plan) or "begins")
        elif isinstance(event, Warned):
            self.line("warning", event.message, "yellow")
        elif isinstance(event, Preview):
            if str(event.path) != self.preview:
                self.line(event.stage, f"picture to look at: {event.path}")
            self.preview = str(event.path)
        else:
            self.close_phase()

    def _progress(self, event: Progress) -> None:
        now = self.clock()
        if self.phase is not None and self.phase.continues(event):
            self.phase.update(event, now)
        else:
            self.close_phase()
            self.phase = Phase(event, now)
        if self.live is None and now - self.last_line >= PLAIN_INTERVAL:
            parts = [self.phase.position(), self.phase.speed(), self.phase.left(), clean(self.phase.last.text)]
            self.line(event.stage, ", ".join(part for part in parts if part))

    def close_phase(self, whole: bool = True) -> None:
        """Leave one line about the phase that ends."""
        if self.phase is not None:
            phase, self.phase = self.phase, None
            self.line(phase.last.stage, phase.finished(self.clock(), whole))

    def line(self, head: str, text: str, style: str = "bold cyan") -> None:
        """Print one line that stays."""
        self.last_line = self.clock()
        line = Text.assemble((clean(head), style), ": ", clean(text))
        self.console.print(line, soft_wrap=self.live is None)


def draw(events: Iterable[Event], console: Console, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Draw `events` on `console` as they come.

    Returns:
        The values of the last `Result`; empty where there was none.
    """
    values: dict[str, Any] = {}
    try:
        with Drawing(console, clock) as drawing:
            for event in events:
                drawing.draw(event)
                if isinstance(event, Result):
                    values = event.values
    finally:
        close = getattr(events, "close", None)  # a generator: let its clean-up run now, not when it is collected
        if close is not None:
            close()
    return values
