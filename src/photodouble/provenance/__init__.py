"""Marks: the signed manifest, the durable watermark and the visible label; writing and reading them."""

from photodouble.provenance.aigc import find_field, make_field
from photodouble.provenance.claim import Marking, sidecar
from photodouble.provenance.label import PRESETS, Label, draw_label, free_corner, label_region, labelled, make_label
from photodouble.provenance.ledger import ledgers, look_up, manifest_digest, payload_for, publish
from photodouble.provenance.manifest import finish, sign
from photodouble.provenance.read import ManifestState, read_manifest
from photodouble.provenance.settings import load_settings
from photodouble.provenance.signer import Signer, load_signer, signer_for, trust_anchors
from photodouble.provenance.watermark_embed import embed, embed_luma
from photodouble.provenance.watermark_read import WatermarkReading, read_watermark

__all__ = [
    "PRESETS",
    "Label",
    "ManifestState",
    "Marking",
    "Signer",
    "WatermarkReading",
    "draw_label",
    "embed",
    "embed_luma",
    "find_field",
    "finish",
    "free_corner",
    "label_region",
    "labelled",
    "ledgers",
    "load_settings",
    "load_signer",
    "look_up",
    "make_field",
    "make_label",
    "manifest_digest",
    "payload_for",
    "publish",
    "read_manifest",
    "read_watermark",
    "sidecar",
    "sign",
    "signer_for",
    "trust_anchors",
]
