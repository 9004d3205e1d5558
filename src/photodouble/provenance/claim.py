"""What a manifest says: the actions, the plate as parent ingredient, consent, model, and the watermark's identifier.

Names are those of the C2PA specification 2.1: soft binding (section 18.9), actions (18.12), ingredient (18.13); the
digital source type is IPTC's.
"""

import contextlib
import io
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from photodouble import __version__
from photodouble.consent import BASES
from photodouble.provenance.c2pa_settings import offline_context

CONSENT = "org.photodouble.consent"
SOFT_BINDING = "c2pa.soft-binding"
WATERMARK = "org.photodouble.watermark.1"
"""What a soft binding calls the watermark's algorithm: ours, which no public list of algorithms holds."""

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
EMBEDS = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
OTHER = "application/octet-stream"  # the manifest then binds to the SHA-256 of the whole file
LARGEST_SIDECAR = 256 << 20


@dataclass(frozen=True)
class Marking:
    """What an output says about itself.

    Attributes:
        title: the output's name.
        basis: one of `photodouble.consent.BASES`.
        consent_digests: `photodouble.consent.digest` of each record that allowed the work; at least one.
        model_digest: SHA-256 of the model that made the face, None where no model was trained.
        software: name/version.
        plate: the clip, picture or folder whose face was replaced; only its name and its own manifest are taken.
        watermark: the identifier in the picture's watermark, 24 bits; None where the picture has none.
        field: text of the metadata field AIGC (aigc.py), which goes into the file where its format holds one.
        picture: of a folder of pictures, which one this is and how many there are: (0, 240) is the first of 240.
    """

    title: str
    basis: str
    consent_digests: list[str]
    model_digest: str | None = None
    software: str = f"photodouble/{__version__}"
    plate: Path | None = None
    watermark: int | None = None
    field: str | None = None
    picture: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise ValueError(f"unknown basis {self.basis!r}")
        if not self.consent_digests:
            raise ValueError("a marking names at least one consent record")
        if self.watermark is not None and not 0 <= self.watermark < 1 << 24:
            raise ValueError("a watermark's identifier has 24 bits")


def sidecar(path: Path) -> Path:
    """Where the manifest of a file lies that cannot hold it."""
    return path.with_suffix(".c2pa")


def builder(marking: Marking) -> c2pa.Builder:
    """A manifest that is ready to be signed; the caller closes it."""
    definition = _definition(marking)
    if marking.plate is None:
        return c2pa.Builder(json.dumps(definition), offline_context())
    return _with_plate(definition, marking.plate)


def _definition(marking: Marking) -> dict[str, Any]:
    name, _, version = marking.software.partition("/")
    agent = {"name": name} | ({"version": version} if version else {})
    # The first action must say where the picture came from: the opened plate, or nothing but us.
    actions: list[dict[str, Any]] = [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}]
    if marking.plate is not None:
        actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ["plate"]}}]
    actions.append({"action": "c2pa.edited", "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent})
    own: dict[str, Any] = {"basis": marking.basis, "consent": list(marking.consent_digests)}
    if marking.model_digest:
        own["model"] = marking.model_digest
    if marking.picture:
        own["picture"] = {"index": marking.picture[0], "of": marking.picture[1]}
    assertions: list[dict[str, Any]] = [{"label": CONSENT, "data": own}]
    if marking.watermark is not None:
        actions.append({"action": "c2pa.watermarked.bound", "softwareAgent": agent})
        block = {"scope": {}, "value": f"{marking.watermark:06x}"}  # an empty scope: all of the picture, all the time
        assertions.append({"label": SOFT_BINDING, "data": {"alg": WATERMARK, "blocks": [block]}})
    return {
        "claim_generator_info": [{"name": name, "version": version or "unknown"}],
        "title": marking.title,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}, *assertions],
    }


def _with_plate(definition: dict[str, Any], plate: Path) -> c2pa.Builder:
    """Add the plate as parent: with its own manifest, inside it or beside it, else by name alone."""
    ingredient: dict[str, Any] = {"title": plate.name, "relationship": "parentOf", "label": "plate"}
    mime = EMBEDS.get(plate.suffix.lower())
    if mime is not None and plate.is_file():
        made = c2pa.Builder(json.dumps(definition), offline_context())
        with contextlib.suppress(c2pa.C2paError, OSError), open(plate, "rb") as stream:
            made.add_ingredient(json.dumps(ingredient), mime, stream)
            return made
        made.close()
    ingredient |= {"format": mime or OTHER, "instance_id": f"xmp.iid:{uuid.uuid4()}"}
    manifest = _beside(plate)
    if manifest is not None:
        store, found = manifest
        known = ingredient | found | {"manifest_data": {"format": "c2pa", "identifier": "plate.c2pa"}}
        made = c2pa.Builder(json.dumps(definition | {"ingredients": [known]}), offline_context())
        made.add_resource("plate.c2pa", store)
        return made
    return c2pa.Builder(json.dumps(definition | {"ingredients": [ingredient]}), offline_context())


def _beside(plate: Path) -> tuple[Any, dict[str, Any]] | None:
    """The manifest store in the plate's sidecar, and what checking it says; None if there is none that can be read.

    A store that no longer fits the plate is taken along too: the failed check is part of what is recorded.
    """
    beside = sidecar(plate)
    try:
        if not plate.is_file() or not beside.is_file() or beside.stat().st_size > LARGEST_SIDECAR:
            return None
        store = beside.read_bytes()
        with open(plate, "rb") as stream, c2pa.Reader(OTHER, stream, store, offline_context()) as reader:
            found = json.loads(reader.json())
        keys = {"active_manifest": found["active_manifest"], "validation_results": found["validation_results"]}
        return io.BytesIO(store), keys
    except (c2pa.C2paError, OSError, ValueError, KeyError):
        return None
