"""Is it the person whose consent is on record? Asked before long work, of some frames, and after it, of every face."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from photodouble.consent import require_known, require_model
from photodouble.consent.binding import (
    LIMIT,
    Bound,
    Tile,
    bind_faces,
    bound,
    check_faces,
    check_likeness,
    refuse_footage,
)
from photodouble.consent.policy import NudityGate, check_picture
from photodouble.errors import Refused
from photodouble.faces import FACE, FaceSet, Tracker, alignment, crop
from photodouble.faces.chunk import chunk_faces
from photodouble.media import Clip, Frame
from photodouble.project import Project
from photodouble.stages.events import Event, Warned

if TYPE_CHECKING:
    from photodouble.training.model_json import Meta

LOOKS = 16
"""Frames of footage that are looked at, spread over all of it, before nobody in it counts as the person."""

SIDE = 160
MOST = 24
"""Faces shown of footage that is refused after it was read to its end."""


def settle(project: Project, name: str, faces: FaceSet, stage: str) -> Iterator[Event]:
    """Make sure that the set shows the person of the record; a record without pictures is bound to it, and says so.

    Raises:
        Refused: it shows somebody else; see `check_faces`.
    """
    person = bound(project, name)
    if person is not None:
        check_faces(person, faces)
    elif (sentence := bind_faces(project, name, faces)) is not None:
        yield Warned(stage, sentence)
        if (person := bound(project, name)) is not None:
            check_faces(person, faces)


def check_model(project: Project, folder: Path, meta: "Meta", name: str | None = None) -> None:
    """Everybody whom a model learned from must still consent; the identity `name`, if given, must be whom it draws.

    Raises:
        Refused: somebody's consent does not hold, the model was trained under records that are not the project's, or
            it was trained on another person's faces than those of the record.
    """
    today = date.today()
    if name is not None and name not in meta.consent:
        raise Refused(f"The model {folder} names no consent record of {name!r}: move it away and train a new one.")
    require_model(project, folder, meta.consent, today)
    require_known(project, meta.start.get("consent", {}), today)
    likeness = meta.data.get(name, {}).get("likeness") if name is not None else None
    if name is not None and likeness and (person := bound(project, name)) is not None:
        check_likeness(person, likeness, folder)


def glance(
    clips: list[Clip], person: Bound, tracker: Tracker, gate: NudityGate, frames: Callable[[Clip, int], Iterator[Frame]]
) -> None:
    """Look for the person in frames spread over the footage, and stop at the first that shows them.

    Args:
        frames: the clip's frames from an index on, 8-bit.

    Raises:
        Refused: faces were seen, but only other people's; or a frame that would be shown to say so cannot be shown.
    """
    tiles: list[Tile] = []
    seen: list[Frame] = []
    looked = 0
    for clip, index in _spread(clips):
        frame = next(frames(clip, index), None)
        if frame is None:
            continue
        looked += 1
        for face in tracker.look(frame):
            alike = float(person.alike(face.embedding)[0])
            if alike >= LIMIT:
                return
            image = crop(frame.image, alignment(face.landmarks, SIDE, FACE), SIDE)
            tiles.append(Tile(image, f"{Path(clip.path).name} {frame.index}", alike))
            seen.append(frame)
        if looked == LOOKS:
            break
    if not tiles:
        return  # perhaps there is a face between; the whole footage will tell
    for frame in {id(frame): frame for frame in seen}.values():
        check_picture(frame.image, f"{clips[0].path} (frame {frame.index})", gate)
    more = f" and {len(clips) - 1} more" if len(clips) > 1 else ""
    raise refuse_footage(person, f"{looked} frames spread over {clips[0].path}{more}", tiles)


def _spread(clips: list[Clip]) -> Iterator[tuple[Clip, int]]:
    """Frames of all clips: the first ones, then the middles, then what lies between, ever finer."""
    total = sum(max(clip.estimated_frames, 1) for clip in clips)
    told: set[int] = set()
    for parts in (1, 2, 4, 8, 16, 32):
        for number in range(0 if parts == 1 else 1, parts, 1 if parts == 1 else 2):
            at = total * number // parts
            if at in told:
                continue
            told.add(at)
            for clip in clips:
                if at < max(clip.estimated_frames, 1):
                    yield clip, at
                    break
                at -= max(clip.estimated_frames, 1)


def nobody(paths: list[Path], sources: list[str], person: Bound) -> Refused:
    """The refusal after a whole extraction in which nobody is the person; `paths` are its chunks."""
    best: dict[tuple[Path, int], tuple[float, Tile]] = {}
    for path in paths:
        for face, _, jpeg in chunk_faces(path, sources):
            at = path, face.track
            if (at in best and best[at][0] >= face.quality) or (at not in best and len(best) >= MOST):
                continue
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
            picture = np.full((SIDE, SIDE, 3), 96, np.uint8) if image is None else image[..., ::-1]
            alike = float(person.alike(face.embedding)[0])
            best[at] = face.quality, Tile(picture, f"{Path(face.source).name} {face.frame}", alike)
    names = f"{sources[0]} and {len(sources) - 1} more" if len(sources) > 1 else sources[0]
    return refuse_footage(person, names, [tile for _, tile in best.values()])
