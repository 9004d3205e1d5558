"""Sign a file: a C2PA manifest inside it, or beside it as `NAME.c2pa` where the format cannot hold one.

What the manifest says is in claim.py, who signs in signer.py.
"""

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import c2pa

from photodouble.errors import BadInput, PhotodoubleError
from photodouble.files import atomic, remove, write_bytes
from photodouble.provenance.aigc import HOLDS, add_field
from photodouble.provenance.claim import EMBEDS, OTHER, Marking, builder, sidecar
from photodouble.provenance.signer import Signer, signer_for


def finish(unsigned: Path, output: Path, marking: Marking, signer: Signer | None = None) -> None:
    """Publish an output: sign `unsigned` (a file, or a folder of pictures) to `output` and remove `unsigned`.

    This is the only way in which a stage publishes a video, a picture or a folder of them. A writer writes to a
    working name, ends here, and never under `output` itself, so that nothing unmarked ever bears that name.

    Raises:
        BadInput: `output` cannot be written, the signing certificate cannot be used, or the time stamp authority that
            is configured does not answer.
    """
    signer = signer or signer_for()
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
        BadInput: as `finish`.
        PhotodoubleError: the file cannot be signed.
    """
    with atomic(output) as part, _with_field(source, part, marking) as prepared:
        manifest = _sign_to(prepared, part, output.suffix.lower(), marking, signer or signer_for())
        if output.suffix.lower() not in EMBEDS:
            write_bytes(sidecar(output), manifest)


@contextlib.contextmanager
def _with_field(source: Path, part: Path, marking: Marking) -> Iterator[Path]:
    """`source`, or a copy of it that holds the marking's field, which is gone afterwards."""
    if marking.field is None or part.suffix.lower() not in HOLDS:
        yield source
        return
    copy = part.with_name(f".{part.stem}.field{part.suffix}")
    try:
        add_field(source, copy, marking.field)
        yield copy
    except (ValueError, struct.error) as error:
        raise PhotodoubleError(f"Could not put the field AIGC into {source} ({error}).") from error
    finally:
        remove(copy)


def _sign_folder(unsigned: Path, output: Path, marking: Marking, signer: Signer) -> None:
    with atomic(output) as part:
        part.mkdir()
        pictures = sorted(path for path in unsigned.iterdir() if path.is_file())
        for index, picture in enumerate(pictures):
            plate = marking.plate
            if plate is not None and plate.is_dir() and (plate / picture.name).is_file():
                plate = plate / picture.name
            own = replace(marking, title=picture.name, plate=plate, picture=(index, len(pictures)))
            sign(picture, part / picture.name, own, signer)


def _sign_to(source: Path, target: Path, suffix: str, marking: Marking, signer: Signer) -> bytes:
    mime = EMBEDS.get(suffix, OTHER)
    stamp = signer.timestamp.encode() if signer.timestamp else None
    try:
        own = c2pa.Signer.from_info(c2pa.C2paSignerInfo(signer.algorithm.encode(), signer.chain, signer.key, stamp))
    except c2pa.C2paError as error:
        raise BadInput(f"The signing certificate cannot be used: {_short(error)}.") from error
    with own, open(source, "rb") as reading, _recording(target) as (writing, failures):
        try:
            with builder(marking) as made:
                if mime == OTHER:
                    made.set_no_embed()
                return made.sign(own, mime, reading, writing)
        except c2pa.C2paError as error:
            if failures:
                raise failures[0] from error  # the disk's own complaint, which c2pa does not pass on
            if signer.timestamp and ("http" in str(error) or "timestamp" in str(error).replace(" ", "").lower()):
                raise BadInput(
                    f"The time stamp authority {signer.timestamp} did not stamp {source.name}: try again, or name "
                    "another one in the settings for signing."
                ) from error
            raise PhotodoubleError(f"Could not sign {source}: {_short(error)}.") from error


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
