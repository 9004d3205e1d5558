"""Numbered pictures: their patterns, their first files, and what is missing between them."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from photodouble.errors import BadInput

FILM = {".exr", ".dpx", ".cin"}
"""Formats of which one file with a number is the beginning of a shot; a numbered JPEG may be any picture."""

_FIELD = re.compile(r"#+|%0?\d*d")
_NUMBER = re.compile(r"(\d+)(?=\.[A-Za-z0-9]+$)")


_ONE_FILE = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mxf", ".mts", ".m2ts", ".mpg", ".ts"}
"""A # in the name of such a file is no number: take#2.mov."""


def is_pattern(path: Path) -> bool:
    """Whether a name stands for numbered pictures: `name.####.exr`, `name.%04d.exr`."""
    return len(_FIELD.findall(path.name)) == 1 and bool(path.suffix) and path.suffix.lower() not in _ONE_FILE


def numbered(path: Path, number: int) -> Path:
    """The file of a pattern that has this number."""

    def digits(field: re.Match[str]) -> str:
        text = field[0]
        width = len(text) if text[0] == "#" else int(text[1:-1] or 1)
        return f"{number:0{width}d}"

    return path.with_name(_FIELD.sub(digits, path.name))


def number_of(file: Path) -> int | None:
    """The frame number of a file: the last digits before the suffix; None if there are none."""
    found = _NUMBER.search(file.name)
    return int(found[1]) if found else None


def of_pattern(path: Path) -> list[Path]:
    """The files of a pattern in the order of their numbers.

    Raises:
        BadInput: there is none, or numbers are missing between the first and the last.
    """
    before, after = _FIELD.split(path.name)
    named = re.compile(re.escape(before) + r"(\d+)" + re.escape(after) + "$")
    files: dict[int, Path] = {}
    if path.parent.is_dir():
        for file in path.parent.iterdir():
            match = named.match(file.name)
            # ## stands for at least two digits: 7 is then another sequence's
            if match and numbered(path, int(match[1])).name == file.name:
                files[int(match[1])] = file
    if not files:
        raise BadInput(f"There is no file like {path}: check the folder and the name before the number.")
    _check(files, str(path))
    return [files[number] for number in sorted(files)]


def from_first(path: Path) -> list[Path]:
    """The sequence that begins with this file, of film formats; the file alone where it is no beginning.

    Raises:
        BadInput: numbers are missing in the sequence.
    """
    found = _NUMBER.search(path.name) if path.suffix.lower() in FILM else None
    if not found:
        return [path]
    pattern = path.with_name(path.name[: found.start()] + "#" * len(found[1]) + path.name[found.end() :])
    if path.name[: found.start()].count("#") or "%" in path.name:
        return [path]
    names = re.compile(re.escape(path.name[: found.start()]) + r"(\d+)" + re.escape(path.name[found.end() :]) + "$")
    others = [int(match[1]) for file in path.parent.iterdir() if (match := names.match(file.name))]
    if min(others) < int(found[1]) or len(others) == 1:
        return [path]
    return of_pattern(pattern)


def _check(numbers: Iterable[int], name: str) -> None:
    known = sorted(numbers)
    gaps = [(a + 1, b - 1) for a, b in pairwise(known) if b > a + 1]
    if gaps:
        told = [str(a) if a == b else f"{a}-{b}" for a, b in gaps]
        listed = ", ".join(told[:8]) + (f" and {len(told) - 8} more gaps" if len(told) > 8 else "")
        raise BadInput(
            f"The sequence {name} ({known[0]}-{known[-1]}) lacks the frames {listed}: put them there, or give the "
            "folder, whose pictures are then taken one after the other."
        )


def output_names(path: Path) -> tuple[Path, Path | None]:
    """Where to write: a folder and the pattern of the files in it, or the path itself and None."""
    return (path.parent, path) if is_pattern(path) else (path, None)


def moved(path: Path, to: Path) -> Path:
    """`to`, or where a pattern's files lie if its folder were `to`."""
    return to / path.name if is_pattern(path) else to


def frame_numbers(files: Sequence[Path]) -> list[int]:
    """The frame numbers of pictures; 0, 1, 2 and so on where names have none or repeat one."""
    numbers = [number_of(file) for file in files]
    known = [number for number in numbers if number is not None]
    return known if len(set(known)) == len(files) else list(range(len(files)))
