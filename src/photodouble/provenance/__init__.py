"""Marks: the signed manifest and the visible label; writing and reading them."""

from photodouble.provenance.label import draw_label, label_region
from photodouble.provenance.manifest import Marking, finish, sidecar, sign
from photodouble.provenance.read import ManifestState, read_manifest
from photodouble.provenance.signer import Signer, anchors_from_environment, load_signer, signer_from_environment

__all__ = [
    "ManifestState",
    "Marking",
    "Signer",
    "anchors_from_environment",
    "draw_label",
    "finish",
    "label_region",
    "load_signer",
    "read_manifest",
    "sidecar",
    "sign",
    "signer_from_environment",
]
