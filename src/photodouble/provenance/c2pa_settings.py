"""How c2pa is run: without the network, without thumbnails, and with the trust anchors it is given."""

import json
from typing import Any

import c2pa


def offline_context(anchors: bytes = b"") -> c2pa.Context:
    """A context that never reaches the network and trusts the PEM certificates in `anchors`."""
    settings: dict[str, Any] = {
        "version": 1,
        "core": {
            "allowed_network_hosts": [],
            "decode_identity_assertions": False,
            # c2pa works on a copy of the file; a larger one than this lies on disk, so memory does not
            # grow with it; hashing takes up to twice 256 MiB all the same.
            "backing_store_memory_threshold_in_mb": 32,
        },
        "verify": {
            "verify_after_reading": True,
            "verify_after_sign": True,
            "verify_trust": True,
            "ocsp_fetch": False,
            "remote_manifest_fetch": False,
        },
        "builder": {
            "thumbnail": {"enabled": False},
            # MP4 permits bytes in `free` boxes to change; a mark that covers every byte is easier to explain.
            "bmff_hash_exclude_free_and_skip_boxes": False,
            "actions": {
                "auto_created_action": {"enabled": False},
                "auto_opened_action": {"enabled": False},
                "auto_placed_action": {"enabled": False},
            },
        },
    }
    if anchors:
        settings["trust"] = {"user_anchors": anchors.decode("ascii", "replace")}
    return c2pa.Context(c2pa.Settings.from_json(json.dumps(settings)))
