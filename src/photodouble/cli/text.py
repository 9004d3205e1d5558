"""Numbers, durations and results as words that a person reads."""

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

TIMES = ("s", "second", "seconds")


def clean(text: str) -> str:
    """`text` without what would steer a terminal or cannot be encoded (escape codes, undecodable file names)."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def duration(seconds: float) -> str:
    """A time span, like `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10 and round(seconds, 1) != round(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """A number of bytes in decimal units, like `10.7 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def number(value: float) -> str:
    """A number as short as it can be read: `472`, `34.1`, `0.67`, `0.0007`."""
    if not math.isfinite(value):
        return "-"
    if 0 < abs(value) < 0.005:
        return f"{value:.1g}"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def amount(key: str, value: Any) -> str:
    """One entry of a plan or a result in words: the unit is read off the end of its name."""
    name = key.replace("_", " ")
    if isinstance(value, bool):
        return f"{name}: {'yes' if value else 'no'}"
    if isinstance(value, int | float):
        if key == "seconds":
            return f"about {duration(value)}"
        if key.endswith("_seconds"):
            return f"{name.removesuffix(' seconds')} {duration(value)}"
        if key == "minutes":
            return duration(value * 60)
        if key.endswith("bytes") or key in ("disk", "memory"):
            return f"{size(value)} {name.removesuffix('bytes').strip()}".strip()
        if name.endswith("s"):
            return f"{number(value)} {name[:-1] if value == 1 else name}"
        return f"{name}: {number(value)}"
    return f"{name}: {clean(words(value))}"


def words(value: Any) -> str:
    """Any value of a result on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')} {words(item)}" for key, item in value.items()) or "-"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(words(item) for item in value) or "-"
    return str(value)


def plan(values: Mapping[str, Any]) -> str:
    """A stage's plan on one line."""
    return ", ".join(amount(key, value) for key, value in values.items() if value is not None)


def plain(value: Any) -> Any:
    """`value` as what JSON can hold: paths, dates and enumerations as text, arrays as lists, NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays, without importing NumPy here
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    return str(value)
