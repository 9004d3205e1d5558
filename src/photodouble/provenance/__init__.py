"""Marks: the signed manifest and the visible label; writing and reading them."""

from photodouble.provenance.claim import Marking, sidecar
from photodouble.provenance.label import draw_label, label_region
from photodouble.provenance.manifest import finish, sign
from photodouble.provenance.read import ManifestState, read_manifest
from photodouble.provenance.settings import load_settings
from photodouble.provenance.signer import Signer, load_signer, signer_for, trust_anchors

__all__ = [
    "ManifestState",
    "Marking",
    "Signer",
    "draw_label",
    "finish",
    "label_region",
    "load_settings",
    "load_signer",
    "read_manifest",
    "sidecar",
    "sign",
    "signer_for",
    "trust_anchors",
]
