"""Whose signature goes under a manifest, and whose signatures this machine trusts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from photodouble.errors import BadInput
from photodouble.files import config_home
from photodouble.provenance.ca import CA, local_files
from photodouble.provenance.settings import ENVIRONMENT, VARIABLES, load_settings

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Signer:
    """A certificate chain and its key.

    Attributes:
        chain: PEM, the signing certificate first, then its issuers.
        key: PEM of the signing certificate's unencrypted private key.
        algorithm: as C2PA names it: es256, es384, es512, ps256 or ed25519.
        timestamp: URL of the time stamp authority (RFC 3161) that is asked at each signing; None: nobody is asked.
    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str
    timestamp: str | None = None


def signer_for(project: Path | None = None, environment: Mapping[str, str] = os.environ) -> Signer:
    """Who signs what is made in `project`: the studio's certificate if one is configured, else this machine's own.

    Raises:
        BadInput: the settings are malformed, or name files that are not a certificate and its key.
    """
    settings = load_settings(project, environment)
    if bool(settings.certificate) != bool(settings.key):
        names = " and ".join(VARIABLES[name] for name in ("certificate", "key"))
        both = names if settings.place == ENVIRONMENT else "'certificate' and 'key'"
        raise BadInput(f"Set {both} together in {settings.place} (two PEM files), or neither.")
    if settings.certificate and settings.key:
        return replace(load_signer(settings.certificate, settings.key), timestamp=settings.timestamp)
    _, chain, own = local_files(config_home(environment) / "signing")
    return replace(load_signer(chain, own), timestamp=settings.timestamp)


def trust_anchors(environment: Mapping[str, str] = os.environ) -> bytes:
    """PEM of the certificates whose signatures this machine trusts; empty if there are none. Nothing is made here.

    They are the local CA, the last certificate of the signing chain that the environment or the user's settings name,
    and the configured anchors. A project's settings have no say.

    Raises:
        BadInput: the settings are malformed, or name a file that cannot be read.
    """
    settings = load_settings(None, environment)
    found = []
    local = config_home(environment) / "signing" / CA
    if local.is_file():
        found.append(_read(local))
    if settings.certificate:
        last = _certificates(settings.certificate)[-1]
        found.append(last.public_bytes(serialization.Encoding.PEM))
    if settings.anchors:
        _certificates(settings.anchors)
        found.append(_read(settings.anchors))
    return b"\n".join(found)


def load_signer(chain: Path, key: Path) -> Signer:
    """Read a signer from two PEM files.

    Raises:
        BadInput: they cannot be read, do not belong together, have expired, or are of an algorithm C2PA does not know.
    """
    leaf = _certificates(chain)[0]
    data = _read(key)
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        raise BadInput(f"{key} is not an unencrypted private key in PEM.") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise BadInput(f"{key} is a key that C2PA does not know: use P-256, P-384, P-521, Ed25519 or RSA.")
    if private.public_key() != leaf.public_key():
        raise BadInput(f"{key} is not the key of the first certificate in {chain}: put the signing certificate first.")
    if leaf.not_valid_after_utc < datetime.now(UTC):
        raise BadInput(f"The signing certificate {chain} expired on {leaf.not_valid_after_utc:%Y-%m-%d}: renew it.")
    if isinstance(private, ec.EllipticCurvePrivateKey):
        algorithm = _CURVES.get(private.curve.name, "")
        if not algorithm:
            raise BadInput(f"{key} is on the curve {private.curve.name}: C2PA knows P-256, P-384 and P-521.")
    else:
        algorithm = "ps256" if isinstance(private, rsa.RSAPrivateKey) else "ed25519"
    pkcs8 = private.private_bytes(  # the older forms of PEM are not read by every signer
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Signer(_read(chain), pkcs8, algorithm)


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as error:
        raise BadInput(f"{path} does not hold certificates in PEM.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {(error.strerror or str(error)).lower()}.") from error
