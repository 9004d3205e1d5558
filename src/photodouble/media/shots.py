"""Which frames of a plate are meant: lists of frames, and the editing's shot lists (OpenTimelineIO, CMX 3600 EDL)."""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import av

from photodouble.errors import BadInput
from photodouble.media.clip import Clip
from photodouble.media.pictures import header
from photodouble.media.sequence import is_pattern, number_of

TIMELINES = (".otio", ".otioz", ".otiod")

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d)$")
# Event, reel, track, transition (with its length), source in and out, record in and out.
_EVENT = re.compile(
    r"\s*(\d{1,6})\s+(\S+)\s+(\S+)\s+(C|D|W\d+|K\s?[BO]?)\s*(\d{3})?\s+"
    r"(\d\d:\d\d:\d\d[:;.,]\d\d)\s+(\d\d:\d\d:\d\d[:;.,]\d\d)\s+(\d\d:\d\d:\d\d[:;.,]\d\d)\s+(\d\d:\d\d:\d\d[:;.,]\d\d)"
)
_NAME = re.compile(r"\*?\s*(FROM CLIP NAME|SOURCE FILE|FROM CLIP IS A STILL|TO CLIP NAME)\s*:\s*(.+?)\s*$", re.I)


def parse_frames(text: str, total: int, numbers: Sequence[int] = ()) -> list[range]:
    """Frames listed like "100,250-260": their indices, in order, without overlaps.

    Args:
        total: frames of the plate.
        numbers: the frame numbers of its pictures in their order; without them, or where they do not rise, the first
            frame is 0.

    Raises:
        BadInput: the list cannot be read, or it names a frame that the plate has not.
    """
    if not numbers or any(a >= b for a, b in pairwise(numbers)):
        numbers = range(total)
    first, last = min(numbers, default=0), max(numbers, default=-1)
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not match:
            raise BadInput(
                f"'{part.strip()}' in the frames '{text}' is no frame or range: write them like 100,250-260."
            )
        start, stop = int(match[1]), int(match[2] or match[1])
        if stop < start:
            raise BadInput(f"The range {part.strip()} in the frames '{text}' runs backwards: write {stop}-{start}.")
        if start < first or stop > last:
            raise BadInput(f"The frames '{text}' go beyond the plate, which has the frames {first} to {last}.")
        found.append(range(bisect_left(numbers, start), bisect_right(numbers, stop)))
    return merged(found)


def merged(ranges: Sequence[range]) -> list[range]:
    """The same numbers as ranges in order that do not touch."""
    result: list[range] = []
    for part in sorted((part for part in ranges if len(part)), key=lambda part: part.start):
        if result and part.start <= result[-1].stop:
            result[-1] = range(result[-1].start, max(result[-1].stop, part.stop))
        else:
            result.append(part)
    return result


def read_shots(path: Path, clip: Clip) -> list[range]:
    """The frames of a plate that an editing's list uses, by index, in order and without overlaps.

    A timeline's clip is of this plate if its media's file (or, without one, its name) has the plate's file name; an
    EDL's event if its clip name or reel has it. In a list that names no media at all, every event is taken. Sound and
    what is disabled in a timeline count for nothing; a clip's speed and transitions count. Source times count from the
    plate's own timecode, where its file has one, else from 0.

    Args:
        path: .otio, .otioz or .otiod (OpenTimelineIO), or .edl (CMX 3600).

    Raises:
        BadInput: the file cannot be read, none of its shots is of this plate, or a shot's frames cannot be known.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"There is no shot list {path}: check the name.")
    if path.suffix.lower() in TIMELINES:
        found = _from_timeline(path, clip)
    elif path.suffix.lower() == ".edl":
        found = _from_edl(path, clip)
    else:
        raise BadInput(f"{path} is no shot list: give an OpenTimelineIO file (.otio) or a CMX 3600 EDL (.edl).")
    total = clip.count()
    found = [part for part in found if len(part)]
    inside = merged([range(max(part.start, 0), min(part.stop, total)) for part in found])
    if not found:
        raise BadInput(
            f"No shot in {path} is of the plate {clip.path.name}: check the names of its media, and that its "
            "clips are enabled and on video tracks."
        )
    if not inside:
        first = found[0]
        raise BadInput(
            f"The shots of {clip.path.name} in {path} lie outside of it (frames {first.start} to {first.stop - 1} of "
            f"{total}): check the plate's timecode."
        )
    return inside


def first_frame(clip: Clip) -> int:
    """The plate's own start timecode as a number of frames; 0 where its file has none."""
    rate = round(clip.rate)
    if clip.kind == "pictures":
        spec = header(clip.files[0])
        told = spec.get_string_attribute("smpte:TimeCode") or spec.get_string_attribute("timecode")
        return _frames(told, rate) if told and _TIMECODE.match(told) else 0
    with av.open(f"file:{clip.path}", metadata_errors="replace") as container:
        tags = [container.metadata, *(stream.metadata for stream in container.streams)]
    told = next((tag["timecode"] for tag in tags if _TIMECODE.match(tag.get("timecode", ""))), "")
    return _frames(told, rate) if told else 0


def _frames(timecode: str, rate: int) -> int:
    """Frames since 00:00:00:00; a ";" before the frames says drop frame (SMPTE ST 12-1, section 5.2)."""
    match = _TIMECODE.match(timecode)
    assert match
    hours, minutes, seconds, frames = (int(match[index]) for index in (1, 2, 3, 5))
    count = (hours * 3600 + minutes * 60 + seconds) * rate + frames
    if match[4] in ";," and rate % 30 == 0:
        passed = hours * 60 + minutes
        count -= (passed - passed // 10) * 2 * (rate // 30)
    return count


def _named(clip: Clip) -> set[str]:
    """Names under which an editing program may know the plate, in lower case."""
    names = {clip.path.name, clip.path.stem}
    if clip.kind == "pictures":
        names |= {clip.files[0].name, clip.files[0].stem}
        if (number_of(clip.files[0])) is not None:
            names.add(re.sub(r"[._-]?\d+$", "", clip.files[0].stem))
        if is_pattern(clip.path):
            names.add(re.sub(r"[._-]?(#+|%0?\d*d)$", "", clip.path.stem))
    return {name.lower() for name in names if name}


def _is_plate(name: str, known: set[str]) -> bool:
    """Whether a media's name or path is the plate's; a sequence's name may bear its range: name.[1001-1048].exr."""
    name = re.split(r"[\\/]", unquote(urlparse(name).path or name))[-1].strip().lower()
    short = re.sub(r"[._]?(\[\d+-\d+\]|#+|%0?\d*d)(?=\.|$)", "", name)
    stem = name.rpartition(".")[0]
    return bool({name, stem, short, short.rpartition(".")[0]} & known - {""})


def _from_edl(path: Path, clip: Clip) -> list[range]:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {(error.strerror or str(error)).lower()}.") from error
    rate, known, start = round(clip.rate), _named(clip), first_frame(clip)
    events: list[tuple[str, list[str], range]] = []
    named = False
    about = first = 0  # the line that comments are about, and the first one of its event
    for line in text.splitlines():
        event, name = _EVENT.match(line), _NAME.match(line)
        # A, A2, AA: sound; V, B, AA/V have pictures
        if event and ("V" in event[3].upper() or event[3][0] not in "Aa"):
            about = len(events)
            if event[4] == "C" or not events or events[-1][0] != event[1]:
                first = about
            else:
                # The second line of a transition: the picture before it goes on for its length.
                number, names, part = events[-1]
                events[-1] = number, names, range(part.start, part.stop + int(event[5] or 0))
            times = _frames(event[6], rate) - start, _frames(event[7], rate) - start
            events.append((event[1], [event[2]], range(*times)))
        elif name and events:
            kind = name[1].upper()
            about = first if kind.startswith("FROM") else len(events) - 1 if kind.startswith("TO") else about
            events[about][1].append(name[2])
            named = True
    if not events:
        raise BadInput(f"{path} holds no event of a CMX 3600 EDL: export it again.")
    if not named and all(names[0].upper() in ("AX", "BL") or names[0].isdecimal() for _, names, _ in events):
        return [part for _, names, part in events if names[0].upper() != "BL"]
    return [part for _, names, part in events if any(_is_plate(name, known) for name in names)]


def _from_timeline(path: Path, clip: Clip) -> list[range]:
    import opentimelineio as otio

    try:
        timeline: Any = otio.adapters.read_from_file(str(path))
        cuts = list(timeline.find_clips())
    except Exception as error:  # its adapters raise whatever their parsers do
        reason = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
        raise BadInput(f"{path} is no timeline that OpenTimelineIO can read ({reason}): export it again.") from error
    known, own = _named(clip), first_frame(clip)
    found = []
    for cut in cuts:
        if not _in_picture(cut):
            continue
        media = cut.media_reference
        told = [getattr(media, "target_url", ""), getattr(media, "name", "")]
        if hasattr(media, "name_prefix"):
            told.append(f"{media.name_prefix}{media.start_frame:04d}{media.name_suffix}")
            told.append(re.sub(r"[._-]$", "", media.name_prefix))
        told = [name for name in told if name] or [cut.name]
        if not any(_is_plate(name, known) for name in told):
            continue
        available = getattr(media, "available_range", None)
        part = cut.source_range or available
        if part is None:
            found.append(range(0, clip.count()))
            continue
        # The media begins where its available range does; a list without one counts from the plate's timecode.
        begins = _at(available.start_time, clip.rate) if available is not None else own
        start = _at(part.start_time, clip.rate)
        # Many programs leave the plate's timecode out.
        begins = 0 if available is None and start < own else begins
        # Transitions show the media beyond the source range.
        seen = cut.visible_range()
        before, length = _at(part.start_time - seen.start_time, clip.rate), _at(seen.duration, clip.rate)
        speed = _speed(cut, path)
        first = start - begins - math.ceil(before * speed)
        found.append(range(first, first + max(math.ceil(length * speed), 1)))
    return found


def _in_picture(cut: Any) -> bool:
    """Whether a timeline's clip, and all that it lies in, is enabled and of video tracks."""
    while cut is not None:
        if not getattr(cut, "enabled", True) or getattr(cut, "kind", "Video").lower() != "video":
            return False
        cut = cut.parent()
    return True


def _speed(cut: Any, path: Path) -> float:
    """How many frames of its media a timeline's clip shows in one of its own, 0 if it stands still.

    A time warp leaves the clip's duration as it is and changes which media it shows (OpenTimelineIO's LinearTimeWarp).

    Raises:
        BadInput: backwards (editing programs do not agree on where the source range lies then:
            https://github.com/AcademySoftwareFoundation/OpenTimelineIO/issues/1890), or at a varying speed.
    """
    import opentimelineio as otio

    speed = 1.0
    for effect in cut.effects:
        if not isinstance(effect, otio.schema.TimeEffect) or not getattr(effect, "enabled", True):
            continue
        scalar = getattr(effect, "time_scalar", -1.0)
        if not (0 <= scalar < math.inf):
            raise BadInput(
                f"The clip '{cut.name}' in {path} runs backwards or at a varying speed, and which frames it shows is "
                "not told: name them with --frames."
            )
        speed *= scalar
    return speed


def _at(time: Any, rate: Fraction) -> int:
    """An OpenTimelineIO time in frames of the plate; the nominal rates 24 and 23.976 count the same frames."""
    theirs = time.rate or 1
    factor = 1.0 if round(theirs) == round(rate) else float(rate) / theirs
    return round(time.value * factor)
