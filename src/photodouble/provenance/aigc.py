"""The metadata field `AIGC` of GB 45438-2025 (6.1 and annex E): what a file says of itself in plain text.

Seven texts as one JSON object. In MP4 and MOV it lies under a key `AIGC` in moov/udta/meta (as the practice guide
TC260-PG-20257A lays down, and as FFmpeg's `use_metadata_tags` writes it), in Matroska as a tag, in PNG as a tEXt chunk,
in JPEG as EXIF's UserComment. It is not a proof of anything: anybody can write it and take it away.

Neither standard nor guide could be read at its source; both are known from open implementations that quote them.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import av

from photodouble.errors import BadInput
from photodouble.provenance import aigc_boxes as boxes

NAME = "AIGC"
GENERATED = "1"  # annex E, c): "1" is generated or synthesised, "2" may be, "3" is suspected to be
FIELDS = (
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
)
HOLDS = frozenset((*boxes.MP4, *boxes.MATROSKA, ".png", ".jpg", ".jpeg"))
"""Suffixes of the files that can hold the field."""


def make_field(producer: str, *what: str) -> str:
    """The field's text for something made by `producer`; `what` identifies it: its identifier is a hash of that.

    Who makes a file is also named as the first who passes it on.

    Raises:
        BadInput: annex E, j) does not permit a letter of `producer`.
    """
    if not re.fullmatch(r"[!#-\[\]-~]{1,120}", producer):
        raise BadInput(
            f"The producer {producer!r} cannot stand in the field AIGC: use visible letters of ASCII without spaces, "
            "quotation marks and backslashes, such as a company's number."
        )
    number = hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
    values = (GENERATED, producer, number, "", producer, number, "")
    return json.dumps(dict(zip(FIELDS, values, strict=True)), separators=(",", ":"))


def add_field(source: Path, target: Path, text: str) -> None:
    """Write a copy of `source` that holds the field; `target` decides the format by its suffix, one of HOLDS.

    Raises:
        ValueError: the file is not of that format.
    """
    suffix = target.suffix.lower()
    if suffix in boxes.MP4:
        boxes.into_mp4(source, target, NAME, text)
    elif suffix in boxes.MATROSKA:
        boxes.into_matroska(source, target, NAME, text)
    elif suffix == ".png":
        target.write_bytes(boxes.into_png(source.read_bytes(), NAME, text))
    else:
        target.write_bytes(boxes.into_jpeg(source.read_bytes(), json.dumps({NAME: json.loads(text)})))


def find_field(path: Path) -> dict[str, str] | None:
    """The field of a file, whoever wrote it; None if there is none that makes sense."""
    path = Path(path)
    try:
        suffix = path.suffix.lower()
        if suffix == ".png":
            return _parsed(boxes.from_png(path.read_bytes(), NAME))
        if suffix in (".jpg", ".jpeg"):
            return _parsed(boxes.from_jpeg(path.read_bytes()))
        if suffix not in HOLDS:
            return None
        with av.open(
            f"file:{path}", container_options={"protocol_whitelist": "file"}, metadata_errors="replace"
        ) as file:
            return _parsed(next((text for key, text in file.metadata.items() if key.upper() == NAME), None))
    except (OSError, ValueError, av.error.FFmpegError):
        return None


def _parsed(text: str | None) -> dict[str, str] | None:
    try:
        found: Any = json.loads(text) if text else None
    except ValueError:
        return None
    if isinstance(found, dict) and isinstance(found.get(NAME), dict):
        found = found[NAME]
    if not isinstance(found, dict) or "Label" not in found:
        return None
    return {name: str(found[name])[:200] for name in FIELDS if name in found}
