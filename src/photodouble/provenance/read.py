"""Read a file's manifest and say whether it still holds."""

import contextlib
import json
import mmap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import c2pa

from photodouble.errors import BadInput
from photodouble.provenance.c2pa_settings import offline_context
from photodouble.provenance.claim import CONSENT, EMBEDS, LARGEST_SIDECAR, OTHER, SOFT_BINDING, WATERMARK, sidecar
from photodouble.provenance.signer import trust_anchors

# What a manifest store is made of (ISO 19566-5 boxes: C2PA specification 2.1, section 11.1) and what only ours holds.
# Found in a file in which c2pa sees no manifest, they are the rest of one.
TRACES = (b"jumdc2pa", b"jumdc2ma", b"jumdc2cl", b"jumdc2as", b"jumdc2cs", CONSENT.encode())
# Says nothing about the bytes.
_TRUST = {"signingCredential.untrusted", "signingCredential.ocsp.skipped", "timeStamp.untrusted"}
# Actions that leave the content as it is (C2PA specification 2.1, section 18.12); every other one is an alteration.
_NEUTRAL = {"created", "opened", "placed", "published", "converted", "transcoded", "repackaged", "unknown"}
_NEUTRAL |= {"watermarked", "watermarked.bound", "watermarked.unbound", "redacted"}


@dataclass(frozen=True)
class ManifestState:
    """What a file's manifest says.

    Attributes:
        state: "valid": it is whole and belongs to exactly these bytes; "tampered": there is one, but the file or the
            manifest was changed since; "absent": there is none.
        altered: valid, and it or the manifest of something that the file was made of declares an alteration, or
            pictures made with AI. A camera's manifest is valid and declares neither.
        trusted: valid, and signed by this machine's CA, the studio's, or another anchor that the user configured.
        signer: organisation and name in the signing certificate.
        timestamp: when it was signed, as a time stamp authority certified it; None where none was asked.
        consent: digests of the consent records.
        basis, model, software, title: as in `Marking`.
        soft_binding: identifier of the watermark to which the manifest is bound, six hexadecimal digits.
        picture: in a folder of pictures, which one this is (`index`) and how many there are (`of`).
        actions: C2PA's names, in their order. sources: the digital source types that they state, last part only.
        made_of: for each thing that the file was made of its `title`, and `manifest`: whether its own was kept.
        reason: one sentence on how the state was found.
    """

    state: Literal["valid", "tampered", "absent"]
    reason: str
    altered: bool = False
    trusted: bool = False
    signer: str | None = None
    timestamp: str | None = None
    consent: list[str] = field(default_factory=list)
    basis: str | None = None
    model: str | None = None
    software: str | None = None
    title: str | None = None
    soft_binding: str | None = None
    picture: dict[str, int] | None = None
    actions: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    made_of: list[dict[str, Any]] = field(default_factory=list)


def read_manifest(path: Path, anchors: bytes | None = None) -> ManifestState:
    """Read the manifest of one file, inside it or in its sidecar; `anchors` (PEM) defaults to this machine's.

    Raises:
        BadInput: the file cannot be read.
    """
    path = Path(path)
    anchors = trust_anchors() if anchors is None else anchors
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
    own = _assertion(manifest, CONSENT)
    actions = _actions(manifest)
    signature = manifest.get("signature_info") or {}
    generator = (manifest.get("claim_generator_info") or [{}])[0]
    altered = not failures and any(map(_declares, store["manifests"].values()))
    if failures:
        told = "; ".join(dict.fromkeys(f"{item['code']}: {item.get('explanation', '')}" for item in failures))
        reason = f"The file or its manifest was changed after signing ({told[:300]})."
    else:
        reason = "The manifest is whole and belongs to exactly these bytes."
        reason += "" if altered else " It declares no alteration."
        reason += " Its signer is trusted here." if trusted else " Its signer is not known here."
    return ManifestState(
        state="tampered" if failures else "valid",
        reason=reason,
        altered=altered,
        trusted=trusted and not failures,
        signer=": ".join(filter(None, (signature.get("issuer"), signature.get("common_name")))) or None,
        timestamp=signature.get("time"),
        consent=[str(item) for item in own.get("consent", [])],
        basis=own.get("basis"),
        model=own.get("model"),
        software="/".join(filter(None, (generator.get("name"), generator.get("version")))) or None,
        title=manifest.get("title"),
        soft_binding=_bound(manifest),
        picture=own.get("picture"),
        actions=[str(item["action"]) for item in actions],
        sources=list(dict.fromkeys(source for item in actions if (source := _source(item)))),
        made_of=[
            {"title": item.get("title"), "manifest": bool(item.get("active_manifest"))}
            for item in manifest.get("ingredients", [])
        ],
    )


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any]:
    data: Any = next((item["data"] for item in manifest.get("assertions", []) if item["label"] == label), {})
    return data if isinstance(data, dict) else {}


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = _assertion(manifest, "c2pa.actions.v2") or _assertion(manifest, "c2pa.actions")
    return list(found.get("actions", []))


def _source(action: dict[str, Any]) -> str:
    return str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1]


def _declares(manifest: dict[str, Any]) -> bool:
    """Whether a manifest declares an alteration, or a picture made with AI (IPTC's "…AlgorithmicMedia")."""
    return any(
        str(action["action"]).removeprefix("c2pa.") not in _NEUTRAL or "algorithmicmedia" in _source(action).lower()
        for action in _actions(manifest)
    )


def _bound(manifest: dict[str, Any]) -> str | None:
    """The identifier of our watermark in a soft binding."""
    with contextlib.suppress(KeyError, IndexError, TypeError):
        data = _assertion(manifest, SOFT_BINDING)
        return str(data["blocks"][0]["value"]) if data["alg"] == WATERMARK else None
    return None


def _has_traces(path: Path) -> bool:
    if path.stat().st_size == 0:
        return False
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(trace) >= 0 for trace in TRACES)
