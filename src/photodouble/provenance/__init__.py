"""Marks: the signed manifest, the durable watermark and the visible label; writing and reading them."""

from photodouble.provenance.label import draw_label, label_region
from photodouble.provenance.ledger import ledgers, look_up, manifest_digest, payload_for, publish
from photodouble.provenance.manifest import Marking, finish, sidecar, sign
from photodouble.provenance.read import ManifestState, read_manifest
from photodouble.provenance.signer import Signer, anchors_from_environment, load_signer, signer_from_environment
from photodouble.provenance.watermark_embed import embed, embed_luma
from photodouble.provenance.watermark_read import WatermarkReading, read_watermark

__all__ = [
    "ManifestState",
    "Marking",
    "Signer",
    "WatermarkReading",
    "anchors_from_environment",
    "draw_label",
    "embed",
    "embed_luma",
    "finish",
    "label_region",
    "ledgers",
    "load_signer",
    "look_up",
    "manifest_digest",
    "payload_for",
    "publish",
    "read_manifest",
    "read_watermark",
    "sidecar",
    "sign",
    "signer_from_environment",
]
