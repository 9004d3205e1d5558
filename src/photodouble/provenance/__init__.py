"""Marks: the signed manifest and the visible label; writing and reading them."""

from photodouble.provenance.aigc import find_field, make_field
from photodouble.provenance.claim import Marking, sidecar
from photodouble.provenance.label import PRESETS, Label, draw_label, free_corner, label_region, labelled, make_label
from photodouble.provenance.manifest import finish, sign
from photodouble.provenance.read import ManifestState, read_manifest
from photodouble.provenance.settings import load_settings
from photodouble.provenance.signer import Signer, load_signer, signer_for, trust_anchors

__all__ = [
    "PRESETS",
    "Label",
    "ManifestState",
    "Marking",
    "Signer",
    "draw_label",
    "find_field",
    "finish",
    "free_corner",
    "label_region",
    "labelled",
    "load_settings",
    "load_signer",
    "make_field",
    "make_label",
    "read_manifest",
    "sidecar",
    "sign",
    "signer_for",
    "trust_anchors",
]
