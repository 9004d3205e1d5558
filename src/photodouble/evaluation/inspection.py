"""The page of an inspection: the verdict, what was asked, the frames, and every figure; it needs nothing but itself."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from photodouble import __version__
from photodouble.evaluation import pictures
from photodouble.files import write_bytes
from photodouble.media import Clip

FRAMES = 6
LONGEST = 640  # pixels of a frame on the page
MEANING = {
    "marked as altered": "The file says of itself that it was altered, or made with AI.",
    "mark found but broken": "The file bore a mark and was changed since, or the mark was.",
    "no mark found": "This says nothing about the file: most footage bears no mark, and marks can be lost.",
}


@dataclass
class Inspection:
    """What the page tells.

    Attributes:
        name: of the file. verdict: one of the keys of MEANING.
        questions: rows of `question`, `answer` and `says` (one sentence), the surest first.
        values: title of a table -> name -> figure; what is empty is left out.
    """

    name: str
    verdict: str
    questions: Sequence[dict[str, str]]
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_inspection(path: Path, found: Inspection, clip: Clip | None) -> None:
    """Write the page to `path`, atomically, with frames of `clip` (None: they cannot be read).

    Raises:
        BadInput: the clip cannot be read, or `path` cannot be written.
    """
    loader = jinja2.PackageLoader("photodouble", "evaluation")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.undefined = jinja2.StrictUndefined
    page = environment.get_template("inspection.html.j2").render(
        name=found.name,
        verdict=found.verdict,
        meaning=MEANING[found.verdict],
        facts=[] if clip is None else _facts(clip),
        made=datetime.datetime.now().strftime("%-d %B %Y"),
        questions=found.questions,
        frames=[] if clip is None else _frames(clip),
        tables=[(title, _rows(values)) for title, values in found.values.items()],
        version=__version__,
    )
    write_bytes(Path(path), page.encode())


def _facts(clip: Clip) -> list[str]:
    many = clip.estimated_frames
    return [f"{clip.width} × {clip.height}", f"about {many} frames" if many > 1 else "one picture"]


def _frames(clip: Clip) -> list[dict[str, str]]:
    """Frames evenly over the clip; only the first ones where its header promises too many."""
    last = max(clip.estimated_frames, 1) - 1
    indices = sorted({round(k * last / (FRAMES - 1)) for k in range(FRAMES)})
    shots = pictures.grab(clip, indices)
    return [
        {"picture": pictures.data_uri(image, LONGEST), "label": f"frame {index}"}
        for index, image in sorted(shots.items())
    ]


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " "), _words(value)) for name, value in values.items() if value not in (None, [], {}, "")
    ]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
