"""Sign a file: a C2PA manifest inside it, or beside it as `NAME.c2pa` where the format cannot hold one.

The manifest follows the C2PA specification 2.2: the plate as the parent ingredient (`c2pa.opened`), the face's
replacement (`c2pa.edited` with IPTC's digital source type), and an assertion of ours with the consent records' digests.
"""

import contextlib
import io
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from photodouble import __version__
from photodouble.consent import BASES
from photodouble.errors import BadInput, PhotodoubleError
from photodouble.files import atomic, remove, write_bytes
from photodouble.provenance.c2pa_settings import offline_context
from photodouble.provenance.signer import Signer, signer_from_environment

CONSENT = "org.photodouble.consent"
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
    """

    title: str
    basis: str
    consent_digests: list[str]
    model_digest: str | None = None
    software: str = f"photodouble/{__version__}"
    plate: Path | None = None

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise ValueError(f"unknown basis {self.basis!r}")
        if not self.consent_digests:
            raise ValueError("a marking names at least one consent record")


def finish(unsigned: Path, output: Path, marking: Marking, signer: Signer | None = None) -> None:
    """Publish an output: sign `unsigned` (a file, or a folder of pictures) to `output` and remove `unsigned`.

    This is the only way in which a stage publishes a video, a picture or a folder of them. A writer writes to a
    working name, ends here, and never under `output` itself, so that nothing unmarked ever bears that name.

    Raises:
        BadInput: `output` cannot be written, or the signing certificate cannot be used.
    """
    signer = signer or signer_from_environment()
    if unsigned.is_dir():
        _sign_folder(unsigned, output, marking, signer)
    else:
        sign(unsigned, output, marking, signer)
    if unsigned.resolve() != output.resolve():
        remove(unsigned)


def sign(source: Path, output: Path, marking: Marking, signer: Signer | None = None) -> None:
    """Write `source` with its manifest to `output`, atomically; `source` stays. Both may be the same file.

    The format goes by the suffix of `output`: those in `EMBEDS` hold the manifest, others get a sidecar, which is put
    in place first: killed between the two, a file is without its sidecar at no time.

    Raises:
        BadInput: `output` cannot be written, or the signing certificate cannot be used.
        PhotodoubleError: the file cannot be signed.
    """
    with atomic(output) as part:
        manifest = _sign_to(source, part, output.suffix.lower(), marking, signer or signer_from_environment())
        if output.suffix.lower() not in EMBEDS:
            write_bytes(sidecar(output), manifest)


def sidecar(path: Path) -> Path:
    """Where the manifest of a file lies that cannot hold it."""
    return path.with_suffix(".c2pa")


def _sign_folder(unsigned: Path, output: Path, marking: Marking, signer: Signer) -> None:
    with atomic(output) as part:
        part.mkdir()
        for picture in sorted(path for path in unsigned.iterdir() if path.is_file()):
            plate = marking.plate
            if plate is not None and plate.is_dir() and (plate / picture.name).is_file():
                plate = plate / picture.name
            own = Marking(
                title=picture.name,
                basis=marking.basis,
                consent_digests=marking.consent_digests,
                model_digest=marking.model_digest,
                software=marking.software,
                plate=plate,
            )
            sign(picture, part / picture.name, own, signer)


def _sign_to(source: Path, target: Path, suffix: str, marking: Marking, signer: Signer) -> bytes:
    mime = EMBEDS.get(suffix, OTHER)
    try:
        own = c2pa.Signer.from_info(
            c2pa.C2paSignerInfo(signer.algorithm.encode(), signer.chain, signer.key, None)  # None: no time stamp
        )
    except c2pa.C2paError as error:
        raise BadInput(f"The signing certificate cannot be used: {_short(error)}.") from error
    with own, open(source, "rb") as reading, _recording(target) as (writing, failures):
        try:
            with _builder(marking) as builder:
                if mime == OTHER:
                    builder.set_no_embed()
                return builder.sign(own, mime, reading, writing)
        except c2pa.C2paError as error:
            if failures:
                raise failures[0] from error  # the disk's own complaint, which c2pa does not pass on
            raise PhotodoubleError(f"Could not sign {source}: {_short(error)}.") from error


def _builder(marking: Marking) -> c2pa.Builder:
    name, _, version = marking.software.partition("/")
    edited = {"action": "c2pa.edited", "digitalSourceType": SOURCE_TYPE, "softwareAgent": {"name": name}}
    if version:
        edited["softwareAgent"] = {"name": name, "version": version}
    # The first action must say where the picture came from: the opened plate, or nothing but us.
    first: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
    if marking.plate is not None:
        first = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["plate"]}}
    definition = {
        "claim_generator_info": [{"name": name, "version": version or "unknown"}],
        "title": marking.title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [first, edited]}},
            {
                "label": CONSENT,
                "data": {
                    "basis": marking.basis,
                    "consent": list(marking.consent_digests),
                    **({"model": marking.model_digest} if marking.model_digest else {}),
                },
            },
        ],
    }
    if marking.plate is None:
        return c2pa.Builder(json.dumps(definition), offline_context())
    return _with_plate(definition, marking.plate)


def _with_plate(definition: dict[str, Any], plate: Path) -> c2pa.Builder:
    """Add the plate as parent, with its own manifest where c2pa can read it, else by name alone."""
    ingredient: dict[str, Any] = {"title": plate.name, "relationship": "parentOf", "label": "plate"}
    mime = EMBEDS.get(plate.suffix.lower())
    if mime is not None and plate.is_file():
        builder = c2pa.Builder(json.dumps(definition), offline_context())
        with contextlib.suppress(c2pa.C2paError, OSError), open(plate, "rb") as stream:
            builder.add_ingredient(json.dumps(ingredient), mime, stream)
            return builder
        builder.close()
    ingredient |= {"format": mime or OTHER, "instance_id": f"xmp.iid:{uuid.uuid4()}"}
    return c2pa.Builder(json.dumps(definition | {"ingredients": [ingredient]}), offline_context())


class _File(io.FileIO):
    """A file that remembers why it could not be written: c2pa reports no more than that it could not."""

    def __init__(self, path: Path, failures: list[OSError]) -> None:
        super().__init__(path, "w+b")
        self._failures = failures

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            self._failures.append(error)
            raise


@contextlib.contextmanager
def _recording(path: Path) -> Iterator[tuple[io.BufferedRandom, list[OSError]]]:
    failures: list[OSError] = []
    stream = io.BufferedRandom(_File(path, failures), buffer_size=1 << 20)
    try:
        yield stream, failures
        stream.flush()
        os.fsync(stream.fileno())
    finally:
        with contextlib.suppress(OSError):  # the first failure is the one that counts
            stream.close()


def _short(error: Exception) -> str:
    return str(error).strip().rstrip(".").replace("\n", " ")[:200]
