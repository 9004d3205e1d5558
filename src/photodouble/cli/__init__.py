"""The terminal front end: turns a command line into a stage's config and draws the stage's events."""

import errno
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from photodouble.errors import BadInput, PhotodoubleError
from photodouble.files import explain

STOPPED = 130  # the shell's number for "stopped by Ctrl-C"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: the process's) and return the exit status.

    0 is success, 1 a fault of photodouble, 2 bad input, 3 a refusal, 130 a stop by the user. A failure is one sentence
    on standard error, and with `--json` also one object with `error` and `exit_status` on standard output.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # the process is ours: an orderly end when the system asks for one
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # its warnings about back ends help no user
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal must not break the end of a long run
            stream.reconfigure(errors="replace")
    try:
        return _run(words)
    except KeyboardInterrupt:
        return _fail("Stopped; the same command continues.", STOPPED, words)
    except PhotodoubleError as error:
        return _fail(str(error), error.exit_status, words, error)
    except BrokenPipeError:  # the reader of our output has gone: nobody to tell
        sys.stderr.close()
        return 1
    except MemoryError:
        return _fail(
            "The machine has not enough memory for this: close other programs or use a smaller plate.", 2, words
        )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return _fault(error, words)
        refusal: BadInput = explain(error, Path(error.filename or "the output"))
        return _fail(str(refusal), refusal.exit_status, words, error)
    except Exception as error:
        return _fault(error, words)


def _run(words: list[str]) -> int:
    from typer.exceptions import TyperException
    from typer.main import get_command

    from photodouble.cli.commands import app
    from photodouble.stages.heap import keep_memory

    keep_memory()
    try:
        status = get_command(app).main(args=words, prog_name="photodouble", standalone_mode=False)
    except TyperException as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "photodouble")
        sentence = error.format_message().strip()
        sentence = sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."
        return _fail(f"{sentence} See '{path} --help'.", error.exit_code, words)
    if status == STOPPED:
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0


def _fault(error: Exception, words: list[str]) -> int:
    kind = type(error).__name__
    what = f"{kind}: {error}".strip().rstrip(".:") if str(error) else kind
    sentence = f"This is a fault of photodouble, not of your input ({what})"
    advice = (
        "." if "--debug" in words else ": run 'photodouble --debug …' with the same words to see where it happened."
    )
    return _fail(sentence + advice, 1, words, error)


def _fail(sentence: str, status: int, words: list[str], error: Exception | None = None) -> int:
    """Tell the failure and return `status`."""
    from rich.console import Console
    from rich.text import Text

    from photodouble.cli.text import clean

    if error is not None and "--debug" in words:
        traceback.print_exception(error, file=sys.stderr)
    if "--json" in words:
        print(json.dumps({"error": sentence, "exit_status": status}))
    head = "" if status == STOPPED else "error: "
    line = Text.assemble((head, "bold red"), clean(" ".join(sentence.split())))
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)
    return status
