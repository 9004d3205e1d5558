"""Read a file's manifest and say whether it still holds."""

import json
import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import c2pa

from photodouble.errors import BadInput
from photodouble.provenance.c2pa_settings import offline_context
from photodouble.provenance.manifest import CONSENT, EMBEDS, OTHER, sidecar
from photodouble.provenance.signer import anchors_from_environment

LARGEST_SIDECAR = 256 << 20
# What a manifest store is made of (ISO 19566-5 boxes: C2PA specification 2.2, section 11.1) and what only ours holds.
# Found in a file in which c2pa sees no manifest, they are the rest of one.
TRACES = (b"jumdc2pa", b"jumdc2ma", b"jumdc2cl", b"jumdc2as", b"jumdc2cs", CONSENT.encode())
_TRUST = {"signingCredential.untrusted", "signingCredential.ocsp.skipped"}  # says nothing about the bytes


@dataclass(frozen=True)
class ManifestState:
    """What a file's manifest says.

    Attributes:
        state: "valid": it is whole and belongs to exactly these bytes; "tampered": there is one, but the file or the
            manifest was changed since; "absent": there is none.
        trusted: valid, and signed by this machine's CA, the studio's, or another anchor that the user configured.
        signer: organisation and name in the signing certificate.
        consent: digests of the consent records.
        basis, model, software, title: as in `Marking`.
        actions: C2PA's names, in their order.
        reason: one sentence on how the state was found.
    """

    state: Literal["valid", "tampered", "absent"]
    reason: str
    trusted: bool = False
    signer: str | None = None
    consent: list[str] = field(default_factory=list)
    basis: str | None = None
    model: str | None = None
    software: str | None = None
    title: str | None = None
    actions: list[str] = field(default_factory=list)


def read_manifest(path: Path, anchors: bytes | None = None) -> ManifestState:
    """Read the manifest of one file, inside it or in its sidecar; `anchors` (PEM) defaults to this machine's.

    Raises:
        BadInput: the file cannot be read.
    """
    path = Path(path)
    anchors = anchors_from_environment() if anchors is None else anchors
    try:
        if not path.is_file():
            raise BadInput(f"{path} is not a file: give a video or a picture.")
        mime = EMBEDS.get(path.suffix.lower())
        found = _read(path, mime, None, anchors) if mime else None
        if found is None and sidecar(path).is_file():
            beside = sidecar(path)
            if beside.stat().st_size > LARGEST_SIDECAR:
                return ManifestState("tampered", f"The sidecar {beside.name} is too large to be a manifest.")
            found = _read(path, OTHER, beside.read_bytes(), anchors)
        return found or ManifestState("absent", "There is no manifest in the file and none beside it.")
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {(error.strerror or str(error)).lower()}.") from error


def _read(path: Path, mime: str | None, manifest: bytes | None, anchors: bytes) -> ManifestState | None:
    """State of the manifest in the file or in `manifest`; None if the file holds none."""
    try:
        with open(path, "rb") as stream, c2pa.Reader(mime, stream, manifest, offline_context(anchors)) as reader:
            return _judge(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError, KeyError, TypeError, AttributeError) as error:
        if manifest is None and not _has_traces(path):
            return None
        what = str(error).strip().rstrip(".").replace("\n", " ")[:200] or type(error).__name__
        return ManifestState("tampered", f"There is a manifest that can no longer be read: {what}.")


def _judge(store: dict[str, Any]) -> ManifestState:
    manifest = store["manifests"][store["active_manifest"]]
    # Only the file's own manifest: a plate that came with a broken one does not break the mark on the output.
    results = store["validation_results"]["activeManifest"]
    failures = [item for item in results["failure"] if item["code"] not in _TRUST]
    trusted = any(item["code"] == "signingCredential.trusted" for item in results["success"])
    assertions = {item["label"]: item["data"] for item in manifest.get("assertions", [])}
    own = assertions.get(CONSENT, {})
    actions = assertions.get("c2pa.actions.v2", assertions.get("c2pa.actions", {})).get("actions", [])
    signature = manifest.get("signature_info") or {}
    generator = (manifest.get("claim_generator_info") or [{}])[0]
    if failures:
        told = "; ".join(dict.fromkeys(f"{item['code']}: {item.get('explanation', '')}" for item in failures))
        reason = f"The file or its manifest was changed after signing ({told[:300]})."
    else:
        reason = "The manifest is whole and belongs to exactly these bytes."
        reason += " Its signer is trusted here." if trusted else " Its signer is not known here."
    return ManifestState(
        state="tampered" if failures else "valid",
        reason=reason,
        trusted=trusted and not failures,
        signer=": ".join(filter(None, (signature.get("issuer"), signature.get("common_name")))) or None,
        consent=[str(item) for item in own.get("consent", [])],
        basis=own.get("basis"),
        model=own.get("model"),
        software="/".join(filter(None, (generator.get("name"), generator.get("version")))) or None,
        title=manifest.get("title"),
        actions=[str(item["action"]) for item in actions],
    )


def _has_traces(path: Path) -> bool:
    if path.stat().st_size == 0:
        return False
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(trace) >= 0 for trace in TRACES)
