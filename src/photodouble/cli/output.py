"""What all commands have in common: their help, how events are shown, how a result is printed."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from photodouble.stages.events import Event

HERE = Path(".")
SETTINGS = {"help_option_names": ["-h", "--help"]}


def examples(*lines: str) -> str:
    """Epilog of a command's help."""
    return "[bold]For example[/]\n" + "\n".join(f"  [cyan]{line}[/]" for line in lines)


def finish(events: Iterable[Event], as_json: bool) -> None:
    """Show `events` on standard error while they come, and the result on standard output."""
    from rich.console import Console

    from photodouble.cli.show import draw

    answer(draw(events, Console(stderr=True, highlight=False)), as_json)


def answer(values: dict[str, Any], as_json: bool) -> None:
    """Print a result on standard output, as one JSON object or as a table."""
    from photodouble.cli.text import plain

    if as_json:
        sys.stdout.write(json.dumps(plain(values), indent=2, allow_nan=False) + "\n")
        return
    from rich.console import Console

    from photodouble.cli.summary import show

    show(values, Console(highlight=False))


def help_if_alone(context: typer.Context) -> None:
    """A group of commands called without one shows its help."""
    if context.invoked_subcommand is None:
        print(context.get_help())
