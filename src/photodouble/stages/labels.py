"""The visible label of a render: which one, in which corner, for how long, and the metadata field that goes with it."""

from dataclasses import replace
from pathlib import Path

from photodouble.faces import FaceSet
from photodouble.media import Clip
from photodouble.provenance import Label, Marking, free_corner, load_settings, make_field, make_label
from photodouble.provenance.aigc import HOLDS
from photodouble.stages.extract import source_of

PRODUCER = "photodouble"
"""Who the field AIGC names where the settings name nobody."""


def check_label(preset: str | None, text: str | None, project: Path | None) -> None:
    """Find out before any work whether a label can be made, with the field that goes with it.

    Raises:
        BadInput: as `make_label` and `with_field`.
    """
    make_label(preset, text, research=False)
    if preset == "cn":
        make_field(load_settings(project).producer or PRODUCER)


def plan_label(preset: str | None, text: str | None, research: bool, clip: Clip, faces: FaceSet) -> Label | None:
    """The label for a plate: away from its faces over all frames that bear it; None: it needs none.

    Args:
        preset, text: as in `make_label`. research: the basis of a record is `research`.
        faces: the plate's faces.

    Raises:
        BadInput: as `make_label`, or the plate has no frame.
    """
    label = make_label(preset, text, research)
    if label is None:
        return None
    boxes = faces.box
    if (source := source_of(faces, clip)) is not None:
        boxes = boxes[faces.source == faces.sources.index(source)]
    corner = free_corner(label, clip.width, clip.height, boxes)
    if label.until is None:
        return replace(label, corner=corner)
    first = next(clip.frames(0, 1))
    return replace(label, corner=corner, until=label.until + float(first.pts * first.time_base))


def with_field(marking: Marking, preset: str | None, output: Path, project: Path) -> Marking:
    """The marking, with the metadata field AIGC where the label `cn` asks for it.

    Raises:
        BadInput: the settings are malformed, or the producer that they name cannot stand in the field.
    """
    if preset != "cn":
        return marking
    producer = load_settings(project).producer or PRODUCER
    return replace(marking, field=make_field(producer, output.name, *marking.consent_digests))


def field_left_out(preset: str | None, output: Path, codec: str) -> str | None:
    """A sentence for the user where the label `cn` is asked for and the output cannot hold its field."""
    suffix = output.suffix.lower() or {"png": ".png", "jpeg": ".jpg"}.get(codec, "")
    if preset != "cn" or suffix in HOLDS:
        return None
    return f"{output.name} cannot hold the metadata field AIGC: use MP4, MOV, MKV, PNG or JPEG where that is required."
